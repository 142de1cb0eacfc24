//! How a configuration's fault is told: by what must be, and by what is.

use core::fmt;

use super::ConfigError;

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
