//! Fallback: what fails has an alternative.
//!
//! ```text
//! operation    |=====x                 fails, and is dropped
//! alternative        |===o             another operation, or a value that is there already
//! ```
//!
//! A page without recommendations is better than none, and so is a price that is an hour old. What is asked for instead should be simpler than what has failed, and hang on less: a value, a cache, another service.
//!
//! # What it promises
//!
//! - The alternative is made only when the operation has failed, and it is given the error. The operation is dropped before: what it held is free.
//! - If the alternative fails too, the call fails with its error. So values and errors are those of the operation, and nothing is added: a fallback has no way to fail of its own.
//! - With [`fallback_if`](Fallback::fallback_if), it is for some errors only; all others are handed on as they are.
//!
//! # When not to use it
//!
//! - To hide a failure. Nobody mends what nobody sees: the closure has the error to tell.
//! - Where the alternative is as likely to fail, for the same reason, or does a lot: it is needed when everything else goes badly, and is tested by that alone.
//! - Where a caller can do without the value: then it knows best what to do with the error.
//!
//! A fallback belongs outside of everything else, around timeout, retry and breaker: with [`fallback_if`](Fallback::fallback_if) for errors that are [`is_rejected`](crate::BreakerError::is_rejected), the alternative spares a service that is down.
//! For a value that is merely old, [a cache](crate::cache) serves it [if the fetch fails](crate::Cache::stale_if_error).
//!
//! # What it costs
//!
//! Nothing but the larger of its two futures, the alternative, and a word: no clock, no lock, no allocation. An operation that succeeds costs a few instructions.
//!
//! # How others differ
//!
//! Polly's and Failsafe's fallbacks are these. futures-util's `or_else` is the closure alone: an error that is to be handed on has to be made a future again.

mod alternative;
mod future;

pub use alternative::{Alternative, OnlyIf, Ready, Value};
pub use future::{Fallback, fallback, fallback_value};
