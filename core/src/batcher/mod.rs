//! Batcher: single calls made into one, by count, time or weight; and each has its own result.
//!
//! ```text
//! max_items 3, max_wait |....|
//!
//! a  |------------==========o            waits for others, and has its result
//! b      |--------==========o
//! c               |=========o            fills the batch, and starts it: one operation for three
//! d                  |....|=====o        has waited for as long as it may, and goes alone
//! ```
//!
//! A hundred callers that each ask for one row are a hundred queries; a batcher makes one of them. There is no task beside the callers: one of a batch leads it, and calls its operation with the items of all. That is the one that fills the batch, or, if its time is over, the one that has waited longest.
//!
//! # What it promises
//!
//! - A batch starts as soon as it has [`max_items`](Batcher::new), or weighs [`max_weight`](Batcher::max_weight), and no later than [`max_wait`](Batcher::max_wait) after its first item has come. Items go in the order in which they came, and none overtakes another. One that no longer fits, by weight, begins the next batch.
//! - Without `max_wait`, a batch has what comes in the same turn of the executor: the first caller yields once.
//! - Each caller has its own result, moved, in the order of the items. An item may [fail for itself](Answer), and an operation for all, with clones of its error. Where there are not as many results as items, all end with [`BatchError::WrongLength`]: which one is whose cannot be told.
//! - A caller that is dropped before the start takes its item with it. One that is dropped later, and does not lead, drops its result, and harms nobody.
//! - A leader that is dropped while its operation runs hands the items of the others back: they are first in the line, and the one that has waited longest starts them again, at once, with its own operation. What came by [`call_once`](Batcher::call_once) is not among them: it ends with [`BatchError::Abandoned`]. Whether an item may go twice is for its own caller to say, whoever leads.
//! - If an operation panics, it does so for its leader; the others end with `Abandoned`. Items that make an operation panic would else do so for one caller after another.
//! - With [`max_concurrent`](Batcher::max_concurrent), no more batches are under way at once; what comes meanwhile is collected, up to [`max_waiting`](Batcher::max_waiting), and those after that are turned away at once.
//! - [`flush`](Batcher::flush) starts what waits.
//!
//! # How large, how long
//!
//! `max_items` is what the other side takes well: rows of an `INSERT`, keys of a multi-get. `max_wait` is added to each call in quiet times; what comes in the same turn costs no time at all, and is enough where one request asks for many things. Under load, `max_concurrent(1)` makes batches that are as large as needed by themselves: whatever comes while one is under way is the next one.
//!
//! # When not to use it
//!
//! - To ask for the same thing once: items that are equal stay apart. [`single_flight`](crate::single_flight) or a [`cache`](crate::cache) around the call shares them; what `DataLoader` does is a batcher within those two.
//! - Where all items are at hand: call the operation with them.
//! - For operations that take as long for many as for one after another.
//! - A call that is polled once and then left alone, neither polled nor dropped, holds those up that wait behind it, as it may be the one to lead them.
//!
//! # What it costs
//!
//! A call takes the lock when it comes and when it has its result, reads the clock once if there is a time to wait, and is polled twice. The first in the line has the one timer. On the heap, a batch allocates its items, once, and clones of them if any but its leader's came by [`call`](Batcher::call); a call of itself nothing. In place, a batch and its clones lie in its leader's future, and all that wait or are
//! under way, without those who lead, share the `N` places of `Inline<N>`.
//!
//! # How others differ
//!
//! `DataLoader` collects in one turn of the event loop, and refuses a wrong number of results, as here; it keeps results by key, and its batches run by themselves. The batchers of Rust and Go, such as `ultra-batch` or `async-graphql`'s loader, spawn a task for each batch or worker, so that a batch goes on without its callers; here the next caller takes over, and nothing runs that nobody waits for.

mod answer;
mod call;
mod error;
mod event;
mod keep;
mod machine;
mod role;
mod settings;

pub use self::answer::Answer;
pub use self::call::{BatchOperation, Call};
pub use self::error::BatchError;
pub use self::event::{Cause, Event};
pub use self::keep::{Again, Keep, Once};
pub use self::settings::{Batcher, Snapshot};
