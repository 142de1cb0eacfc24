//! The pool, beside tokio's semaphore and its set of tasks.

use std::future::ready;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aplomb_tokio::Tokio;
use aplomb_tokio::prelude::*;
use benches::{Group, YieldOnce};
use futures_lite::StreamExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const JOBS: u32 = 1_000;
static POOL: Pool = Pool::new(10);
static SEMAPHORE: Semaphore = Semaphore::const_new(10);

fn main() {
    one_job();
    a_line();
    in_one_task();
    spread();
}

fn one_job() {
    Group::new("pool, a job that is ready")
        .member("aplomb", || POOL.run(|| ready(Ok::<u32, u32>(black_box(7)))))
        .member("aplomb, tried", || POOL.try_run(|| ready(Ok::<u32, u32>(black_box(7)))))
        .member("tokio, semaphore", || async {
            let _permit = SEMAPHORE.acquire().await.map_err(|_| 0_u32)?;
            ready(Ok::<u32, u32>(black_box(7))).await
        })
        .member("bare job", || ready(Ok::<u32, u32>(black_box(7))))
        .run();
}

/// Waits in a line of so many, of which one is let in after the other: of each from its coming to its end.
fn line<F: Future>(futures: impl Iterator<Item = F>, open: impl FnOnce()) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiting: Vec<Pin<Box<F>>> = futures.map(Box::pin).collect();
    for future in &mut waiting {
        assert!(future.as_mut().poll(&mut cx).is_pending());
    }
    open();
    let mut left = waiting.len();
    while left > 0 {
        for future in &mut waiting {
            left -= usize::from(future.as_mut().poll(&mut cx).is_ready());
        }
    }
}

fn a_line() {
    let of_pool = |priority: fn(i32) -> i32| {
        let pool: Arc<Pool> = Arc::new(Pool::new(1));
        move || {
            pool.pause();
            let job = |n| pool.run(|| ready(Ok::<u32, u32>(black_box(7)))).priority(priority(n));
            line((0..1_000).map(job), || pool.resume());
            ready(())
        }
    };
    let semaphore = Arc::new(Semaphore::new(0));
    Group::of_many("a line of 1,000, each from its coming to its end", JOBS)
        .member("aplomb, all equal", of_pool(|_| 0))
        .member("aplomb, priorities in their order", of_pool(|n| -n))
        .member("tokio, semaphore", move || {
            let job = |_| async {
                let _permit = semaphore.acquire().await.map_err(|_| 0_u32)?;
                ready(Ok::<u32, u32>(black_box(7))).await
            };
            line((0..1_000).map(job), || semaphore.add_permits(1));
            semaphore.forget_permits(1);
            ready(())
        })
        .run();
}

fn in_one_task() {
    Group::of_many("1,000 jobs that yield once, in one task", JOBS)
        .member("aplomb, job set", || async {
            let set: JobSet<_> = JobSet::new(10);
            for _ in 0..JOBS {
                set.add(YieldOnce::new()).map_err(|_| 0_u32)?;
            }
            set.close();
            let mut results = pin!(set.results().map_err(|_| 0_u32)?.completion_order());
            while let Some(result) = results.next().await {
                black_box(result?);
            }
            Ok::<(), u32>(())
        })
        .member("aplomb, in order of adding", || async {
            let set: JobSet<_> = JobSet::new(10);
            for _ in 0..JOBS {
                set.add(YieldOnce::new()).map_err(|_| 0_u32)?;
            }
            set.close();
            let mut results = pin!(set.results().map_err(|_| 0_u32)?);
            while let Some(result) = results.next().await {
                black_box(result?);
            }
            Ok::<(), u32>(())
        })
        .run();
}

fn spread() {
    for (name, threads) in [("1,000 jobs spread over tokio, one thread", 1), ("1,000 jobs spread over tokio, two threads", 2)] {
        let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build().expect("a runtime"));
        let ours = Arc::clone(&runtime);
        Group::of_many(name, JOBS)
            .member("aplomb", move || {
                ours.block_on(async {
                    let jobs: Vec<_> = (0..JOBS).map(|_| POOL.run(YieldOnce::new).spawn_on(&Tokio)).collect();
                    for job in jobs {
                        black_box(job.await).expect("a job that ends well");
                    }
                });
                ready(())
            })
            .member("aplomb, nobody asks for results", {
                let runtime = Arc::clone(&runtime);
                move || {
                    runtime.block_on(async {
                        (0..JOBS).for_each(|_| POOL.run(YieldOnce::new).spawn_on(&Tokio).detach());
                        POOL.drained().await.expect("room to wait");
                    });
                    ready(())
                }
            })
            .member("tokio, JoinSet and semaphore", move || {
                runtime.block_on(async {
                    let mut jobs = JoinSet::new();
                    for _ in 0..JOBS {
                        jobs.spawn(async {
                            let _permit = SEMAPHORE.acquire().await.map_err(|_| 0_u32)?;
                            YieldOnce::new().await
                        });
                    }
                    while let Some(job) = jobs.join_next().await {
                        black_box(job).expect("a job that ends").expect("well");
                    }
                });
                ready(())
            })
            .run();
    }
    // Polled by hand, nothing is left over.
    assert!(matches!(pin!(POOL.drained()).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(()))));
}
