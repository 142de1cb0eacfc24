//! A timer of the board, which interrupts once, so many instructions from now. The emulator takes a nanosecond for each.

use core::arch::asm;
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m_rt::exception;
use critical_section::Mutex;

/// Instructions in a cycle of the timer, rounded up: 12.5 MHz on the Cortex-M3, 16 on the Cortex-M0.
const CYCLE: u32 = if cfg!(target_has_atomic = "ptr") { 80 } else { 63 };

const ENABLE: *mut u32 = 0xe000_e100 as *mut u32;

#[cfg(target_has_atomic = "ptr")]
mod registers {
    //! General-purpose timer 0 of the LM3S6965.

    pub const INTERRUPT: u32 = 19;
    pub const SET_UP: [(u32, u32); 2] = [(0x4003_0004, 1), (0x4003_0018, 1)];
    pub const AT: u32 = 0x4003_0028;
    pub const START: [(u32, u32); 2] = [(0x4003_000c, 0), (0x4003_000c, 1)];
    pub const ACKNOWLEDGE: (u32, u32) = (0x4003_0024, 1);
}

#[cfg(not(target_has_atomic = "ptr"))]
mod registers {
    //! Timer 0 of the nRF51822.

    pub const INTERRUPT: u32 = 8;
    pub const SET_UP: [(u32, u32); 3] = [(0x4000_8508, 3), (0x4000_8510, 0), (0x4000_8304, 1 << 16)];
    pub const AT: u32 = 0x4000_8540;
    pub const START: [(u32, u32); 3] = [(0x4000_8004, 1), (0x4000_800c, 1), (0x4000_8000, 1)];
    pub const ACKNOWLEDGE: (u32, u32) = (0x4000_8140, 0);
}

/// What the interrupt does.
static ACT: Mutex<Cell<fn()>> = Mutex::new(Cell::new(|| ()));

/// Whether it has.
static FIRED: AtomicBool = AtomicBool::new(false);

fn write(registers: &[(u32, u32)]) {
    for (register, value) in registers {
        // SAFETY: registers of a timer and of the interrupt controller, of which there is no other user.
        unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(*register as usize), *value) };
    }
}

/// Lets the timer interrupt.
pub fn start() {
    write(&registers::SET_UP);
    // SAFETY: likewise. The handler bears to be called at any time.
    unsafe { ptr::write_volatile(ENABLE, 1 << registers::INTERRUPT) };
}

/// Has this done by the interrupt so many instructions after the return, but for a number that is always the same.
#[inline(never)]
pub fn arm(instructions: u32, act: fn()) {
    critical_section::with(|cs| ACT.borrow(cs).set(act));
    FIRED.store(false, Ordering::Relaxed);
    let (cycles, rest) = (instructions / CYCLE, instructions % CYCLE);
    write(&[(registers::AT, cycles + 1)]);
    write(&registers::START);
    // A cycle more, so that it comes before the return at first.
    let wait = 2 * CYCLE - rest;
    // SAFETY: it counts down, two instructions at a time, and one more if the number is odd.
    unsafe {
        asm!(
            "lsrs {pairs}, {wait}, #1",
            "bcc 2f",
            "nop",
            "2:",
            "cmp {pairs}, #0",
            "beq 4f",
            "3:",
            "subs {pairs}, {pairs}, #1",
            "bne 3b",
            "4:",
            wait = in(reg) wait,
            pairs = out(reg) _,
        );
    }
}

/// Whether the interrupt was there since.
pub fn has_fired() -> bool {
    FIRED.load(Ordering::Relaxed)
}

// SAFETY: what is not the timer's is nobody's.
#[exception]
unsafe fn DefaultHandler(_: i16) {
    write(&[registers::ACKNOWLEDGE]);
    if !has_fired() {
        critical_section::with(|cs| ACT.borrow(cs).get())();
        FIRED.store(true, Ordering::Relaxed);
    }
}
