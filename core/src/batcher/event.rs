/// What a batcher tells its [observer](super::Batcher::observed_by). How many wait, and how many batches are under way, a [snapshot](super::Batcher::snapshot) tells.
///
/// # Examples
///
/// ```
/// use aplomb::batcher::Event;
/// use aplomb_sim::prelude::*;
///
/// fn log(event: &Event) {
///     match event {
///         Event::Started { items, cause } => println!("{items} items, by {cause:?}"),
///         Event::Rejected { waiting } => println!("rejected: {waiting} wait already"),
///         _ => {}
///     }
/// }
///
/// static NAMES: Batcher<u32, String, &str, Heap, fn(&Event)> =
///     checked!(Batcher::new(100).observed_by(log as fn(&Event)));
/// # assert_eq!(NAMES.snapshot().waiting, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// A batch has started.
    Started {
        /// How many items it has.
        items: u32,
        /// Why then.
        cause: Cause,
    },
    /// A batch has ended with a result for each item, be it a value or an error.
    Completed {
        /// How many items it has.
        items: u32,
    },
    /// A batch has ended with an error for all, or not with as many results as it has items.
    Failed {
        /// How many items it has.
        items: u32,
    },
    /// The caller that led a batch has left, and those of the others' items that may be started again wait for that.
    HandedOver {
        /// How many these are.
        items: u32,
    },
    /// Of a batch that was given up, these may not be started again: its operation has panicked, or they may go but once. They end with [`Abandoned`](super::BatchError::Abandoned).
    Abandoned {
        /// How many these are.
        items: u32,
    },
    /// A caller was turned away, since the queue was full.
    Rejected {
        /// How many wait for a start.
        waiting: u32,
    },
}

/// Why a batch has started when it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Cause {
    /// There were [as many items](super::Batcher::new) as it may have.
    Count,
    /// They were [as heavy](super::Batcher::max_weight) as they may be together.
    Weight,
    /// The first of them had waited for [as long](super::Batcher::max_wait) as it may.
    Time,
    /// It was [flushed](super::Batcher::flush).
    Flush,
    /// It had been started before, by a caller that has left.
    Handover,
}
