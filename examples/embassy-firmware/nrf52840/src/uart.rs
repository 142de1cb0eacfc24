//! The serial port: embassy's, with a buffer each way.

use embassy_nrf::buffered_uarte::BufferedUarte;
use embedded_io_async::{ReadReady, Write};

/// A port.
pub struct Uart(BufferedUarte<'static>);

impl Uart {
    /// That port.
    pub const fn new(port: BufferedUarte<'static>) -> Self {
        Self(port)
    }

    /// Sends all of it. What is lost on the way is the answer's business.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _sent = self.0.write_all(bytes).await;
    }

    /// Waits for a byte. One that was lost, as on any serial port, is missed in its line.
    pub async fn read(&mut self) -> u8 {
        let mut byte = [0];
        while !matches!(self.0.read(&mut byte).await, Ok(1)) {}
        let [byte] = byte;
        byte
    }

    /// Throws away what was received.
    pub async fn drain(&mut self) {
        while matches!(self.0.read_ready(), Ok(true)) {
            let _received = self.0.read(&mut [0; 32]).await;
        }
    }
}
