//! Jobs that are added from anywhere, and run in one task, under both ways of waking.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::children::PinnedStorage;
use aplomb::edge::{DriveError, Stream};
use aplomb::pool::Results;
use aplomb::time::ms;
use aplomb::{ConfigError, Heap, Inline, JobSet, OwnWakers, ParentWaker, Platform, PoolError};
use aplomb_sim::{Sim, SimClock, SimRawMutex, sleep};
use futures_lite::StreamExt;

/// Whether its waker was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As the simulation, and its children are woken as on embassy.
struct Plain;

impl Platform for Plain {
    type Clock = SimClock;
    type RawMutex = SimRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Inline<8>;
    type Children = ParentWaker;

    fn random() -> u64 {
        0
    }
}

type Job<'j> = Pin<Box<dyn Future<Output = Result<u32, u32>> + 'j>>;

/// Ends after so many milliseconds, with their number: well, if it is even.
fn takes(millis: u32) -> Job<'static> {
    Box::pin(async move {
        sleep(ms(millis.into())).await;
        if millis.is_multiple_of(2) { Ok(millis) } else { Err(millis) }
    })
}

/// The next result, if it is there.
fn next<P: Platform, S: PinnedStorage>(results: Pin<&mut Results<'_, P, Job<'_>, S>>) -> Poll<Option<Result<u32, u32>>> {
    results.poll_next(&mut Context::from_waker(Waker::noop()))
}

fn both_ways(check: &impl AsyncFn(&dyn Set)) {
    aplomb_sim::block_on(check(&JobSet::<Sim, Job<'static>>::new(2)));
    aplomb_sim::block_on(check(&JobSet::<Plain, Job<'static>>::new(2)));
    aplomb_sim::block_on(check(&JobSet::<Sim, Job<'static>>::new(2).storage::<Inline<6>>()));
}

/// A set on whatever platform.
trait Set {
    fn add(&self, job: Job<'static>) -> Result<(), PoolError>;
    fn results(&self, completion_order: bool) -> Pin<Box<dyn Stream<Item = Result<u32, u32>> + '_>>;
    fn pause(&self);
    fn resume(&self);
    fn close(&self);
    fn cancel_waiting(&self) -> u32;
    fn set_concurrency(&self, concurrency: u32) -> Result<(), ConfigError>;
    fn counts(&self) -> [u64; 5];
}

impl<P: Platform, S: PinnedStorage> Set for JobSet<P, Job<'static>, S> {
    fn add(&self, job: Job<'static>) -> Result<(), PoolError> {
        self.add(job).map_err(|rejected| rejected.reason)
    }

    fn results(&self, completion_order: bool) -> Pin<Box<dyn Stream<Item = Result<u32, u32>> + '_>> {
        let results = self.results().unwrap();
        if completion_order { Box::pin(results.completion_order()) } else { Box::pin(results) }
    }

    fn pause(&self) {
        self.pause();
    }

    fn resume(&self) {
        self.resume();
    }

    fn close(&self) {
        self.close();
    }

    fn cancel_waiting(&self) -> u32 {
        self.cancel_waiting()
    }

    fn set_concurrency(&self, concurrency: u32) -> Result<(), ConfigError> {
        self.set_concurrency(concurrency)
    }

    fn counts(&self) -> [u64; 5] {
        let now = self.snapshot();
        [u64::from(now.running), u64::from(now.waiting), now.completed, now.failed, now.cancelled]
    }
}

#[test]
fn results_come_in_order_of_adding_or_as_they_end() {
    for (completion_order, expected) in [(false, [30, 10, 14]), (true, [10, 14, 30])] {
        both_ways(&async |set| {
            let mut results = set.results(completion_order);
            for millis in [30, 10] {
                set.add(takes(millis)).unwrap();
            }
            let adds = async {
                sleep(ms(5)).await;
                set.add(takes(14)).unwrap();
                set.close();
                assert_eq!(set.add(takes(1)), Err(PoolError::Closed));
            };
            let collects = async {
                let mut values = Vec::new();
                while let Some(result) = results.next().await {
                    values.push(result.unwrap());
                }
                values
            };
            let ((), values) = futures_lite::future::zip(adds, collects).await;
            assert_eq!(values, expected);
            // In order of adding, the result of 10 has a place until that of 30 has been taken.
            assert_eq!(aplomb_sim::now().as_nanos() % 1_000_000_000, if completion_order { 30_000_000 } else { 44_000_000 });
            assert_eq!(set.counts(), [0, 0, 3, 0, 0]);
            assert!(results.next().await.is_none());
        });
    }
}

/// Results that come before their turn do not keep the other tasks waiting.
#[test]
fn a_slow_head_leaves_the_others_their_turn() {
    let (started, woken) = (Cell::new(0), Arc::new(Woken::default()));
    let set: JobSet<Sim, Job<'_>> = JobSet::new(1_000);
    set.add(Box::pin(pending())).unwrap();
    for n in 1..1_000 {
        let started = &started;
        set.add(Box::pin(async move {
            started.set(started.get() + 1);
            Ok(n)
        }))
        .unwrap();
    }
    let mut results = pin!(set.results().unwrap());
    let waker = Waker::from(Arc::clone(&woken));
    for (most, again) in [(256, true), (512, true), (768, true), (999, false)] {
        assert!(results.as_mut().poll_next(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!((started.get(), woken.0.swap(false, Ordering::Relaxed)), (most, again));
    }
}

#[test]
fn a_job_that_fails_or_panics_harms_no_other() {
    for completion_order in [false, true] {
        both_ways(&async |set| {
            let panics_at_once = || -> Job<'static> { Box::pin(poll_fn(|_| panic!("at once"))) };
            let panics_later: Job<'static> = Box::pin(async {
                sleep(ms(5)).await;
                panic!("later")
            });
            for job in [panics_at_once(), takes(2), panics_later, takes(7), panics_at_once(), takes(8)] {
                set.add(job).unwrap();
            }
            set.close();
            let (mut results, mut panics, mut values) = (set.results(completion_order), 0, Vec::new());
            loop {
                let polled = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| results.as_mut().poll_next(cx))) {
                    Ok(polled) => polled.map(Ok),
                    Err(_) => Poll::Ready(Err(())),
                });
                match polled.await {
                    Ok(Some(result)) => values.push(result),
                    Ok(None) => break,
                    Err(()) => panics += 1,
                }
            }
            assert_eq!((&*values, panics), (&[Ok(2), Err(7), Ok(8)][..], 3));
            assert_eq!(set.counts(), [0, 0, 2, 1, 3], "all places are free again");
        });
    }
}

#[test]
fn a_pause_a_wider_set_and_cancelled_jobs() {
    both_ways(&async |set| {
        set.pause();
        set.add(takes(10)).unwrap();
        set.add(takes(20)).unwrap();
        let mut results = set.results(true);
        let acts = async {
            sleep(ms(5)).await;
            assert_eq!(set.counts()[..2], [0, 2]);
            set.set_concurrency(1).unwrap();
            set.resume();
            sleep(ms(5)).await;
            assert_eq!(set.counts()[..2], [1, 1]);
            set.set_concurrency(2).unwrap();
            sleep(ms(1)).await;
            assert_eq!(set.counts()[..2], [2, 0]);
            set.add(takes(30)).unwrap();
            set.close();
            assert_eq!(set.cancel_waiting(), 1);
        };
        let collects = async {
            let mut values = Vec::new();
            while let Some(result) = results.next().await {
                values.push(result.unwrap());
            }
            values
        };
        let ((), values) = futures_lite::future::zip(acts, collects).await;
        assert_eq!(values, [10, 20]);
        assert_eq!(set.counts(), [0, 0, 2, 0, 1]);
    });
}

#[test]
fn the_set_ends_when_it_is_closed_after_the_last_result() {
    both_ways(&async |set| {
        let mut results = set.results(false);
        set.add(takes(2)).unwrap();
        assert_eq!(results.next().await, Some(Ok(2)));
        let closes = async {
            sleep(ms(5)).await;
            set.close();
        };
        let (ended, ()) = futures_lite::future::zip(results.next(), closes).await;
        assert_eq!(ended, None);
    });
}

#[test]
fn one_at_a_time_takes_the_results_and_what_waits_is_left_for_the_next() {
    struct Dropped(Rc<Cell<bool>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let set: JobSet<Sim, Job<'_>> = JobSet::new(1);
    let dropped = Rc::new(Cell::new(false));
    let guard = Dropped(Rc::clone(&dropped));
    let hangs = async move {
        pending::<()>().await;
        drop(guard);
        Ok(0)
    };
    set.add(Box::pin(hangs)).unwrap();
    set.add(Box::pin(ready(Ok(7)))).unwrap();
    {
        let mut first = pin!(set.results().unwrap());
        assert_eq!(set.results().err(), Some(DriveError::Busy));
        assert!(next(first.as_mut()).is_pending());
    }
    assert!(dropped.get());
    assert_eq!((set.snapshot().running, set.snapshot().waiting, set.snapshot().cancelled), (0, 1, 1));
    let mut second = pin!(set.results().unwrap());
    assert_eq!(next(second.as_mut()), Poll::Ready(Some(Ok(7))));
}

#[test]
fn what_is_not_added_comes_back() {
    let set: JobSet<Sim, u32> = JobSet::new(1).max_queued(2);
    assert!(set.add(1).is_ok() && set.add(2).is_ok());
    let rejected = set.add(3).unwrap_err();
    assert_eq!((rejected.job, rejected.reason), (3, PoolError::QueueFull { waiting: 2 }));
    assert_eq!(rejected.to_string(), "queue full: 2 are waiting");
    set.close();
    assert_eq!(set.add(4).unwrap_err().reason, PoolError::Closed);
    let in_place: JobSet<Sim, u32, Inline<1>> = JobSet::new(1).storage();
    assert!(in_place.add(1).is_ok());
    assert_eq!(in_place.add(2).unwrap_err().job, 2);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let too_many = ConfigError::Concurrency { value: 9, most: 8 };
    assert_eq!(JobSet::<Plain, u32>::new(9).check().unwrap_err(), too_many);
    assert_eq!(too_many.to_string(), "concurrency is 9, must be from 1 to 8");
    let none = ConfigError::MaxQueued { value: 0, most: usize::MAX };
    assert_eq!(JobSet::<Sim, u32>::new(1).max_queued(0).check().unwrap_err(), none);
    assert_eq!(none.to_string(), "max_queued is 0, must be at least 1");
    let too_many = ConfigError::MaxQueued { value: 9, most: 8 };
    let set = |most| JobSet::<Plain, u32>::new(1).max_queued(most);
    assert!(set(8).check().is_ok() && set(u32::MAX).check().is_ok());
    assert_eq!(set(9).check().unwrap_err(), too_many);
    assert_eq!(too_many.to_string(), "max_queued is 9, must be at most 8, the number of places");
    assert!(matches!(set(9).add(1).unwrap_err().reason, PoolError::Config(error) if error == too_many));
    let wrong: JobSet<Plain, Job<'_>> = JobSet::new(0);
    assert!(matches!(wrong.add(takes(1)).unwrap_err().reason, PoolError::Config(ConfigError::Concurrency { value: 0, most: 8 })));
    assert!(matches!(wrong.results().err(), Some(DriveError::Config(_))));
    assert!(wrong.set_concurrency(9).is_err() && wrong.set_concurrency(8).is_ok());
    assert!(wrong.add(takes(1)).is_ok(), "it has been set right");
}

/// Against a slow and obvious model: what runs, and in which order results come.
fn play<P: Platform, S: PinnedStorage>(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let completion_order = rng.bool();
    let set: JobSet<P, Job<'_>, S> = JobSet::new(rng.u32(1..4)).storage();
    let mut concurrency = set.snapshot().concurrency as usize;
    // Which jobs end when they are polled next; and which were started, and ended, in which order.
    let ends: Rc<RefCell<Vec<bool>>> = Rc::default();
    let started: Rc<RefCell<Vec<u32>>> = Rc::default();
    let ended: Rc<RefCell<VecDeque<u32>>> = Rc::default();
    let results = set.results().unwrap();
    let mut results = pin!(if completion_order { results.completion_order() } else { results });
    let (mut added, mut taken, mut paused) = (0, 0, false);
    for step in 0..150 {
        let what = format!("seed {seed}, step {step}");
        match rng.u32(0..10) {
            0..=3 => {
                let (number, mut begun) = (added, false);
                let (ends_now, started, ended) = (Rc::clone(&ends), Rc::clone(&started), Rc::clone(&ended));
                let job: Job<'_> = Box::pin(poll_fn(move |cx| {
                    if !std::mem::replace(&mut begun, true) {
                        started.borrow_mut().push(number);
                    }
                    if ends_now.borrow()[number as usize] {
                        ended.borrow_mut().push_back(number);
                        return Poll::Ready(Ok(number));
                    }
                    // Somebody may let it end at any time.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }));
                if set.add(job).is_ok() {
                    ends.borrow_mut().push(rng.u32(0..3) == 0);
                    added += 1;
                }
            }
            4..=6 if added > 0 => ends.borrow_mut()[rng.usize(0..added as usize)] = true,
            7 => {
                paused = !paused;
                if paused { set.pause() } else { set.resume() }
            }
            8 if rng.bool() => {
                concurrency = rng.usize(1..4);
                set.set_concurrency(u32::try_from(concurrency).unwrap()).unwrap();
            }
            _ => {}
        }
        let before = started.borrow().len();
        let polled = next(results.as_mut());
        let started_now = started.borrow().len();
        assert_eq!(*started.borrow(), (0..u32::try_from(started_now).unwrap()).collect::<Vec<_>>(), "{what}: in order of adding");
        assert!(!paused || started_now == before, "{what}: started in a pause");
        let taken_by_then = taken + usize::from(polled.is_ready());
        let busy = if completion_order { set.snapshot().running as usize } else { started_now - taken_by_then };
        assert!(started_now == before || busy <= concurrency, "{what}: {busy} at once");
        match polled {
            Poll::Ready(result) => {
                let expected =
                    if completion_order { ended.borrow_mut().pop_front().unwrap() } else { u32::try_from(taken).unwrap() };
                assert_eq!(result, Some(Ok(expected)), "{what}");
                taken += 1;
            }
            Poll::Pending => {
                let next = u32::try_from(taken).unwrap();
                let there = if completion_order { !ended.borrow().is_empty() } else { ended.borrow().contains(&next) };
                assert!(!there, "{what}: a result is held back");
                let waits = added as usize - started_now;
                assert!(
                    paused || waits == 0 || busy >= concurrency,
                    "{what}: {busy} of {concurrency} are busy, and {waits} wait"
                );
            }
        }
    }
    set.resume();
    set.close();
    ends.borrow_mut().fill(true);
    for _ in taken..added as usize {
        assert!(matches!(next(results.as_mut()), Poll::Ready(Some(_))), "seed {seed}: all end");
    }
    assert_eq!(next(results), Poll::Ready(None));
    assert_eq!((set.snapshot().completed, set.snapshot().running), (added.into(), 0));
}

#[test]
fn it_does_what_the_model_does() {
    let seeds = std::env::var("APLOMB_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in seeds.map_or(0..1_000, |seed: u64| seed..seed + 1) {
        play::<Sim, Heap>(seed);
        play::<Plain, Inline<8>>(seed);
        play::<aplomb_tokio::Tokio, Heap>(seed);
    }
}

/// Jobs are added on threads, while a task takes the results.
#[tokio::test]
async fn jobs_come_from_threads() {
    use aplomb_tokio::Tokio;
    type Ready = std::future::Ready<Result<u32, ()>>;
    static SET: JobSet<Tokio, Ready> = JobSet::new(4);
    const EACH: u32 = 1_000;
    let adding: Vec<_> = (0..4)
        .map(|thread| std::thread::spawn(move || (0..EACH).for_each(|n| SET.add(ready(Ok(thread * EACH + n))).unwrap())))
        .collect();
    let closes = std::thread::spawn(move || {
        for thread in adding {
            thread.join().unwrap();
        }
        SET.close();
    });
    let results: Vec<u32> = tokio::spawn(SET.results().unwrap().try_collect()).await.unwrap().unwrap();
    closes.join().unwrap();
    assert_eq!(results.len(), 4 * EACH as usize);
    for thread in 0..4 {
        let of_thread: Vec<u32> = results.iter().copied().filter(|n| n / EACH == thread).collect();
        assert!(of_thread.is_sorted(), "in order of adding");
    }
}

#[test]
fn own_wakers_are_what_the_simulation_has() {
    fn same<A: 'static, B: 'static>() -> bool {
        std::any::TypeId::of::<A>() == std::any::TypeId::of::<B>()
    }
    assert!(same::<<Sim as Platform>::Children, OwnWakers<SimRawMutex>>());
}
