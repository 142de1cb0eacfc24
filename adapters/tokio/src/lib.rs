//! [aplomb](aplomb) on tokio: all of core, with tokio's clock, a parking lock and storage on the heap filled in.
//!
//! ```
//! use aplomb_tokio::prelude::*;
//!
//! static BUDGET: RetryBudget = RetryBudget::new(500);
//! static RETRY: Retry = checked!(Retry::standard(&BUDGET).max_attempts(5));
//!
//! async fn fetch_user(id: u32) -> Result<String, std::io::Error> {
//!     Ok(format!("user {id}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let user = tokio::spawn(RETRY.run(|| timeout(secs(5), fetch_user(7)))).await??;
//! assert_eq!(user, "user 7");
//! # Ok(()) }
//! ```
//!
//! Under [`tokio::time::pause`] every pattern keeps the paused time, so that tests take none. tokio's timers are precise to the millisecond, rounded up.

#![forbid(unsafe_code)]

mod clock;

use std::future::Future;
use std::time::Duration;

pub use aplomb::*;
pub use clock::{TokioClock, TokioSleep};

use aplomb::backoff::Exponential;
use aplomb::retry::{Call, Plain, RetryAll};

/// The platform: tokio's clock, `parking_lot`'s lock, storage on the heap, wakers of our own for the children of a task.
#[derive(Debug, Clone, Copy)]
pub struct Tokio;

impl Platform for Tokio {
    type Clock = TokioClock;
    type RawMutex = mutex::raw_impls::lock_api_0_4::LockApiRawMutex<parking_lot::RawMutex>;
    type Storage = Heap;
    type Children = OwnWakers<Self::RawMutex>;

    fn random() -> u64 {
        fastrand::u64(..)
    }
}

/// [`aplomb::Timeout`] on tokio's clock.
pub type Timeout<F> = aplomb::Timeout<F, TokioClock>;
/// [`aplomb::Retry`] on tokio.
pub type Retry<B = Exponential, R = RetryAll, O = ()> = aplomb::Retry<'static, Tokio, B, R, O>;
/// [`aplomb::RetryBudget`] on tokio.
pub type RetryBudget = aplomb::RetryBudget<Tokio>;
/// [`aplomb::sync::Semaphore`] on tokio.
pub type Semaphore<S = Heap> = aplomb::sync::Semaphore<Tokio, S>;

/// Gives an operation so much time, from its first poll on.
///
/// See [`aplomb::timeout`] for what it promises.
///
/// # Errors
///
/// [`TimeoutError::TimedOut`] when the time is up; [`TimeoutError::Failed`] with the operation's own error.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// async fn fetch_user(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
///
/// # let id = 7;
/// let user = timeout(secs(5), fetch_user(id)).await?;
/// assert_eq!(user, "user 7");
///
/// let late = timeout(ms(50), std::future::pending::<Result<(), std::io::Error>>()).await;
/// assert!(late.is_err_and(|error| error.is_timeout()));
/// # Ok(()) }
/// ```
pub const fn timeout<F: Future<Output: Fallible>>(after: Duration, operation: F) -> Timeout<F> {
    Timeout::with_clock(TokioClock, after, operation)
}

/// Gives an operation time until a deadline.
///
/// # Errors
///
/// As [`timeout`].
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
///
/// # async fn fetch_user(id: u32) -> Result<String, std::io::Error> { Ok(format!("user {id}")) }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let deadline = deadline(secs(5)); // for all that this request needs
/// let user = timeout_at(deadline, fetch_user(7)).await?;
/// let friend = timeout_at(deadline, fetch_user(8)).await?;
/// # Ok(()) }
/// ```
pub const fn timeout_at<F: Future<Output: Fallible>>(deadline: Deadline, operation: F) -> Timeout<F> {
    Timeout::at_with_clock(TokioClock, deadline, operation)
}

/// The deadline so long from now.
#[must_use]
pub fn deadline(after: Duration) -> Deadline {
    Deadline::after(TokioClock.now(), after)
}

/// Calls an operation, and calls it again when it fails. Before it is awaited, it takes the settings of a [`Retry`].
///
/// See [`aplomb::retry`] for what it promises.
///
/// # Errors
///
/// [`RetryError`] has the last error, the number of attempts, and why there was no further one.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
///
/// # #[derive(Debug)] struct HttpError(u16);
/// # impl HttpError { fn is_server_error(&self) -> bool { self.0 >= 500 } }
/// # impl std::fmt::Display for HttpError { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) } }
/// # impl std::error::Error for HttpError {}
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// async fn fetch_user(id: u32) -> Result<String, HttpError> { Ok(format!("user {id}")) }
///
/// # let id = 7;
/// let user = retry(|| fetch_user(id))
///     .backoff(Exponential::from(ms(100)).max(secs(30)).jitter(Jitter::Full))
///     .max_attempts(5)
///     .retry_if(|e| e.is_server_error())
///     .await?;
/// # assert_eq!(user, "user 7");
/// # Ok(()) }
/// ```
#[must_use = "a call does nothing unless awaited"]
pub fn retry<F, Fut, T, E>(operation: F) -> Retry<Exponential, RetryAll, Call<Plain<F>>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    Retry::new().call(operation)
}

/// Timeouts as methods of every operation.
///
/// # Examples
///
/// ```
/// use aplomb_tokio::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// async fn answer() -> Result<u32, std::io::Error> { Ok(42) }
///
/// assert_eq!(answer().timeout(secs(1)).await.ok(), Some(42));
/// # }
/// ```
pub trait TimeoutExt: Future<Output: Fallible> + Sized {
    /// As [`timeout`](crate::timeout()).
    fn timeout(self, after: Duration) -> Timeout<Self> {
        timeout(after, self)
    }

    /// As [`timeout_at`].
    fn timeout_at(self, deadline: Deadline) -> Timeout<Self> {
        timeout_at(deadline, self)
    }
}

impl<F: Future<Output: Fallible>> TimeoutExt for F {}

/// What every user on tokio needs.
pub mod prelude {
    pub use aplomb::prelude::*;

    pub use crate::{Retry, RetryBudget, TimeoutExt, deadline, retry, timeout, timeout_at};
}
