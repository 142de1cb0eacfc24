use core::future::Future;

use embedded_hal_async::i2c::{AddressMode, ErrorType, I2c, Operation};

use super::bus::Guarded;
use super::recovery::Recovery;
use crate::backoff::Backoff;
use crate::platform::Platform;
use crate::retry::{RetryError, Rules};

impl<P: Platform, D: ErrorType, K, B, R> ErrorType for Guarded<'_, P, D, K, B, R> {
    type Error = RetryError<D::Error>;
}

/// # Examples
///
/// ```
/// use aplomb_sim::guarded::Guarded; // or aplomb_embassy
/// use aplomb_sim::prelude::*;
/// use embedded_hal_async::i2c::I2c;
/// # use embedded_hal_async::i2c::{ErrorKind, ErrorType, Operation};
///
/// static POLICY: Retry = checked!(Retry::new().attempt_timeout(ms(5)));
///
/// /// A driver, which has never heard of timeouts.
/// async fn temperature(bus: &mut impl I2c) -> Option<i16> {
///     let mut raw = [0; 2];
///     bus.write_read(0x48, &[0], &mut raw).await.ok()?;
///     Some(i16::from_be_bytes(raw) >> 8)
/// }
///
/// # #[derive(Default)]
/// # struct Bus { resets: u32 }
/// # impl Bus { async fn reset(&mut self) { self.resets += 1; } }
/// # impl ErrorType for Bus { type Error = ErrorKind; }
/// # impl I2c for Bus {
/// #     async fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
/// #         if self.resets == 0 { return std::future::pending().await }
/// #         for operation in operations { if let Operation::Read(bytes) = operation { bytes.copy_from_slice(&[21, 0]) } }
/// #         Ok(())
/// #     }
/// # }
/// # aplomb_sim::block_on(async {
/// # let bus = Bus::default(); // that hangs until it is reset
/// let mut bus = Guarded::new(bus, &POLICY).recover(async |bus: &mut Bus| bus.reset().await);
/// assert_eq!(temperature(&mut bus).await, Some(21));
/// # assert_eq!(bus.release().resets, 1);
/// # });
/// ```
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
    fn read(&mut self, address: A, read: &mut [u8]) -> impl Future<Output = Result<(), Self::Error>> {
        self.run(async move |bus: &mut D| bus.read(address, read).await)
    }

    fn write(&mut self, address: A, write: &[u8]) -> impl Future<Output = Result<(), Self::Error>> {
        self.run(async move |bus: &mut D| bus.write(address, write).await)
    }

    fn write_read(&mut self, address: A, write: &[u8], read: &mut [u8]) -> impl Future<Output = Result<(), Self::Error>> {
        self.run(async move |bus: &mut D| bus.write_read(address, write, read).await)
    }

    fn transaction(&mut self, address: A, operations: &mut [Operation<'_>]) -> impl Future<Output = Result<(), Self::Error>> {
        self.run(async move |bus: &mut D| bus.transaction(address, operations).await)
    }
}
