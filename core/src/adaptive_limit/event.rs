use core::time::Duration;

use super::error::LimitError;

/// What an adaptive limit tells its [observer](super::AdaptiveLimit::observed_by). Of callers that find a place at once it tells nothing; a [snapshot](super::AdaptiveLimit::snapshot) has how many run and wait.
///
/// # Examples
///
/// ```
/// use aplomb::adaptive_limit::{Event, Gradient, IgnoreErrors};
/// use aplomb_sim::prelude::*;
///
/// fn log(event: &Event) {
///     match event {
///         Event::Changed { from, to } => println!("from {from} to {to} at once"),
///         Event::Rejected { reason } => println!("rejected: {reason}"),
///         _ => {}
///     }
/// }
///
/// static API: AdaptiveLimit<Gradient, IgnoreErrors, Heap, fn(&Event)> =
///     checked!(AdaptiveLimit::new().observed_by(log as fn(&Event)));
/// # let _ = API.try_acquire();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// The limit is another. Of two threads that change it one after the other, either may come first.
    Changed {
        /// What it was.
        from: u32,
        /// What it is.
        to: u32,
    },
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
        reason: LimitError,
    },
}
