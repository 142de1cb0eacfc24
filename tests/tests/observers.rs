//! What patterns in statics tell their observers: outside the lock, and only what concerns somebody who had to wait or was turned away.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::cell::RefCell;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use aplomb::adaptive_limit::{self, AdaptiveLimit, Aimd, IgnoreErrors};
use aplomb::backoff::Constant;
use aplomb::batcher::{self, Batcher};
use aplomb::bulkhead::{self, Bulkhead};
use aplomb::cache;
use aplomb::circuit_breaker::{self, AnyError, CircuitBreaker, Consecutive, KeyedCircuitBreaker};
use aplomb::hedge::{self, After, Cause, Hedge, NoneFatal};
use aplomb::key::FoldHash;
use aplomb::pool::{self, JobSet, Pool};
use aplomb::rate_limiter::{self, Rate, RateLimiter, TokenBucket};
use aplomb::ratio::percent;
use aplomb::single_flight::{self, Restarts, SingleFlight, Survives};
use aplomb::time::ms;
use aplomb::{
    BreakerError, BulkheadError, Clock, Deadline, FlightError, Heap, Inline, KeyedRateLimiter, LimitError, PoolError,
    RateLimitError, checked,
};
use aplomb_sim::{Sim, SimClock};
use futures_lite::StreamExt;
use futures_lite::future::zip;

/// Events, as they come.
struct Seen<E>(RefCell<Vec<E>>);

impl<E: Copy> Seen<E> {
    fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    fn note(&self, event: &E) {
        self.0.borrow_mut().push(*event);
    }

    fn take(&self) -> Vec<E> {
        self.0.take()
    }
}

async fn works(takes: u64) -> Result<(), ()> {
    aplomb_sim::sleep(ms(takes)).await;
    Ok(())
}

#[test]
fn a_bulkhead_tells_who_waits_and_who_is_turned_away() {
    use bulkhead::Event::{Admitted, Rejected, Waiting};
    let seen = Seen::new();
    let built = Bulkhead::<Sim>::new(1).max_waiting(1).max_wait(ms(50));
    let bulkhead: Bulkhead<Sim, Heap, _> = built.observed_by(|event: &bulkhead::Event| seen.note(event));
    let call = |takes| bulkhead.run(move || works(takes));
    aplomb_sim::block_on(async {
        assert_eq!(call(1).await, Ok(()));
        assert_eq!(seen.take(), [], "of one who finds a place, nothing");
        let ((first, second), third) = zip(zip(call(20), call(1)), call(1)).await;
        assert!(first.is_ok() && second.is_ok() && third.is_err());
        let full = Rejected { reason: BulkheadError::QueueFull { waiting: 1 } };
        assert_eq!(seen.take(), [Waiting { waiting: 1 }, full, Admitted { waited: ms(20) }]);
        let (_, late) = zip(call(100), bulkhead.acquire()).await;
        assert!(late.is_err());
        let timed_out = Rejected { reason: BulkheadError::TimedOut { after: ms(50) } };
        assert_eq!(seen.take(), [Waiting { waiting: 1 }, timed_out]);
        let held = bulkhead.try_acquire();
        assert!(bulkhead.try_acquire().is_err() && bulkhead.try_run(|| works(1)).await.is_err());
        assert_eq!(seen.take(), [Rejected { reason: BulkheadError::Busy }; 2]);
        drop(held);
        bulkhead.close();
        assert!(call(1).await.is_err());
        assert_eq!(seen.take(), [Rejected { reason: BulkheadError::Closed }]);
    });
}

#[test]
fn an_adaptive_limit_tells_when_it_changes_who_waits_and_who_is_turned_away() {
    use adaptive_limit::Event::{Admitted, Changed, Rejected, Waiting};
    let seen = Seen::new();
    let built = AdaptiveLimit::<Sim>::new().algorithm(Aimd::new(ms(50))).initial_limit(1).window(ms(0)).min_calls(1);
    let limit: AdaptiveLimit<Sim, Aimd, IgnoreErrors, Heap, _> = built
        .overload_tolerance(percent(0))
        .max_waiting(1)
        .max_wait(ms(70))
        .observed_by(|event: &adaptive_limit::Event| seen.note(event));
    let call = |takes| limit.run(move || works(takes));
    aplomb_sim::block_on(async {
        assert_eq!(call(10).await, Ok(()));
        assert_eq!(seen.take(), [Changed { from: 1, to: 2 }], "of one who finds a place, only what it brings about");
        let held = limit.try_acquire();
        let ((first, second), third) = zip(zip(call(40), call(1)), call(1)).await;
        assert!(first.is_ok() && second.is_ok() && third.is_err());
        let full = Rejected { reason: LimitError::QueueFull { waiting: 1 } };
        let [grown, again] = [2, 3].map(|from| Changed { from, to: from + 1 });
        assert_eq!(seen.take(), [Waiting { waiting: 1 }, full, grown, Admitted { waited: ms(40) }, again]);
        assert_eq!(call(60).await, Ok(()));
        assert_eq!(seen.take(), [Changed { from: 4, to: 3 }]);
        drop(held);
        limit.close();
        assert!(limit.try_acquire().is_err());
        assert_eq!(seen.take(), [Rejected { reason: LimitError::Closed }]);
    });
}

#[test]
fn a_bulkhead_may_be_looked_at_by_its_observer() {
    thread_local! {
        static STATES: RefCell<Vec<(u32, u32)>> = const { RefCell::new(Vec::new()) };
    }
    static DB: Bulkhead<Sim, Heap, fn(&bulkhead::Event)> =
        checked!(Bulkhead::<Sim>::new(1).observed_by(look as fn(&bulkhead::Event)));
    fn look(_: &bulkhead::Event) {
        let now = DB.snapshot();
        STATES.with_borrow_mut(|states| states.push((now.running, now.waiting)));
    }
    let ended = aplomb_sim::block_on(async { zip(DB.run(|| works(5)), DB.run(|| works(5))).await });
    assert_eq!(ended, (Ok(()), Ok(())));
    assert_eq!(STATES.take(), [(1, 1), (1, 0)]);
}

#[test]
fn a_batcher_tells_which_batches_start_and_how_they_end() {
    use batcher::Cause::{Count, Flush, Handover, Time, Weight};
    use batcher::Event::{Abandoned, Completed, Failed, HandedOver, Rejected, Started};
    let seen = Seen::new();
    let built = Batcher::<Sim, u32, u32, u32>::new(2).observed_by(|event: &batcher::Event| seen.note(event));
    let batcher = built.max_wait(ms(50)).max_weight(10).weigh_by(|item| *item).max_waiting(2).max_concurrent(1);
    let call = |item: u32| batcher.call(item, async |items: Vec<u32>| if items == [7] { Err(7) } else { Ok(items) });
    let started = |items, cause| Started { items, cause };
    aplomb_sim::block_on(async {
        assert_eq!(zip(call(1), call(2)).await, (Ok(1), Ok(2)));
        assert_eq!(seen.take(), [started(2, Count), Completed { items: 2 }]);
        assert!(call(7).await.is_err() && call(10).await.is_ok());
        assert_eq!(seen.take(), [started(1, Time), Failed { items: 1 }, started(1, Weight), Completed { items: 1 }]);
        let flushed = zip(call(1), async { batcher.flush() }).await;
        assert_eq!((flushed, seen.take()), ((Ok(1), true), vec![started(1, Flush), Completed { items: 1 }]));
        let stuck = async |_: Vec<u32>| pending::<Result<[u32; 2], u32>>().await;
        let mut follows = pin!(call(1));
        assert!(poll(follows.as_mut()).is_pending());
        let mut leads = Box::pin(batcher.call(2, stuck));
        assert!(poll(leads.as_mut()).is_pending());
        drop(leads);
        assert!(follows.await.is_ok());
        let handed = [started(2, Count), HandedOver { items: 1 }, started(1, Handover), Completed { items: 1 }];
        assert_eq!(seen.take(), handed);
        let mut follows = pin!(batcher.call_once(1, stuck));
        assert!(poll(follows.as_mut()).is_pending());
        let mut leads = Box::pin(batcher.call(2, stuck));
        assert!(poll(leads.as_mut()).is_pending());
        let (mut third, mut fourth) = (pin!(call(3)), pin!(call(4)));
        assert!(poll(third.as_mut()).is_pending() && poll(fourth.as_mut()).is_pending());
        assert!(call(5).await.is_err_and(|error| error.is_rejected()));
        drop(leads);
        assert!(follows.await.is_err());
        assert_eq!(seen.take(), [started(2, Count), Rejected { waiting: 2 }, Abandoned { items: 1 }]);
    });
}

#[test]
fn a_rate_limiter_tells_who_waits_and_who_is_turned_away() {
    use rate_limiter::Event::{Admitted, Rejected, Waiting};
    let seen = Seen::new();
    let built = RateLimiter::<Sim>::with_burst(Rate::per_second(10), 1).max_waiting(2);
    let limiter: RateLimiter<Sim, TokenBucket, Heap, _> = built.observed_by(|event: &rate_limiter::Event| seen.note(event));
    aplomb_sim::block_on(async {
        assert!(limiter.acquire(1).await.is_ok());
        assert_eq!(seen.take(), [], "of one whose permit is there, nothing");
        let calls = zip(limiter.run(|| works(1)), zip(limiter.acquire(1), limiter.acquire(1)));
        let (first, (second, third)) = calls.await;
        assert!(first.is_ok() && second.is_ok() && third.is_err());
        let full = Rejected { reason: RateLimitError::QueueFull { waiting: 2, retry_after: Some(ms(300)) } };
        let [one, two] = [(0, 100), (1, 200)].map(|(ahead, after)| Waiting { ahead, at_least: ms(after) });
        assert_eq!(seen.take(), [one, two, full, Admitted { waited: ms(100) }, Admitted { waited: ms(200) }]);
        assert!(limiter.try_acquire(1).is_err() && limiter.try_acquire(2).is_err() && limiter.reserve(2).is_err());
        let no_permit = RateLimitError::Limited { retry_after: Some(ms(100)) };
        let too_many = RateLimitError::TooManyPermits { requested: 2, most: 1 };
        assert_eq!(seen.take(), [no_permit, too_many, too_many].map(|reason| Rejected { reason }));
        let late = limiter.acquire_by(1, Deadline::after(SimClock.now(), ms(50))).await;
        assert!(late.is_err());
        assert_eq!(seen.take(), [Rejected { reason: RateLimitError::Deadline { retry_after: Some(ms(100)) } }]);
    });
}

#[test]
fn a_single_flight_tells_who_leads_who_shares_and_how_it_ends() {
    use single_flight::Event::{Abandoned, Completed, Failed, HandedOver, Rejected, Shared, Started};
    let seen = Seen::new();
    let built = SingleFlight::<Sim, u32, u32, u32>::new().max_waiting(1);
    let flight: SingleFlight<Sim, u32, u32, u32, Restarts, Heap, FoldHash, 1, _> =
        built.observed_by(|event: &single_flight::Event| seen.note(event));
    let call = |outcome: Result<u32, u32>| {
        flight.run(&1, move || async move {
            aplomb_sim::sleep(ms(10)).await;
            outcome
        })
    };
    aplomb_sim::block_on(async {
        let ((first, second), third) = zip(zip(call(Ok(1)), call(Ok(2))), call(Ok(3))).await;
        assert!(first == Ok(1) && second == Ok(1) && third.is_err());
        let full = Rejected { reason: FlightError::QueueFull { waiting: 1 } };
        assert_eq!(seen.take(), [Started, Shared, full, Completed { is_shared: true }]);
        assert!(call(Err(7)).await.is_err());
        assert_eq!(seen.take(), [Started, Failed { is_shared: false }]);
        let by = Deadline::after(SimClock.now(), ms(5));
        let (late, takes_over) = zip(call(Ok(1)).deadline_at(by), call(Ok(2))).await;
        assert_eq!((late, takes_over), (Err(FlightError::Deadline), Ok(2)));
        let late = Rejected { reason: FlightError::Deadline };
        assert_eq!(seen.take(), [Started, Shared, HandedOver, late, Started, Completed { is_shared: false }]);
        let mut leaves = Box::pin(call(Ok(1)));
        assert!(poll(leaves.as_mut()).is_pending());
        drop(leaves);
        assert_eq!(seen.take(), [Started, Abandoned]);
        let by = Deadline::after(SimClock.now(), ms(5));
        let both_late = zip(call(Ok(1)).deadline_at(by), call(Ok(2)).deadline_at(by)).await;
        assert_eq!(both_late, (Err(FlightError::Deadline), Err(FlightError::Deadline)));
        assert_eq!(seen.take(), [Started, Shared, HandedOver, late, Abandoned, late]);
    });
}

#[test]
fn a_surviving_flight_tells_that_it_was_handed_over_and_not_started_again() {
    use single_flight::Event::{Completed, HandedOver, Rejected, Shared, Started};
    let seen = Seen::new();
    let flight: SingleFlight<Sim, u32, u32, u32, Survives, Heap, FoldHash, 1, _> =
        SingleFlight::<Sim, u32, u32, u32, Survives>::surviving().observed_by(|event: &single_flight::Event| seen.note(event));
    let call = |value: u32| {
        flight.run(&1, move || async move {
            aplomb_sim::sleep(ms(10)).await;
            Ok(value)
        })
    };
    aplomb_sim::block_on(async {
        let by = Deadline::after(SimClock.now(), ms(5));
        assert_eq!(zip(call(1).deadline_at(by), call(2)).await, (Err(FlightError::Deadline), Ok(1)));
        assert_eq!(aplomb_sim::now().as_nanos(), 10_000_000, "it goes on");
        let late = Rejected { reason: FlightError::Deadline };
        assert_eq!(seen.take(), [Started, Shared, HandedOver, late, Completed { is_shared: false }]);
    });
}

#[test]
fn a_memoized_function_tells_what_a_cache_does() {
    let told = RefCell::new(Vec::new());
    let tell = |event: &cache::Event<'_, u32, u32>| told.borrow_mut().push(format!("{event:?}"));
    let kept = cache::Cache::<Sim, _, _, _>::new().capacity(1).observed_by(tell);
    let double = aplomb::Memoize::kept_in(|n: u32| async move { Ok::<_, ()>(2 * n) }, kept);
    aplomb_sim::block_on(async {
        assert_eq!((double.call(&4).await, double.call(&4).await, double.call(&5).await), (Ok(8), Ok(8), Ok(10)));
        assert_eq!(double.forget(&5), Some(10));
    });
    let fetched = "Fetched { took: 0ns }";
    let [evicted, forgotten] = [(4, 8, "Evicted"), (5, 10, "Invalidated")]
        .map(|(n, twice, why)| format!("Removed {{ key: {n}, value: Some({twice}), cause: {why} }}"));
    assert_eq!(told.take(), ["Missed", fetched, "Hit", "Missed", &evicted, fetched, &forgotten]);
}

#[test]
fn a_keyed_rate_limiter_tells_the_same_of_all_keys() {
    use rate_limiter::Event::{Admitted, Rejected, Waiting};
    let seen = Seen::new();
    let built: KeyedRateLimiter<Sim, u32, TokenBucket, Inline<2>> =
        KeyedRateLimiter::with_burst(Rate::per_second(10), 1).storage().capacity(2);
    let limiter = built.observed_by(|event: &rate_limiter::Event| seen.note(event));
    aplomb_sim::block_on(async {
        assert!(limiter.try_acquire(&1, 1).is_ok() && limiter.try_acquire(&1, 1).is_err());
        assert!(limiter.acquire(&1, 1).await.is_ok() && limiter.acquire(&2, 1).await.is_ok());
        assert!(limiter.try_acquire(&3, 1).is_err());
        let after = |time| Some(ms(time));
        let no_permit = Rejected { reason: RateLimitError::Limited { retry_after: after(100) } };
        let full = Rejected { reason: RateLimitError::TableFull { capacity: 2, retry_after: after(100) } };
        let waiting = Waiting { ahead: 0, at_least: ms(100) };
        assert_eq!(seen.take(), [no_permit, waiting, Admitted { waited: ms(100) }, full]);
    });
}

#[test]
fn a_pool_tells_what_becomes_of_jobs() {
    use pool::Event::{Cancelled, Closed, Completed, Failed, Paused, Rejected, Resumed, Started};
    let seen = Seen::new();
    let pool: Pool<Sim, Heap, _> = Pool::<Sim>::new(1).max_queued(2).observed_by(|event: &pool::Event| seen.note(event));
    aplomb_sim::block_on(async {
        assert_eq!(pool.run(|| works(1)).await, Ok(()));
        assert_eq!(pool.run(async || Err::<(), _>(7)).await, Err(PoolError::Failed(7)));
        assert_eq!(seen.take(), [Started { priority: 0 }, Completed, Started { priority: 0 }, Failed]);
        pool.pause();
        pool.pause();
        let (mut urgent, mut told, mut full) =
            (pin!(pool.run(|| works(1)).priority(3)), pin!(pool.run(|| works(1))), pin!(pool.run(|| works(1))));
        assert!(poll(urgent.as_mut()).is_pending() && poll(told.as_mut()).is_pending() && poll(full.as_mut()).is_ready());
        let turned_away = Rejected { reason: PoolError::QueueFull { waiting: 2 } };
        assert_eq!(seen.take(), [Paused, waiting(3, 1), waiting(0, 2), turned_away]);
        pool.resume();
        pool.resume();
        assert_eq!(urgent.await, Ok(()));
        pool.close();
        assert_eq!(seen.take(), [Resumed, Started { priority: 3 }, Completed, Closed]);
    });
    // The last one that waited has been dropped.
    assert_eq!(seen.take(), [Cancelled]);
}

const fn waiting(priority: i32, waiting: u32) -> pool::Event {
    pool::Event::Waiting { priority, waiting }
}

#[test]
fn a_pool_tells_of_jobs_that_never_start_and_of_those_that_panic() {
    use pool::Event::{Cancelled, Started};
    let seen = Seen::new();
    let pool: Pool<Sim, Heap, _> = Pool::<Sim>::new(1).observed_by(|event: &pool::Event| seen.note(event));
    aplomb_sim::block_on(async {
        let mut runs = Box::pin(pool.run(pending::<Result<(), ()>>));
        let (mut told, mut leaves) = (Box::pin(pool.run(|| works(1))), Box::pin(pool.run(|| works(1))));
        assert!(poll(runs.as_mut()).is_pending() && poll(told.as_mut()).is_pending() && poll(leaves.as_mut()).is_pending());
        assert_eq!(seen.take(), [Started { priority: 0 }, waiting(0, 1), waiting(0, 2)]);
        drop(leaves);
        assert_eq!(seen.take(), [Cancelled]);
        pool.cancel_waiting();
        assert_eq!(told.await, Err(PoolError::Cancelled));
        assert_eq!(seen.take(), [Cancelled]);
        drop(runs);
        assert_eq!(seen.take(), [Cancelled]);
        let mut panics = pin!(pool.run(async || -> Result<(), ()> { panic!("on purpose") }));
        assert!(catch_unwind(AssertUnwindSafe(|| poll(panics.as_mut()).is_ready())).is_err());
        assert_eq!(seen.take(), [Started { priority: 0 }, Cancelled]);
    });
}

#[test]
fn a_set_tells_what_becomes_of_jobs() {
    use pool::Event::{Cancelled, Closed, Completed, Failed, Paused, Rejected, Resumed, Started};
    let seen = Seen::new();
    let set: JobSet<Sim, _, Heap, _> = JobSet::<Sim, _>::new(1).max_queued(2).observed_by(|event: &pool::Event| seen.note(event));
    let job = |outcome: Result<u32, u32>| async move { outcome };
    aplomb_sim::block_on(async {
        set.pause();
        assert!(set.add(job(Ok(1))).is_ok() && set.add(job(Err(2))).is_ok() && set.add(job(Ok(3))).is_err());
        let turned_away = Rejected { reason: PoolError::QueueFull { waiting: 2 } };
        assert_eq!(seen.take(), [Paused, waiting(0, 1), waiting(0, 2), turned_away]);
        set.resume();
        let mut results = pin!(set.results().unwrap());
        assert_eq!((results.next().await, results.next().await), (Some(Ok(1)), Some(Err(2))));
        let started = Started { priority: 0 };
        assert_eq!(seen.take(), [Resumed, started, Completed, started, Failed]);
        assert!(set.add(job(Ok(4))).is_ok() && set.cancel_waiting() == 1);
        set.close();
        assert_eq!(seen.take(), [waiting(0, 1), Cancelled, Closed]);
        assert_eq!(results.next().await, None);
    });
}

#[test]
fn keyed_breakers_tell_what_happens_and_of_which_key() {
    use circuit_breaker::Event::{Changed, Rejected};
    use circuit_breaker::State::{Closed, HalfOpen, Open};
    let seen = RefCell::new(Vec::new());
    let note = |told: &circuit_breaker::KeyedEvent<String>| seen.borrow_mut().push((told.key.clone(), told.event));
    let each = CircuitBreaker::<Sim>::consecutive(1).open_for(ms(50));
    let hosts: KeyedCircuitBreaker<Sim, String, Consecutive, Constant, AnyError, Heap, FoldHash, 1, _> =
        KeyedCircuitBreaker::new(each).capacity(2).observed_by(note);
    let told = |key: &str, events: &[circuit_breaker::Event]| {
        assert_eq!(seen.take(), events.iter().map(|event| (key.to_owned(), *event)).collect::<Vec<_>>());
    };
    aplomb_sim::block_on(async {
        hosts.run("up", || works(1)).await.unwrap();
        told("up", &[]);
        hosts.permit("down").unwrap().failure();
        told("down", &[Changed { from: Closed, to: Open }]);
        assert!(hosts.permit("down").is_err());
        told("down", &[Rejected { retry_after: Some(ms(50)) }]);
        aplomb_sim::sleep(ms(50)).await;
        let probe = hosts.permit("down").unwrap();
        told("down", &[Changed { from: Open, to: HalfOpen }]);
        assert!(hosts.permit("down").is_err());
        told("down", &[Rejected { retry_after: Some(ms(50)) }]);
        probe.success();
        told("down", &[Changed { from: HalfOpen, to: Closed }]);
        hosts.force_open("up").unwrap();
        told("up", &[Changed { from: Closed, to: circuit_breaker::State::ForcedOpen }]);
        hosts.force_open("down").unwrap();
        seen.take();
        assert!(matches!(hosts.permit("new"), Err(BreakerError::TableFull { .. })));
        told("new", &[Rejected { retry_after: None }]);
        hosts.reset("up");
        told("up", &[Changed { from: circuit_breaker::State::ForcedOpen, to: Closed }]);
    });
}

/// Which is outside the lock, so that it may look.
#[test]
fn keyed_breakers_may_be_looked_at_by_their_observer() {
    use circuit_breaker::{KeyedEvent, State};
    type Hosts = KeyedCircuitBreaker<Sim, u8, Consecutive, Constant, AnyError, Heap, FoldHash, 1, fn(&KeyedEvent<u8>)>;
    fn look(told: &KeyedEvent<u8>) {
        assert_eq!(HOSTS.state(&told.key), State::Open);
    }
    static HOSTS: Hosts =
        checked!(KeyedCircuitBreaker::<Sim, u8>::new(CircuitBreaker::consecutive(1)).observed_by(look as fn(&KeyedEvent<u8>)));
    aplomb_sim::block_on(async { HOSTS.permit(&7).unwrap().failure() });
}

#[test]
fn a_hedge_tells_who_starts_who_wins_and_what_the_budget_does_not_bear() {
    use hedge::Event::{BudgetEmpty, Hedged, Won};
    let seen = Seen::new();
    let built = Hedge::<Sim>::after(ms(10)).storage::<Inline<2>>().max_hedges(2).burst(3);
    let hedge: Hedge<Sim, After, Inline<2>, NoneFatal, _> = built.observed_by(|event: &hedge::Event| seen.note(event));
    let (late, failed) = (Cause::Late, Cause::Failed);
    let call = |winner: u32, takes| {
        hedge.run_numbered(move |start| async move {
            aplomb_sim::sleep(ms(if start == winner { takes } else { 1_000 })).await;
            Ok::<_, ()>(())
        })
    };
    aplomb_sim::block_on(async {
        assert_eq!(call(1, 5).await, Ok(()));
        assert_eq!(seen.take(), [], "of one that is in time, nothing");
        assert_eq!(call(1, 15).await, Ok(()));
        assert_eq!(seen.take(), [Hedged { start: 2, cause: late }]);
        let fails = hedge.run_numbered(|start| async move { if start == 1 { Err(()) } else { Ok(()) } });
        assert_eq!(fails.await, Ok(()));
        assert_eq!(seen.take(), [Hedged { start: 2, cause: failed }, Won { start: 2 }]);
        assert_eq!(call(2, 50).await, Ok(()));
        assert_eq!(seen.take(), [Hedged { start: 2, cause: late }, BudgetEmpty { cause: late }, Won { start: 2 }]);
    });
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
