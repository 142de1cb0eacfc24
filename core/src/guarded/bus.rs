use core::fmt;
use core::future::Future;

use super::recovery::{NoRecovery, Recovery};
use crate::backoff::{Backoff, Exponential};
use crate::fused::Fused;
use crate::platform::Platform;
use crate::retry::{Lend, Repetition, Retry, RetryAll, RetryError, Rules};

/// A bus whose transfers are retried by a policy, and which is set right in between.
///
/// It is what its bus is, an `I2c`, an `SpiDevice`, an `SpiBus`, and is handed to a driver in its place. The [module](super) tells what it promises.
///
/// # Examples
///
/// ```
/// use aplomb_sim::guarded::Guarded; // or aplomb_embassy
/// use aplomb_sim::prelude::*;
///
/// static POLICY: Retry = checked!(Retry::new().attempt_timeout(ms(50)));
///
/// #[derive(Default)]
/// struct Radio { resets: u32 }
///
/// impl Radio {
///     async fn reset(&mut self) { self.resets += 1; }
///     async fn send(&mut self, _frame: &[u8]) -> Result<(), &'static str> { if self.resets == 0 { Err("no answer") } else { Ok(()) } }
/// }
///
/// # aplomb_sim::block_on(async {
/// let mut radio = Guarded::new(Radio::default(), &POLICY).recover(async |radio: &mut Radio| radio.reset().await);
/// assert_eq!(radio.run(async |radio| radio.send(b"hello").await).await, Ok(()));
/// assert_eq!(radio.release().resets, 1);
/// # });
/// ```
#[must_use = "it is to be used in place of the bus"]
pub struct Guarded<'p, P: Platform, D, K = NoRecovery, B = Exponential, R = RetryAll> {
    policy: &'p Retry<'p, P, B, R>,
    bus: Recovering<D, K>,
}

/// A bus, and what it takes to set it right.
struct Recovering<D, K> {
    bus: D,
    recovery: K,
    /// A transfer has not ended well, or has not ended, and nothing has been done about it since.
    is_unsettled: bool,
}

impl<'p, P: Platform, D, B, R> Guarded<'p, P, D, NoRecovery, B, R> {
    /// Guards `bus` by that policy. Until it is given a [recovery](Guarded::recover), nothing is done between attempts.
    pub const fn new(bus: D, policy: &'p Retry<'p, P, B, R>) -> Self {
        Self { policy, bus: Recovering { bus, recovery: NoRecovery, is_unsettled: false } }
    }

    /// Sets the bus right by `recovery`, after a transfer that did not end well, before the next one starts.
    pub fn recover<K>(self, recovery: K) -> Guarded<'p, P, D, K, B, R> {
        let Recovering { bus, is_unsettled, .. } = self.bus;
        Guarded { policy: self.policy, bus: Recovering { bus, recovery, is_unsettled } }
    }
}

impl<P: Platform, D, K, B, R> Guarded<'_, P, D, K, B, R> {
    /// Whether the bus is to be set right before its next transfer.
    #[must_use]
    pub const fn needs_recovery(&self) -> bool {
        self.bus.is_unsettled
    }

    /// Gives the bus back, as its last transfer left it.
    pub fn release(self) -> D {
        self.bus.bus
    }
}

impl<P: Platform, D, K, B: Backoff, R> Guarded<'_, P, D, K, B, R> {
    /// Makes transfers until one ends well, as the policy says: for a bus that is none of `embedded-hal`'s.
    ///
    /// # Cancel safety
    ///
    /// The transfer that is under way is dropped, and the next call begins with the recovery. Polled after its end, it is pending for ever.
    ///
    /// # Errors
    ///
    /// [`RetryError`] has the bus's last error, the number of attempts, and why there was no further one.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::guarded::Guarded; // or aplomb_embassy
    /// use aplomb_sim::prelude::*;
    ///
    /// static POLICY: Retry = checked!(Retry::new().attempt_timeout(ms(300)));
    ///
    /// # #[derive(Default)]
    /// # struct Uart { drained: bool }
    /// # impl Uart {
    /// #     async fn write(&mut self, _: &[u8]) -> Result<(), &'static str> { Ok(()) }
    /// #     async fn read_line(&mut self, line: &mut [u8]) -> Result<usize, &'static str> { line[0] = b'7'; if self.drained { Ok(1) } else { Err("framing") } }
    /// #     async fn drain(&mut self) { self.drained = true; }
    /// # }
    /// # aplomb_sim::block_on(async {
    /// # let uart = Uart::default();
    /// let mut modem = Guarded::new(uart, &POLICY).recover(async |uart: &mut Uart| uart.drain().await);
    /// let mut line = [0; 64];
    /// modem
    ///     .run(async |uart| {
    ///         uart.write(b"AT+CSQ\r").await?;
    ///         uart.read_line(&mut line).await.map(drop)
    ///     })
    ///     .await
    ///     .unwrap();
    /// # assert_eq!(line[0], b'7');
    /// # });
    /// ```
    pub fn run<T, E, F>(&mut self, transfer: F) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        K: Recovery<D, E>,
        R: Rules<T, E> + Clone,
        F: AsyncFnMut(&mut D) -> Result<T, E>,
    {
        self.repeat(Repetition::Allowed, transfer)
    }

    /// As [`run`](Guarded::run), for a transfer that cannot be repeated: it has one attempt, whatever the policy allows.
    ///
    /// # Cancel safety
    ///
    /// As of [`run`](Guarded::run).
    ///
    /// # Errors
    ///
    /// As of [`run`](Guarded::run).
    pub fn run_once<T, E, F>(&mut self, transfer: F) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        K: Recovery<D, E>,
        R: Rules<T, E> + Clone,
        F: AsyncFnMut(&mut D) -> Result<T, E>,
    {
        self.repeat(Repetition::Forbidden, transfer)
    }

    /// As [`run`](Guarded::run) or [`run_once`](Guarded::run_once).
    pub(super) fn repeat<T, E, F>(
        &mut self,
        repetition: Repetition,
        transfer: F,
    ) -> Fused<impl Future<Output = Result<T, RetryError<E>>>>
    where
        K: Recovery<D, E>,
        R: Rules<T, E> + Clone,
        F: AsyncFnMut(&mut D) -> Result<T, E>,
    {
        Fused::new(self.guard(repetition, transfer))
    }

    /// A block, and no `async fn`: that would keep the transfer twice.
    fn guard<T, E, F>(&mut self, repetition: Repetition, transfer: F) -> impl Future<Output = Result<T, RetryError<E>>>
    where
        K: Recovery<D, E>,
        R: Rules<T, E> + Clone,
        F: AsyncFnMut(&mut D) -> Result<T, E>,
    {
        let policy = self.policy;
        let mut call = Call { bus: &mut self.bus, transfer };
        async move {
            policy.check_settings().map_err(RetryError::Config)?;
            call.bus.settle().await;
            policy.run_lent(&mut call, repetition).await
        }
    }
}

/// A driver's call under way.
struct Call<'b, D, K, F> {
    bus: &'b mut Recovering<D, K>,
    transfer: F,
}

impl<D, K, F, T, E> Lend<T, E> for &mut Call<'_, D, K, F>
where
    K: Recovery<D, E>,
    F: AsyncFnMut(&mut D) -> Result<T, E>,
{
    async fn attempt(&mut self) -> Result<T, E> {
        // Until it has ended: it may be dropped before, or panic.
        self.bus.is_unsettled = true;
        let outcome = (self.transfer)(&mut self.bus.bus).await;
        self.bus.is_unsettled = match &outcome {
            Ok(_) => false,
            Err(error) => self.bus.recovery.is_needed(error),
        };
        outcome
    }

    fn between(&mut self) -> impl Future<Output = ()> {
        self.bus.settle()
    }
}

impl<D, K> Recovering<D, K> {
    async fn settle<E>(&mut self)
    where
        K: Recovery<D, E>,
    {
        if self.is_unsettled {
            self.recovery.recover(&mut self.bus).await;
            self.is_unsettled = false;
        }
    }
}

impl<P: Platform, D, K, B, R> fmt::Debug for Guarded<'_, P, D, K, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("needs_recovery", &self.needs_recovery()).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, D, K, B, R> defmt::Format for Guarded<'_, P, D, K, B, R> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Guarded {{ needs_recovery: {}, .. }}", self.needs_recovery());
    }
}
