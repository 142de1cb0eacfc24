//! Two boards that the emulator has: `lm3s6965evb`, a Cortex-M3 with 64 KiB of RAM (thumbv7m), and `microbit`, a Cortex-M0 with 16 KiB and without compare-and-swap (thumbv6m). The target chooses.
//!
//! Linking this crate gives a firmware its memory layout, a critical section, and a time driver on `SysTick` for any of embassy's tick rates. With `-icount shift=0,sleep=off` an instruction takes a
//! nanosecond of the emulator's time, and waiting takes none of the host's.

#![no_std]

mod executor;
pub mod files;
pub mod time;

pub use cortex_m_semihosting::{hprint, hprintln};
pub use executor::Executor;

use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};

/// The frequency of the core, and so of `SysTick`.
///
/// Of the two, only the Cortex-M3 has compare-and-swap.
pub const CORE_HZ: u32 = if cfg!(feature = "slow-core") {
    100_000
} else if cfg!(feature = "fast-core") {
    100 * REAL_CORE_HZ
} else {
    REAL_CORE_HZ
};

const REAL_CORE_HZ: u32 = if cfg!(target_has_atomic = "ptr") { 12_500_000 } else { 16_000_000 };

/// Ends the emulation; its exit code tells how.
pub fn exit(success: bool) -> ! {
    debug::exit(if success { EXIT_SUCCESS } else { EXIT_FAILURE });
    // Without an emulator, nobody hears it.
    loop {
        cortex_m::asm::wfi();
    }
}
