//! The error of a guarded bus, as those who know nothing of retries see it.

use embedded_hal::{i2c, spi};

use crate::retry::RetryError;

impl<E: i2c::Error> i2c::Error for RetryError<E> {
    /// That of the bus's last error; `Other` if the last transfer was cut off.
    fn kind(&self) -> i2c::ErrorKind {
        self.inner().map_or(i2c::ErrorKind::Other, i2c::Error::kind)
    }
}

impl<E: spi::Error> spi::Error for RetryError<E> {
    /// That of the bus's last error; `Other` if the last transfer was cut off.
    fn kind(&self) -> spi::ErrorKind {
        self.inner().map_or(spi::ErrorKind::Other, spi::Error::kind)
    }
}
