use super::error::FlightError;

/// What a single flight tells its [observer](super::SingleFlight::observed_by).
///
/// # Examples
///
/// ```
/// use aplomb::single_flight::Event;
/// use aplomb_sim::prelude::*;
///
/// fn log(event: &Event) {
///     match event {
///         Event::Shared => println!("shares another one's"),
///         Event::Rejected { reason } => println!("rejected: {reason}"),
///         _ => {}
///     }
/// }
/// # log(&Event::Started);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// A caller leads: its operation starts.
    Started,
    /// A caller waits for another one's operation.
    Shared,
    /// An operation has succeeded.
    Completed {
        /// Whether others have its result too.
        is_shared: bool,
    },
    /// An operation has failed.
    Failed {
        /// Whether others have its error too.
        is_shared: bool,
    },
    /// A leader has left, started or not, and the caller that waited longest leads.
    HandedOver,
    /// A leader has left, started or not, and nobody waits: the flight is over.
    Abandoned,
    /// A caller was turned away, or did not wait any longer.
    Rejected {
        /// Why.
        reason: FlightError,
    },
}

impl Event {
    /// Of an operation that has ended.
    pub(super) const fn of<T, E>(outcome: &Result<T, E>, is_shared: bool) -> Self {
        if outcome.is_ok() { Self::Completed { is_shared } } else { Self::Failed { is_shared } }
    }
}
