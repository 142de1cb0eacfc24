use serde::Deserialize;

use super::{
    AdaptiveLimitConfig, BulkheadConfig, CircuitBreakerConfig, FallbackConfig, HedgeConfig, RateLimiterConfig, RetryConfig,
    TimeoutConfig,
};
use crate::millis::Millis;

/// Of `pipeline`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// The outermost first.
    pub layers: Vec<LayerConfig>,
}

/// A layer, configured as the pattern of its name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerConfig {
    /// `timeout`.
    Timeout(TimeoutConfig),
    /// `retry`.
    Retry(Box<RetryConfig>),
    /// `retry`, also of what a layer within has rejected.
    RetryRejected(Box<RetryConfig>),
    /// `rate_limiter`.
    RateLimiter(RateLimiterConfig),
    /// `adaptive_limit`.
    AdaptiveLimit(Box<AdaptiveLimitConfig>),
    /// `circuit_breaker`.
    CircuitBreaker(Box<CircuitBreakerConfig>),
    /// `bulkhead`.
    Bulkhead(BulkheadConfig),
    /// `hedge`.
    Hedge(HedgeConfig),
    /// `fallback`, to a value. What it is for may be named by its kind too.
    Fallback(FallbackConfig),
}

impl LayerConfig {
    fn times(&self) -> Vec<Millis> {
        match self {
            Self::Timeout(timeout) => timeout.times(),
            Self::Retry(retry) | Self::RetryRejected(retry) => retry.times(),
            Self::RateLimiter(limiter) => limiter.times(),
            Self::AdaptiveLimit(limit) => limit.times(),
            Self::CircuitBreaker(breaker) => breaker.times(),
            Self::Bulkhead(bulkhead) => bulkhead.times(),
            Self::Hedge(hedge) => hedge.times(),
            Self::Fallback(_) => Vec::new(),
        }
    }

    fn check(self) -> Result<Self, String> {
        match self {
            Self::RateLimiter(limiter) => limiter.check().map(Self::RateLimiter),
            Self::CircuitBreaker(breaker) => breaker.check().map(|breaker| Self::CircuitBreaker(Box::new(breaker))),
            Self::Hedge(hedge) => hedge.check().map(Self::Hedge),
            Self::Fallback(FallbackConfig { value: None, .. }) => Err("config: a layer falls back to a `value`".into()),
            _ => Ok(self),
        }
    }
}

impl PipelineConfig {
    pub(super) fn times(&self) -> Vec<Millis> {
        self.layers.iter().flat_map(LayerConfig::times).collect()
    }

    pub(super) fn check(self) -> Result<Self, String> {
        Ok(Self { layers: self.layers.into_iter().map(LayerConfig::check).collect::<Result<_, _>>()? })
    }
}
