//! A sensor that interrupts when it has measured: here a timer does.

use core::ptr;

use lm3s6965::{Interrupt, interrupt};

use crate::device::measured;

const CONTROL: *mut u32 = 0x4003_000c as *mut u32;
const MODE: *mut u32 = 0x4003_0004 as *mut u32;
const INTERRUPT_MASK: *mut u32 = 0x4003_0018 as *mut u32;
const INTERRUPT_CLEAR: *mut u32 = 0x4003_0024 as *mut u32;
const INTERVAL: *mut u32 = 0x4003_0028 as *mut u32;

const PERIODIC: u32 = 2;
const TIMED_OUT: u32 = 1;

/// Measures fifty times a second from now on, far more often than anybody wants to know.
pub fn start() {
    // SAFETY: registers of a timer, of which there is no other user.
    unsafe {
        ptr::write_volatile(MODE, PERIODIC);
        ptr::write_volatile(INTERVAL, board::CORE_HZ / 50);
        ptr::write_volatile(INTERRUPT_MASK, TIMED_OUT);
        ptr::write_volatile(CONTROL, 1);
        cortex_m::peripheral::NVIC::unmask(Interrupt::TIMER_0A);
    }
}

#[interrupt]
fn TIMER_0A() {
    static mut RAW: i32 = 2_000;
    // SAFETY: only this handler acknowledges what the timer says.
    unsafe { ptr::write_volatile(INTERRUPT_CLEAR, TIMED_OUT) };
    *RAW += 1;
    measured(*RAW);
}
