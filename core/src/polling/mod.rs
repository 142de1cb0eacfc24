//! Polling: asking again until the answer is there.
//!
//! ```text
//! every(100)    |==o        |====o        |==o       100 after the end of each attempt
//! at_rate(100)  |==o      |====o    |==o      |==o    on a grid of 100 that begins with the first
//! ```
//!
//! # What it promises
//!
//! - The first attempt is made at once, or after the [initial delay](Polling::initial_delay). No pause follows the last one.
//! - [`every`](Polling::every) counts from the end of an attempt; [`at_rate`](Polling::at_rate) keeps starts on a grid that begins with the first start, and skips ticks that were missed, as tokio's `MissedTickBehavior::Skip`, but without a late start in between: an attempt that ends
//!   exactly at a tick is followed by the next there. [`backoff`](Polling::backoff) takes delays of any kind.
//! - By a clock that itself [ticks](crate::Clock::TICK), starts on a grid are late by one or two of its ticks, but for the first, as all timers are. So two of them may be closer than the interval by less than a tick; where it is a whole number of ticks, they keep it exactly. Of points within a tick one is started at.
//! - Errors end it, unless they are [tolerated](Polling::tolerate_errors), all or [so many in a row](Polling::tolerate_errors_in_a_row).
//! - The [deadline](Polling::deadline) is kept: an attempt under way is dropped then, and no pause begins that would end later.
//! - The last value or error comes back, with the number of attempts.
//! - A pause of zero takes no timer: the other tasks have their turn, and on it goes.
//!
//! # When not to use it
//!
//! When the other side can tell by itself: a webhook, a notification, an interrupt.
//!
//! # How others differ
//!
//! p-wait-for's total limit does not interrupt a check that hangs; the usual textbook loop pauses after the last attempt too, and hangs for ever when a check throws.

mod error;
mod event;
mod future;
mod grid;
mod settings;

pub use error::PollError;
pub use event::PollEvent;
pub use future::Run;
pub use settings::Polling;
