use core::future::{Future, poll_fn};
use core::task::Poll;

/// What sets a bus right after a transfer that did not end well.
///
/// Every `async |bus: &mut D| ..` is one, for every error. A type of your own can be written down in a `struct` or a `static`, and may [leave errors alone](Recovery::is_needed) that the bus gets over by itself.
///
/// # Examples
///
/// A device that is busy does not acknowledge, and its bus is none the worse for it:
///
/// ```
/// use aplomb::guarded::Recovery;
///
/// enum BusError { NoAcknowledge, Stuck }
///
/// /// Nine clock pulses, after which no device holds the line.
/// struct FreeTheLine;
///
/// # struct Bus;
/// # impl Bus { async fn clock_pulses(&mut self, _count: u32) {} }
/// impl Recovery<Bus, BusError> for FreeTheLine {
///     fn is_needed(&mut self, error: &BusError) -> bool {
///         matches!(error, BusError::Stuck)
///     }
///
///     async fn recover(&mut self, bus: &mut Bus) {
///         bus.clock_pulses(9).await;
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not recover a `{D}`",
    note = "a recovery is an asynchronous closure, `async |bus: &mut {D}| ..`, or a type that implements `Recovery`"
)]
pub trait Recovery<D, E> {
    /// Whether the bus has to be set right after this error. It always is after a transfer that was cut off.
    fn is_needed(&mut self, error: &E) -> bool {
        let _ = error;
        true
    }

    /// Sets the bus right.
    ///
    /// # Cancel safety
    ///
    /// Between two attempts the policy's [deadline](crate::Retry::deadline) cuts it off; at the beginning of a call nothing does, so that one that may hang wants a timeout of its own. A recovery that was dropped before its end is begun anew before
    /// the next transfer.
    ///
    /// The traits of `embedded-hal-async`, inside which it runs, promise no `Send` either.
    fn recover(&mut self, bus: &mut D) -> impl Future<Output = ()>;
}

impl<D, E, F: AsyncFnMut(&mut D)> Recovery<D, E> for F {
    fn recover(&mut self, bus: &mut D) -> impl Future<Output = ()> {
        self(bus)
    }
}

/// A bus that gets over everything by itself: nothing is done between attempts.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoRecovery;

impl<D, E> Recovery<D, E> for NoRecovery {
    fn is_needed(&mut self, _error: &E) -> bool {
        false
    }

    fn recover(&mut self, _bus: &mut D) -> impl Future<Output = ()> {
        poll_fn(|_| Poll::Ready(()))
    }
}
