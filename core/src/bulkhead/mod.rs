//! Bulkhead: so many at once, a queue with an end for the others, and no longer in it than that.
//!
//! ```text
//! max_concurrent 2, max_waiting 1, max_wait |....|
//!
//! a  |==========o                  runs at once
//! b  |================o            runs at once
//! c    |........==========o        waits for a's place, and has it at the instant at which a ends
//! d      x                         queue full: rejected at once
//! e            |....x              has waited as long as it may
//! ```
//!
//! A service that is slow, not down, fills its callers up: each waits a little longer, and soon all threads, sockets and memory wait with them, also those that have nothing to do with it. A
//! bulkhead gives that service so many places and no more; what is too much is turned away while it is cheap to.
//!
//! # What it promises
//!
//! - Never more than [`max_concurrent`](Bulkhead::new) run at once. First come, first served, in the order of first polls; a newcomer overtakes nobody.
//! - Whoever finds the queue full is told so at once. A waiter that leaves makes room at once, and so does one that has been let in: neither counts as waiting. In place ([`storage`](Bulkhead::storage)), the latter keeps its entry until its task has its turn: the queue
//!   may end that much earlier, and never does where `Inline` has room for `max_waiting` and `max_concurrent` together.
//! - The time counts from the poll that has found no place, and ends when there is one: an operation may take as long as it likes ([`timeout`](crate::timeout) inside limits that). A place that is free at the very
//!   instant at which the time is up is taken.
//! - A place is free as soon as its operation has ended, has been dropped, or has panicked; the operation is gone then. The next one has it before its caller goes on.
//! - The number of places [can be changed](Bulkhead::set_max_concurrent) while they are in use.
//!
//! # How large
//!
//! By Little's law: a queue of `max_waiting`, in front of `max_concurrent` places that take `t` each, is `max_waiting * t / max_concurrent` long. Ten places of 20 ms serve 500 a second; a hundred that wait there wait up to 200 ms.
//! Let `max_wait` be what a caller still has a use for, and `max_waiting` no more than can be served in that time.
//!
//! # When not to use it
//!
//! - What is scarce is a rate, and not a number at once: that is a [rate limiter](crate::rate_limiter).
//! - What is scarce is a thing: a pool of connections hands out connections, and limits by that.
//! - One operation is to exclude others from some state: a mutex says so.
//! - An operation that runs in a bulkhead waits for another one in the same bulkhead: when all places are taken by those who wait, none ever ends. Give each level a bulkhead of its own.
//!
//! # The form of a call
//!
//! An operation is started once, and so there is one form of a call, [`run`](Bulkhead::run), which takes closures of all kinds: `|| fetch(&id)`, `|| modem.send(&mut frame)`, `async || modem.send(&mut frame).await`. It works under
//! `tokio::spawn` with each. [`try_run`](Bulkhead::try_run) does not wait. For work that is no single operation, [`acquire`](Bulkhead::acquire) gives a [`Permit`](crate::sync::Permit), borrowed or owned.
//!
//! # What it costs
//!
//! An operation that finds a place exchanges a word when it begins and when it ends, or takes the lock, where the platform has [no such words](crate::sync::Word) or somebody waits. It reads no clock, sets no timer and allocates nothing. One that waits has one timer, if there is a `max_wait`, and 40 bytes in the queue with heap storage, 32 with inline storage (24 on 32-bit
//! machines). It leaves the queue in constant time, wherever it stands. The future is as large as the larger of its two stages: the runtime's sleep and 40 bytes while it waits, the operation and 24 bytes while it runs.
//!
//! # How others differ
//!
//! tokio's `Semaphore` has no end to its queue and no limit to the time in it, and a timeout around it starts at its construction. resilience4j's `Bulkhead` waits for a time (by default not at all) in a queue without an end; its `ThreadPoolBulkhead` has an end to the queue, and no time.
//! Polly's concurrency limiter and cockatiel's bulkhead have an end to the queue (by default there is no queue), and no time. In cockatiel 3.2, and in the semaphores of embassy-sync 0.8, a caller that gave up keeps its place in the queue, or is skipped without waking the next.

mod acquire;
mod error;
mod event;
mod run;
mod settings;

pub use acquire::Acquire;
pub use error::BulkheadError;
pub use event::Event;
pub use run::Run;
pub use settings::{Bulkhead, Snapshot};
