use std::ops::Range;
use std::time::Duration;

use aplomb_tokio::prelude::*;

use super::service::Ability;

/// Callers a second.
pub(super) const DEMAND: u32 = 500;
/// How many pages they ask for.
pub(super) const PAGES: u32 = 500;

/// A part of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The caches are empty at first, and what comes of it is seen in the timeline only.
    Start,
    Before,
    Outage,
    After,
}

impl Phase {
    /// All of them, in their order, each with its time since the start.
    pub(super) const ALL: [(Self, Range<Duration>); 4] = [
        (Self::Start, ms(0)..ms(1_000)),
        (Self::Before, ms(1_000)..OUTAGE.start),
        (Self::Outage, OUTAGE),
        (Self::After, OUTAGE.end..TAKES),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Before => "before",
            Self::Outage => "outage",
            Self::After => "after",
        }
    }
}

/// When the service is down.
pub(super) const OUTAGE: Range<Duration> = ms(2_500)..ms(4_500);
/// How long it all takes.
pub(super) const TAKES: Duration = ms(6_000);

/// What the service is able to do.
pub(super) const ABILITY: Ability = Ability { takes: ms(10), at_once: 4, waiting: 20, outage: OUTAGE, gives_up_after: ms(50) };
