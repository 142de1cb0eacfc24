use core::time::Duration;

/// What a hedge tells its [observer](super::Hedge::observed_by). Of calls whose first start succeeds in time it tells nothing; a [snapshot](super::Hedge::snapshot) has their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// A call was started once more.
    Hedged {
        /// Which start of the call it is: the first hedge is 2.
        start: u32,
        /// Why.
        cause: Cause,
    },
    /// A hedge has succeeded first; all other starts of its call have been dropped.
    Won {
        /// Which start of the call it was.
        start: u32,
    },
    /// A call would have been started once more, and for that the budget is empty. It hedges no more.
    BudgetEmpty {
        /// Why it would have been.
        cause: Cause,
    },
}

/// Why a call is started once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cause {
    /// The start before is late.
    Late,
    /// A start has failed.
    Failed,
}

/// How a hedge stands at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Snapshot {
    /// How many calls there were.
    pub calls: u64,
    /// How many hedges they started, those included that a layer within a [pipeline](crate::pipeline::Pipeline::hedge) has turned away.
    pub hedges: u64,
    /// How many calls a hedge has won.
    pub won: u64,
    /// How many calls would have started another, had the budget not been empty.
    pub denied: u64,
    /// When the next call is late; [`Duration::MAX`] if never.
    pub delay: Duration,
    /// How many hedges the budget bears now.
    pub budget: u32,
}
