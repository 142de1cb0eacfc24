//! A modem at the serial port, which knows two commands.

use core::fmt;

use crate::uart::{Text, Uart};

/// Why a command has no answer that is any good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModemError {
    /// The modem says so.
    Refused,
    /// What came is no answer to that.
    Garbled,
}

impl fmt::Display for ModemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the modem refuses",
            Self::Garbled => "garbled",
        })
    }
}

/// Sends a command, and waits for the number that it is answered with. For as long as that takes: it is for others to say how long that may be.
pub async fn ask(uart: &mut Uart, command: &[u8], prefix: &[u8]) -> Result<u32, ModemError> {
    uart.drain();
    uart.write(command);
    uart.write(b"\r");
    let mut line = [0; 32];
    let length = uart.read_line(&mut line).await;
    let answer = line.get(..length).unwrap_or_default();
    board::hprintln!("        modem: {}", Text(answer));
    if answer == b"ERROR" {
        return Err(ModemError::Refused);
    }
    let number = answer.strip_prefix(prefix).and_then(|number| str::from_utf8(number).ok());
    number.and_then(|number| number.parse().ok()).ok_or(ModemError::Garbled)
}
