//! A sensor that interrupts when it has measured: here a timer does.

use core::ptr;
use core::sync::atomic::Ordering;

use aplomb_embassy::circuit_breaker::AnyError;
use aplomb_embassy::prelude::*;
use lm3s6965::{Interrupt, interrupt};

use crate::watch::Watch;
use crate::{READINGS, SUPERSEDED};

const CONTROL: *mut u32 = 0x4003_000c as *mut u32;
const MODE: *mut u32 = 0x4003_0004 as *mut u32;
const INTERRUPT_MASK: *mut u32 = 0x4003_0018 as *mut u32;
const INTERRUPT_CLEAR: *mut u32 = 0x4003_0024 as *mut u32;
const INTERVAL: *mut u32 = 0x4003_0028 as *mut u32;

const PERIODIC: u32 = 2;
const TIMED_OUT: u32 = 1;

/// A sensor that is stuck is not listened to for a while.
static SENSOR: CircuitBreaker<Consecutive, Constant, AnyError, Inline<0>, Watch> =
    checked!(CircuitBreaker::consecutive(3).storage().open_for(ms(80)).observed_by(Watch("sensor")));

/// No such temperature can be.
struct Stuck;

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
    // Patterns are told by an interrupt as by anybody else: behind their lock is a critical section.
    let Ok(permit) = SENSOR.permit() else { return };
    *RAW += 1;
    let measured = if (2_030..2_033).contains(RAW) { Err(Stuck) } else { Ok(*RAW) };
    permit.record(&measured);
    if let Ok(raw) = measured {
        if READINGS.is_pending() {
            SUPERSEDED.fetch_add(1, Ordering::Relaxed);
        }
        READINGS.trigger(raw);
    }
}
