//! Pool: so many jobs at once, added while it runs.
//!
//! ```text
//! adding           a b c d     e (urgent)
//! place 1          |==a==|====c====|==e==|==d==|
//! place 2          |====b====x|     a job that fails leaves its place as any other
//! waiting            c d         d       -         by priority, then in order of adding
//! drained                                      *
//! ```
//!
//! # Three ways to run a job
//!
//! | | where it runs | its result | it may |
//! | --- | --- | --- | --- |
//! | [`Pool::run`] | in the task of who adds it | goes to who adds it | borrow, be of any type, have a [priority](Run::priority) |
//! | [`Run::spawn_on`] | in a task of its own, on any thread of an executor | goes to who has the handle | be of any type, have a priority; it is `Send` and `'static` |
//! | [`JobSet`] | in the one task that takes the results | is an item of a stream, in order of adding or as it ends | be added from anywhere, an interrupt too; all are of one type |
//!
//! The first and the last spawn nothing and box nothing; the first needs no allocator, nor does the last on embassy. The first two share one pool.
//!
//! # What it promises
//!
//! - Never more than `concurrency` jobs run at once. (When it is [made smaller](Pool::set_concurrency), those that run may end.)
//! - Places are given in the queue, by whoever leaves one: the highest [priority](Run::priority) first, equal ones in the order of their adding, exactly; nobody who comes takes the place of one who waits.
//! - A job's result is its adder's. One that fails, panics or is dropped harms no other; what it held has been dropped before the next one starts.
//! - Whoever leaves, be it at the head, in the middle, or called and not yet polled, makes way at once; so does a spawned job whose handle is dropped, before its executor comes to drop what it held. One that runs in a task of its own makes way when it has been dropped.
//! - [`pause`](Pool::pause): what runs goes on, and nothing starts, not even who had been given a place a moment before. [`close`](Pool::close): no job is added, those that wait still run. [`cancel_waiting`](Pool::cancel_waiting): those that wait end with an error; none hangs.
//! - [`drained`](Pool::drained) is ready when nothing runs and nothing waits, and misses no such instant.
//!
//! A job's time counts from its start if its timeout is within, `pool.run(|| timeout(secs(5), fetch()))`; around the pool it counts the waiting too, `timeout(secs(5), pool.run(fetch))`, and a job that is late gives its place up.
//!
//! # When not to use it
//!
//! - The jobs are there from the beginning, and belong together: that is [`parallel`](crate::parallel).
//! - What is to be bounded is how often, not how many: that is a [rate limiter](crate::rate_limiter).
//! - A job adds jobs to its own pool and waits for them: with as many that wait as there are places, all wait for ever. [`try_run`](Pool::try_run) does not wait, and a pool of its own for each level never hangs.
//! - A job blocks its thread: the pool counts it, and the executor suffers.
//!
//! # What it costs
//!
//! A job that finds a place takes the lock twice, and nothing else, which costs as much as tokio's semaphore. Nothing allocates, but the heap storage when it grows, a [`JobSet`] for the wakers of its places where the platform [has its own](crate::children), and the executor on which a job is spawned: once a job.
//! Waiting takes constant time where priorities are equal; where they differ, a step for each lane on the way through a tree of the different ones that wait, of which there are about as many as its logarithm, and never more than 64.
//!
//! One that waits takes 40 bytes in place on 64-bit machines, 32 on 32-bit ones, and 48 on the heap. A call is as large as the job (or what makes it, if that is larger) and 40 bytes.
//!
//! # How others differ
//!
//! p-queue's jobs are functions that it calls, in a queue without bound; p-limit forgets the callers whose jobs are cleared. A task set with a semaphore (tokio's `JoinSet`) knows neither priorities nor pauses, spawns what has to wait, and gives no order. Thread pools (rayon) are for what computes, and
//! do not know that a job waits.

mod as_pool;
mod called;
mod control;
mod drained;
mod error;
mod event;
mod job_set;
mod lanes;
mod line;
mod results;
mod run;
mod spawn;
mod state;

pub use as_pool::AsPool;
pub use control::Pool;
pub use drained::Drained;
pub use error::{PoolError, Rejected};
pub use event::Event;
pub use job_set::JobSet;
pub use results::Results;
pub use run::Run;
pub use spawn::{Spawn, Spawned, Stopped, Task};
pub use state::Snapshot;
