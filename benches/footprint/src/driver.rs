//! embassy's time, in milliseconds that `SysTick` counts.

use core::cell::RefCell;
use core::task::Waker;

use cortex_m::peripheral::Peripherals;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

const CYCLES_PER_MILLISECOND: u32 = 12_000;

struct Time(Mutex<RefCell<State>>);

struct State {
    millis: u64,
    next: u64,
    queue: Queue,
}

embassy_time_driver::time_driver_impl!(static DRIVER: Time = Time(Mutex::new(RefCell::new(State { millis: 0, next: u64::MAX, queue: Queue::new() }))));

impl Driver for Time {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.0.borrow_ref(cs).millis)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let state = &mut *self.0.borrow_ref_mut(cs);
            if state.queue.schedule_wake(at, waker) {
                state.next = state.queue.next_expiration(state.millis);
            }
        });
    }
}

#[exception]
fn SysTick() {
    critical_section::with(|cs| {
        let state = &mut *DRIVER.0.borrow_ref_mut(cs);
        state.millis += 1;
        if state.millis >= state.next {
            state.next = state.queue.next_expiration(state.millis);
        }
    });
}

pub(crate) fn start() {
    let Some(mut peripherals) = Peripherals::take() else { return };
    peripherals.SYST.set_clock_source(SystClkSource::Core);
    peripherals.SYST.set_reload(CYCLES_PER_MILLISECOND - 1);
    peripherals.SYST.clear_current();
    peripherals.SYST.enable_counter();
    peripherals.SYST.enable_interrupt();
}
