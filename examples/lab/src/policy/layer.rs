use std::time::Duration;

use aplomb::backoff::Exponential;
use aplomb::rate_limiter::Rate;
use aplomb::ratio::Ratio;

/// What a policy consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Layer {
    /// All that is inside ends by then; retries and limiters inside know.
    Deadline(Duration),
    Timeout(Duration),
    Retry(Retrying),
    Hedge(Hedging),
    Breaker(Breaking),
    Limiter(Limiting),
    Bulkhead(Housing),
    Adaptive(Adapting),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Retrying {
    /// The first included.
    pub(crate) attempts: u32,
    pub(crate) backoff: Exponential,
    pub(crate) budget: Option<Budgeting>,
}

/// When a second request is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hedging {
    pub(crate) late: Late,
    pub(crate) budget: Option<Budgeting>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Late {
    After(Duration),
    /// After a percentile of what calls have taken.
    Percentile(Ratio),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Budgeting {
    /// Retries for each hundred successes, or hedges for each hundred calls.
    pub(crate) percent: u32,
    /// How many there are to begin with.
    pub(crate) burst: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Breaking {
    pub(crate) trip: Trip,
    pub(crate) open_for: Duration,
    /// At once, while it is half-open.
    pub(crate) probes: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Trip {
    Consecutive(u32),
    LastCalls { share: Ratio, calls: u32 },
    LastTime { share: Ratio, time: Duration },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limiting {
    pub(crate) rate: Rate,
    pub(crate) burst: Option<u32>,
    pub(crate) wait: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Housing {
    pub(crate) places: u32,
    pub(crate) queue: Option<u32>,
    pub(crate) wait: Option<Duration>,
}

/// A limit that is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adapting {
    pub(crate) rule: Rule,
    pub(crate) initial: Option<u32>,
    pub(crate) queue: Option<u32>,
    pub(crate) wait: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    Gradient,
    Vegas,
    /// What takes longer is too slow.
    Aimd(Duration),
}
