use super::error::PoolError;

/// What a pool tells its [observer](super::Pool::observed_by). A [snapshot](super::Pool::snapshot) has the counts.
///
/// A job that waits ends its waiting with [`Started`](Event::Started) or [`Cancelled`](Event::Cancelled); one that has started ends with [`Completed`](Event::Completed), [`Failed`](Event::Failed) or
/// [`Cancelled`](Event::Cancelled). What different threads do may be told in another order.
///
/// # Examples
///
/// ```
/// use aplomb::pool::Event;
/// use aplomb_sim::prelude::*;
/// use std::cell::Cell;
///
/// let failed = Cell::new(0);
/// let count = |event: &Event| if *event == Event::Failed { failed.set(failed.get() + 1) };
/// let pool: Pool<Heap, _> = Pool::new(4).observed_by(count);
/// let refused = aplomb_sim::block_on(pool.run(async || Err::<(), _>("busy")));
/// assert_eq!(refused, Err(PoolError::Failed("busy")));
/// assert_eq!(failed.get(), 1);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// A job was added, and waits for a place.
    Waiting {
        /// How urgent it is.
        priority: i32,
        /// How many wait at that moment.
        waiting: u32,
    },
    /// A job has its place, and starts.
    Started {
        /// How urgent it is.
        priority: i32,
    },
    /// A job has ended with a value.
    Completed,
    /// A job has ended with an error.
    Failed,
    /// A job was dropped before its end, has panicked, or was told to wait no longer.
    Cancelled,
    /// A job was not added.
    Rejected {
        /// Why.
        reason: PoolError,
    },
    /// Nothing starts until it is resumed.
    Paused,
    /// It goes on after a pause.
    Resumed,
    /// No job is added any more.
    Closed,
}
