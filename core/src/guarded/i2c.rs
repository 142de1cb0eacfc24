use embedded_hal_async::i2c::{AddressMode, ErrorType, I2c, Operation};

use super::bus::Guarded;
use super::recovery::Recovery;
use crate::backoff::Backoff;
use crate::platform::Platform;
use crate::retry::{RetryError, Rules};

impl<P: Platform, D: ErrorType, K, B, R> ErrorType for Guarded<'_, P, D, K, B, R> {
    type Error = RetryError<D::Error>;
}

// Buffers that are read into are written anew by each attempt, and those that are sent stay as they are.
impl<A, P, D, K, B, R> I2c<A> for Guarded<'_, P, D, K, B, R>
where
    A: AddressMode + Copy,
    P: Platform,
    D: I2c<A>,
    K: Recovery<D, D::Error>,
    B: Backoff,
    R: Rules<(), D::Error> + Clone,
{
    async fn read(&mut self, address: A, read: &mut [u8]) -> Result<(), Self::Error> {
        self.run(async |bus: &mut D| bus.read(address, read).await).await
    }

    async fn write(&mut self, address: A, write: &[u8]) -> Result<(), Self::Error> {
        self.run(async |bus: &mut D| bus.write(address, write).await).await
    }

    async fn write_read(&mut self, address: A, write: &[u8], read: &mut [u8]) -> Result<(), Self::Error> {
        self.run(async |bus: &mut D| bus.write_read(address, write, read).await).await
    }

    async fn transaction(&mut self, address: A, operations: &mut [Operation<'_>]) -> Result<(), Self::Error> {
        self.run(async |bus: &mut D| bus.transaction(address, operations).await).await
    }
}
