//! The pool under every interleaving of a few threads (loom), and many of more (shuttle).
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use aplomb::edge::Stream;
use aplomb::pool::{Spawn, Stopped, Task};
use aplomb::{JobSet, Pool, PoolError};
use checkers::{Loom, Shuttle};

type Job = Pin<Box<dyn Future<Output = Result<u32, PoolError<u32>>> + Send>>;

/// A job in that pool, which has been polled once: it runs, or waits.
fn job_in(pool: &'static Pool<Loom>, job: impl Future<Output = Result<u32, u32>> + Send + 'static) -> Job {
    let mut job: Job = Box::pin(pool.run(|| job));
    assert!(job.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    job
}

/// A job ends on one thread, while one that waits leaves on another: it waits still, or has a place that it did not live to see, or has just started.
#[test]
fn a_job_that_leaves_while_it_is_called_hands_its_place_on() {
    fn check(leave: fn(Job)) {
        loom::model(move || {
            let pool: &'static Pool<Loom> = Box::leak(Box::new(Pool::new(1)));
            let runs = job_in(pool, std::future::pending());
            let waits = job_in(pool, std::future::pending());
            let mut next = job_in(pool, std::future::ready(Ok(7)));
            let leaves = loom::thread::spawn(move || leave(waits));
            drop(runs);
            leaves.join().unwrap();
            assert_eq!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(7)), "nobody lets it start");
            assert!(pool.snapshot().is_idle());
        });
    }
    check(drop);
    check(|mut waits| {
        let _ = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    });
}

/// An executor that keeps a task until somebody comes to it, and only puts down that its handle has been dropped.
#[derive(Default)]
struct Later(Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);

struct Handle<T>(PhantomData<T>);

impl<T> Future for Handle<T> {
    type Output = Result<T, Stopped>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Pending
    }
}

impl<T> Task for Handle<T> {
    fn detach(self) {}
}

impl Spawn for Later {
    type Task<T: Send + 'static> = Handle<T>;

    fn spawn<F: Future<Output: Send> + Send + 'static>(&self, future: F) -> Handle<F::Output> {
        *self.0.lock().unwrap() = Some(Box::pin(async { drop(future.await) }));
        Handle(PhantomData)
    }
}

/// The handle of a job is dropped on one thread, while another one polls its task, and the place before it becomes free: it has left, or it has run.
#[test]
fn a_job_whose_handle_is_dropped_while_its_task_is_polled_is_counted_once() {
    loom::model(|| {
        let pool: &'static Pool<Loom> = Box::leak(Box::new(Pool::new(1)));
        let runs = job_in(pool, std::future::pending());
        let executor = Later::default();
        let handle = pool.run(|| std::future::ready(Ok::<u32, u32>(1))).spawn_on(&executor);
        let mut next = job_in(pool, std::future::ready(Ok(7)));
        let mut task = executor.0.into_inner().unwrap().unwrap();
        let polls = loom::thread::spawn(move || {
            let _ = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            task
        });
        let drops = loom::thread::spawn(move || drop(handle));
        drop(runs);
        drops.join().unwrap();
        let task = polls.join().unwrap();
        assert_eq!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(7)), "nobody lets it start");
        drop(task);
        let now = pool.snapshot();
        // Of three jobs, the first one was dropped while it ran.
        assert!(now.is_idle() && now.completed + now.cancelled == 3, "{now:?}");
    });
}

/// The last two jobs end on two threads: whoever waits for that is told, and not before.
#[test]
fn the_end_of_all_is_never_missed() {
    loom::model(|| {
        let pool: &'static Pool<Loom> = Box::leak(Box::new(Pool::new(1)));
        let runs = job_in(pool, std::future::pending());
        let waits = job_in(pool, std::future::pending());
        let mut drained = Box::pin(pool.drained());
        assert!(drained.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let ends = loom::thread::spawn(move || drop(waits));
        drop(runs);
        loom::future::block_on(drained).unwrap();
        assert!(pool.snapshot().is_idle());
        ends.join().unwrap();
    });
}

/// What waits starts when a pause ends, whoever leaves meanwhile.
#[test]
fn a_pause_that_ends_while_a_job_is_cancelled_loses_nobody() {
    loom::model(|| {
        let pool: &'static Pool<Loom> = Box::leak(Box::new(Pool::new(1)));
        pool.pause();
        let first = job_in(pool, std::future::ready(Ok(1)));
        let second = job_in(pool, std::future::ready(Ok(2)));
        let leaves = loom::thread::spawn(move || drop(first));
        pool.resume();
        assert_eq!(loom::future::block_on(second), Ok(2));
        leaves.join().unwrap();
        assert!(pool.snapshot().is_idle());
    });
}

/// A place becomes free while a pause begins: whoever is called by it starts after the pause, not within, and does start.
#[test]
fn one_who_is_called_while_a_pause_begins_starts_when_it_ends() {
    loom::model(|| {
        let pool: &'static Pool<Loom> = Box::leak(Box::new(Pool::new(1)));
        let runs = job_in(pool, std::future::pending());
        let mut waits = job_in(pool, std::future::ready(Ok(7)));
        let ends = loom::thread::spawn(move || drop(runs));
        pool.pause();
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it starts in the pause");
        let resumes = loom::thread::spawn(|| pool.resume());
        assert_eq!(loom::future::block_on(waits), Ok(7));
        for thread in [ends, resumes] {
            thread.join().unwrap();
        }
        assert!(pool.snapshot().is_idle());
    });
}

/// A pause that comes and goes between the call of a job and its poll takes no wake-up away.
#[test]
fn one_who_is_recalled_and_called_again_is_woken() {
    loom::model(|| {
        let pool: &'static Pool<Loom> = Box::leak(Box::new(Pool::new(1)));
        let runs = job_in(pool, std::future::pending());
        let waits = job_in(pool, std::future::ready(Ok(7)));
        let ends = loom::thread::spawn(move || drop(runs));
        let pauses = loom::thread::spawn(|| {
            pool.pause();
            pool.resume();
        });
        assert_eq!(loom::future::block_on(waits), Ok(7));
        for thread in [ends, pauses] {
            thread.join().unwrap();
        }
        assert!(pool.snapshot().is_idle());
    });
}

/// Whoever waits is either cancelled, or runs.
#[test]
fn one_who_is_cancelled_while_a_place_becomes_free_does_not_start() {
    loom::model(|| {
        let pool: &'static Pool<Loom> = Box::leak(Box::new(Pool::new(1)));
        let runs = job_in(pool, std::future::pending());
        let waits = job_in(pool, std::future::ready(Ok(7)));
        let cancels = loom::thread::spawn(move || pool.cancel_waiting());
        drop(runs);
        let ended = loom::future::block_on(waits);
        let cancelled = cancels.join().unwrap();
        assert_eq!(ended, if cancelled == 1 { Err(PoolError::Cancelled) } else { Ok(7) });
        assert!(pool.snapshot().is_idle());
    });
}

/// Whoever takes the results misses neither a job that is added on another thread, nor the end of a pause, nor that the set is closed.
#[test]
fn who_takes_the_results_misses_nothing() {
    fn check(paused: bool) {
        loom::model(move || {
            let set: &'static JobSet<Loom, std::future::Ready<Result<u32, ()>>> = Box::leak(Box::new(JobSet::new(1)));
            if paused {
                set.pause();
            }
            let adds = loom::thread::spawn(move || {
                set.add(std::future::ready(Ok(7))).unwrap();
                if paused {
                    set.resume();
                }
                set.close();
            });
            let mut results = pin!(set.results().unwrap());
            assert_eq!(loom::future::block_on(Next(results.as_mut())), Some(Ok(7)));
            assert_eq!(loom::future::block_on(Next(results.as_mut())), None);
            adds.join().unwrap();
        });
    }
    check(false);
    check(true);
}

/// The next item.
struct Next<'s, S>(Pin<&'s mut S>);

impl<S: Stream> Future for Next<'_, S> {
    type Output = Option<S::Item>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// Jobs of all priorities are added, end, and are given up on several threads, while the pool is paused, widened and narrowed.
#[test]
fn many_threads_add_jobs_and_leave() {
    let world = || {
        let pool = shuttle::sync::Arc::new(Pool::<Shuttle>::new(1));
        let mut threads: Vec<_> = [-1, 0, 1]
            .map(|priority| {
                let pool = pool.clone();
                shuttle::thread::spawn(move || {
                    for n in 0..3 {
                        let job = pool.run(|| std::future::ready(Ok::<i32, ()>(n))).priority(priority);
                        assert_eq!(shuttle::future::block_on(job), Ok(n));
                    }
                })
            })
            .into();
        let gives_up = pool.clone();
        threads.push(shuttle::thread::spawn(move || {
            for _ in 0..3 {
                let mut waiting = pin!(gives_up.run(std::future::pending::<Result<(), ()>>).priority(2));
                let _ = waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
        }));
        for n in [2, 3, 1] {
            pool.pause();
            pool.set_concurrency(n).unwrap();
            pool.resume();
        }
        shuttle::future::block_on(pool.drained()).unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        let now = pool.snapshot();
        assert!(now.is_idle() && now.completed == 9 && now.cancelled == 3);
    };
    shuttle::check_random(world, 500);
}
