use embedded_hal_async::spi::{ErrorType, Operation, SpiBus, SpiDevice};

use super::bus::Guarded;
use super::recovery::Recovery;
use crate::backoff::Backoff;
use crate::platform::Platform;
use crate::retry::{RetryError, Rules};

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
    async fn transaction(&mut self, operations: &mut [Operation<'_, W>]) -> Result<(), Self::Error> {
        // What is received in place lies over what was to be sent.
        let is_in_place = operations.iter().any(|operation| matches!(operation, Operation::TransferInPlace(_)));
        let transfer = async |device: &mut D| device.transaction(operations).await;
        if is_in_place { self.run_once(transfer).await } else { self.run(transfer).await }
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
    async fn read(&mut self, words: &mut [W]) -> Result<(), Self::Error> {
        self.run_once(async |bus: &mut D| bus.read(words).await).await
    }

    async fn write(&mut self, words: &[W]) -> Result<(), Self::Error> {
        self.run_once(async |bus: &mut D| bus.write(words).await).await
    }

    async fn transfer(&mut self, read: &mut [W], write: &[W]) -> Result<(), Self::Error> {
        self.run_once(async |bus: &mut D| bus.transfer(read, write).await).await
    }

    async fn transfer_in_place(&mut self, words: &mut [W]) -> Result<(), Self::Error> {
        self.run_once(async |bus: &mut D| bus.transfer_in_place(words).await).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.run_once(async |bus: &mut D| bus.flush().await).await
    }
}
