//! embassy's time, counted by `SysTick`: exact at any tick rate, and without an interrupt for each tick.
//!
//! `SysTick` has 24 bits and starts anew whenever an alarm is set; what has gone by until then is added up. A test can hold the queue, so that nobody is woken while it acts, and set the clock.

use core::cell::RefCell;
use core::task::Waker;

use cortex_m::asm;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_time_driver::{Driver, TICK_HZ};
use embassy_time_queue_utils::Queue;

use crate::CORE_HZ;

#[allow(clippy::cast_possible_truncation, reason = "a core has some megahertz, and no tick is shorter than its cycle")]
const COMMON: u32 = gcd(CORE_HZ, TICK_HZ as u32);

/// A cycle is `PARTS` parts of a tick, and a tick has `WHOLE` of them.
#[allow(clippy::cast_possible_truncation, reason = "likewise")]
const PARTS: u32 = TICK_HZ as u32 / COMMON;
const WHOLE: u32 = CORE_HZ / COMMON;

/// What is counted in parts must fit in 32 bits, even if an interrupt comes a period late.
const LONGEST: u32 = min(1 << 23, (1 << 30) / PARTS);

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

const fn min(a: u32, b: u32) -> u32 {
    if a < b { a } else { b }
}

struct Time(Mutex<RefCell<State>>);

struct State {
    ticks: u64,
    /// Parts of the present tick.
    parts: u32,
    /// What `SysTick` stood at when it was looked at last; it counts down, from `period - 1` to 0.
    counter: u32,
    period: u32,
    queue: Queue,
    /// Nobody is woken.
    held: bool,
    /// When `wait_until` goes on.
    awaited: u64,
}

embassy_time_driver::time_driver_impl!(static DRIVER: Time = Time(Mutex::new(RefCell::new(State {
    ticks: 0,
    parts: 0,
    counter: 0,
    period: LONGEST,
    queue: Queue::new(),
    held: false,
    awaited: u64::MAX,
}))));

impl Driver for Time {
    fn now(&self) -> u64 {
        self.with(|state| state.now())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        self.with(|state| {
            if state.queue.schedule_wake(at, waker) {
                state.wake();
            }
        });
    }
}

impl Time {
    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        critical_section::with(|cs| act(&mut self.0.borrow_ref_mut(cs)))
    }
}

/// The registers. They are the driver's alone, which uses them in a critical section.
fn systick() -> SYST {
    // SAFETY: nobody else has them, and the type has no state.
    unsafe { core::mem::transmute(()) }
}

impl State {
    /// Adds what has gone by.
    fn now(&mut self) -> u64 {
        let before = SYST::get_current();
        let passed_zero = systick().has_wrapped();
        let counter = if passed_zero { SYST::get_current() } else { before };
        let whole_period = counter > self.counter || (passed_zero && counter != 0);
        let cycles = if whole_period { self.counter + self.period - counter } else { self.counter - counter };
        self.counter = counter;
        let parts = self.parts + cycles * PARTS;
        self.ticks += u64::from(parts / WHOLE);
        self.parts = parts % WHOLE;
        self.ticks
    }

    /// Wakes whose time has come, and sets the alarm for the next.
    fn wake(&mut self) {
        let mut next = self.awaited;
        if !self.held {
            let now = self.now();
            next = next.min(self.queue.next_expiration(now));
        }
        // An alarm that is due goes off at once.
        self.set_alarm(next);
    }

    fn set_alarm(&mut self, at: u64) {
        let ahead = at.saturating_sub(self.now());
        let parts = u32::try_from(ahead).unwrap_or(u32::MAX).saturating_mul(WHOLE).saturating_sub(self.parts);
        let cycles = parts.div_ceil(PARTS).clamp(2, LONGEST);
        let mut systick = systick();
        systick.disable_counter();
        systick.set_reload(cycles - 1);
        systick.clear_current();
        systick.enable_counter();
        cortex_m::peripheral::SCB::clear_pendst();
        self.counter = 0;
        self.period = cycles;
    }
}

#[exception]
fn SysTick() {
    let a = SYST::get_current();
    DRIVER.with(State::wake);
    DRIVER.with(|s| crate::hprintln!("irq {} ticks {} parts {} period {} cur {}", a, s.ticks, s.parts, s.period, SYST::get_current()));
}

/// Starts the clock. A firmware does so before anything else.
pub fn start() {
    let mut systick = systick();
    systick.set_clock_source(SystClkSource::Core);
    DRIVER.with(|state| state.set_alarm(u64::MAX));
    systick.enable_interrupt();
}

/// The present tick.
pub fn now() -> u64 {
    DRIVER.now()
}

/// Holds the queue: the clock goes on, and nobody is woken.
pub fn hold() {
    DRIVER.with(|state| state.held = true);
}

/// Lets the queue go, and wakes whose time has come.
pub fn release() {
    DRIVER.with(|state| {
        state.held = false;
        state.wake();
    });
}

/// Sets the clock to the beginning of a tick, forward or back.
pub fn set(ticks: u64) {
    DRIVER.with(|state| {
        state.now();
        (state.ticks, state.parts) = (ticks, 0);
        state.wake();
    });
}

/// Waits for an interrupt, unless there is something to do; one comes at that tick at the latest.
pub fn wait_until(ticks: u64, has_work: impl FnOnce() -> bool) {
    DRIVER.with(|state| {
        state.awaited = ticks;
        state.wake();
    });
    // An interrupt that is pending ends the wait even while it is masked, so that none is missed.
    cortex_m::interrupt::free(|_| {
        if !has_work() {
            asm::wfi();
        }
    });
    DRIVER.with(|state| state.awaited = u64::MAX);
}
