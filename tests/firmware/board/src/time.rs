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

/// As many as `SysTick` can count.
const LONGEST: u32 = 1 << 24;

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

struct Time(Mutex<RefCell<State>>);

struct State {
    ticks: u64,
    /// Parts of the present tick.
    parts: u32,
    /// What `SysTick` stood at when it was looked at last; it counts down, from `period - 1` to 0.
    counter: u32,
    period: u32,
    /// The tick in which the period ends, once it has been set.
    reach: Option<u64>,
    is_running: bool,
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
    reach: None,
    is_running: false,
    queue: Queue::new(),
    held: false,
    awaited: u64::MAX,
}))));

impl Driver for Time {
    fn now(&self) -> u64 {
        self.with(State::now)
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
        // The counter stands at zero before its first period, too.
        if (passed_zero || counter == 0) && self.counter != 0 {
            self.reach = None;
        }
        let cycles = if whole_period { self.counter + self.period - counter } else { self.counter - counter };
        self.counter = counter;
        let (ticks, parts) = self.ahead(cycles);
        self.ticks += ticks;
        self.parts = parts;
        self.ticks
    }

    /// What so many cycles are, in ticks and parts.
    #[allow(clippy::cast_possible_truncation, reason = "a remainder is less than what it is divided by")]
    fn ahead(&self, cycles: u32) -> (u64, u32) {
        let parts = u64::from(self.parts) + u64::from(cycles) * u64::from(PARTS);
        (parts / u64::from(WHOLE), (parts % u64::from(WHOLE)) as u32)
    }

    /// Wakes whose time has come, and sets the alarm for the next.
    fn wake(&mut self) {
        let mut next = self.awaited;
        if !self.held {
            let now = self.now();
            next = next.min(self.queue.next_expiration(now));
        }
        self.set_alarm(next);
    }

    /// The emulator also interrupts at the beginning of the first period, when there is nothing to do.
    fn set_alarm(&mut self, at: u64) {
        let now = self.now();
        if self.reach.is_some_and(|reach| reach <= at) {
            return;
        }
        // An alarm that is due goes off at once.
        let parts = at.saturating_sub(now).saturating_mul(u64::from(WHOLE)).saturating_sub(u64::from(self.parts));
        let cycles = u32::try_from(parts.div_ceil(u64::from(PARTS))).unwrap_or(LONGEST).clamp(2, LONGEST);
        self.reach = Some(now + self.ahead(cycles).0);
        if cycles == LONGEST && self.period == LONGEST && self.is_running {
            // It has begun anew by itself.
            return;
        }
        let mut systick = systick();
        systick.set_reload(cycles - 1);
        systick.clear_current();
        self.counter = 0;
        self.period = cycles;
        self.is_running = true;
    }
}

#[exception]
fn SysTick() {
    DRIVER.with(State::wake);
}

/// Starts the clock. A firmware does so before anything else.
pub fn start() {
    let mut systick = systick();
    systick.set_clock_source(SystClkSource::Core);
    DRIVER.with(|state| state.set_alarm(u64::MAX));
    systick.enable_counter();
    systick.enable_interrupt();
}

/// The present tick.
pub fn now() -> u64 {
    DRIVER.now()
}

/// The time, in nanoseconds: what the ticks are cut off from. A test's other clock.
pub fn nanos() -> u64 {
    const NANOS_PER_SECOND: u64 = 1_000_000_000;
    DRIVER.with(|state| {
        state.now();
        let (seconds, ticks) = (state.ticks / TICK_HZ, state.ticks % TICK_HZ);
        seconds * NANOS_PER_SECOND
            + (ticks * u64::from(WHOLE) + u64::from(state.parts)) * NANOS_PER_SECOND / (TICK_HZ * u64::from(WHOLE))
    })
}

/// Sets the clock forward within its tick, to so many 256ths of it, unless it is there already.
pub fn go_into_tick(parts: u8) {
    DRIVER.with(|state| {
        state.now();
        state.parts = state.parts.max(WHOLE / 256 * u32::from(parts));
        state.reach = None;
        state.wake();
    });
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

/// The tick of the next alarm, if one is set.
pub fn next_alarm() -> Option<u64> {
    // As of the beginning, lest it wake those whose time has come.
    let next = DRIVER.with(|state| state.queue.next_expiration(0));
    (next != u64::MAX).then_some(next)
}

/// Forgets all alarms, and begins anew at tick zero.
pub fn restart() {
    DRIVER.with(|state| {
        state.now();
        state.queue = Queue::new();
        (state.ticks, state.parts, state.held) = (0, 0, false);
        state.reach = None;
        state.wake();
    });
}

/// Sets the clock to the beginning of a tick, forward or back.
pub fn set(ticks: u64) {
    DRIVER.with(|state| {
        state.now();
        (state.ticks, state.parts) = (ticks, 0);
        state.reach = None;
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
