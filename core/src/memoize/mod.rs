//! Memoization: a function of its key that is called once for each, as long as its value is kept.
//!
//! # What it promises
//!
//! - The first call with a key calls the function; calls with the same key meanwhile share its result, errors too; later ones get clones of its value.
//! - Errors are not kept: the next call starts anew.
//! - It keeps as many values as its [`capacity`](Memoize::capacity), and makes room by how often and how lately they were used.
//! - [`forget`](Memoize::forget) and [`clear`](Memoize::clear) have the next call start anew, even if the function is being called: whoever waits for that gets its result, and it is not kept.
//! - A caller that is dropped, or whose function panics, hands over to the one that has waited longest.
//! - Keys are what they are: anything that can be hashed and compared. Nothing is made into text, and nothing is confused.
//! - It reads no clock, unless what is kept gets old, or for an [observer](crate::Cache::observed_by) or a [deadline](Call::deadline_at).
//!
//! # What it costs
//!
//! What the [cache](crate::cache#what-it-takes) costs that its values are kept in.
//!
//! # When not to use it
//!
//! For what is not one function of its key: that is a [`cache`](crate::cache). What gets old can be [kept in](Memoize::kept_in) a cache with a TTL.
//!
//! A function that calls itself with the key that it was called with waits for itself, for ever.

mod call;
mod settings;

pub use self::call::Call;
pub use self::settings::Memoize;
