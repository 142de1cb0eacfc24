//! Sleeps, timeouts and pauses of all lengths, at whatever rate the clock ticks: none is over early, be it by a nanosecond, and none a tick late.

#![no_std]
#![no_main]

use core::cell::Cell;
use core::future::pending;
use core::time::Duration;

use aplomb_embassy::prelude::*;
use aplomb_embassy::{Clock, EmbassyClock, Instant};
use board::{Executor, hprintln};
use embassy_time_driver::TICK_HZ;
use panic_semihosting as _;

const ROUNDS: u32 = 400;

/// From one tick to the next, rounded up.
const TICK: Duration = Duration::from_nanos(1_000_000_000_u64.div_ceil(TICK_HZ));

/// What it takes to wake and poll a task.
const OVERHEAD: Duration = Duration::from_micros(20);

/// How many were over when they should not have been.
#[derive(Default)]
struct Wrong {
    early: Cell<u32>,
    late: Cell<u32>,
}

impl Wrong {
    /// Something was due then, and is over now.
    fn judge(&self, what: &str, due: Instant) {
        let now = EmbassyClock.now();
        if now < due {
            hprintln!("{} is early by {:?}", what, due - now);
            self.early.set(self.early.get() + 1);
        } else if now - due >= TICK + OVERHEAD {
            hprintln!("{} is late by {:?}", what, now - due);
            self.late.set(self.late.get() + 1);
        }
    }
}

/// Of any number of bits up to 36, which is a minute.
fn length(random: &mut u64) -> Duration {
    // Marsaglia's xorshift.
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    Duration::from_nanos((*random >> 28) >> (*random % 36))
}

#[embassy_executor::task]
async fn check() {
    let wrong = Wrong::default();
    let mut random = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..ROUNDS {
        let wait = length(&mut random);
        let due = EmbassyClock.now() + wait;
        EmbassyClock.sleep_until(due).await;
        wrong.judge("a sleep", due);

        let due = EmbassyClock.now() + wait;
        if timeout(wait, pending::<Result<(), ()>>()).await.is_err() {
            wrong.judge("a timeout", due);
        }

        let mut due = Instant::ORIGIN;
        let attempt = || {
            if due > Instant::ORIGIN {
                wrong.judge("a pause", due);
            }
            due = EmbassyClock.now() + wait;
            async { Err::<(), _>(()) }
        };
        // It fails each time.
        let _exhausted = retry(attempt).backoff(Constant::every(wait)).max_attempts(3).await;
    }
    let (early, late) = (wrong.early.get(), wrong.late.get());
    let seconds = EmbassyClock.now().as_nanos() / 1_000_000_000;
    hprintln!("{} ticks a second: {} rounds in {} s, {} early, {} late", TICK_HZ, ROUNDS, seconds, early, late);
    board::exit(early == 0 && late == 0);
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut EXECUTOR: Option<Executor> = None;
    board::time::start();
    let executor: &'static Executor = EXECUTOR.insert(Executor::new());
    executor.run(|spawner| {
        if let Ok(check) = check() {
            spawner.spawn(check);
        }
    })
}
