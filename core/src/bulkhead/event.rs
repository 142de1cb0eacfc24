use core::time::Duration;

use super::error::BulkheadError;

/// What a bulkhead tells its [observer](super::Bulkhead::observed_by). Of callers that find a place at once it tells nothing; a [snapshot](super::Bulkhead::snapshot) has how many run and wait.
///
/// # Examples
///
/// ```
/// use aplomb::bulkhead::Event;
/// use aplomb_sim::prelude::*;
///
/// fn log(event: &Event) {
///     match event {
///         Event::Waiting { waiting } => println!("{waiting} wait"),
///         Event::Admitted { waited } => println!("had to wait for {waited:?}"),
///         Event::Rejected { reason } => println!("rejected: {reason}"),
///         _ => {}
///     }
/// }
///
/// static DB: Bulkhead<Heap, fn(&Event)> = checked!(Bulkhead::new(10).observed_by(log as fn(&Event)));
/// # let _ = DB.try_acquire();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// A caller has found no place, and waits.
    Waiting {
        /// How many wait at that moment.
        waiting: u32,
    },
    /// A caller that waited has its place.
    Admitted {
        /// How long it waited.
        waited: Duration,
    },
    /// A caller was turned away, at once or after it had waited.
    Rejected {
        /// Why.
        reason: BulkheadError,
    },
}
