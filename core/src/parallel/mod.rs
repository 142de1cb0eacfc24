//! Parallel: an operation for each item, so many at once.
//!
//! ```text
//! items        a b c d e          limit 2
//!   slot 1     |==a==|=====d=====|
//!   slot 2     |=b=|===c===|==e==|
//! awaited                        [a, b, c, d, e]       in the order of the items
//!   completion_order             [b, a, c, e, d]       in that in which they end
//! as a stream        a b   c     d e                   those that come early wait: at most the limit
//!   completion_order b a   c  e  d                     none waits
//! c fails      |==a==|==d--x                           c's error, at once; d is dropped, e never starts
//! ```
//!
//! # What it promises
//!
//! - At most `limit` operations are under way at once. An item is taken from its iterator or stream only when it can be started: what is infinite, or slow, or large, stays where it is.
//! - Awaited, a slow item holds nobody up: as soon as an operation ends, the next one starts. As a stream, in the order of the items, at most `limit` are started and not handed on; in completion order, each is handed on as it ends.
//! - The first error, in time, drops all that is under way, *then* it is returned, with the index of its item; no item is started after it. With [`keep_going`](Parallel::keep_going) each item has its own result.
//! - An operation that is ready when it is first polled takes no slot and no lock: the next one is polled in the same place, with the same waker, which were made for the first.
//! - Only those operations are polled that were woken, where the platform has wakers for them ([`children`](crate::children)): then a wake costs the same among ten and among ten thousand.
//! - Everything runs in the one task that awaits or polls: what operations borrow need not be `'static`, nor `Send`. The other tasks have their turn after 256 results that are ready: when it is awaited, and when a stream keeps what comes early. Between those that a stream hands on, that is left to who polls it.
//! - A panic, of an operation or of what starts it, drops the others and goes on to the caller.
//!
//! # When not to use it
//!
//! For work that keeps a processor busy: one task uses one thread. For items that come in while it runs, from other tasks, each with its own caller: that is a [pool](crate::pool). To hold *all* callers of a service to a limit: this one holds for one call; share a
//! [bulkhead](crate::bulkhead). And `limit` counts operations under way, not how many are begun in a second.
//!
//! # Defaults
//!
//! In the order of the items; fail fast; nobody is told of the progress; operations lie in the platform's storage: on the heap, or on embassy in place, at most 16 of them.
//!
//! # What it costs
//!
//! On the heap, for each slot that is really used, an allocation for its waker, and an eighth for its operation: eight lie in one, as far as the limit is a multiple of eight; those beyond that, and operations of more than a kilobyte, have one each, so that it is two a slot then. Beside that ten for tables, and
//! six more whenever the slots outgrow 16, 32, 64 and so on: 1,168 in all with a limit of 1,000. None for an item: what is ready at once costs nine in all, however many there are.
//!
//! [`stored_in`](Parallel::stored_in) an `Inline<N>`, all but wakers lies in the future itself: an operation and 16 bytes for each of the `N` places (on 64 bits), the items that were not started, and for each result twice its size, since it may come before others; some
//! 200 bytes else. [`parallel_array`](Parallel::of_array) makes an array of an array. Where the platform has none of its own, as on embassy, nothing is allocated then, and every operation is polled at every poll: right for limits up to some sixteen. Where it has, they lie on the heap all the same: an allocation for each slot that is really used, and five for tables of up to 16.
//!
//! # How others do it
//!
//! - `futures`' `buffered` and `buffer_unordered` allocate for each item; `buffered` lets a slow item at the head hold up the start of others, here only the stream does. Over borrowed items they often don't compile under `spawn` (rust#89976).
//! - `p-map` and Bluebird's `map` fail fast too, but cannot drop what runs: it goes on, unseen.
//! - `Promise.all` with a hand-made limit starts further items after an error.

mod engine;
mod error;
mod items;
mod on_error;
mod progress;
mod results;
mod run;
mod settings;
mod stream;
pub(crate) mod window;

pub use error::ParallelError;
pub use items::Items;
pub use on_error::{FailFast, KeepGoing, OnError};
pub use progress::Progress;
pub use results::{Array, Results};
pub use run::Run;
pub use settings::Parallel;

/// How many operations may end at one poll, and nothing be handed on, before the other tasks have their turn.
pub(crate) const BUDGET: u32 = 256;

/// In which order results come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Order {
    /// That of the items.
    Input,
    /// That in which operations end.
    Completion,
}
