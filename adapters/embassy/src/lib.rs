//! [aplomb](aplomb) on embassy: all of core, with the clock of embassy's time driver, a critical section as lock, and inline storage filled in. No allocator.
//!
//! ```
//! use aplomb_embassy::prelude::*;
//!
//! struct Modem;
//!
//! impl Modem {
//!     async fn send(&mut self, frame: &mut [u8]) -> Result<usize, &'static str> {
//!         Ok(frame.len())
//!     }
//! }
//!
//! static LINK: Retry = checked!(Retry::new().max_attempts(5).attempt_timeout(ms(200)));
//!
//! async fn report(mut modem: Modem) {
//!     let mut frame = [0; 16];
//!     let sent = LINK.run_mut(async || modem.send(&mut frame).await).await;
//!     assert_eq!(sent, Ok(16));
//! }
//! # embassy_host::block_on(report(Modem));
//! ```
//!
//! # What the application chooses
//!
//! The tick rate, the time driver and its queue: they are features of `embassy-time`, of which this crate enables none. Any rate is right. An instant is rounded up to the next
//! tick, so that no sleep ends early. The children of a task are polled with the task's own waker, since embassy's timer queue knows no other.
//!
//! Firmware that shares state with interrupts finds it behind a critical section; `static`s are built at compile time and lie in `.bss` where they can.
//!
//! # Randomness
//!
//! Jitter comes from a small generator. Give it a [`seed`] at start-up, of a hardware generator or a serial number, lest all devices of a kind do the same.

#![no_std]
#![forbid(unsafe_code)]

mod clock;
mod random;
mod ticks;

use core::future::Future;
use core::time::Duration;

pub use aplomb::*;
pub use clock::{EmbassyClock, EmbassySleep};
pub use random::seed;

use aplomb::backoff::Exponential;
use aplomb::retry::{Call, Plain, RetryAll};

/// The platform: the time driver's clock, a critical section, inline storage for 16, children polled with their task's waker.
#[derive(Debug, Clone, Copy)]
pub struct Embassy;

impl Platform for Embassy {
    type Clock = EmbassyClock;
    type RawMutex = mutex::raw_impls::cs::CriticalSectionRawMutex;
    type Storage = Inline<16>;
    type Children = ParentWaker;

    fn random() -> u64 {
        random::next()
    }
}

/// [`aplomb::Timeout`] on embassy's clock.
pub type Timeout<F> = aplomb::Timeout<F, EmbassyClock>;
/// [`aplomb::Retry`] on embassy.
pub type Retry<B = Exponential, R = RetryAll, O = ()> = aplomb::Retry<'static, Embassy, B, R, O>;
/// [`aplomb::RetryBudget`] on embassy.
pub type RetryBudget = aplomb::RetryBudget<Embassy>;
/// [`aplomb::sync::Semaphore`] on embassy, with room for `S` waiters.
pub type Semaphore<S = Inline<16>> = aplomb::sync::Semaphore<Embassy, S>;

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
/// use aplomb_embassy::prelude::*;
///
/// async fn read_sensor() -> Result<u16, &'static str> { Ok(21) }
///
/// # embassy_host::block_on(async {
/// assert_eq!(timeout(ms(50), read_sensor()).await, Ok(21));
///
/// let late = timeout(ms(50), core::future::pending::<Result<(), &str>>()).await;
/// assert!(late.is_err_and(|error| error.is_timeout()));
/// # });
/// ```
pub const fn timeout<F: Future<Output: Fallible>>(after: Duration, operation: F) -> Timeout<F> {
    Timeout::with_clock(EmbassyClock, after, operation)
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
/// use aplomb_embassy::prelude::*;
///
/// # async fn measure() -> Result<u16, &'static str> { Ok(21) }
/// # embassy_host::block_on(async {
/// let deadline = deadline(ms(500)); // for the whole round
/// let inside = timeout_at(deadline, measure()).await?;
/// let outside = timeout_at(deadline, measure()).await?;
/// # Ok::<_, TimeoutError<&str>>(()) }).unwrap();
/// ```
pub const fn timeout_at<F: Future<Output: Fallible>>(deadline: Deadline, operation: F) -> Timeout<F> {
    Timeout::at_with_clock(EmbassyClock, deadline, operation)
}

/// The deadline so long from now.
#[must_use]
pub fn deadline(after: Duration) -> Deadline {
    Deadline::after(EmbassyClock.now(), after)
}

/// Calls an operation, and calls it again when it fails. Before it is awaited, it takes the settings of a [`Retry`].
///
/// See [`aplomb::retry`] for what it promises. An operation that borrows mutably, as most drivers do, is called by [`Retry::run_mut`](aplomb::Retry::run_mut) instead.
///
/// # Errors
///
/// [`RetryError`] has the last error, the number of attempts, and why there was no further one.
///
/// # Examples
///
/// ```
/// use aplomb_embassy::prelude::*;
///
/// # #[derive(Debug)] enum BusError { Nack, Arbitration }
/// async fn read_sensor() -> Result<u16, BusError> { Ok(21) }
///
/// # embassy_host::block_on(async {
/// let degrees = retry(read_sensor)
///     .backoff(Constant::every(ms(10)))
///     .max_attempts(3)
///     .retry_if(|e| matches!(e, BusError::Nack))
///     .await;
/// # assert_eq!(degrees.ok(), Some(21)); });
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
/// use aplomb_embassy::prelude::*;
///
/// # embassy_host::block_on(async {
/// async fn answer() -> Result<u32, &'static str> { Ok(42) }
///
/// assert_eq!(answer().timeout(secs(1)).await, Ok(42));
/// # });
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

/// What every user on embassy needs.
pub mod prelude {
    pub use aplomb::prelude::*;

    pub use crate::{Retry, RetryBudget, TimeoutError, TimeoutExt, deadline, retry, timeout, timeout_at};
}
