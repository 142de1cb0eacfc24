//! An interrupt that triggers, records, takes and gives back between any two instructions of a task that calls the same pattern: nothing is lost, nobody waits for ever.

#![no_std]
#![no_main]

mod timer;

use core::cell::RefCell;
use core::future::{Future, Ready, poll_fn, ready};
use core::pin::pin;
use core::sync::atomic::{AtomicU32, Ordering};

use aplomb_embassy::adaptive_limit::{Gradient, IgnoreErrors};
use aplomb_embassy::backoff::Constant;
use aplomb_embassy::circuit_breaker::AnyError;
use aplomb_embassy::prelude::*;
use aplomb_embassy::rate_limiter::FixedWindow;
use aplomb_embassy::single_flight::Restarts;
use aplomb_embassy::{Clock, EmbassyClock, rate_limiter, sync};
use board::{Executor, hprintln};
use critical_section::Mutex;
use panic_semihosting as _;

/// What has no more to wait for than an interrupt takes less.
const AT_ONCE: core::time::Duration = ms(5);

/// No call takes so many instructions.
const MOST: u32 = 20_000;

/// Permits, more than are ever taken.
const PERMITS: u32 = 100_000;

type Limiter = RateLimiter<FixedWindow, Inline<2>>;
type Held<P> = Mutex<RefCell<Option<P>>>;

static TRIGGER: Throttle<Trigger<u32>> = checked!(Throttle::triggered(ms(1)));
static BREAKER: CircuitBreaker<Consecutive, Constant, AnyError, Inline<1>> =
    checked!(CircuitBreaker::consecutive(1).storage().open_for(secs(9)));
static LIMITER: Limiter = checked!(RateLimiter::fixed_window(Rate::per_day(PERMITS)).storage().max_concurrent(1));
static BULKHEAD: Bulkhead<Inline<2>> = checked!(Bulkhead::new(1).storage());
static ADAPTIVE: AdaptiveLimit<Gradient, IgnoreErrors, Inline<2>> = checked!(AdaptiveLimit::new().storage().initial_limit(1));
static FLIGHTS: SingleFlight<u8, u32, (), Restarts, Inline<2>> = checked!(SingleFlight::new().storage());
static CACHE: Cache<u8, u32, (), Inline<2>, FoldHash, Inline<2>> = checked!(Cache::new().storage().flight_storage());

static PLACE: Held<sync::Permit<&Bulkhead<Inline<2>>>> = Mutex::new(RefCell::new(None));
static RUNS: Held<rate_limiter::Permit<&Limiter>> = Mutex::new(RefCell::new(None));

/// The value triggered last, and how many permits of the limiter are gone.
static TRIGGERED: AtomicU32 = AtomicU32::new(0);
static TAKEN: AtomicU32 = AtomicU32::new(0);

fn add(count: &AtomicU32) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn operation() -> Ready<Result<u32, ()>> {
    ready(Ok(7))
}

fn hold<P>(held: &'static Held<P>, permit: Option<P>) {
    critical_section::with(|cs| held.borrow_ref_mut(cs).replace(permit?).map(drop));
}

/// It is dropped when the critical section is over.
fn let_go<P>(held: &'static Held<P>) {
    let permit = critical_section::with(|cs| held.borrow_ref_mut(cs).take());
    drop(permit);
}

/// Makes the call again and again, with the interrupt an instruction later each time, until it comes when the call has returned; and tells whether all was well each time.
async fn sweep<F: Future>(
    name: &str,
    prepare: fn(),
    call: fn() -> F,
    interrupt: fn(),
    is_well: impl Fn(F::Output) -> bool,
) -> bool {
    // Whether the interrupt was there before the call, too.
    let mut is_swept = false;
    for instructions in 0..MOST {
        prepare();
        let began = EmbassyClock.now();
        let mut call = pin!(call());
        let mut was_within = None;
        let output = poll_fn(|cx| {
            if was_within.is_none() {
                timer::arm(instructions, interrupt);
                is_swept |= timer::has_fired();
            }
            let polled = call.as_mut().poll(cx);
            was_within.get_or_insert(timer::has_fired());
            polled
        })
        .await;
        let took = EmbassyClock.now() - began;
        // By then the interrupt was there in any case.
        EmbassyClock.sleep_until(began + ms(2)).await;
        if !timer::has_fired() || took > AT_ONCE || !is_well(output) {
            hprintln!("{}: something is lost, with the interrupt after {} instructions", name, instructions);
            return false;
        }
        if was_within == Some(false) {
            hprintln!("{}: {} instructions", name, instructions);
            return is_swept;
        }
    }
    hprintln!("{}: the interrupt is always within", name);
    false
}

async fn all() -> bool {
    let trigger = || {
        add(&TRIGGERED);
        TRIGGER.trigger(TRIGGERED.load(Ordering::Relaxed));
    };
    let is_newest = |value| value == Ok(TRIGGERED.load(Ordering::Relaxed));
    let record = || {
        if let Ok(permit) = BREAKER.permit() {
            permit.record(&Err::<u32, ()>(()));
        }
    };
    let take = || {
        if LIMITER.try_acquire(1).is_ok() {
            add(&TAKEN);
        }
    };
    let all_are_there = || {
        let end = LIMITER.snapshot();
        end.available + TAKEN.load(Ordering::Relaxed) == PERMITS && end.waiting == 0 && end.running == Some(0)
    };
    let count_and_look = |permitted: bool| {
        if permitted {
            add(&TAKEN);
        }
        permitted && all_are_there()
    };
    let hold_call = || {
        hold(&RUNS, RateLimiter::try_acquire_owned(&LIMITER, 1).ok());
        add(&TAKEN);
    };
    let hold_place = || hold(&PLACE, Bulkhead::try_acquire_owned(&BULKHEAD).ok());
    let has_place = |permitted: bool| {
        let end = BULKHEAD.snapshot();
        permitted && end.running == 0 && end.waiting == 0
    };
    let measure = || {
        if let Ok(permit) = ADAPTIVE.try_acquire() {
            permit.success();
        }
    };
    let is_free = |outcome: Result<u32, _>| {
        let end = ADAPTIVE.snapshot();
        outcome.is_ok() && end.in_flight == 0 && end.waiting == 0
    };
    let none_flies = |outcome: Result<u32, _>| {
        let end = FLIGHTS.snapshot();
        outcome.is_ok() && end.flights == 0 && end.waiting == 0
    };
    let none_fetches = |outcome: Result<u32, _>| {
        let end = CACHE.snapshot();
        outcome.is_ok() && end.fetching == 0 && end.waiting == 0 && end.len <= 1
    };
    let insert = || CACHE.insert(0, 8);
    let invalidate = || _ = CACHE.invalidate(&0);
    let nothing = || ();

    sweep("next, and trigger", nothing, || TRIGGER.next(), trigger, is_newest).await
        & sweep("run, and record", || BREAKER.reset(), || BREAKER.run(operation), record, |_| BREAKER.state().is_open()).await
        & sweep("run, and try_acquire", nothing, || LIMITER.run(operation), take, |ran| count_and_look(ran.is_ok())).await
        & sweep(
            "run, and a call that ends",
            hold_call,
            || LIMITER.run(operation),
            || let_go(&RUNS),
            |ran| count_and_look(ran.is_ok()),
        )
        .await
        & sweep(
            "run, and a place that is given back",
            hold_place,
            || BULKHEAD.run(operation),
            || let_go(&PLACE),
            |ran| has_place(ran.is_ok()),
        )
        .await
        & sweep("run, and a measured call", nothing, || ADAPTIVE.run(operation), measure, is_free).await
        & sweep("run, and forget", nothing, || FLIGHTS.run(&0, operation), || _ = FLIGHTS.forget(&0), none_flies).await
        & sweep("get, and insert", || CACHE.clear(), || CACHE.get(&0, operation), insert, none_fetches).await
        & sweep("get, and invalidate", nothing, || CACHE.get(&0, operation), invalidate, none_fetches).await
}

#[embassy_executor::task]
async fn test() {
    let is_well = all().await;
    hprintln!("{}", if is_well { "nothing is lost" } else { "something is lost" });
    board::exit(is_well);
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut EXECUTOR: Option<Executor> = None;
    board::time::start();
    timer::start();
    EXECUTOR.insert(Executor::new()).run(|spawner| {
        if let Ok(test) = test() {
            spawner.spawn(test);
        }
    })
}
