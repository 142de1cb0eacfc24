//! A modem at the serial port, as 3GPP TS 27.007 has it: a command is answered with lines, and ends with a result code.

use core::fmt;

use crate::console::tell;
use crate::uart::Uart;

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

/// How well the modem hears, from 0 to 31, or none if it does not know: `AT+CSQ`.
pub async fn signal(uart: &mut Uart) -> Result<Option<u8>, ModemError> {
    match ask(uart, b"AT+CSQ", b"+CSQ: ").await? {
        signal @ 0..=31 => Ok(Some(signal)),
        99 => Ok(None),
        _ => Err(ModemError::Garbled),
    }
}

/// Sends a command, and waits for the number that it is answered with, and for the end of the answer. For as long as that takes: it is for others to say how long that may be.
async fn ask(uart: &mut Uart, command: &[u8], prefix: &[u8]) -> Result<u8, ModemError> {
    // An answer that came too late would be taken for that to this command.
    uart.drain().await;
    uart.write(command).await;
    uart.write(b"\r").await;
    let mut answer = Err(ModemError::Garbled);
    loop {
        let mut line = [0; 64];
        let length = read_line(uart, &mut line).await;
        let line = line.get(..length).unwrap_or_default();
        // The modem sends an empty line before each of its own, and may send back what it reads.
        if line.is_empty() || line == command {
            continue;
        }
        tell("modem", line.escape_ascii());
        match line {
            b"OK" => return answer,
            b"ERROR" => return Err(ModemError::Refused),
            _ if line.starts_with(b"+CME ERROR: ") => return Err(ModemError::Refused),
            // All else it says unasked.
            _ => answer = line.strip_prefix(prefix).map_or(answer, first_number),
        }
    }
}

/// Waits for a line, and says how long it is, without its end. Of a longer one than `line` the rest is thrown away.
async fn read_line(uart: &mut Uart, line: &mut [u8]) -> usize {
    let mut length = 0;
    loop {
        match uart.read().await {
            b'\n' => return length,
            b'\r' => {}
            byte => {
                if let Some(place) = line.get_mut(length) {
                    *place = byte;
                    length += 1;
                }
            }
        }
    }
}

/// Of several, between commas.
fn first_number(numbers: &[u8]) -> Result<u8, ModemError> {
    let first = numbers.split(|byte| *byte == b',').next().and_then(|number| str::from_utf8(number).ok());
    first.and_then(|number| number.parse().ok()).ok_or(ModemError::Garbled)
}
