//! Sleeps, timeouts and pauses of all lengths, and starts at a rate, from anywhere within a tick, at whatever rate the clock ticks: none is over early, none more than two ticks late, and no two starts share a tick. A finer clock measures that, which tells the core's cycles.

#![no_std]
#![no_main]

use core::cell::Cell;
use core::future::pending;
use core::time::Duration;

use aplomb_embassy::prelude::*;
use aplomb_embassy::{Clock, EmbassyClock};
use board::{Executor, hprintln, time};
use embassy_time_driver::TICK_HZ;
use panic_semihosting as _;

const ROUNDS: u32 = 400;

/// How late a timer may be: two ticks, rounded up.
const LATEST: u64 = 2_000_000_000_u64.div_ceil(TICK_HZ);

/// A tick, rounded up.
const TICK: u64 = aplomb_embassy::time::nanos(EmbassyClock::TICK);

/// What it takes to wake and poll a task.
const OVERHEAD: u64 = 20_000;

/// How many were over when they should not have been, and how many starts were.
#[derive(Default)]
struct Wrong {
    early: Cell<u32>,
    late: Cell<u32>,
    starts: Cell<u32>,
}

impl Wrong {
    /// Something was due then, and is over now.
    fn judge(&self, what: &str, due: u64) {
        let now = time::nanos();
        if now < due {
            hprintln!("{} is early by {} ns", what, due - now);
            self.early.set(self.early.get() + 1);
        } else if now - due >= LATEST + OVERHEAD {
            hprintln!("{} is late by {} ns", what, now - due);
            self.late.set(self.late.get() + 1);
        }
    }
}

/// Goes to some place within the tick, and says when a time is over that begins now.
fn begin(wait: Duration, random: &Cell<u64>) -> u64 {
    let [place, ..] = next(random).to_le_bytes();
    time::go_into_tick(place);
    time::nanos() + aplomb_embassy::time::nanos(wait)
}

// Marsaglia's xorshift.
fn next(random: &Cell<u64>) -> u64 {
    let mut number = random.get();
    number ^= number << 13;
    number ^= number >> 7;
    number ^= number << 17;
    random.set(number);
    number
}

/// Of any number of bits up to 36, which is a minute.
fn length(random: &Cell<u64>) -> Duration {
    let number = next(random);
    Duration::from_nanos((number >> 28) >> (number % 36))
}

/// Starts at a rate: each at its point of the grid, if that is coarse enough for every point to have a start, and a tick after the last one anyhow.
async fn sample(interval: Duration, random: &Cell<u64>, wrong: &Wrong) {
    let nanos = aplomb_embassy::time::nanos(interval);
    let is_coarse = nanos >= TICK && nanos >= 3 * OVERHEAD;
    let mut due = begin(Duration::ZERO, random);
    let mut last = None;
    let attempt = || {
        let now = time::nanos();
        if is_coarse {
            wrong.judge("a start at a rate", due);
        }
        // A start is seen a little later than it is made.
        if last.is_some_and(|last| now + OVERHEAD < last + TICK) {
            wrong.judge("a start after another", now + TICK);
        }
        due += nanos;
        last = Some(now);
        wrong.starts.set(wrong.starts.get() + 1);
        async { Ok::<_, ()>(()) }
    };
    // It is never there.
    let _exhausted = poll_until(attempt, |()| false).at_rate(interval).max_attempts(4).await;
}

#[embassy_executor::task]
async fn check() {
    let wrong = Wrong::default();
    let random = Cell::new(0x9E37_79B9_7F4A_7C15);
    for _ in 0..ROUNDS {
        let wait = length(&random);
        let due = begin(wait, &random);
        EmbassyClock.sleep_until(EmbassyClock.now() + wait).await;
        wrong.judge("a sleep", due);

        let due = begin(wait, &random);
        if timeout(wait, pending::<Result<(), ()>>()).await.is_err() {
            wrong.judge("a timeout", due);
        }

        let mut due = None;
        let attempt = || {
            if let Some(due) = due {
                wrong.judge("a pause", due);
            }
            due = Some(begin(wait, &random));
            async { Err::<(), _>(()) }
        };
        // It fails each time.
        let _exhausted = retry(attempt).backoff(Constant::every(wait)).max_attempts(3).await;

        sample(wait.max(Duration::from_nanos(1)), &random, &wrong).await;
        let [ticks, ..] = next(&random).to_le_bytes();
        sample(EmbassyClock::TICK * u32::from(1 + ticks % 4), &random, &wrong).await;
    }
    let (early, late) = (wrong.early.get(), wrong.late.get());
    let seconds = EmbassyClock.now().as_nanos() / 1_000_000_000;
    let starts = wrong.starts.get();
    hprintln!(
        "{} ticks a second: {} rounds in {} s, {} starts at a rate, {} early, {} late",
        TICK_HZ,
        ROUNDS,
        seconds,
        starts,
        early,
        late
    );
    board::exit(early == 0 && late == 0 && starts == 8 * ROUNDS);
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
