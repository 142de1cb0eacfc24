//! Timeout: so long, and no longer.
//!
//! ```text
//! timeout(50)   |----------------x          the operation is dropped, then the error is returned
//!   operation   |===================...
//! ```
//!
//! # What it promises
//!
//! - The operation is polled first. Ready at once, it has cost neither a timer nor a reading of the clock; ready at the same poll as the timer, it wins.
//! - The time counts from the first poll that leaves the operation pending, and so from when there is something to wait for. (tokio and embassy count from the construction.)
//! - At the timeout the operation is dropped, *then* the error is returned: what it held is free when the caller goes on.
//! - [`Duration::MAX`](core::time::Duration::MAX) registers no timer. Any other duration works, however long.
//!
//! # When not to use it
//!
//! A timeout drops the operation at whatever it awaits. An operation that isn't cancel safe (a half-written frame on a bus, a driver whose transfer must
//! not be abandoned) needs a step that sets things right again: see [`Retry::run_with_between`](crate::retry::Retry::run_with_between).
//! And it can do nothing against an operation that blocks within a poll.
//!
//! # What it costs
//!
//! Around a ready operation, under a nanosecond. The future is as large as the operation, the runtime's sleep, and 24 bytes at most on tokio, smol and embassy. (It is 32 with a
//! sleep whose `Option` needs a word of its own.)

mod error;
mod future;

pub use error::TimeoutError;
pub use future::Timeout;
