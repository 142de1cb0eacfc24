//! The patterns, each with its calls and what must hold of them.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicU32, Ordering};

use aplomb_embassy::adaptive_limit::{Gradient, IgnoreErrors};
use aplomb_embassy::circuit_breaker::{AnyError, State};
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
static BREAKER: CircuitBreaker<Consecutive, Constant, AnyError, Inline<0>> =
    checked!(CircuitBreaker::consecutive(3).storage().open_for(secs(100)));
static BREAKERS: KeyedCircuitBreaker<u8, Consecutive, Constant, AnyError, Inline<3>> =
    KeyedCircuitBreaker::new(CircuitBreaker::consecutive(2).storage().open_for(secs(1))).capacity(3);
static LIMITER: RateLimiter<TokenBucket, Inline<4>> =
    checked!(RateLimiter::with_burst(Rate::per_minute(6), 3).storage().max_waiting(1));
static LIMITERS: KeyedRateLimiter<u8, SlidingWindow<Inline<2>>, Inline<3>> =
    KeyedRateLimiter::with_clock(EmbassyClock, SlidingWindow::new(Rate::new(2, secs(10)))).capacity(3).max_waiting(1);
static DEBOUNCE: Debounce = checked!(Debounce::new(ms(80)));
static TRIGGER: Debounce<Trigger<u32>> = checked!(Debounce::triggered(ms(50)));
static THROTTLE: Throttle = checked!(Throttle::new(ms(200)));
static JOBS: JobSet<Operation, Inline<4>> = checked!(JobSet::new(1).storage().max_queued(1));
static BULKHEAD: Bulkhead<Inline<4>> = checked!(Bulkhead::new(1).storage().max_waiting(1).max_wait(ms(300)));
static POOL: Pool<Inline<4>> = checked!(Pool::new(1).storage().max_queued(1));
static FLIGHTS: SingleFlight<u8, u32, Fault, Restarts, Inline<3>> = checked!(SingleFlight::new().storage());
static CACHE: Cache<u8, u32, Fault, Inline<2>, FoldHash, Inline<2>> =
    checked!(Cache::new().storage().flight_storage().ttl(secs(600)).refresh_ahead(secs(300)));
static MEMOIZED: Memoized<fn(u8) -> Operation> = Memoize::kept_in(of_channel, Cache::new().storage().flight_storage());
static HEDGE: Hedge = checked!(Hedge::after(ms(200)));
static BATCHER: Batcher<u8, u8, Fault, Inline<3>> = checked!(Batcher::new(3).storage().max_wait(ms(100)));
static ADAPTIVE: AdaptiveLimit<Gradient, IgnoreErrors, Inline<4>> =
    checked!(AdaptiveLimit::new().storage().initial_limit(2).max_limit(2).max_waiting(1));

static WINDOW: RateLimiter<FixedWindow, Inline<1>> =
    checked!(RateLimiter::fixed_window(Rate::per_minute(2)).storage().max_waiting(1));
static BY_TIME: CircuitBreaker<LastTime<2>, Constant, AnyError, Inline<0>> = checked!(
    CircuitBreaker::with_clock(EmbassyClock, LastTime::new(secs(600)))
        .buckets(2)
        .failure_rate(percent(60))
        .min_calls(3)
        .open_for(secs(100))
);
static BY_PERCENTILE: Hedge<Percentile, Inline<1>> = checked!(Hedge::percentile(percent(75)).initial_delay(ms(200)));

// What a pipeline goes through.
static BY_RATE: CircuitBreaker<LastCalls<1>, Constant, AnyError, Inline<0>> = checked!(
    CircuitBreaker::with_clock(EmbassyClock, LastCalls::new(20)).failure_rate(percent(60)).min_calls(8).open_for(secs(100))
);
static BY_COUNTER: RateLimiter<SlidingCounter, Inline<4>> =
    RateLimiter::with_clock(EmbassyClock, SlidingCounter::new(Rate::per_second(4)));
static PLACES: Bulkhead<Inline<4>> = checked!(Bulkhead::new(2).storage());

/// The value that was triggered last, and the one that was worked on last.
static TRIGGERED: AtomicU32 = AtomicU32::new(0);
static WORKED_ON: AtomicU32 = AtomicU32::new(0);

/// How many results of jobs there were.
static RESULTS: AtomicU32 = AtomicU32::new(0);

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
    Breaker,
    Breakers,
    Limiter,
    Limiters,
    Debounce,
    Trigger,
    Throttle,
    Polling,
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
                let mut contact = level::Contact::new(wires::Contact, LevelDebouncer::new(ms(20)));
                let edge = tally.call(contact.edge(), |_| true).await;
                tally.must(edge.is_none_or(|edge| (edge == Edge::Rise) == wires::Contact::is_closed()), "it tells where it is");
            }
            Self::Button => {
                let gestures = Gestures::new(LevelDebouncer::new(ms(20))).long_press(secs(1));
                let mut button = level::Button::new(wires::Contact, gestures);
                let both = async { Ok::<_, GestureError<_>>((button.gesture().await?, button.gesture().await?)) };
                let ended = tally.call(both, |_| true).await;
                let are_told = |both| matches!(both, (Gesture::Press, Gesture::LongPress | Gesture::Release));
                tally.must(ended.is_none_or(are_told), "it is pressed before it is held or released");
            }
            Self::Streams => streams(tally).await,
            Self::Jobs => {
                tally.calls.add();
                let added = JOBS.add(operation());
                if added.is_ok() { tally.values.add() } else { tally.refusals.add() }
            }
        }
    }

    /// What must hold of it, when all callers have ended and some time has gone by.
    #[allow(clippy::too_many_lines, reason = "a few for each pattern")]
    pub fn check(self) {
        let tally = self.tally();
        tally.check();
        // Nobody can drop a job, and wires start nothing.
        let has_none = matches!(self, Self::Jobs | Self::Contact | Self::Button | Self::Streams);
        tally.must(tally.dropped.get() > 0 || has_none, "there was something to lose");
        let (calls, values, starts) = (tally.calls.get(), tally.values.get(), tally.starts.get());
        match self {
            Self::Timeout => {
                tally.check_one_to_one();
                tally.must(starts == calls, "each call starts");
            }
            Self::Retry | Self::Guarded => {
                tally.must(values == tally.done.get(), "each value is its caller's");
                tally.must(starts > calls && starts <= 4 * calls, "some are tried again, and none too often");
            }
            Self::Breaker => {
                tally.check_one_to_one();
                let end = BREAKER.snapshot();
                tally.must(u64::from(tally.refusals.get()) == end.rejected && end.rejected > 0, "it tells whom it rejected");
                tally.must(end.opened > 0 && end.probes == 0, "no probe is left");
            }
            Self::Breakers => {
                tally.check_one_to_one();
                tally.must(
                    (0..6).all(|key| BREAKERS.state(&key) != State::HalfOpen || BREAKERS.snapshot(&key).probes == 0),
                    "no probe is left",
                );
            }
            Self::Limiter => {
                tally.check_one_to_one();
                let end = LIMITER.snapshot();
                tally.must(end.available == 3 && end.waiting == 0, "its permits are there again");
                tally.must(tally.refusals.get() > 0, "it had no room for some");
            }
            Self::Limiters => {
                tally.check_one_to_one();
                tally.must((0..6).all(|key| LIMITERS.snapshot(&key).available == 2), "its permits are there again");
            }
            Self::Fallback => {
                tally.must(values == tally.done.get(), "each value is its caller's");
                tally.must(starts > calls && starts <= 2 * calls, "what fails is tried otherwise, and once");
            }
            Self::Window => {
                tally.check_one_to_one();
                tally.must(WINDOW.snapshot().waiting == 0 && tally.refusals.get() > 0, "nobody waits, and some could not");
            }
            Self::ByTime => {
                tally.check_one_to_one();
                let end = BY_TIME.snapshot();
                tally.must(u64::from(tally.refusals.get()) == end.rejected && end.rejected > 0, "it tells whom it rejected");
                tally.must(end.opened > 0 && end.probes == 0, "no probe is left");
            }
            Self::ByPercentile => {
                let end = BY_PERCENTILE.snapshot();
                tally.must(u64::from(starts) == end.calls + end.hedges && end.hedges > 0, "it counts alike");
                tally.must(values == tally.done.get(), "each value is its caller's");
            }
            Self::Contact | Self::Button | Self::Streams => {
                tally.must(values > 0 && values + tally.given_up.get() == calls, "each call has what it waits for");
                // A contact changes each five seconds, and a button is held when it was for another one.
                tally.must(tally.longest.get() < 6_100, "and not too late");
            }
            Self::Debounce | Self::Throttle => tally.check_one_to_one(),
            Self::Trigger => {
                tally.must(!TRIGGER.is_pending() && starts < calls, "nothing waits, and some was superseded");
                tally.must(WORKED_ON.load(Ordering::Relaxed) == TRIGGERED.load(Ordering::Relaxed), "the newest was worked on");
            }
            Self::Polling => tally.must(starts > calls && starts <= 5 * calls, "some ask again, and none too often"),
            Self::Bulkhead => {
                tally.check_one_to_one();
                let end = BULKHEAD.snapshot();
                tally.must(end.running == 0 && end.waiting == 0, "its place is free");
                tally.must(tally.refusals.get() > 0, "it had no room for some");
            }
            Self::Pool => {
                tally.check_one_to_one();
                let end = POOL.snapshot();
                tally.must(end.running == 0 && end.waiting == 0, "its place is free");
                tally.must(
                    end.completed == u64::from(values) && end.rejected == u64::from(tally.refusals.get()),
                    "it counts alike",
                );
            }
            Self::SingleFlight => {
                let end = FLIGHTS.snapshot();
                tally.must(end.flights == 0 && end.waiting == 0, "nobody is in the air");
                tally.must(values > tally.done.get(), "some share");
            }
            Self::Cache => {
                let end = CACHE.snapshot();
                tally.must(end.fetching == 0 && end.waiting == 0, "nobody fetches");
                tally.must(values > tally.done.get() && end.hits > 0 && end.len <= 2, "some are kept");
            }
            Self::Memoize => {
                let end = MEMOIZED.snapshot();
                tally.must(end.fetching == 0 && end.waiting == 0, "nobody calls");
                tally.must(values > tally.done.get() && end.evicted > 0 && end.len <= 2, "some are kept");
            }
            Self::Parallel => tally.must(tally.done.get() >= 4 * values && starts <= 4 * calls, "each item starts, and once"),
            Self::Waterfall => {
                tally.must(tally.done.get() >= 3 * values && starts <= 3 * calls, "each step starts, and once");
                tally.must(tally.failures.get() == tally.broken.get(), "each error is its caller's");
            }
            Self::Hedge => {
                let end = HEDGE.snapshot();
                tally.must(u64::from(starts) == end.calls + end.hedges && end.hedges > 0, "it counts alike");
                tally.must(values == tally.done.get(), "each value is its caller's");
            }
            Self::Batcher => {
                let end = BATCHER.snapshot();
                tally.must(end.waiting == 0 && end.running == 0, "nobody waits");
                tally.must(starts < calls && values > tally.done.get(), "some go together");
            }
            Self::Adaptive => {
                tally.check_one_to_one();
                let end = ADAPTIVE.snapshot();
                tally.must(end.in_flight == 0 && end.waiting == 0, "its places are free");
            }
            Self::Pipeline => {
                let end = (BY_RATE.snapshot(), BY_COUNTER.snapshot(), PLACES.snapshot());
                tally.must(end.0.opened > 0 && end.0.probes == 0, "no probe is left");
                tally.must(end.1.waiting == 0 && end.2.running == 0 && end.2.waiting == 0, "its places are free");
                tally.must(values == tally.done.get() && starts > calls, "each value is its caller's, and some are tried again");
            }
            Self::Jobs => {
                let (end, ended) = (JOBS.snapshot(), tally.done.get() + tally.broken.get());
                tally.must(end.running == 0 && end.waiting == 0, "its places are free");
                tally.must(ended == values && RESULTS.load(Ordering::Relaxed) == values, "each job has its result");
                tally.must(tally.refusals.get() > 0, "it had no room for some");
            }
        }
    }
}
