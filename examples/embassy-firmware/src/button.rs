//! A push button to ground at port F, by interrupt.

use core::convert::Infallible;
use core::future::poll_fn;
use core::ptr;
use core::task::Poll;

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::waitqueue::GenericAtomicWaker;
use embedded_hal::digital::{ErrorType, InputPin};
use embedded_hal_async::digital::Wait;
use lm3s6965::{Interrupt, interrupt};

/// Pin 1 alone, by the address.
const LEVEL: *mut u32 = 0x4002_5008 as *mut u32;
const LEVEL_SENSITIVE: *mut u32 = 0x4002_5404 as *mut u32;
const AT_HIGH: *mut u32 = 0x4002_540c as *mut u32;
const INTERRUPT_MASK: *mut u32 = 0x4002_5410 as *mut u32;
const DIGITAL: *mut u32 = 0x4002_551c as *mut u32;

const PIN: u32 = 1 << 1;

static WAITING: GenericAtomicWaker<CriticalSectionRawMutex> = GenericAtomicWaker::new(CriticalSectionRawMutex::new());

/// The pin of the button, which is low while it is pressed.
#[derive(Debug)]
pub struct ButtonPin(());

impl ButtonPin {
    /// Takes the pin. There is one.
    pub fn new() -> Self {
        // SAFETY: registers of a port, of which there is no other user.
        unsafe {
            ptr::write_volatile(DIGITAL, PIN);
            ptr::write_volatile(LEVEL_SENSITIVE, PIN);
            cortex_m::peripheral::NVIC::unmask(Interrupt::GPIOF);
        }
        Self(())
    }

    fn level() -> bool {
        // SAFETY: a read of the port without side effects.
        unsafe { ptr::read_volatile(LEVEL) != 0 }
    }

    async fn wait_for(&mut self, level: bool) -> Result<(), Infallible> {
        poll_fn(|cx| {
            if Self::level() == level {
                return Poll::Ready(Ok(()));
            }
            WAITING.register(cx.waker());
            // SAFETY: registers of the port, which this has for itself while the interrupt is masked.
            unsafe {
                ptr::write_volatile(AT_HIGH, if level { PIN } else { 0 });
                ptr::write_volatile(INTERRUPT_MASK, PIN);
            }
            Poll::Pending
        })
        .await
    }
}

#[interrupt]
fn GPIOF() {
    // A level would interrupt for as long as it lasts. Who waits looks again, and asks anew.
    // SAFETY: the interrupt is masked by its handler, and let through by who waits.
    unsafe { ptr::write_volatile(INTERRUPT_MASK, 0) };
    WAITING.wake();
}

impl ErrorType for ButtonPin {
    type Error = Infallible;
}

impl InputPin for ButtonPin {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(Self::level())
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!Self::level())
    }
}

impl Wait for ButtonPin {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.wait_for(true).await
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.wait_for(false).await
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for(false).await?;
        self.wait_for(true).await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        self.wait_for(true).await?;
        self.wait_for(false).await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        let level = Self::level();
        self.wait_for(!level).await
    }
}
