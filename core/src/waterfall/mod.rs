//! Waterfall: steps one after another, each fed what the one before ended with.
//!
//! ```text
//! input --> fetch_user --> fetch_orders --> total --> value
//!                 x                                   an error stops it, and says at which step
//! ```
//!
//! # What it promises
//!
//! - Steps are typed and unboxed, any number of them. A step takes the value of the one before: by value, to keep, or to hand on. What it borrows, it may hand on too.
//! - The first error stops it: [`WaterfallError`] says which step it was, by its index and, where it was [`named`](Waterfall::named), by its name.
//! - A step is dropped before the next one starts. The future is as large as its largest step with what is still to come, and not as all steps together. Of what is to come only
//!   what closures have captured takes room, and names that are texts.
//! - Nothing happens before the first poll. A chain whose steps can be copied can be copied, and run again; if it borrows, all its inputs share one lifetime. Where it borrows what it
//!   changes, write the chain inside a function that is given the input, and call that again.
//!
//! # When not to use it
//!
//! Where an `async` block with `?` does as well. A waterfall adds which step failed, a name for it, and a future that has a type.
//!
//! # What it costs
//!
//! What the steps cost. Three steps that are ready at once take as long as three `await`s that tell which one failed, 17 instructions; three that do not tell take 15, since their error is
//! smaller.
//!
//! The compiler's work grows with the number of steps, and 64 take it a second or two. From some 120 on it asks for a larger `#![recursion_limit]`.

mod error;
mod future;
mod name;
mod steps;

pub use error::WaterfallError;
pub use future::{After, Fed, Run, Stage};
pub use name::{Name, Unnamed};
pub use steps::{Start, Steps, Then, Waterfall, waterfall};
