//! The rate limiter beside governor, leaky-bucket and tokio's semaphore.

use std::future::ready;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aplomb_tokio::prelude::*;
use aplomb_tokio::rate_limiter::TokenBucket;
use aplomb_tokio::{Clock, Heap, Platform, Tokio, TokioClock, TokioSleep};
use benches::{Group, in_two_threads};
use governor::clock::{Clock as _, MonotonicClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota};

/// The processor's own counter, which governor reads by default. As there, the limiter has it.
#[derive(Clone)]
struct TscClock(quanta::Clock);

impl Clock for TscClock {
    type Sleep = TokioSleep;

    #[inline]
    fn now(&self) -> aplomb_tokio::Instant {
        aplomb_tokio::Instant::from_nanos(self.0.delta_as_nanos(0, self.0.raw()))
    }

    fn sleep_until(&self, at: aplomb_tokio::Instant) -> TokioSleep {
        TokioClock.sleep_for(at - self.now())
    }
}

/// tokio, on that clock.
struct Tsc;

impl Platform for Tsc {
    type Clock = TscClock;
    type RawMutex = <Tokio as Platform>::RawMutex;
    type Word = <Tokio as Platform>::Word;
    type Storage = Heap;
    type Children = <Tokio as Platform>::Children;

    fn random() -> u64 {
        Tokio::random()
    }

    fn hash_seed() -> u64 {
        Tokio::hash_seed()
    }
}

const ALWAYS: Rate = Rate::per_second(1_000_000_000);
const ONCE: Rate = Rate::per_second(1);
/// What is always there, but for fractions of a nanosecond.
const FRACTIONS: Rate = Rate::new(7, Duration::from_nanos(3));

static OPEN: RateLimiter = RateLimiter::new(ALWAYS);
static SHUT: RateLimiter = RateLimiter::new(ONCE);

fn by_tsc(rate: Rate) -> &'static aplomb::RateLimiter<Tsc> {
    let limiter = aplomb::RateLimiter::with_clock(TscClock(quanta::Clock::new()), TokenBucket::new(rate));
    Box::leak(Box::new(limiter))
}

type Keyed<const SHARDS: usize> = aplomb::KeyedRateLimiter<Tsc, u64, TokenBucket, Heap, aplomb_tokio::key::FoldHash, SHARDS>;

fn keyed_by_tsc<const SHARDS: usize>() -> Keyed<SHARDS> {
    Keyed::with_clock(TscClock(quanta::Clock::new()), TokenBucket::new(ALWAYS)).capacity(200_000)
}

fn often() -> Quota {
    Quota::per_second(NonZeroU32::new(1_000_000_000).expect("not zero"))
}

fn seldom() -> Quota {
    Quota::per_second(NonZeroU32::MIN)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    direct();
    keyed(1_000);
    keyed(100_000);
    forgetting();
    if !arguments.iter().any(|argument| argument.contains("instructions") || argument.contains("row")) {
        two_threads();
        waiting();
    }
}

fn direct() {
    let (std_open, std_shut) = (
        governor::RateLimiter::direct_with_clock(often(), MonotonicClock),
        Arc::new(governor::RateLimiter::direct_with_clock(seldom(), MonotonicClock)),
    );
    let (open, shut) = (DefaultDirectRateLimiter::direct(often()), Arc::new(DefaultDirectRateLimiter::direct(seldom())));
    let (std_told, told) = (Arc::clone(&std_shut), Arc::clone(&shut));
    let (open_tsc, shut_tsc, tsc) = (by_tsc(ALWAYS), by_tsc(ONCE), TscClock(quanta::Clock::new()));
    let fractions = by_tsc(FRACTIONS);
    let _ = (SHUT.try_acquire(1), shut_tsc.try_acquire(1), std_shut.check(), shut.check());

    Group::new("a permit that is there, the system's clock")
        .member("aplomb", || ready(black_box(OPEN.try_acquire(1)).is_ok()))
        .member("governor", move || ready(black_box(std_open.check()).is_ok()))
        .member("reading the clock", || ready(black_box(TokioClock.now())))
        .run();
    Group::new("a permit that is there, the processor's clock")
        .member("aplomb", move || ready(black_box(open_tsc.try_acquire(1)).is_ok()))
        .member("governor", move || ready(black_box(open.check()).is_ok()))
        .member("aplomb, fractions of a nanosecond", move || ready(black_box(fractions.try_acquire(1)).is_ok()))
        .member("reading the clock", move || ready(black_box(tsc.now())))
        .run();
    Group::new("a permit that is not there, the system's clock")
        .member("aplomb", || ready(black_box(SHUT.try_acquire(1)).is_ok()))
        .member("governor", move || ready(black_box(std_shut.check()).is_ok()))
        .member("governor, asked when to come again", move || {
            let told = std_told.check().map_err(|not| not.wait_time_from(MonotonicClock.now()));
            ready(black_box(told).is_ok())
        })
        .run();
    Group::new("a permit that is not there, the processor's clock")
        .member("aplomb", move || ready(black_box(shut_tsc.try_acquire(1)).is_ok()))
        .member("governor", move || ready(black_box(shut.check()).is_ok()))
        .member("governor, asked when to come again", move || {
            let told = told.check().map_err(|not| not.wait_time_from(told.clock().now()));
            ready(black_box(told).is_ok())
        })
        .run();
    let leaky = leaky_bucket::RateLimiter::builder().max(1_000_000_000).initial(1_000_000_000).refill(1_000_000).build();
    Group::new("a permit awaited that is there, the system's clock")
        .member("aplomb", || OPEN.acquire(1))
        .member("leaky-bucket", move || ready(leaky.try_acquire(1)))
        .run();
}

fn keyed(keys: u64) {
    let (sharded, ours) = (&*Box::leak(Box::new(keyed_by_tsc::<16>())), &*Box::leak(Box::new(keyed_by_tsc::<1>())));
    let governor = DefaultKeyedRateLimiter::<u64>::keyed(often());
    for key in 0..keys {
        let _ = (ours.try_acquire(&key, 1), sharded.try_acquire(&key, 1), governor.check_key(&key));
    }
    let draws = move || {
        let mut random = fastrand::Rng::with_seed(7);
        move || random.u64(0..keys)
    };
    let (mut first, mut second, mut third) = (draws(), draws(), draws());
    let name =
        if keys == 1_000 { "one of 1,000 keys, the processor's clock" } else { "one of 100,000 keys, the processor's clock" };
    Group::new(name)
        .member("aplomb, 16 shards", move || ready(black_box(sharded.try_acquire(&first(), 1)).is_ok()))
        .member("aplomb, one shard", move || ready(black_box(ours.try_acquire(&second(), 1)).is_ok()))
        .member("governor", move || ready(black_box(governor.check_key(&third())).is_ok()))
        .run();
}

/// A table that is full, and a key that it does not know: another one makes room.
fn forgetting() {
    let limiter = &*Box::leak(Box::new(keyed_by_tsc::<16>().capacity(10_000)));
    (0..200_000).for_each(|_| drop(limiter.try_acquire(&fastrand::u64(..), 1)));
    Group::new("a new key in place of another")
        .member("aplomb, 10,000 keys", move || ready(black_box(limiter.try_acquire(&fastrand::u64(..), 1)).is_ok()))
        .run();
}

fn two_threads() {
    let governor = DefaultDirectRateLimiter::direct(often());
    let (direct, keyed) = (by_tsc(ALWAYS), keyed_by_tsc::<16>());
    let keyed_governor = DefaultKeyedRateLimiter::<u64>::keyed(often());
    let random = || fastrand::u64(0..1_000);
    in_two_threads(
        "two threads on one limiter",
        &[
            ("aplomb", &|| drop(black_box(direct.try_acquire(1)))),
            ("governor", &|| drop(black_box(governor.check()))),
            ("aplomb, 1,000 keys in 16 shards", &|| drop(black_box(keyed.try_acquire(&random(), 1)))),
            ("governor, 1,000 keys", &|| drop(black_box(keyed_governor.check_key(&random())))),
        ],
    );
}

const CALLERS: u32 = 1_000;

/// A thousand callers wait, for a permit a millisecond: how long it takes, what a permit costs, and by how many others a caller was overtaken at most.
fn waiting() {
    println!("\n{:<44} {:>9} {:>14} {:>10}", "1,000 callers wait, a permit a millisecond", "ms", "us a permit", "overtaken");
    wait("aplomb", || {
        let limiter: Arc<RateLimiter> = Arc::new(RateLimiter::with_burst(Rate::per_second(CALLERS), 1));
        move || {
            let limiter = Arc::clone(&limiter);
            async move { drop(limiter.acquire(1).await) }
        }
    });
    wait("one after another, a millisecond each", || {
        let turns = Arc::new(tokio::sync::Mutex::new(()));
        move || {
            let turns = Arc::clone(&turns);
            async move {
                let _turn = turns.lock().await;
                tokio::time::sleep(ms(1)).await;
            }
        }
    });
    wait_for_ticks();
    wait("leaky-bucket", || {
        let limiter =
            Arc::new(leaky_bucket::RateLimiter::builder().max(1).initial(1).refill(1).interval(ms(1)).fair(true).build());
        move || {
            let limiter = Arc::clone(&limiter);
            async move { limiter.acquire_one().await }
        }
    });
    wait("governor", || {
        let quota = Quota::with_period(ms(1)).expect("not zero");
        let limiter = Arc::new(DefaultDirectRateLimiter::direct(quota));
        move || {
            let limiter = Arc::clone(&limiter);
            async move { limiter.until_ready().await }
        }
    });
}

/// As many ticks of tokio's timer with nobody behind them: what no limiter can do without, as each permit is due at a time of its own.
fn wait_for_ticks() {
    let cost = Cost::begin();
    current_thread().block_on(async {
        let mut ticks = tokio::time::interval(ms(1));
        for _ in 0..CALLERS {
            ticks.tick().await;
        }
    });
    cost.print("nobody: the ticks alone", 0);
}

fn wait<C, F>(name: &str, limiter: impl Fn() -> C)
where
    C: Fn() -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let call = limiter();
    let cost = Cost::begin();
    let overtaken = current_thread().block_on(async {
        let served = Arc::new(AtomicU32::new(0));
        let callers: Vec<_> = (0..CALLERS)
            .map(|place| {
                let (call, served) = (call(), Arc::clone(&served));
                tokio::spawn(async move {
                    call.await;
                    served.fetch_add(1, Ordering::Relaxed).saturating_sub(place)
                })
            })
            .collect();
        let mut overtaken = 0;
        for caller in callers {
            overtaken = overtaken.max(caller.await.expect("it does not panic"));
        }
        overtaken
    });
    cost.print(name, overtaken);
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// Of what there is until it is printed.
struct Cost {
    began: Instant,
    cpu: Duration,
}

impl Cost {
    fn begin() -> Self {
        Self { began: Instant::now(), cpu: cpu_time() }
    }

    fn print(&self, name: &str, overtaken: u32) {
        let (took, cpu) = (self.began.elapsed(), cpu_time().saturating_sub(self.cpu));
        let each = cpu.as_secs_f64() * 1e6 / f64::from(CALLERS);
        println!("  {name:<42} {:>9.0} {each:>14.2} {overtaken:>10}", took.as_secs_f64() * 1e3);
    }
}

/// What the process has used of its processors.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}
