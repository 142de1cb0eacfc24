//! Thirty days of a device, in rounds, in each of which each of four callers calls every pattern. They meet at four patterns at a time, which are others in each round, and begin with any of them: so some wait for each other at one, while others are at another. They lose patience, too. At the end all that was
//! started has ended, and the counts add up.
//!
//! The clock has 32,768 ticks a second, so that what counts them in 32 bits begins anew every 36 hours, and 19 times in all.

#![no_std]
#![no_main]

mod device;
mod dice;
mod laws;
mod patterns;
mod stack;
mod tally;
mod wires;

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use aplomb_embassy::{Clock, EmbassyClock};
use board::{Executor, hprintln};
use embassy_executor::Spawner;
use embassy_time_driver::TICK_HZ;
use panic_semihosting as _;

use crate::patterns::{ALL, Pattern};
use crate::tally::Tally;

const DAYS: u32 = 30;
const END: u64 = DAYS as u64 * 24 * 60 * 60 * TICK_HZ;
const HOUR: u64 = 60 * 60 * TICK_HZ;

/// How often the callers meet. It is no part of an hour, so that now and then they do while the device is gone.
const SECONDS: u32 = 797;
const MEETING: Duration = Duration::from_secs(SECONDS as u64);

/// At how many patterns each time.
const AT_ONCE: usize = 4;

/// In how many meetings they have been at all.
const ROUND: u32 = 8;
const ROUNDS: u32 = DAYS * 24 * 60 * 60 / (SECONDS * ROUND);
const _: () = assert!(ALL.len() == AT_ONCE * ROUND as usize);

/// How often each pattern is called.
const CALLS: u32 = ROUNDS * CALLERS as u32;

/// As many as the RAM of the Cortex-M0 has room for, with a stack beside them.
const CALLERS: usize = 4;

/// Bytes of stack that are used at most, on the Cortex-M3 and on the Cortex-M0: what was measured, which `tests/README.md` has, and some more.
const STACK: usize = if cfg!(target_has_atomic = "ptr") { 3_150 } else { 3_500 };

/// How many callers have been through all rounds.
static ENDED: AtomicUsize = AtomicUsize::new(0);

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut EXECUTOR: Option<Executor> = None;
    board::time::start();
    aplomb_embassy::seed(7);
    let executor: &'static Executor = EXECUTOR.insert(Executor::new());
    start(executor.spawner());
    executor.run_until(END);
    // So that callers end, and permits come back.
    executor.run_until(END + HOUR);
    board::exit(report())
}

fn start(spawner: Spawner) {
    // Each has a place for itself, and is started once; a caller that is not is missed at the end.
    if let (Ok(work), Ok(refresh), Ok(run_jobs)) = (patterns::work(), patterns::refresh(), patterns::run_jobs()) {
        spawner.spawn(work);
        spawner.spawn(refresh);
        spawner.spawn(run_jobs);
    }
    for _ in 0..CALLERS {
        if let Ok(caller) = caller() {
            spawner.spawn(caller);
        }
    }
}

/// Meets others at some of the patterns, which are others each time, and calls each.
#[embassy_executor::task(pool_size = CALLERS)]
async fn caller() {
    let beginning = EmbassyClock.now();
    for meeting in 0..ROUNDS * ROUND {
        let begins = beginning + MEETING * meeting;
        EmbassyClock.sleep_until(begins + dice::millis_below(300)).await;
        let first = dice::below(AT_ONCE as u32) as usize;
        for turn in 0..AT_ONCE {
            pattern(meeting, (first + turn) % AT_ONCE).call().await;
        }
    }
    ENDED.store(ENDED.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// In each round, all of them in another order.
fn pattern(meeting: u32, index: usize) -> Pattern {
    // Odd, and the length a power of two: so that it comes by all.
    const { assert!(ALL.len().is_power_of_two()) };
    let (begin, stride) = (dice::mix(meeting / ROUND + 1) as usize, 2 * (meeting / ROUND) as usize + 1);
    let place = AT_ONCE * (meeting % ROUND) as usize + index;
    ALL[begin.wrapping_add(stride.wrapping_mul(place)) % ALL.len()]
}

/// Tells what was counted, and whether it adds up.
fn report() -> bool {
    let ended = ENDED.load(Ordering::Relaxed);
    let now = board::time::now();
    let wraps = now >> 32;
    hprintln!(
        "{} days, {} rounds, {} of {} callers ended, 32 bits of ticks began anew {} times",
        DAYS,
        ROUNDS,
        ended,
        CALLERS,
        wraps
    );
    Tally::print_head();
    for pattern in ALL {
        pattern.tally().print();
        pattern.check();
    }
    let (used, unused) = stack::used();
    hprintln!("{} bytes of stack were used, which must not be more than {}; {} never", used, STACK, unused);
    let is_sound =
        ended == CALLERS && wraps == 19 && used <= STACK && unused > 0 && ALL.iter().all(|pattern| pattern.tally().is_sound());
    hprintln!("{}", if is_sound { "nothing is lost" } else { "something is lost" });
    is_sound
}
