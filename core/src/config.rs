//! What is wrong with a configuration.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::ratio::Ratio;

/// A setting that makes no sense: which field, what it is, and what it must be.
///
/// A configuration that came from outside is refused by its `check`, a constant one, at compile time, by [`checked!`](crate::checked). What has been checked by neither is refused, with this same error,
/// when it is used, before anything is started. Nothing panics.
///
/// # Examples
///
/// ```
/// use aplomb::ConfigError;
/// use aplomb_sim::prelude::*;
///
/// let refused = Retry::new().max_attempts(0).check();
/// assert_eq!(refused.unwrap_err(), ConfigError::MaxAttempts { value: 0 });
/// assert_eq!(refused.unwrap_err().to_string(), "max_attempts is 0, must be at least 1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// `max_attempts` counts the first attempt too.
    MaxAttempts {
        /// The setting.
        value: u32,
    },
    /// With none at once, nothing would ever run; and there is no room for more than there are places.
    Concurrency {
        /// The setting.
        value: u32,
        /// How many places there are.
        most: u32,
    },
    /// Without room to wait, nothing could be added to a set of jobs; and no more can wait than there are places.
    MaxQueued {
        /// The setting.
        value: u32,
        /// How many places there are.
        most: usize,
    },
    /// A delay can't shrink from one attempt to the next.
    Factor {
        /// The setting.
        value: Ratio,
    },
    /// Neither a leading nor a trailing edge: nothing would ever start.
    Edges,
    /// A burst can't be cut shorter than its quiet end.
    MaxWait {
        /// The setting.
        value: Duration,
        /// The window, which it must not be shorter than.
        wait: Duration,
    },
    /// A grid without distance between its ticks has no next one.
    Interval {
        /// The setting.
        value: Duration,
    },
    /// Repeats without time between them would never end.
    RepeatEvery {
        /// The setting.
        value: Duration,
    },
    /// A rate without permits lets nobody in.
    Permits {
        /// The setting.
        value: u32,
    },
    /// A rate is so many permits in some time.
    Per {
        /// The setting.
        value: Duration,
    },
    /// A bucket holds a permit at least, and fills again in 146 years at most.
    Burst {
        /// The setting.
        value: u32,
        /// The largest that there can be.
        most: u32,
    },
    /// A log in place has room for every permit.
    LogCapacity {
        /// Of the rate.
        permits: u32,
        /// Of the storage.
        capacity: usize,
    },
    /// A table has room for a key at least, and for no more than its storage.
    Capacity {
        /// The setting.
        value: usize,
        /// The storage's.
        most: usize,
    },
    /// With none at once, nothing ever starts.
    MaxConcurrent {
        /// The setting.
        value: u32,
    },
    /// What is under way already can't be told more.
    Begun,
    /// With none at once, nothing would ever be done; and there is no room for more than there are places.
    Limit {
        /// The setting.
        value: usize,
        /// How many places there are.
        most: usize,
    },
    /// Jitter can't take away more than the whole TTL.
    TtlJitter {
        /// The setting.
        value: Ratio,
    },
    /// What is fetched anew so long before its end would be due before it came.
    RefreshAhead {
        /// The setting.
        value: Duration,
        /// The shortest TTL by the settings, its jitter taken off.
        ttl: Duration,
    },
    /// It has to be a number.
    EarlyRefresh {
        /// The setting.
        value: Ratio,
    },
    /// With none at once, nothing would ever be fetched; and there is no room for more than there are places.
    MaxFetches {
        /// The setting.
        value: usize,
        /// How many places there are.
        most: usize,
    },
    /// Of a cache that a memoized function's values are kept in: nobody fetches them anew but who calls it, and errors are not kept.
    Memoized {
        /// The setting that has no sense there.
        setting: &'static str,
    },
    /// No more can wait than there are places.
    WaitingPlaces {
        /// The setting.
        value: u32,
        /// How many places there are.
        most: usize,
    },
    /// Without weight there is room for nothing.
    MaxWeight {
        /// The setting.
        value: u64,
    },
    /// Without a failure, nothing ever trips.
    ConsecutiveFailures {
        /// The setting.
        value: u32,
    },
    /// A window has room for a call at least, and for no more than its bits.
    LastCalls {
        /// The setting.
        value: u32,
        /// How many bits there are.
        most: u32,
    },
    /// A window without time has no calls in it.
    LastTime {
        /// The setting.
        value: Duration,
    },
    /// A window has a bucket at least, and no more than there is room for.
    Buckets {
        /// The setting.
        value: u32,
        /// How many there is room for.
        most: u32,
    },
    /// A share of nothing would be reached without a failure, and more than all never.
    FailureRate {
        /// The setting.
        value: Ratio,
    },
    /// A share of nothing would be reached without a slow call, and more than all never.
    SlowRate {
        /// The setting.
        value: Ratio,
    },
    /// There is no share of no calls, and never more calls than the window holds.
    MinCalls {
        /// The setting.
        value: u32,
        /// How many the window holds.
        most: u32,
    },
    /// Without a probe, a breaker would never close again.
    HalfOpenCalls {
        /// The setting.
        value: u32,
    },
    /// Without time for a probe, a breaker would never close again.
    HalfOpenFor {
        /// The setting.
        value: Duration,
    },
    /// A breaker closes by a success, not by itself.
    SuccessThreshold {
        /// The setting.
        value: u32,
    },
    /// With a limit of none, nothing ever starts.
    MinLimit {
        /// The setting.
        value: u32,
    },
    /// The largest limit can't be less than the smallest.
    MaxLimit {
        /// The setting.
        value: u32,
        /// The smallest limit.
        least: u32,
    },
    /// A limit begins within its bounds.
    InitialLimit {
        /// The setting.
        value: u32,
        /// The smallest limit.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// Every call takes longer than no time.
    MaxLatency {
        /// The setting.
        value: Duration,
    },
    /// A breaker that opens does so for some time, or for ever: a list of no times says neither.
    OpenBackoff,
    /// A limit that gives way shrinks, and does not collapse.
    BackoffRatio {
        /// The setting.
        value: Ratio,
    },
    /// Calls may take as long as they do in the long run.
    Tolerance {
        /// The setting.
        value: Ratio,
    },
    /// If all may be signs of overload, there is none.
    OverloadTolerance {
        /// The setting.
        value: Ratio,
    },
    /// A share of nothing would never get there, and more than all would overshoot.
    Smoothing {
        /// The setting.
        value: Ratio,
    },
    /// What is looked at after every window has no time to be otherwise.
    ProbeEvery {
        /// The setting.
        value: u32,
    },
    /// A batch has an item at least, and no more than there is room for.
    MaxItems {
        /// The setting.
        value: u32,
        /// How many there is room for.
        most: u32,
    },
    /// If no batch's worth of callers may wait, none is ever full.
    MaxWaiting {
        /// The setting.
        value: u32,
        /// A batch's worth.
        least: u32,
    },
    /// A hedge that makes none is none; and there is no room for more than there are places, nor for more than 32.
    MaxHedges {
        /// The setting.
        value: u32,
        /// For how many there is room.
        most: usize,
    },
    /// A budget of nothing would never let a hedge start.
    HedgeBudget {
        /// The setting.
        value: Ratio,
    },
    /// There is a hedge at least, and a budget is counted in parts of one: as many as its denominator says.
    HedgeBurst {
        /// The setting.
        value: u32,
        /// The largest that there can be with that budget.
        most: u32,
    },
    /// No call is quicker than the quickest, or slower than the slowest.
    Percentile {
        /// The setting.
        value: Ratio,
    },
    /// A percentile is one of some samples, and of no more than are kept.
    MinSamples {
        /// The setting.
        value: u32,
        /// How many are kept at least.
        most: u32,
    },
    /// A ceiling can't lie below the floor.
    MaxDelay {
        /// The setting.
        value: Duration,
        /// The floor.
        min: Duration,
    },
    /// Proportional jitter can't take away more than the whole delay.
    Jitter {
        /// The setting.
        value: Ratio,
    },
}

impl ConfigError {
    /// The field, and what it must be: all that can be said at compile time.
    #[must_use]
    pub const fn requirement(self) -> &'static str {
        match self {
            Self::MaxAttempts { .. } => "max_attempts must be at least 1",
            Self::Concurrency { .. } => "concurrency must be at least 1, and at most the number of places",
            Self::MaxQueued { .. } => "max_queued must be at most the number of places, and of a set at least 1",
            Self::Factor { .. } => "factor must be at least 1",
            Self::Edges => "leading or trailing must be true",
            Self::MaxWait { .. } => "max_wait must be at least wait",
            Self::Interval { .. } => "interval must be longer than zero",
            Self::RepeatEvery { .. } => "repeat_every must be longer than zero",
            Self::Permits { .. } => "permits must be at least 1",
            Self::Per { .. } => "per must be longer than zero",
            Self::Burst { most: u32::MAX, .. } => "burst must be at least 1",
            Self::Burst { .. } => "burst must be at least 1, and fill again within 146 years",
            Self::LogCapacity { .. } => "permits must be at most the log's capacity",
            Self::Capacity { .. } => "capacity must be at least 1, and at most the storage's",
            Self::MaxConcurrent { .. } => "max_concurrent must be at least 1",
            Self::Limit { .. } => "limit must be at least 1, and at most the number of places",
            Self::TtlJitter { .. } => "ttl_jitter must be at most 1",
            Self::RefreshAhead { .. } => "refresh_ahead must be less than the ttl, its jitter taken off",
            Self::EarlyRefresh { .. } => "early_refresh must be a number",
            Self::MaxFetches { .. } => "max_fetches must be at least 1, and at most the number of places",
            Self::Memoized { .. } => {
                "stale_while_revalidate, refresh_ahead, early_refresh and error_ttl must not be set where a memoized function's values are kept"
            }
            Self::WaitingPlaces { .. } => "max_waiting must be at most the number of places",
            Self::MaxWeight { .. } => "max_weight must be at least 1",
            Self::ConsecutiveFailures { .. } => "consecutive must be at least 1",
            Self::LastCalls { .. } => "last_calls must be at least 1, and at most the number of bits",
            Self::LastTime { .. } => "last_time must be longer than zero",
            Self::Buckets { .. } => "buckets must be at least 1, and at most as many as there is room for",
            Self::FailureRate { .. } => "failure_rate must be above 0, and at most 1",
            Self::SlowRate { .. } => "slow_calls' share must be above 0, and at most 1",
            Self::MinCalls { .. } => "min_calls must be at least 1, and at most what the window holds",
            Self::HalfOpenCalls { .. } => "half_open must be at least 1",
            Self::HalfOpenFor { .. } => "half_open_for must be longer than zero",
            Self::SuccessThreshold { .. } => "success_threshold must be at least 1",
            Self::MinLimit { .. } => "min_limit must be at least 1",
            Self::MaxLimit { .. } => "max_limit must be at least min_limit",
            Self::InitialLimit { .. } => "initial_limit must be from min_limit to max_limit",
            Self::MaxLatency { .. } => "max_latency must be longer than zero",
            Self::OpenBackoff => "open_backoff must have a delay",
            Self::Begun => "settings come before the first item",
            Self::BackoffRatio { .. } => "backoff must be at least a half, and below 1",
            Self::Tolerance { .. } => "tolerance must be at least 1",
            Self::OverloadTolerance { .. } => "overload_tolerance must be below 1",
            Self::Smoothing { .. } => "smoothing must be above 0, and at most 1",
            Self::ProbeEvery { .. } => "probe_every must be at least 1",
            Self::MaxItems { .. } => "max_items must be at least 1, and at most what there is room for",
            Self::MaxWaiting { .. } => "max_waiting must be at least max_items",
            Self::MaxHedges { .. } => "max_hedges must be at least 1, and at most the number of places and 32",
            Self::HedgeBudget { .. } => "budget must be above 0",
            Self::HedgeBurst { .. } => {
                "burst must be at least 1, and its product with the budget's denominator at most 4,294,967,295"
            }
            Self::Percentile { .. } => "percentile must be above 0, and at most 1",
            Self::MinSamples { .. } => "min_samples must be at least 1, and at most what is kept",
            Self::MaxDelay { .. } => "max_delay must be at least min_delay",
            Self::Jitter { .. } => "jitter must be at most 1",
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxAttempts { value } => write!(f, "max_attempts is {value}, must be at least 1"),
            Self::Concurrency { value, most: u32::MAX } => write!(f, "concurrency is {value}, must be at least 1"),
            Self::Concurrency { value, most } => write!(f, "concurrency is {value}, must be from 1 to {most}"),
            Self::MaxQueued { value: 0, .. } => f.write_str("max_queued is 0, must be at least 1"),
            Self::MaxQueued { value, most } => write!(f, "max_queued is {value}, must be at most {most}, the number of places"),
            Self::Factor { value } => write!(f, "factor is {value}, must be at least 1"),
            Self::Edges => f.write_str("leading and trailing are both false, one must be true"),
            Self::MaxWait { value, wait } => write!(f, "max_wait is {value:?}, must be at least wait, {wait:?}"),
            Self::Interval { value } => write!(f, "interval is {value:?}, must be longer than zero"),
            Self::RepeatEvery { value } => write!(f, "repeat_every is {value:?}, must be longer than zero"),
            Self::Permits { value } => write!(f, "permits is {value}, must be at least 1"),
            Self::Per { value } => write!(f, "per is {value:?}, must be longer than zero"),
            Self::Burst { value, most: u32::MAX } => write!(f, "burst is {value}, must be at least 1"),
            Self::Burst { value, most } => write!(f, "burst is {value}, must be from 1 to {most}"),
            Self::LogCapacity { permits, capacity } => {
                write!(f, "permits is {permits}, must be at most the log's capacity, {capacity}")
            }
            Self::Capacity { value, most: usize::MAX } => write!(f, "capacity is {value}, must be at least 1"),
            Self::Capacity { value, most } => write!(f, "capacity is {value}, must be from 1 to {most}"),
            Self::MaxConcurrent { value } => write!(f, "max_concurrent is {value}, must be at least 1"),
            Self::Limit { value: 0, .. } => f.write_str("limit is 0, must be at least 1"),
            Self::Limit { value, most } => write!(f, "limit is {value}, must be at most {most}, the number of places"),
            Self::TtlJitter { value } => write!(f, "ttl_jitter is {value}, must be at most 1"),
            Self::RefreshAhead { value, ttl } => {
                write!(f, "refresh_ahead is {value:?}, must be less than {ttl:?}, the shortest ttl")
            }
            Self::EarlyRefresh { value } => write!(f, "early_refresh is {value}, must be a number"),
            Self::MaxFetches { value: 0, .. } => f.write_str("max_fetches is 0, must be at least 1"),
            Self::MaxFetches { value, most } => write!(f, "max_fetches is {value}, must be at most {most}, the number of places"),
            Self::Memoized { setting } => write!(f, "{setting} is set, must not be where a memoized function's values are kept"),
            Self::WaitingPlaces { value, most } => {
                write!(f, "max_waiting is {value}, must be at most {most}, the number of places")
            }
            Self::MaxWeight { value } => write!(f, "max_weight is {value}, must be at least 1"),
            Self::ConsecutiveFailures { value } => write!(f, "consecutive is {value}, must be at least 1"),
            Self::LastCalls { value, most } => write!(f, "last_calls is {value}, must be from 1 to {most}"),
            Self::LastTime { value } => write!(f, "last_time is {value:?}, must be longer than zero"),
            Self::Buckets { value, most } => write!(f, "buckets is {value}, must be from 1 to {most}"),
            Self::FailureRate { value } => write!(f, "failure_rate is {value}, must be above 0 and at most 1"),
            Self::SlowRate { value } => write!(f, "slow_calls' share is {value}, must be above 0 and at most 1"),
            Self::MinCalls { value, most: u32::MAX } => write!(f, "min_calls is {value}, must be at least 1"),
            Self::MinCalls { value, most } => write!(f, "min_calls is {value}, must be from 1 to {most}"),
            Self::HalfOpenCalls { value } => write!(f, "half_open is {value}, must be at least 1"),
            Self::HalfOpenFor { value } => write!(f, "half_open_for is {value:?}, must be longer than zero"),
            Self::SuccessThreshold { value } => write!(f, "success_threshold is {value}, must be at least 1"),
            Self::MinLimit { value } => write!(f, "min_limit is {value}, must be at least 1"),
            Self::MaxLimit { value, least } => write!(f, "max_limit is {value}, must be at least min_limit, {least}"),
            Self::InitialLimit { value, least, most } => write!(f, "initial_limit is {value}, must be from {least} to {most}"),
            Self::MaxLatency { value } => write!(f, "max_latency is {value:?}, must be longer than zero"),
            Self::OpenBackoff => f.write_str("open_backoff has no delay, must have one at least"),
            Self::Begun => f.write_str("told more, or awaited, after the first item was started: settings come before"),
            Self::BackoffRatio { value } => write!(f, "backoff is {value}, must be at least 1/2 and below 1"),
            Self::Tolerance { value } => write!(f, "tolerance is {value}, must be at least 1"),
            Self::OverloadTolerance { value } => write!(f, "overload_tolerance is {value}, must be below 1"),
            Self::Smoothing { value } => write!(f, "smoothing is {value}, must be above 0 and at most 1"),
            Self::ProbeEvery { value } => write!(f, "probe_every is {value}, must be at least 1"),
            Self::MaxItems { value, most: u32::MAX } => write!(f, "max_items is {value}, must be at least 1"),
            Self::MaxItems { value, most } => write!(f, "max_items is {value}, must be from 1 to {most}"),
            Self::MaxWaiting { value, least } => write!(f, "max_waiting is {value}, must be at least max_items, {least}"),
            Self::MaxHedges { value, most } => write!(f, "max_hedges is {value}, must be from 1 to {most}"),
            Self::HedgeBudget { value } => write!(f, "budget is {value}, must be above 0"),
            Self::HedgeBurst { value: 0, .. } => f.write_str("burst is 0, must be at least 1"),
            Self::HedgeBurst { value, most } => write!(f, "burst is {value}, must be from 1 to {most} with that budget"),
            Self::Percentile { value } => write!(f, "percentile is {value}, must be above 0 and at most 1"),
            Self::MinSamples { value, most } => write!(f, "min_samples is {value}, must be from 1 to {most}"),
            Self::MaxDelay { value, min } => write!(f, "max_delay is {value:?}, must be at least min_delay, {min:?}"),
            Self::Jitter { value } => write!(f, "jitter is {value}, must be at most 1"),
        }
    }
}

impl Error for ConfigError {}

/// A configuration that is checked while the program is compiled.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static RETRY: Retry = checked!(Retry::new().max_attempts(5));
/// ```
///
/// ```compile_fail
/// use aplomb_sim::prelude::*;
///
/// static RETRY: Retry = checked!(Retry::new().max_attempts(0)); // max_attempts must be at least 1
/// ```
#[macro_export]
macro_rules! checked {
    ($configuration:expr) => {
        // A `const` block runs in the compiler only, and so does its panic.
        const {
            // Made twice, of one type: to be asked, which uses it up, since the compiler drops nothing that may have waiters; and to be.
            let mut asked = false;
            loop {
                let configuration = $configuration;
                if asked {
                    break configuration;
                }
                if let ::core::option::Option::Some(error) = configuration.config_error() {
                    ::core::panic!("{}", error.requirement());
                }
                asked = true;
            }
        }
    };
}
