//! The patterns, each with its calls.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;

use aplomb_embassy::adaptive_limit::{Gradient, IgnoreErrors};
use aplomb_embassy::circuit_breaker::AnyError;
use aplomb_embassy::edge::Stream;
use aplomb_embassy::fallback::fallback;
use aplomb_embassy::guarded::Guarded;
use aplomb_embassy::key::FoldHash;
use aplomb_embassy::level::{self, Edge, Gesture, GestureError, Gestures, LevelDebouncer};
use aplomb_embassy::prelude::*;
use aplomb_embassy::rate_limiter::{FixedWindow, SlidingCounter, SlidingWindow, TokenBucket};
use aplomb_embassy::single_flight::Restarts;
use aplomb_embassy::{EmbassyClock, Memoize};

use crate::device::{Fault, Operation, ask};
use crate::dice;
use crate::tally::Tally;
use crate::wires::{self, Bus, Source};

type Memoized<F> = Memoize<F, u8, u32, Fault, Inline<2>, FoldHash, Inline<2>>;

static RETRY: Retry =
    checked!(Retry::new().backoff(Exponential::from(ms(50)).max(secs(1))).max_attempts(4).attempt_timeout(ms(250)));
/// No success puts anything back, so that what is left tells how many retries there were.
pub const TOKENS: u32 = 600;
pub static BUDGET: RetryBudget = RetryBudget::new(TOKENS).retry_cost(1).success_refund(0);
static BUDGETED: Retry = checked!(Retry::new().backoff(Exponential::from(ms(50))).attempt_timeout(ms(250)).budget(&BUDGET));
pub static BREAKER: CircuitBreaker<Consecutive, Constant, AnyError, Inline<0>> =
    checked!(CircuitBreaker::consecutive(3).storage().open_for(secs(100)));
pub static BREAKERS: KeyedCircuitBreaker<u8, Consecutive, Constant, AnyError, Inline<3>> =
    KeyedCircuitBreaker::new(CircuitBreaker::consecutive(2).storage().open_for(secs(1))).capacity(3);
pub static LIMITER: RateLimiter<TokenBucket, Inline<1>> =
    checked!(RateLimiter::with_burst(Rate::per_minute(6), 2).storage().max_waiting(1));
pub static LIMITERS: KeyedRateLimiter<u8, SlidingWindow<Inline<2>>, Inline<3>> =
    KeyedRateLimiter::with_clock(EmbassyClock, SlidingWindow::new(Rate::new(2, secs(10)))).capacity(3).max_waiting(1);
static DEBOUNCE: Debounce = checked!(Debounce::new(ms(80)));
pub static TRIGGER: Debounce<Trigger<u32>> = checked!(Debounce::triggered(ms(50)));
static THROTTLE: Throttle = checked!(Throttle::new(ms(200)));
pub static JOBS: JobSet<Operation, Inline<2>> = checked!(JobSet::new(1).storage().max_queued(1));
pub static SEMAPHORE: Semaphore<Inline<3>> = Semaphore::with_storage(2);
pub static BULKHEAD: Bulkhead<Inline<1>> = checked!(Bulkhead::new(1).storage().max_waiting(1).max_wait(ms(300)));
pub static POOL: Pool<Inline<2>> = checked!(Pool::new(1).storage().max_queued(1));
pub static FLIGHTS: SingleFlight<u8, u32, Fault, Restarts, Inline<3>> = checked!(SingleFlight::new().storage());
pub static CACHE: Cache<u8, u32, Fault, Inline<2>, FoldHash, Inline<2>> =
    checked!(Cache::new().storage().flight_storage().ttl(secs(600)).refresh_ahead(secs(300)));
pub static MEMOIZED: Memoized<fn(u8) -> Operation> = Memoize::kept_in(of_channel, Cache::new().storage().flight_storage());
pub static HEDGE: Hedge = checked!(Hedge::after(ms(200)));
pub static BATCHER: Batcher<u8, u8, Fault, Inline<3>> = checked!(Batcher::new(3).storage().max_wait(ms(100)));
pub static ADAPTIVE: AdaptiveLimit<Gradient, IgnoreErrors, Inline<1>> =
    checked!(AdaptiveLimit::new().storage().initial_limit(2).max_limit(2).max_waiting(1));

pub static WINDOW: RateLimiter<FixedWindow, Inline<1>> =
    checked!(RateLimiter::fixed_window(Rate::per_minute(2)).storage().max_waiting(1));
pub static BY_TIME: CircuitBreaker<LastTime<2>, Constant, AnyError, Inline<0>> = checked!(
    CircuitBreaker::with_clock(EmbassyClock, LastTime::new(secs(600)))
        .buckets(2)
        .failure_rate(percent(60))
        .min_calls(3)
        .open_for(secs(100))
);
pub static BY_PERCENTILE: Hedge<Percentile, Inline<1>> = checked!(Hedge::percentile(percent(75)).initial_delay(ms(200)));

// What a pipeline goes through.
pub static BY_RATE: CircuitBreaker<LastCalls<1>, Constant, AnyError, Inline<0>> = checked!(
    CircuitBreaker::with_clock(EmbassyClock, LastCalls::new(10)).failure_rate(percent(60)).min_calls(6).open_for(secs(100))
);
pub static BY_COUNTER: RateLimiter<SlidingCounter, Inline<3>> =
    RateLimiter::with_clock(EmbassyClock, SlidingCounter::new(Rate::per_second(4)));
pub static PLACES: Bulkhead<Inline<2>> = checked!(Bulkhead::new(2).storage());

/// How long a contact must hold.
const HOLD: Duration = ms(20);

/// The value that was triggered last, and the one that was worked on last.
pub static TRIGGERED: AtomicU32 = AtomicU32::new(0);
pub static WORKED_ON: AtomicU32 = AtomicU32::new(0);

/// How many results of jobs there were.
pub static RESULTS: AtomicU32 = AtomicU32::new(0);

macro_rules! patterns {
    ($($name:ident),+) => {
        /// A pattern.
        #[derive(Clone, Copy)]
        #[repr(usize)]
        pub enum Pattern { $($name),+ }

        /// All of them.
        pub static ALL: [Pattern; [$(stringify!($name)),+].len()] = [$(Pattern::$name),+];

        static TALLIES: [Tally; ALL.len()] = [const { Tally::new() }; ALL.len()];

        /// That of a tally, which lies in flash.
        pub fn name_of(tally: &Tally) -> &'static str {
            const NAMES: [&str; ALL.len()] = [$(stringify!($name)),+];
            TALLIES.iter().position(|known| core::ptr::eq(known, tally)).map_or("", |index| NAMES[index])
        }
    };
}

patterns!(
    Timeout,
    Retry,
    Budget,
    Breaker,
    Breakers,
    Limiter,
    Limiters,
    Debounce,
    Trigger,
    Throttle,
    Polling,
    Semaphore,
    Bulkhead,
    Pool,
    SingleFlight,
    Cache,
    Memoize,
    Parallel,
    Waterfall,
    Hedge,
    Batcher,
    Adaptive,
    Pipeline,
    Jobs,
    Fallback,
    Guarded,
    Window,
    ByTime,
    ByPercentile,
    Contact,
    Button,
    Streams
);

async fn next_step(_before: u32) -> Result<u32, Fault> {
    ask(Pattern::Waterfall.tally()).await
}

fn of_channel(_channel: u8) -> Operation {
    ask(Pattern::Memoize.tally())
}

#[allow(clippy::cast_possible_truncation, reason = "it is below what it is")]
fn key(end: u8) -> u8 {
    dice::below(u32::from(end)) as u8
}

/// The newest of the values that were triggered is worked on.
#[embassy_executor::task]
pub async fn work() {
    let work = async |value| {
        WORKED_ON.store(value, Ordering::Relaxed);
        // What becomes of it, a trigger's caller does not learn.
        let _ended = timeout(ms(300), ask(Pattern::Trigger.tally())).await;
    };
    TRIGGER.run(work).await;
}

/// What the cache is soon to forget is fetched anew.
#[embassy_executor::task]
pub async fn refresh() {
    // It ends only if the configuration makes no sense, which callers learn too.
    let _ended = CACHE.run(|_key| ask(Pattern::Cache.tally())).await;
}

/// Runs the jobs.
#[embassy_executor::task]
pub async fn run_jobs() {
    let Ok(mut results) = JOBS.results() else { return };
    while poll_fn(|cx| Pin::new(&mut results).poll_next(cx)).await.is_some() {
        RESULTS.store(RESULTS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// Drains one of four kinds of stream.
async fn streams(tally: &'static Tally) {
    match dice::below(4) {
        0 => drain(tally, Source::new().debounce(ms(50)), false).await,
        1 => drain(tally, Source::new().throttle_latest(ms(50)), false).await,
        2 => drain(tally, Source::new().audit(ms(50)), false).await,
        _ => drain(tally, Source::new().pace(ms(50)), true).await,
    }
}

/// The last item comes in any case, and none out of order.
async fn drain(tally: &'static Tally, stream: impl Stream<Item = u32>, has_all: bool) {
    let drained = async {
        let mut stream = pin!(stream);
        let mut last = 0;
        while let Some(item) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            tally.must(if has_all { item == last + 1 } else { item > last }, "items come in order");
            last = item;
        }
        Ok::<_, Fault>(last)
    };
    let last = tally.call(drained, |_| true).await;
    tally.must(last.is_none_or(|last| last == Source::LAST), "the last item comes");
}

impl Pattern {
    pub fn tally(self) -> &'static Tally {
        &TALLIES[self as usize]
    }

    /// Calls it once.
    pub async fn call(self) {
        let tally = self.tally();
        let operation = || ask(tally);
        match self {
            Self::Timeout => _ = tally.call(timeout(ms(300), operation()), |e| e.inner().is_some()).await,
            Self::Retry => _ = tally.call(RETRY.run(operation), |e| e.inner().is_some()).await,
            Self::Budget => _ = tally.call(BUDGETED.run(operation), |e| e.inner().is_some()).await,
            Self::Breaker => _ = tally.call(BREAKER.run(operation), |e| e.inner().is_some()).await,
            Self::Breakers => {
                let key = key(6);
                tally.call(BREAKERS.run(&key, operation), |e| e.inner().is_some()).await;
            }
            Self::Limiter => _ = tally.call(LIMITER.run(operation), |e| e.inner().is_some()).await,
            Self::Limiters => {
                let key = key(6);
                tally.call(LIMITERS.run(&key, operation), |e| e.inner().is_some()).await;
            }
            Self::Debounce => _ = tally.call(DEBOUNCE.call(operation), |e| e.inner().is_some()).await,
            Self::Throttle => _ = tally.call(THROTTLE.call(operation), |e| e.inner().is_some()).await,
            Self::Trigger => {
                let value = dice::below(u32::MAX);
                TRIGGERED.store(value, Ordering::Relaxed);
                TRIGGER.trigger(value);
                tally.calls.add();
                tally.values.add();
            }
            Self::Polling => {
                let polling = poll_until(operation, |value| value % 3 == 0).every(ms(200)).max_attempts(5).tolerate_errors();
                tally.call(polling.into_future(), |e| e.inner().is_some()).await;
            }
            Self::Semaphore => {
                let permits = 1 + dice::below(2);
                let call = async {
                    let _permit = SEMAPHORE.acquire(permits).await.map_err(|_| None)?;
                    operation().await.map_err(Some)
                };
                tally.call(call, Option::is_some).await;
            }
            Self::Bulkhead => _ = tally.call(BULKHEAD.run(operation), |e| e.inner().is_some()).await,
            Self::Pool => _ = tally.call(POOL.run(operation), |e| e.inner().is_some()).await,
            Self::SingleFlight => {
                let key = key(2);
                tally.call(FLIGHTS.run(&key, operation), |e| e.inner().is_some()).await;
            }
            Self::Cache => {
                let key = key(4);
                tally.call(CACHE.get(&key, operation), |e| e.inner().is_some()).await;
            }
            Self::Memoize => {
                let key = key(8);
                tally.call(MEMOIZED.call(&key), |e| e.inner().is_some()).await;
            }
            Self::Parallel => {
                let parallel = parallel_array([1_u8, 2, 3, 4], 2, |_| operation()).stored_in::<Inline<2>>();
                tally.call(parallel.into_future(), |e| e.inner().is_some()).await;
            }
            Self::Waterfall => {
                tally.call(waterfall(next_step).then(next_step).then(next_step).run(0), |_| true).await;
            }
            Self::Hedge => _ = tally.call(HEDGE.run(operation), |e| e.inner().is_some()).await,
            Self::Batcher => {
                let item = key(100);
                let batch = async |items| operation().await.map(|_| items);
                let own = tally.call(BATCHER.call(item, batch), |e| e.inner().is_some()).await;
                tally.must(own.is_none_or(|own| own == item), "each has its own result");
            }
            Self::Adaptive => _ = tally.call(ADAPTIVE.run(operation), |e| e.inner().is_some()).await,
            Self::Pipeline => {
                let guarded = Pipeline::new()
                    .timeout(secs(5))
                    .retry(RETRY)
                    .circuit_breaker(&BY_RATE)
                    .rate_limiter(&BY_COUNTER)
                    .bulkhead(&PLACES)
                    .timeout(ms(350));
                tally.call(guarded.run(operation), |e| e.inner().is_some()).await;
            }
            Self::Fallback => _ = tally.call(fallback(operation(), |_| operation()), |_| true).await,
            Self::Guarded => {
                let set_right = async |bus: &mut Bus| bus.is_in_order = true;
                let mut bus = Guarded::new(Bus { tally, is_in_order: true }, &RETRY).recover(set_right);
                tally.call(bus.run(async |bus: &mut Bus| bus.transfer().await), |e| e.inner().is_some()).await;
            }
            Self::Window => _ = tally.call(WINDOW.run(operation), |e| e.inner().is_some()).await,
            Self::ByTime => _ = tally.call(BY_TIME.run(operation), |e| e.inner().is_some()).await,
            Self::ByPercentile => _ = tally.call(BY_PERCENTILE.run(operation), |e| e.inner().is_some()).await,
            Self::Contact => {
                let mut contact = level::Contact::new(wires::Contact::new(), LevelDebouncer::new(HOLD));
                let edge = tally.call(contact.edge(), |_| true).await;
                let (wire, closed) = (contact.release(), edge.map(|edge| edge == Edge::Rise));
                tally.must(closed.is_none_or(wires::Contact::has_been), "it tells where it is");
                tally.must(closed.is_none_or(|closed| wire.has_only_been(closed) >= HOLD), "it has held");
            }
            Self::Button => {
                let gestures = Gestures::new(LevelDebouncer::new(HOLD)).long_press(secs(1));
                let mut button = level::Button::new(wires::Contact::new(), gestures);
                let both = async { Ok::<_, GestureError<_>>((button.gesture().await?, button.gesture().await?)) };
                let ended = tally.call(both, |_| true).await;
                let are_told = |both| matches!(both, (Gesture::Press, Gesture::LongPress | Gesture::Release));
                tally.must(ended.is_none_or(are_told), "it is pressed before it is held or released");
                let is_released = ended.is_some_and(|(_, last)| last == Gesture::Release);
                tally.must(!is_released || button.release().has_only_been(false) >= HOLD, "it has held");
            }
            Self::Streams => streams(tally).await,
            Self::Jobs => {
                tally.calls.add();
                let added = JOBS.add(operation());
                if added.is_ok() { tally.values.add() } else { tally.refusals.add() }
            }
        }
    }
}
