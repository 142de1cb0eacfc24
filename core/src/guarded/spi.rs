use core::future::Future;

use embedded_hal_async::spi::{ErrorType, Operation, SpiBus, SpiDevice};

use super::bus::Guarded;
use super::recovery::Recovery;
use crate::backoff::Backoff;
use crate::platform::Platform;
use crate::retry::{Repetition, RetryError, Rules};

impl<P: Platform, D: ErrorType, K, B, R> ErrorType for Guarded<'_, P, D, K, B, R> {
    type Error = RetryError<D::Error>;
}

impl<W, P, D, K, B, R> SpiDevice<W> for Guarded<'_, P, D, K, B, R>
where
    W: Copy + 'static,
    P: Platform,
    D: SpiDevice<W>,
    K: Recovery<D, D::Error>,
    B: Backoff,
    R: Rules<(), D::Error> + Clone,
{
    fn transaction(&mut self, operations: &mut [Operation<'_, W>]) -> impl Future<Output = Result<(), Self::Error>> {
        // What is received in place lies over what was to be sent.
        let is_in_place = operations.iter().any(|operation| matches!(operation, Operation::TransferInPlace(_)));
        let repetition = if is_in_place { Repetition::Forbidden } else { Repetition::Allowed };
        self.repeat(repetition, async move |device: &mut D| device.transaction(operations).await)
    }
}

// The device was selected in an earlier call, and has heard a part already.
impl<W, P, D, K, B, R> SpiBus<W> for Guarded<'_, P, D, K, B, R>
where
    W: Copy + 'static,
    P: Platform,
    D: SpiBus<W>,
    K: Recovery<D, D::Error>,
    B: Backoff,
    R: Rules<(), D::Error> + Clone,
{
    fn read(&mut self, words: &mut [W]) -> impl Future<Output = Result<(), Self::Error>> {
        self.run_once(async move |bus: &mut D| bus.read(words).await)
    }

    fn write(&mut self, words: &[W]) -> impl Future<Output = Result<(), Self::Error>> {
        self.run_once(async move |bus: &mut D| bus.write(words).await)
    }

    fn transfer(&mut self, read: &mut [W], write: &[W]) -> impl Future<Output = Result<(), Self::Error>> {
        self.run_once(async move |bus: &mut D| bus.transfer(read, write).await)
    }

    fn transfer_in_place(&mut self, words: &mut [W]) -> impl Future<Output = Result<(), Self::Error>> {
        self.run_once(async move |bus: &mut D| bus.transfer_in_place(words).await)
    }

    fn flush(&mut self) -> impl Future<Output = Result<(), Self::Error>> {
        self.run_once(async move |bus: &mut D| bus.flush().await)
    }
}
