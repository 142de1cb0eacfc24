//! What a scenario says of its pattern.

mod adaptive_limit;
mod backoff;
mod batcher;
mod bulkhead;
mod cache;
mod circuit_breaker;
mod edges;
mod fallback;
mod hedge;
mod memoize;
mod parallel;
mod pipeline;
mod polling;
mod pool;
mod rate_limiter;
mod retry;
mod single_flight;
mod waterfall;

use serde_json::{Map, Value};

pub(crate) use self::adaptive_limit::{AdaptiveLimitConfig, LimitRule};
pub(crate) use self::backoff::{AnyBackoff, BackoffConfig, JitterConfig, fraction};
pub(crate) use self::batcher::BatcherConfig;
pub(crate) use self::bulkhead::BulkheadConfig;
pub(crate) use self::cache::CacheConfig;
pub(crate) use self::circuit_breaker::{CircuitBreakerConfig, FAILURE_RATE, SlowCallConfig, TripConfig, failure_rate};
use self::edges::{DebounceConfig, ThrottleConfig};
pub(crate) use self::edges::{EdgesConfig, StreamConfig, Superseded};
pub(crate) use self::fallback::FallbackConfig;
pub(crate) use self::hedge::HedgeConfig;
pub(crate) use self::memoize::MemoizeConfig;
pub(crate) use self::parallel::{OnError, Order, ParallelConfig};
pub(crate) use self::pipeline::{LayerConfig, PipelineConfig};
pub(crate) use self::polling::{PollingConfig, PollingErrors, PollingMode};
pub(crate) use self::pool::PoolConfig;
pub(crate) use self::rate_limiter::{RateLimiterAlgorithm, RateLimiterConfig, RateSetting};
pub(crate) use self::retry::{RetryConfig, TimeoutConfig};
pub(crate) use self::single_flight::SingleFlightConfig;
pub(crate) use self::waterfall::{Steps, WaterfallConfig};
use crate::millis::Millis;
use crate::scenario::{Action, strictly};

/// A pattern with its configuration.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// `timeout`.
    Timeout(TimeoutConfig),
    /// `retry`.
    Retry(Box<RetryConfig>),
    /// `debounce`, `throttle`.
    Edges(EdgesConfig),
    /// `debounce_stream`, `throttle_stream`.
    Stream(StreamConfig),
    /// `waterfall`.
    Waterfall(WaterfallConfig),
    /// `polling`.
    Polling(Box<PollingConfig>),
    /// `rate_limiter`.
    RateLimiter(RateLimiterConfig),
    /// `parallel`.
    Parallel(ParallelConfig),
    /// `parallel_stream`.
    ParallelStream(ParallelConfig),
    /// `pool`.
    Pool(PoolConfig),
    /// `batcher`.
    Batcher(BatcherConfig),
    /// `bulkhead`.
    Bulkhead(BulkheadConfig),
    /// `adaptive_limit`.
    AdaptiveLimit(Box<AdaptiveLimitConfig>),
    /// `single_flight`.
    SingleFlight(SingleFlightConfig),
    /// `cache`.
    Cache(CacheConfig),
    /// `memoize`.
    Memoize(MemoizeConfig),
    /// `circuit_breaker`.
    CircuitBreaker(Box<CircuitBreakerConfig>),
    /// `pipeline`.
    Pipeline(PipelineConfig),
    /// `hedge`.
    Hedge(HedgeConfig),
    /// `fallback`.
    Fallback(FallbackConfig),
}

impl Pattern {
    pub(crate) fn parse(name: &str, config: Option<Map<String, Value>>) -> Result<Self, String> {
        let config = Value::Object(config.unwrap_or_default());
        match name {
            "timeout" => strictly(config, "config").map(Self::Timeout),
            "retry" => strictly(config, "config").map(|retry| Self::Retry(Box::new(retry))),
            "debounce" => strictly(config, "config").map(|debounce: DebounceConfig| Self::Edges(debounce.edges())),
            "throttle" => strictly(config, "config").map(|throttle: ThrottleConfig| Self::Edges(throttle.edges())),
            "debounce_stream" => strictly(config, "config").map(|debounce: DebounceConfig| Self::Stream(debounce.stream())),
            "throttle_stream" => strictly(config, "config").map(|throttle: ThrottleConfig| Self::Stream(throttle.stream())),
            "waterfall" => {
                strictly(config, "config").and_then(|waterfall: WaterfallConfig| waterfall.check()).map(Self::Waterfall)
            }
            "polling" => {
                strictly(config, "config").and_then(PollingConfig::check).map(|polling| Self::Polling(Box::new(polling)))
            }
            "rate_limiter" => strictly(config, "config").and_then(RateLimiterConfig::check_alone).map(Self::RateLimiter),
            "parallel" => strictly(config, "config").map(Self::Parallel),
            "parallel_stream" => strictly(config, "config").map(Self::ParallelStream),
            "pool" => strictly(config, "config").map(Self::Pool),
            "batcher" => strictly(config, "config").map(Self::Batcher),
            "bulkhead" => strictly(config, "config").map(Self::Bulkhead),
            "adaptive_limit" => strictly(config, "config").map(|limit| Self::AdaptiveLimit(Box::new(limit))),
            "single_flight" => strictly(config, "config").map(Self::SingleFlight),
            "cache" => strictly(config, "config").map(Self::Cache),
            "memoize" => strictly(config, "config").map(Self::Memoize),
            "circuit_breaker" => strictly(config, "config")
                .and_then(CircuitBreakerConfig::check)
                .map(|breaker| Self::CircuitBreaker(Box::new(breaker))),
            "pipeline" => strictly(config, "config").and_then(PipelineConfig::check).map(Self::Pipeline),
            "hedge" => strictly(config, "config").and_then(HedgeConfig::check).map(Self::Hedge),
            "fallback" => strictly(config, "config").map(Self::Fallback),
            _ => Err(format!("pattern: unknown pattern `{name}`")),
        }
    }

    /// The name of the pattern.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Retry(_) => "retry",
            Self::Waterfall(_) => "waterfall",
            Self::Polling(_) => "polling",
            Self::RateLimiter(_) => "rate_limiter",
            Self::Parallel(_) => "parallel",
            Self::ParallelStream(_) => "parallel_stream",
            Self::Pool(_) => "pool",
            Self::Batcher(_) => "batcher",
            Self::Bulkhead(_) => "bulkhead",
            Self::AdaptiveLimit(_) => "adaptive_limit",
            Self::SingleFlight(_) => "single_flight",
            Self::Cache(_) => "cache",
            Self::Memoize(_) => "memoize",
            Self::CircuitBreaker(_) => "circuit_breaker",
            Self::Pipeline(_) => "pipeline",
            Self::Hedge(_) => "hedge",
            Self::Fallback(_) => "fallback",
            Self::Edges(EdgesConfig { debounces: true, .. }) => "debounce",
            Self::Edges(EdgesConfig { debounces: false, .. }) => "throttle",
            Self::Stream(stream) if stream.edges.debounces => "debounce_stream",
            Self::Stream(_) => "throttle_stream",
        }
    }
}

impl Pattern {
    /// Whether it measures how long calls take, and does something else if that is a little more.
    pub(crate) const fn goes_by_latencies(&self) -> bool {
        match self {
            Self::AdaptiveLimit(limit) => !matches!(limit.algorithm, LimitRule::Aimd { .. }),
            _ => false,
        }
    }

    /// The times that are written in its configuration, but those of a backoff with jitter, of which nothing depends on their exactness.
    pub(crate) fn times(&self) -> Vec<Millis> {
        match self {
            Self::Timeout(timeout) => timeout.times(),
            Self::Pipeline(pipeline) => pipeline.times(),
            Self::Waterfall(_)
            | Self::Parallel(_)
            | Self::ParallelStream(_)
            | Self::Pool(_)
            | Self::SingleFlight(_)
            | Self::Fallback(_)
            | Self::Memoize(_) => Vec::new(),
            Self::Batcher(batcher) => vec![batcher.max_wait],
            Self::Hedge(hedge) => hedge.times(),
            Self::Bulkhead(bulkhead) => bulkhead.times(),
            Self::AdaptiveLimit(limit) => limit.times(),
            Self::Cache(cache) => cache.times(),
            Self::RateLimiter(limiter) => limiter.times(),
            Self::CircuitBreaker(breaker) => breaker.times(),
            Self::Polling(polling) => {
                let mut times = vec![polling.deadline, polling.initial_delay];
                times.extend(polling.interval);
                times.extend(polling.backoff.iter().flat_map(BackoffConfig::times));
                times
            }
            Self::Edges(edges) => edges.times.to_vec(),
            Self::Stream(stream) => stream.edges.times.to_vec(),
            Self::Retry(retry) => retry.times(),
        }
    }
}

impl Pattern {
    /// What can be done to the pattern itself.
    fn verbs(&self) -> &'static [&'static str] {
        match self {
            Self::Edges(_) => &["cancel", "flush", "trigger"],
            Self::RateLimiter(_) => &["set_rate"],
            Self::Stream(_) | Self::ParallelStream(_) => &["end"],
            Self::Pool(_) => &["pause", "resume", "close", "cancel_waiting", "set_concurrency"],
            Self::Batcher(_) => &["flush"],
            Self::Bulkhead(_) => &["set_max_concurrent", "close"],
            Self::AdaptiveLimit(_) => &["close"],
            Self::SingleFlight(_) => &["forget"],
            Self::Cache(_) => &["invalidate", "clear", "insert"],
            Self::Memoize(_) => &["forget", "clear"],
            Self::CircuitBreaker(_) => &["force_open", "force_closed", "disable", "reset"],
            Self::Timeout(_)
            | Self::Retry(_)
            | Self::Polling(_)
            | Self::Waterfall(_)
            | Self::Parallel(_)
            | Self::Hedge(_)
            | Self::Fallback(_)
            | Self::Pipeline(_) => &[],
        }
    }

    /// What a call may be given, beside its argument.
    fn options(&self) -> &'static [&'static str] {
        match self {
            Self::Cache(_) | Self::Memoize(_) => &["try", "key"],
            Self::CircuitBreaker(config) if config.keyed => &["try", "key"],
            Self::Bulkhead(_) | Self::AdaptiveLimit(_) | Self::CircuitBreaker(_) => &["try"],
            Self::Pool(_) => &["try", "priority", "drained"],
            Self::RateLimiter(config) if config.keyed => &["try", "permits", "deadline", "reserve", "key"],
            Self::RateLimiter(_) => &["try", "permits", "deadline", "reserve"],
            Self::Parallel(_) => &["items"],
            Self::SingleFlight(_) | Self::Pipeline(_) => &["key"],
            Self::Batcher(_)
            | Self::Edges(_)
            | Self::Stream(_)
            | Self::Timeout(_)
            | Self::Retry(_)
            | Self::Polling(_)
            | Self::Waterfall(_)
            | Self::Hedge(_)
            | Self::Fallback(_)
            | Self::ParallelStream(_) => &[],
        }
    }

    /// Whether a call of it, or the stream that it is, has several operations under way at once.
    #[must_use]
    pub fn runs_several_at_once(&self) -> bool {
        matches!(self, Self::Parallel(_) | Self::ParallelStream(_) | Self::Hedge(_))
    }

    /// Whether it has items, and no callers.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::ParallelStream(_))
    }

    /// Whether that can be done to it.
    pub(crate) fn check(&self, action: &Action) -> Result<(), String> {
        if let Self::RateLimiter(limiter) = self {
            limiter.check_action(action)?;
        }
        let known = match action {
            Action::Item { .. } => self.is_stream(),
            Action::Do(order) => self.verbs().contains(&&*order.verb),
            Action::Call(request) => !self.is_stream() && request.options().all(|option| self.options().contains(&option)),
            Action::Drop { .. } => !self.is_stream(),
            Action::Jump { .. } => true,
        };
        if known { Ok(()) } else { Err(format!("{action:?} is nothing that can be done to `{}`", self.name())) }
    }
}

fn yes() -> bool {
    true
}

fn never() -> Millis {
    Millis::NEVER
}
