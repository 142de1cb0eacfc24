//! What all the firmware here has in common, and pays for: embassy's executor, its timer queue with a driver on `SysTick`, and an operation that waits.

#![no_std]

pub mod by_hand;
mod driver;

use core::hint::black_box;
use core::sync::atomic::{AtomicU32, Ordering};

use embassy_time::Timer;

/// What a device has to say that does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault;

/// A register of the device.
static REGISTER: AtomicU32 = AtomicU32::new(0);

/// Waits for the device, and reads it.
///
/// # Errors
///
/// It has no answer.
pub async fn operation() -> Result<u32, Fault> {
    Timer::after_millis(u64::from(black_box(5_u32))).await;
    read()
}

/// Reads the device as it is.
///
/// # Errors
///
/// It has no answer.
#[inline(never)]
pub fn read() -> Result<u32, Fault> {
    match REGISTER.load(Ordering::Relaxed) {
        u32::MAX => Err(Fault),
        value => Ok(value),
    }
}

/// A device that is borrowed mutably, as drivers are.
#[derive(Debug, Default)]
pub struct Device {
    transfers: u32,
}

impl Device {
    /// A device that has done nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { transfers: 0 }
    }

    /// As [`operation`].
    ///
    /// # Errors
    ///
    /// It has no answer.
    pub async fn transfer(&mut self) -> Result<u32, Fault> {
        self.transfers = self.transfers.wrapping_add(1);
        operation().await
    }

    /// Sets it right.
    pub async fn reset(&mut self) {
        self.transfers = 0;
        Timer::after_millis(u64::from(black_box(2_u32))).await;
    }
}

/// A key that the compiler cannot foresee.
#[must_use]
pub fn key() -> u8 {
    black_box(3)
}

/// Tells the world.
#[inline(never)]
pub fn report(done: bool) {
    REGISTER.store(black_box(u32::from(done)), Ordering::Relaxed);
}

/// Starts the clock.
pub fn start() {
    driver::start();
}

/// A firmware whose one task has something, does this, again and again, and reports whether it was done.
#[macro_export]
macro_rules! firmware {
    ($(let mut $has:ident = $value:expr;)? $done:expr) => {
        #[embassy_executor::main]
        async fn main(_spawner: embassy_executor::Spawner) {
            $crate::start();
            $(let mut $has = $value;)?
            loop {
                $crate::report($done);
                embassy_time::Timer::after_millis(100).await;
            }
        }
    };
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    cortex_m::asm::udf()
}
