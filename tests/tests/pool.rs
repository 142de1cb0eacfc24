//! The pool: whoever leaves, in whatever state, lets the next one through.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use aplomb::children::PinnedStorage;
use aplomb::pool::Drained;
use aplomb::{ConfigError, Inline, Pool, PoolError};
use aplomb_sim::Sim;

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Outcome = Result<u32, PoolError<u32>>;
type Job<'p> = Pin<Box<dyn Future<Output = Outcome> + 'p>>;

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(wakes))))
}

/// A job that has been polled once, and is pending.
fn pending_job<'p, S: PinnedStorage>(
    pool: &'p Pool<Sim, S>,
    job: impl Future<Output = Result<u32, u32>> + 'p,
) -> (Job<'p>, Arc<Wakes>) {
    let (mut job, wakes): (Job<'p>, _) = (Box::pin(pool.run(|| job)), Arc::default());
    assert!(poll(&mut job, &wakes).is_pending());
    (job, wakes)
}

/// The output of a future that does not wait.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn woken(wakes: &Wakes) -> u32 {
    wakes.0.swap(0, Ordering::Relaxed)
}

#[test]
fn a_place_that_nobody_lives_to_see_moves_on() {
    let pool: Pool<Sim> = Pool::new(1);
    let (runs, _) = pending_job(&pool, pending());
    let (first, first_wakes) = pending_job(&pool, ready(Ok(1)));
    let (mut second, second_wakes) = pending_job(&pool, ready(Ok(2)));
    drop(runs);
    assert_eq!((woken(&first_wakes), woken(&second_wakes)), (1, 0));
    drop(first);
    assert_eq!(woken(&second_wakes), 1);
    assert_eq!(poll(&mut second, &second_wakes), Poll::Ready(Ok(2)));
    let now = pool.snapshot();
    assert!(now.is_idle() && now.completed == 1 && now.cancelled == 2);
}

#[test]
fn a_newcomer_does_not_take_the_place_of_another() {
    let pool: Pool<Sim> = Pool::new(1);
    let (runs, _) = pending_job(&pool, pending());
    let (mut first, wakes) = pending_job(&pool, ready(Ok(1)));
    drop(runs);
    let newcomer = at_once(pool.try_run(|| ready(Ok::<_, u32>(2))).priority(i32::MAX));
    assert_eq!(newcomer, Err(PoolError::Busy));
    let (_urgent, _) = pending_job(&pool, ready(Ok(3)));
    assert_eq!(poll(&mut first, &wakes), Poll::Ready(Ok(1)));
}

#[test]
fn who_leaves_frees_a_slot_at_once() {
    let pool: Pool<Sim, Inline<2>> = Pool::new(1).storage();
    let (_runs, _) = pending_job(&pool, pending());
    let (first, _) = pending_job(&pool, pending());
    let (_second, _) = pending_job(&pool, pending());
    let late = pool.run(|| ready(Ok::<u32, u32>(1)));
    assert_eq!(at_once(late), Err(PoolError::QueueFull { waiting: 2 }));
    drop(first);
    let (_late, _) = pending_job(&pool, pending());
    // Who waits for the end waits there too.
    assert_eq!(at_once(pool.drained()), Err(PoolError::QueueFull { waiting: 2 }));
    assert_eq!(pool.snapshot().rejected, 1, "only jobs are counted");
}

#[test]
fn only_the_last_waker_is_woken() {
    let pool: Pool<Sim> = Pool::new(1);
    let (runs, _) = pending_job(&pool, pending());
    let (mut waits, before) = pending_job(&pool, ready(Ok(1)));
    let mut drained = Box::pin(pool.drained());
    assert!(poll(&mut drained, &before).is_pending());
    let now = Arc::default();
    assert!(poll(&mut waits, &now).is_pending() && poll(&mut drained, &now).is_pending());
    drop(runs);
    assert_eq!((woken(&before), woken(&now)), (0, 1));
    drop(waits);
    assert_eq!((woken(&before), woken(&now)), (0, 1));
    assert!(poll(&mut drained, &now).is_ready());
}

#[test]
fn what_a_job_held_is_free_before_the_next_one_starts() {
    let (pool, held): (Pool<Sim>, _) = (Pool::new(1), Rc::new(()));
    let alone = |held: Rc<()>| async move {
        assert_eq!(Rc::strong_count(&held), 2, "the one before it has been dropped");
        aplomb_sim::sleep(aplomb::time::ms(1)).await;
        Ok::<u32, u32>(1)
    };
    aplomb_sim::block_on(async {
        let (one, two) = (pool.run(|| alone(Rc::clone(&held))), pool.run(|| alone(Rc::clone(&held))));
        let ended = futures_lite::future::zip(one, two).await;
        assert_eq!(ended, (Ok(1), Ok(1)));
    });
    let (dropped, _) = pending_job(&pool, {
        let held = Rc::clone(&held);
        async move {
            pending::<()>().await;
            drop(held);
            Ok(0)
        }
    });
    let (mut next, wakes) = pending_job(&pool, poll_fn(|_| Poll::Ready(Ok(u32::from(Rc::strong_count(&held) == 1)))));
    drop(dropped);
    assert_eq!(poll(&mut next, &wakes), Poll::Ready(Ok(1)));
}

#[test]
fn a_panic_gives_the_place_to_the_next() {
    let pool: Pool<Sim> = Pool::new(1);
    for job in [false, true] {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            at_once(pool.run(|| {
                assert!(job, "in what makes the job");
                poll_fn(|_| -> Poll<Result<u32, u32>> { panic!("in the job") })
            }))
        }));
        assert!(panicked.is_err());
        assert!(pool.snapshot().is_idle());
    }
    assert_eq!(pool.snapshot().cancelled, 2);
    assert_eq!(at_once(pool.run(|| ready(Ok::<_, u32>(1)))), Ok(1));
}

#[test]
fn a_panic_in_a_waker_leaves_it_usable() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }
    let pool: Pool<Sim> = Pool::new(1);
    pool.pause();
    let mut first: Job<'_> = Box::pin(pool.run(|| ready(Ok(1))));
    assert!(first.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Panics)))).is_pending());
    let (mut second, wakes) = pending_job(&pool, ready(Ok(2)));
    pool.set_concurrency(2).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| pool.resume())).is_err());
    assert_eq!(woken(&wakes), 1, "the one behind has its turn all the same");
    assert_eq!((poll(&mut second, &wakes), poll(&mut first, &wakes)), (Poll::Ready(Ok(2)), Poll::Ready(Ok(1))));
    assert!(pool.snapshot().is_idle());
}

/// They were woken already, and are polled in the pause, before it, or not at all.
#[test]
fn who_was_called_does_not_start_in_a_pause() {
    for polls in [true, false] {
        let (pool, order): (Pool<Sim>, _) = (Pool::new(2), RefCell::new(Vec::new()));
        let runs = [pending_job(&pool, pending()).0, pending_job(&pool, pending()).0];
        let mut waits: Vec<_> = (1..=4)
            .map(|n| {
                pending_job(
                    &pool,
                    poll_fn({
                        let order = &order;
                        move |_| {
                            order.borrow_mut().push(n);
                            Poll::Ready(Ok(n))
                        }
                    }),
                )
            })
            .collect();
        drop(runs);
        pool.pause();
        let now = pool.snapshot();
        assert_eq!((now.running, now.waiting), (0, 4));
        let told: Vec<_> = waits.iter().map(|(_, wakes)| woken(wakes)).collect();
        assert_eq!(told, [1, 1, 0, 0]);
        if polls {
            assert!(waits.iter_mut().all(|(job, wakes)| poll(job, wakes).is_pending()));
        }
        pool.resume();
        let told: Vec<_> = waits.iter().map(|(_, wakes)| woken(wakes)).collect();
        assert_eq!(told, if polls { [1, 1, 0, 0] } else { [0; 4] }, "or they have not had their turn since");
        for (job, wakes) in &mut waits {
            assert!(poll(job, wakes).is_ready());
        }
        assert_eq!(*order.borrow(), [1, 2, 3, 4]);
    }
}

#[test]
fn who_was_called_does_not_start_once_it_is_cancelled() {
    let (pool, started): (Pool<Sim>, _) = (Pool::new(1), Cell::new(false));
    let (runs, _) = pending_job(&pool, pending());
    let (mut waits, wakes): (Job<'_>, _) = (
        Box::pin(pool.run(|| {
            started.set(true);
            ready(Ok(1))
        })),
        Arc::default(),
    );
    assert!(poll(&mut waits, &wakes).is_pending());
    drop(runs);
    assert_eq!((pool.cancel_waiting(), pool.snapshot().is_idle()), (1, true));
    assert_eq!(poll(&mut waits, &wakes), Poll::Ready(Err(PoolError::Cancelled)));
    assert!(!started.get());
}

#[test]
fn who_was_called_does_not_start_where_there_are_too_many() {
    let pool: Pool<Sim> = Pool::new(2);
    let (_runs, _) = pending_job(&pool, pending());
    let (ends, _) = pending_job(&pool, pending());
    let (mut waits, wakes) = pending_job(&pool, ready(Ok(1)));
    drop(ends);
    pool.set_concurrency(1).unwrap();
    assert!(poll(&mut waits, &wakes).is_pending());
    pool.set_concurrency(2).unwrap();
    assert_eq!((woken(&wakes), poll(&mut waits, &wakes)), (2, Poll::Ready(Ok(1))));
}

/// It cannot be called back: it never was called.
#[test]
fn a_spawned_job_has_started_if_there_is_a_place() {
    static POOL: Pool<Sim> = Pool::new(1);
    aplomb_sim::block_on(async {
        let starts = POOL.run(|| ready(Ok::<u32, u32>(1))).spawn_on(&Sim);
        let waits = POOL.run(|| ready(Ok::<u32, u32>(2))).spawn_on(&Sim);
        POOL.pause();
        assert_eq!(starts.await, Ok(1));
        assert_eq!((POOL.snapshot().waiting, POOL.cancel_waiting()), (1, 1));
        assert_eq!(waits.await, Err(PoolError::Cancelled));
    });
}

/// Calls back into the pool when it is woken, and when it is dropped.
struct Reentrant(&'static Pool<Sim>);

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        self.0.pause();
        self.0.resume();
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.0.set_concurrency(1).unwrap();
        self.0.snapshot();
    }
}

#[test]
fn wakers_run_outside_the_lock() {
    static POOL: Pool<Sim> = Pool::new(1);
    let (runs, _) = pending_job(&POOL, pending());
    let mut waits: [Job<'_>; 2] = [1_u32, 2].map(|n| Box::pin(POOL.run(move || ready(Ok(n)))) as Job<'_>);
    let mut drained = Box::pin(POOL.drained());
    for _ in 0..2 {
        // The second replaces the first, which is dropped.
        let waker = Waker::from(Arc::new(Reentrant(&POOL)));
        let mut cx = Context::from_waker(&waker);
        assert!(waits.iter_mut().all(|job| job.as_mut().poll(&mut cx).is_pending()));
        assert!(drained.as_mut().poll(&mut cx).is_pending());
    }
    drop(runs);
    let [first, second] = waits;
    drop(second);
    drop(first);
    drop(drained);
    assert!(POOL.snapshot().is_idle());
}

#[test]
fn a_job_may_add_jobs() {
    aplomb_sim::block_on(async {
        let pool: Pool<Sim> = Pool::new(2);
        let inner = || pool.run(|| ready(Ok::<u32, u32>(1)));
        let outer = pool.run(|| async { inner().await.map_err(|_| 0) });
        assert_eq!(outer.await, Ok(1));
    });
}

/// Whoever waited when the pool was idle is told so, though it is not idle any more by then.
#[test]
fn an_instant_of_idleness_is_for_all_who_waited() {
    thread_local! { static ADDED: RefCell<Option<(Job<'static>, Arc<Wakes>)>> = const { RefCell::new(None) } }
    struct Adds(&'static Pool<Sim>);
    impl Wake for Adds {
        fn wake(self: Arc<Self>) {
            ADDED.set(Some(pending_job(self.0, pending())));
        }
    }
    static POOL: Pool<Sim> = Pool::new(1);
    let (runs, _) = pending_job(&POOL, pending());
    // The first one, when it is woken, adds a job before the second is told.
    let mut first = Box::pin(POOL.drained());
    assert!(first.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Adds(&POOL))))).is_pending());
    let mut second: Pin<Box<Drained<&Pool<Sim>>>> = Box::pin(POOL.drained());
    let wakes: Arc<Wakes> = Arc::default();
    assert!(poll(&mut second, &wakes).is_pending());
    drop(runs);
    assert_eq!((POOL.snapshot().running, woken(&wakes)), (1, 1));
    assert!(poll(&mut second, &wakes).is_ready());
    let mut third = Box::pin(POOL.drained());
    assert!(poll(&mut third, &wakes).is_pending(), "but that of a later one is not over");
    drop(ADDED.take());
    assert!(poll(&mut third, &wakes).is_ready());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let zero = ConfigError::Concurrency { value: 0, most: u32::MAX };
    assert_eq!(Pool::<Sim>::new(0).check().unwrap_err(), zero);
    assert!(Pool::<Sim>::new(1).check().is_ok());
    let pool: Pool<Sim> = Pool::new(0);
    assert_eq!(at_once(pool.run(|| -> std::future::Ready<Outcome> { panic!("started") })), Err(PoolError::Config(zero)));
    assert_eq!(pool.set_concurrency(0), Err(zero));
    assert!(at_once(pool.drained()).is_ok());
    let too_many = ConfigError::MaxQueued { value: 5, most: 4 };
    let pool = |most| Pool::<Sim, Inline<4>>::max_queued(Pool::new(1).storage(), most);
    assert!([0, 4, u32::MAX].into_iter().all(|most| pool(most).check().is_ok()));
    assert_eq!(pool(5).check().err(), Some(too_many));
    assert_eq!(pool(5).config_error(), Some(too_many));
    let pool = pool(5);
    assert_eq!(at_once(pool.run(|| ready(Ok::<u32, u32>(1)))), Err(PoolError::Config(too_many)));
}

/// Jobs in tasks of their own, under any schedule: each ends, none too many run at once, whoever is dropped at whatever point.
#[test]
fn in_a_simulation_nothing_is_lost() {
    aplomb_sim::Explore::new().seeds(0..300).run(|sim| async move {
        let pool = Rc::new(Pool::<Sim>::new(2).max_queued(6));
        let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        for n in 0..8 {
            let (pool, running, most) = (Rc::clone(&pool), Rc::clone(&running), Rc::clone(&most));
            let task = sim.spawn(format!("job {n}"), async move {
                let job = || async {
                    let _running = Running::enter(running, &most);
                    aplomb_sim::sleep(sim.latency(aplomb::time::ms(0)..=aplomb::time::ms(5))).await;
                    Ok::<u32, u32>(n)
                };
                let _ended = pool.run(job).priority(i32::try_from(n % 3).unwrap()).await;
            });
            if sim.chance(1, 3) {
                task.drop_at_random();
            }
        }
        sim.run_until_idle().await;
        assert!(most.get() <= 2 && pool.snapshot().is_idle() && pool.drained().await.is_ok());
        let now = pool.snapshot();
        assert!(now.completed + now.cancelled + now.rejected <= 8);
    });
}

/// Counts those that run at once.
struct Running(Rc<Cell<u32>>);

impl Running {
    fn enter(running: Rc<Cell<u32>>, most: &Cell<u32>) -> Self {
        running.set(running.get() + 1);
        most.set(most.get().max(running.get()));
        Self(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[test]
fn a_call_can_be_pinned_where_it_stands() {
    let pool: Pool<Sim> = Pool::new(1);
    let call = pin!(pool.run(|| ready(Ok::<u32, u32>(7))));
    assert_eq!(at_once(call), Ok(7));
}

/// It would take minutes if each of them went through those who are still there.
#[test]
fn any_number_of_jobs_leave_one_by_one() {
    // All alike, and of a few priorities.
    for lanes in [1, 5] {
        let pool: Pool<Sim> = Pool::new(1);
        let (runs, _) = pending_job(&pool, pending());
        let mut jobs: Vec<_> =
            (0..100_000).map(|n| Box::pin(pool.run(|| ready(Ok::<u32, u32>(7))).priority(n % lanes))).collect();
        let wakes = Arc::default();
        for job in &mut jobs {
            assert!(poll(job, &wakes).is_pending());
        }
        fastrand::Rng::with_seed(7).shuffle(&mut jobs);
        let mut last = jobs.pop().unwrap();
        drop(jobs);
        assert_eq!((pool.snapshot().waiting, pool.snapshot().cancelled), (1, 99_999));
        drop(runs);
        assert_eq!(poll(&mut last, &wakes), Poll::Ready(Ok(7)));
    }
}
