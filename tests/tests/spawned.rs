//! Jobs of a pool in tasks of their own, on the threads of real executors.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashSet;
use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use aplomb::pool::{AsPool, Run, Spawn};
use aplomb::{Pool, PoolError};
use aplomb_smol::{OnExecutor, Smol};
use aplomb_tokio::{OnRuntime, Tokio};
use futures_lite::future::{poll_once, yield_now};

/// Counts those that run at once, and notes where they do.
#[derive(Default)]
struct Seen {
    running: AtomicU32,
    most: AtomicU32,
    order: Mutex<Vec<u32>>,
    threads: Mutex<HashSet<ThreadId>>,
}

impl Seen {
    /// A job that yields a few times.
    async fn job(self: Arc<Self>, n: u32) -> Result<u32, u32> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.order.lock().unwrap().push(n);
        for _ in 0..3 {
            self.threads.lock().unwrap().insert(thread::current().id());
            yield_now().await;
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        if n % 10 == 9 { Err(n) } else { Ok(n) }
    }
}

/// A thousand jobs, eight at once: each has its own end.
async fn spread<B: AsPool + Clone + Send + 'static>(pool: B, executor: &impl Spawn, at_once: u32) {
    let seen = Arc::new(Seen::default());
    let jobs: Vec<_> = (0..1_000)
        .map(|n| {
            let seen = Arc::clone(&seen);
            Run::new(pool.clone(), move || seen.job(n)).spawn_on(executor)
        })
        .collect();
    for (n, job) in (0..1_000).zip(jobs) {
        assert_eq!(job.await, if n % 10 == 9 { Err(PoolError::Failed(n)) } else { Ok(n) });
    }
    assert!(seen.most.load(Ordering::SeqCst) <= at_once);
    let now = pool.as_pool().snapshot();
    assert!(now.is_idle() && (now.completed, now.failed) == (900, 100));
}

/// With one place, jobs start in the order in which they were added, by whatever thread.
async fn in_order<B: AsPool + Clone + Send + 'static>(pool: B, executor: &impl Spawn) {
    let seen = Arc::new(Seen::default());
    let spawn = |n: u32, priority| {
        let seen = Arc::clone(&seen);
        Run::new(pool.clone(), move || seen.job(n)).priority(priority).spawn_on(executor)
    };
    pool.as_pool().pause();
    for n in 0..100 {
        spawn(n, 0).detach();
    }
    let urgent = spawn(100, 1);
    pool.as_pool().resume();
    assert_eq!(urgent.await, Ok(100));
    pool.as_pool().drained().await.unwrap();
    let order = seen.order.lock().unwrap();
    assert_eq!(order[0], 100);
    assert!(order[1..].is_sorted() && order.len() == 101);
}

/// A job that panics, one whose handle is dropped, and one that is refused.
async fn ends<B: AsPool + Clone + Send + 'static>(pool: B, executor: &impl Spawn) {
    let panics = Run::new(pool.clone(), || async { panic!("as it is meant to") }).spawn_on(executor);
    let panicked: Result<(), PoolError<()>> = panics.await;
    assert_eq!(panicked, Err(PoolError::Panicked));
    // The handles of one that runs, and of one that waits, are dropped.
    let forever = || Run::new(pool.clone(), pending::<Result<(), ()>>).spawn_on(executor);
    let (runs, waits) = (forever(), forever());
    let next = Run::new(pool.clone(), async || Ok::<_, ()>(7)).spawn_on(executor);
    assert_eq!((pool.as_pool().snapshot().running, pool.as_pool().snapshot().waiting), (1, 2));
    drop((waits, runs));
    assert_eq!(next.await, Ok(7));
    pool.as_pool().close();
    let refused = Run::new(pool.clone(), async || Ok::<_, ()>(8)).spawn_on(executor);
    assert_eq!(refused.await, Err(PoolError::Closed));
    let now = pool.as_pool().snapshot();
    assert!(now.is_idle() && (now.cancelled, now.completed, now.rejected) == (3, 1, 1), "{now:?}");
}

/// The job of a dropped handle is out of the way at once, whenever the executor drops it. All on one thread, so that nothing happens between.
async fn makes_way<B: AsPool + Clone + Send + 'static>(pool: B, executor: &impl Spawn) {
    let now = || pool.as_pool().snapshot();
    let forever = || Run::new(pool.clone(), pending::<Result<(), ()>>);
    let mut held = Box::pin(forever());
    assert!(poll_once(held.as_mut()).await.is_none());
    let (waits, called) = (forever().spawn_on(executor), forever().spawn_on(executor));
    yield_now().await;
    assert_eq!((now().running, now().waiting), (1, 2));
    drop(waits);
    assert_eq!((now().running, now().waiting, now().cancelled), (1, 1, 1));
    drop(held);
    assert_eq!((now().running, now().waiting), (1, 0), "it has been called");
    drop(called);
    assert_eq!((now().running, now().cancelled), (0, 3));
    // A handle's key is of no use to anybody once its job has started.
    let mut held = Box::pin(forever());
    assert!(poll_once(held.as_mut()).await.is_none());
    let started = forever().spawn_on(executor);
    drop(held);
    yield_now().await;
    let mut behind = Box::pin(Run::new(pool.clone(), async || Ok::<_, ()>(7)));
    assert!(poll_once(behind.as_mut()).await.is_none(), "at the slot that the other had");
    drop(started);
    assert_eq!(behind.await, Ok(7));
    assert!(now().is_idle() && (now().cancelled, now().completed) == (5, 1), "{:?}", now());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_tokio() {
    static POOL: Pool<Tokio> = Pool::new(8);
    spread(&POOL, &Tokio, 8).await;
    spread(Arc::new(Pool::<Tokio>::new(3)), &OnRuntime(tokio::runtime::Handle::current()), 3).await;
    in_order(Arc::new(Pool::<Tokio>::new(1)), &Tokio).await;
    ends(Arc::new(Pool::<Tokio>::new(1)), &Tokio).await;
}

#[tokio::test]
async fn on_one_thread_of_tokio() {
    makes_way(Arc::new(Pool::<Tokio>::new(1)), &Tokio).await;
}

#[test]
fn on_one_thread_of_smol() {
    static EXECUTOR: async_executor::Executor<'static> = async_executor::Executor::new();
    async_io::block_on(EXECUTOR.run(makes_way(Arc::new(Pool::<Smol>::new(1)), &OnExecutor(&EXECUTOR))));
}

#[test]
fn on_smol() {
    static EXECUTOR: async_executor::Executor<'static> = async_executor::Executor::new();
    static POOL: Pool<Smol> = Pool::new(8);
    // They end with the process.
    for _ in 0..2 {
        thread::spawn(|| async_io::block_on(EXECUTOR.run(pending::<()>())));
    }
    let executor = OnExecutor(&EXECUTOR);
    async_io::block_on(async {
        spread(&POOL, &executor, 8).await;
        spread(Arc::new(Pool::<Smol>::new(3)), &executor, 3).await;
        in_order(Arc::new(Pool::<Smol>::new(1)), &executor).await;
        ends(Arc::new(Pool::<Smol>::new(1)), &executor).await;
    });
}

#[test]
fn a_runtime_that_ends_cancels_its_jobs() {
    static POOL: Pool<Tokio> = Pool::new(1);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let job = POOL.run(pending::<Result<(), ()>>).spawn_on(&OnRuntime(runtime.handle().clone()));
    runtime.shutdown_timeout(Duration::from_secs(5));
    assert_eq!(async_io::block_on(job), Err(PoolError::Cancelled));
    assert!(POOL.snapshot().is_idle());
}

#[test]
fn on_one_thread_of_a_simulation() {
    aplomb_sim::block_on(makes_way(Arc::new(Pool::<aplomb_sim::Sim>::new(1)), &aplomb_sim::Sim));
}

/// One that was polled before it is spawned keeps what it has, be it a place, one in the queue, or none any more.
#[test]
fn a_job_that_was_polled_is_spawned_once() {
    aplomb_sim::block_on(async {
        let pool = Arc::new(Pool::<aplomb_sim::Sim>::new(1));
        let job = || {
            Box::pin(async {
                yield_now().await;
                Ok::<_, ()>(7)
            })
        };
        let (mut runs, mut waits) = (Run::new(Arc::clone(&pool), job), Run::new(Arc::clone(&pool), job));
        assert!(poll_once(&mut runs).await.is_none() && poll_once(&mut waits).await.is_none());
        let (runs, waits) = (runs.spawn_on(&aplomb_sim::Sim), waits.spawn_on(&aplomb_sim::Sim));
        assert_eq!((pool.snapshot().running, pool.snapshot().waiting), (1, 1));
        assert_eq!((runs.await, waits.await), (Ok(7), Ok(7)));
        let mut ended = Run::new(Arc::clone(&pool), job);
        assert_eq!((&mut ended).await, Ok(7));
        let mut ended = ended.spawn_on(&aplomb_sim::Sim);
        assert!(poll_once(&mut ended).await.is_none());
        assert!(pool.snapshot().is_idle());
    });
}

/// Jobs stay in the world that spawned them, under any schedule.
#[test]
fn in_a_simulation() {
    aplomb_sim::Explore::new().seeds(0..50).run(|sim| async move {
        let pool = Arc::new(Pool::<aplomb_sim::Sim>::new(2));
        let jobs: Vec<_> = (0..6)
            .map(|n| {
                let job = move || async move {
                    aplomb_sim::sleep(aplomb::time::ms(n)).await;
                    Ok::<_, ()>(n)
                };
                Run::new(Arc::clone(&pool), job).spawn_on(&sim)
            })
            .collect();
        for (n, job) in (0..).zip(jobs) {
            // Every other handle is dropped.
            if n % 2 == 0 {
                assert_eq!(job.await, Ok(n));
            }
        }
        pool.drained().await.unwrap();
        assert!(pool.snapshot().completed >= 3);
    });
}
