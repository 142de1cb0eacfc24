//! The serial port, by interrupt.

use core::ptr;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use lm3s6965::{Interrupt, interrupt};

const DATA: *mut u32 = 0x4000_c000 as *mut u32;
const FLAGS: *mut u32 = 0x4000_c018 as *mut u32;
const CONTROL: *mut u32 = 0x4000_c030 as *mut u32;
const INTERRUPT_MASK: *mut u32 = 0x4000_c038 as *mut u32;
const INTERRUPT_CLEAR: *mut u32 = 0x4000_c044 as *mut u32;

const RECEIVE_FIFO_EMPTY: u32 = 1 << 4;
const TRANSMIT_FIFO_FULL: u32 = 1 << 5;
/// Something was received, and it has been a while since.
const RECEIVED: u32 = 1 << 4 | 1 << 6;

/// What was received and not read. What does not fit is lost, as on any serial port.
static INBOX: Pipe<CriticalSectionRawMutex, 128> = Pipe::new();

/// UART 0.
#[derive(Debug)]
pub struct Uart(());

#[allow(
    clippy::unused_async,
    clippy::unused_self,
    reason = "who has it has the port, whose registers lie where they lie; others have to wait for theirs"
)]
impl Uart {
    /// Takes the port. There is one.
    pub fn new() -> Self {
        // SAFETY: registers of a UART, of which there is no other user.
        unsafe {
            // Enabled, and both directions.
            ptr::write_volatile(CONTROL, 1 | 1 << 8 | 1 << 9);
            ptr::write_volatile(INTERRUPT_MASK, RECEIVED);
            cortex_m::peripheral::NVIC::unmask(Interrupt::UART0);
        }
        Self(())
    }

    /// Sends all of it.
    pub async fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // SAFETY: registers of the UART, which this has for itself, but for what is received.
            unsafe {
                while ptr::read_volatile(FLAGS) & TRANSMIT_FIFO_FULL != 0 {}
                ptr::write_volatile(DATA, u32::from(*byte));
            }
        }
    }

    /// Waits for a byte.
    pub async fn read(&mut self) -> u8 {
        let mut byte = [0];
        INBOX.read(&mut byte).await;
        let [byte] = byte;
        byte
    }

    /// Throws away what was received.
    pub async fn drain(&mut self) {
        INBOX.clear();
    }
}

#[interrupt]
fn UART0() {
    // SAFETY: only this handler reads what was received, and acknowledges it.
    unsafe {
        ptr::write_volatile(INTERRUPT_CLEAR, RECEIVED);
        while ptr::read_volatile(FLAGS) & RECEIVE_FIFO_EMPTY == 0 {
            let [byte, ..] = ptr::read_volatile(DATA).to_le_bytes();
            let _ = INBOX.try_write(&[byte]);
        }
    }
}
