//! What a scenario says of its pattern.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{Nanos, Token};

/// A pattern with its configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum Config {
    Timeout {
        after: Nanos,
    },
    Retry(Retry),
    Edges(Edges),
    Stream(Stream),
    Waterfall {
        steps: u8,
        named: bool,
    },
    Polling(Polling),
    RateLimiter(RateLimiter),
    Parallel(Parallel),
    ParallelStream(Parallel),
    Pool {
        concurrency: u32,
        max_queued: Option<u32>,
    },
    Bulkhead(Bulkhead),
    SingleFlight {
        capacity: Option<u32>,
        max_waiting: Option<u32>,
        tells_shared: bool,
    },
    Cache(Cache),
    Memoize {
        capacity: Option<u32>,
        max_waiting: Option<u32>,
    },
    CircuitBreaker(CircuitBreaker),
    AdaptiveLimit(AdaptiveLimit),
    Batcher(Batcher),
    Hedge(Hedge),
    Fallback(Fallback),
    /// Its layers are the scenario's.
    Pipeline,
}

/// A layer of a pipeline.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum Layer {
    Timeout { after: Nanos },
    Retry(Retry),
    RetryRejected(Retry),
    RateLimiter(RateLimiter),
    AdaptiveLimit(AdaptiveLimit),
    CircuitBreaker(CircuitBreaker),
    Bulkhead(Bulkhead),
    Hedge(Hedge),
    Fallback(Fallback),
}

/// A fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratio(pub u32, pub u32);

/// A few values.
pub type Few = Vec<Token, 4>;

/// Delays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backoff {
    /// How they grow.
    pub kind: BackoffKind,
    /// At most; never: no limit.
    pub max: Nanos,
    /// How they are spread.
    pub jitter: Jitter,
    /// The seed of the jitter.
    pub seed: Option<u64>,
}

/// How delays grow.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum BackoffKind {
    Constant { delay: Nanos },
    Linear { initial: Nanos, step: Nanos },
    Exponential { initial: Nanos, factor: Ratio },
    Fibonacci { initial: Nanos },
    List { delays: Vec<Nanos, 4> },
}

/// How delays are spread.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum Jitter {
    None,
    Full,
    Equal,
    Decorrelated,
    Proportional(Ratio),
}

/// Of `retry`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Retry {
    pub max_attempts: Option<u32>,
    pub backoff: Backoff,
    pub retry_if: Option<Few>,
    pub retry_if_value: Few,
    pub attempt_timeout: Nanos,
    pub deadline: Nanos,
    pub retry_after_max: Nanos,
    pub reset_after: Nanos,
    pub between: Nanos,
    /// Capacity, what a retry costs, what a success puts back.
    pub budget: Option<(u32, u32, u32)>,
}

/// Of `debounce` and `throttle`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Edges {
    pub debounces: bool,
    /// `wait` or `interval`.
    pub wait: Nanos,
    pub leading: bool,
    pub trailing: bool,
    pub max_wait: Nanos,
    pub shares: bool,
}

/// Of `debounce_stream` and `throttle_stream`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum Stream {
    Edges(Edges),
    Pace { interval: Nanos },
    Audit { interval: Nanos },
}

/// Of `polling`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Polling {
    pub every: Every,
    pub max_attempts: Option<u32>,
    pub until: Option<Token>,
    /// How many errors in a row are tolerated; `u32::MAX`: any number.
    pub tolerated: Option<u32>,
    pub deadline: Nanos,
    pub initial_delay: Nanos,
}

/// When to ask again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum Every {
    Delay(Nanos),
    Rate(Nanos),
    Backoff(Backoff),
}

/// Of `rate_limiter`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct RateLimiter {
    pub algorithm: Algorithm,
    pub rate: Rate,
    pub max_concurrent: Option<u32>,
    pub max_waiting: Option<u32>,
    /// Of a layer.
    pub max_wait: Nanos,
    pub keyed: bool,
    pub capacity: Option<u32>,
}

/// Of a limiter, and of `set_rate`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Rate {
    pub permits: u32,
    pub per: Nanos,
    pub burst: u32,
}

/// A rule by which permits are given.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum Algorithm {
    TokenBucket,
    FixedWindow,
    SlidingWindow,
    SlidingCounter,
}

/// Of `bulkhead`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Bulkhead {
    pub max_concurrent: u32,
    pub max_waiting: Option<u32>,
    pub max_wait: Nanos,
}

/// Of `adaptive_limit`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct AdaptiveLimit {
    pub rule: LimitRule,
    pub initial_limit: Option<u32>,
    pub min_limit: Option<u32>,
    pub max_limit: Option<u32>,
    pub window: Option<Nanos>,
    pub min_calls: Option<u32>,
    pub overload_tolerance: Option<Ratio>,
    pub max_waiting: Option<u32>,
    pub max_wait: Nanos,
    pub overload_if: Few,
}

/// By which rule a limit is found.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum LimitRule {
    Aimd { max_latency: Nanos, backoff: Option<Ratio> },
    Vegas { probe_every: Option<u32> },
    Gradient { tolerance: Option<Ratio>, smoothing: Option<Ratio>, queue_size: Option<u32>, probe_every: Option<u32> },
}

/// Of `batcher`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Batcher {
    pub max_items: u32,
    pub max_wait: Nanos,
    pub max_weight: Option<u64>,
    pub max_waiting: Option<u32>,
    pub max_concurrent: Option<u32>,
    pub once: bool,
}

/// Of `hedge`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Hedge {
    pub delay: HedgeDelay,
    pub max_hedges: u32,
    /// A share of the calls, and a burst.
    pub budget: Option<(Ratio, u32)>,
    /// The values that count as failures.
    pub failure_values: Few,
    pub fatal_if: Few,
}

/// When a start is late.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum HedgeDelay {
    After(Nanos),
    Percentile { share: Ratio, min_samples: Option<u32>, initial: Nanos, min: Option<Nanos>, max: Nanos },
}

/// Of `fallback`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Fallback {
    pub value: Option<Token>,
    pub fallback_if: Option<Few>,
    /// Whether it is for what a layer within has cut off.
    pub of_timeouts: bool,
}

/// Of `parallel` and `parallel_stream`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Parallel {
    pub limit: u32,
    pub collects: bool,
    pub by_completion: bool,
}

/// Of `cache`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct Cache {
    pub ttl: Nanos,
    pub ttl_by_value: bool,
    pub time_to_idle: Nanos,
    pub refresh_after: Nanos,
    pub error_ttl: Option<Nanos>,
    pub stale_while_revalidate: Nanos,
    pub stale_if_error: Nanos,
    pub capacity: Option<u32>,
    pub max_weight: Option<u64>,
    pub max_fetches: Option<u32>,
    pub max_waiting: Option<u32>,
}

/// Of `circuit_breaker`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub struct CircuitBreaker {
    pub trip: Trip,
    pub slow_call: Option<(Nanos, Ratio)>,
    pub open: Backoff,
    pub half_open_calls: u32,
    pub half_open_for: Nanos,
    pub success_threshold: u32,
    pub failure_if: Option<Few>,
    pub keyed: bool,
    pub capacity: Option<u32>,
}

/// When it trips.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the scenarios' own names")]
pub enum Trip {
    Consecutive(u32),
    LastCalls { failure_rate: Ratio, min_calls: Option<u32>, last_calls: u32 },
    LastTime { failure_rate: Ratio, min_calls: Option<u32>, last: Nanos, buckets: u32 },
}
