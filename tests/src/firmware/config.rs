//! Configurations, as the wire has them.

use wire::config::{self, HedgeDelay, Layer, Ratio};
use wire::{Config, Nanos};

use super::script::{Writer, few};
use crate::Pattern;
use crate::config::{
    AdaptiveLimitConfig, BackoffConfig, BulkheadConfig, CircuitBreakerConfig, EdgesConfig, FAILURE_RATE, FallbackConfig,
    HedgeConfig, JitterConfig, LayerConfig, LimitRule, OnError, Order, ParallelConfig, PollingConfig, PollingErrors, PollingMode,
    RateLimiterAlgorithm, RateLimiterConfig, RateSetting, RetryConfig, StreamConfig, Superseded, TripConfig, fraction,
};
use crate::millis::Millis;

impl Writer {
    pub(super) fn config(&mut self, pattern: &Pattern) -> Result<Config, String> {
        Ok(match pattern {
            Pattern::Timeout(timeout) => Config::Timeout { after: timeout.after.0 },
            Pattern::Retry(retry) => Config::Retry(self.retry(retry)?),
            Pattern::Edges(edges) => Config::Edges(edges_of(edges)),
            Pattern::Stream(stream) => Config::Stream(stream_of(stream)),
            Pattern::Waterfall(waterfall) => Config::Waterfall {
                steps: u8::try_from(waterfall.steps.number()).unwrap_or(u8::MAX),
                named: !waterfall.names().is_empty(),
            },
            Pattern::Polling(polling) => Config::Polling(self.polling(polling)?),
            Pattern::RateLimiter(limiter) => Config::RateLimiter(limiter_of(limiter)),
            Pattern::Parallel(parallel) => Config::Parallel(parallel_of(*parallel)),
            Pattern::ParallelStream(parallel) => Config::ParallelStream(parallel_of(*parallel)),
            Pattern::Pool(pool) => Config::Pool { concurrency: pool.concurrency, max_queued: pool.max_queued },
            Pattern::Bulkhead(bulkhead) => Config::Bulkhead(bulkhead_of(*bulkhead)),
            Pattern::SingleFlight(flight) => Config::SingleFlight {
                capacity: count(flight.capacity),
                max_waiting: flight.max_waiting,
                tells_shared: flight.tells_shared,
            },
            Pattern::Cache(cache) => Config::Cache(config::Cache {
                ttl: cache.ttl.0,
                ttl_by_value: cache.ttl_by.is_some(),
                time_to_idle: cache.time_to_idle.0,
                refresh_after: cache.refresh_after.0,
                error_ttl: cache.error_ttl.map(|ttl| ttl.0),
                stale_while_revalidate: cache.stale_while_revalidate.0,
                stale_if_error: cache.stale_if_error.0,
                capacity: count(cache.capacity),
                max_weight: cache.max_weight,
                max_fetches: count(cache.max_fetches),
                max_waiting: cache.max_waiting,
            }),
            Pattern::Memoize(memoize) => Config::Memoize { capacity: count(memoize.capacity), max_waiting: memoize.max_waiting },
            Pattern::CircuitBreaker(breaker) => Config::CircuitBreaker(self.breaker(breaker)?),
            Pattern::AdaptiveLimit(limit) => Config::AdaptiveLimit(self.adaptive_limit(limit)?),
            Pattern::Batcher(batcher) => Config::Batcher(config::Batcher {
                max_items: batcher.max_items,
                max_wait: batcher.max_wait.0,
                max_weight: batcher.max_weight,
                max_waiting: batcher.max_waiting,
                max_concurrent: batcher.max_concurrent,
                once: batcher.once,
            }),
            Pattern::Hedge(hedge) => Config::Hedge(self.hedge(hedge)?),
            Pattern::Fallback(fallback) => Config::Fallback(self.fallback(fallback)?),
            Pattern::Pipeline(_) => Config::Pipeline,
        })
    }

    /// Those of a pipeline; other patterns have none.
    pub(super) fn layers(&mut self, pattern: &Pattern) -> Result<Vec<Layer>, String> {
        match pattern {
            Pattern::Pipeline(pipeline) => pipeline.layers.iter().map(|layer| self.layer(layer)).collect(),
            _ => Ok(Vec::new()),
        }
    }

    fn layer(&mut self, layer: &LayerConfig) -> Result<Layer, String> {
        Ok(match layer {
            LayerConfig::Timeout(timeout) => Layer::Timeout { after: timeout.after.0 },
            LayerConfig::Retry(retry) => Layer::Retry(self.retry(retry)?),
            LayerConfig::RetryRejected(retry) => Layer::RetryRejected(self.retry(retry)?),
            LayerConfig::AdaptiveLimit(limit) => Layer::AdaptiveLimit(self.adaptive_limit(limit)?),
            LayerConfig::RateLimiter(limiter) => match limiter.algorithm {
                RateLimiterAlgorithm::TokenBucket => Layer::RateLimiter(limiter_of(limiter)),
                _ => return Err("in the pipelines of boards, a limiter is a token bucket".into()),
            },
            LayerConfig::CircuitBreaker(breaker) => match breaker.trip {
                TripConfig::Consecutive { .. } | TripConfig::LastCalls { .. } => Layer::CircuitBreaker(self.breaker(breaker)?),
                TripConfig::LastTime { .. } => return Err("in the pipelines of boards, a breaker has no window of time".into()),
            },
            LayerConfig::Bulkhead(bulkhead) => Layer::Bulkhead(bulkhead_of(*bulkhead)),
            LayerConfig::Hedge(hedge) if hedge.percentile.is_none() => Layer::Hedge(self.hedge(hedge)?),
            LayerConfig::Hedge(_) => return Err("in the pipelines of boards, a hedge has a fixed delay".into()),
            LayerConfig::Fallback(fallback) => Layer::Fallback(self.fallback(fallback)?),
        })
    }

    fn adaptive_limit(&mut self, limit: &AdaptiveLimitConfig) -> Result<config::AdaptiveLimit, String> {
        Ok(config::AdaptiveLimit {
            rule: match limit.algorithm {
                LimitRule::Aimd { max_latency, backoff } => {
                    config::LimitRule::Aimd { max_latency: max_latency.0, backoff: backoff.map(ratio) }
                }
                LimitRule::Vegas { probe_every } => config::LimitRule::Vegas { probe_every },
                LimitRule::Gradient { tolerance, smoothing, queue_size, probe_every } => config::LimitRule::Gradient {
                    tolerance: tolerance.map(ratio),
                    smoothing: smoothing.map(ratio),
                    queue_size,
                    probe_every,
                },
            },
            initial_limit: limit.initial_limit,
            min_limit: limit.min_limit,
            max_limit: limit.max_limit,
            window: limit.window.map(|window| window.0),
            min_calls: limit.min_calls,
            overload_tolerance: limit.overload_tolerance.map(ratio),
            max_waiting: limit.max_waiting,
            max_wait: limit.max_wait.0,
            overload_if: self.few(&limit.overload_if)?,
        })
    }

    fn hedge(&mut self, hedge: &HedgeConfig) -> Result<config::Hedge, String> {
        Ok(config::Hedge {
            delay: match hedge.percentile {
                None => HedgeDelay::After(hedge.after.unwrap_or(Millis::NEVER).0),
                Some(percentile) => HedgeDelay::Percentile {
                    share: ratio(percentile.share),
                    min_samples: percentile.min_samples,
                    initial: percentile.initial.0,
                    min: percentile.min.map(|min| min.0),
                    max: percentile.max.0,
                },
            },
            max_hedges: hedge.max_hedges,
            budget: hedge.budget.map(|budget| (ratio(budget.share), budget.burst)),
            failure_values: self.few(&hedge.failure_values)?,
            fatal_if: self.few(&hedge.fatal_if)?,
        })
    }

    fn fallback(&mut self, fallback: &FallbackConfig) -> Result<config::Fallback, String> {
        let listed = fallback.fallback_if.as_deref();
        let is_for = |kind: &str| listed.is_none_or(|listed| listed.iter().any(|error| error == kind));
        Ok(config::Fallback {
            value: fallback.value.as_ref().map(|value| self.token(value)),
            fallback_if: listed.map(|errors| self.few(errors)).transpose()?,
            of_timeouts: is_for("timeout"),
        })
    }

    fn retry(&mut self, retry: &RetryConfig) -> Result<config::Retry, String> {
        Ok(config::Retry {
            max_attempts: retry.max_attempts,
            backoff: backoff(&retry.backoff)?,
            retry_if: retry.retry_if.as_ref().map(|errors| self.few(errors)).transpose()?,
            retry_if_value: self.few(retry.retry_if_value.as_deref().unwrap_or_default())?,
            attempt_timeout: retry.attempt_timeout.0,
            deadline: retry.deadline.0,
            retry_after_max: retry.retry_after_max.0,
            reset_after: retry.reset_after.0,
            between: retry.between.0,
            budget: retry.budget.map(|budget| (budget.capacity, budget.retry_cost, budget.success_refund)),
        })
    }

    fn polling(&mut self, polling: &PollingConfig) -> Result<config::Polling, String> {
        Ok(config::Polling {
            every: match (polling.interval, &polling.backoff, polling.mode) {
                (Some(interval), _, PollingMode::Rate) => config::Every::Rate(interval.0),
                (Some(interval), _, PollingMode::Delay) => config::Every::Delay(interval.0),
                (None, Some(delays), _) => config::Every::Backoff(backoff(delays)?),
                (None, None, _) => return Err("polling without an interval".into()),
            },
            max_attempts: polling.max_attempts,
            until: polling.until.as_ref().map(|until| self.token(until)),
            tolerated: match polling.errors {
                PollingErrors::Tolerate => Some(u32::MAX),
                PollingErrors::InARow(errors) => Some(errors),
                PollingErrors::Fail => None,
            },
            deadline: polling.deadline.0,
            initial_delay: polling.initial_delay.0,
        })
    }

    fn breaker(&mut self, breaker: &CircuitBreakerConfig) -> Result<config::CircuitBreaker, String> {
        let share = |rate: Option<f64>| ratio(rate.unwrap_or(FAILURE_RATE));
        if breaker.keyed && !matches!(breaker.trip, TripConfig::Consecutive { .. }) {
            return Err("boards have keyed breakers only for failures in a row".into());
        }
        Ok(config::CircuitBreaker {
            trip: match breaker.trip {
                TripConfig::Consecutive { consecutive } => config::Trip::Consecutive(consecutive),
                TripConfig::LastCalls { failure_rate, min_calls, last_calls } => {
                    config::Trip::LastCalls { failure_rate: share(failure_rate), min_calls, last_calls }
                }
                TripConfig::LastTime { failure_rate, min_calls, last, buckets } => config::Trip::LastTime {
                    failure_rate: share(failure_rate),
                    min_calls,
                    last: last.0,
                    buckets: buckets.unwrap_or(10),
                },
            },
            slow_call: breaker.slow_call.map(|slow| (slow.longer_than.0, ratio(slow.rate))),
            open: backoff(&breaker.opens())?,
            half_open_calls: breaker.half_open_calls,
            half_open_for: breaker.half_open_for.0,
            success_threshold: breaker.success_threshold,
            failure_if: breaker.failure_if.as_ref().map(|errors| self.few(errors)).transpose()?,
            keyed: breaker.keyed,
            capacity: count(breaker.capacity),
        })
    }
}

fn ratio(number: f64) -> Ratio {
    let (numerator, denominator) = fraction(number);
    Ratio(numerator, denominator)
}

fn count(number: Option<usize>) -> Option<u32> {
    number.map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

pub(super) fn rate(setting: RateSetting) -> config::Rate {
    config::Rate { permits: setting.permits, per: setting.per.0, burst: setting.burst() }
}

fn bulkhead_of(bulkhead: BulkheadConfig) -> config::Bulkhead {
    config::Bulkhead { max_concurrent: bulkhead.max_concurrent, max_waiting: bulkhead.max_waiting, max_wait: bulkhead.max_wait.0 }
}

fn limiter_of(limiter: &RateLimiterConfig) -> config::RateLimiter {
    config::RateLimiter {
        algorithm: match limiter.algorithm {
            RateLimiterAlgorithm::TokenBucket => config::Algorithm::TokenBucket,
            RateLimiterAlgorithm::FixedWindow => config::Algorithm::FixedWindow,
            RateLimiterAlgorithm::SlidingWindow => config::Algorithm::SlidingWindow,
            RateLimiterAlgorithm::SlidingCounter => config::Algorithm::SlidingCounter,
        },
        rate: rate(limiter.setting()),
        max_concurrent: limiter.max_concurrent,
        max_waiting: limiter.max_waiting,
        max_wait: limiter.max_wait.0,
        keyed: limiter.keyed,
        capacity: count(limiter.capacity),
    }
}

fn edges_of(edges: &EdgesConfig) -> config::Edges {
    config::Edges {
        debounces: edges.debounces,
        wait: edges.times[0].0,
        leading: edges.leading,
        trailing: edges.trailing,
        max_wait: if edges.debounces { edges.times[1].0 } else { Nanos::MAX },
        shares: edges.superseded == Superseded::Share,
    }
}

fn stream_of(stream: &StreamConfig) -> config::Stream {
    let interval = stream.edges.times[0].0;
    match stream.pace {
        Some(pace) => config::Stream::Pace { interval: pace.0 },
        None if stream.audits => config::Stream::Audit { interval },
        None => config::Stream::Edges(edges_of(&stream.edges)),
    }
}

fn parallel_of(parallel: ParallelConfig) -> config::Parallel {
    config::Parallel {
        limit: count(Some(parallel.limit)).unwrap_or(u32::MAX),
        collects: parallel.on_error == OnError::Collect,
        by_completion: parallel.order == Order::Completion,
    }
}

fn backoff(backoff: &BackoffConfig) -> Result<config::Backoff, String> {
    use config::BackoffKind;
    let (kind, max, jitter, seed) = match backoff {
        BackoffConfig::Constant { delay, jitter, seed } => (BackoffKind::Constant { delay: delay.0 }, None, jitter, seed),
        BackoffConfig::Linear { initial, step, max, jitter, seed } => {
            (BackoffKind::Linear { initial: initial.0, step: step.0 }, *max, jitter, seed)
        }
        BackoffConfig::Exponential { initial, factor, max, jitter, seed } => {
            (BackoffKind::Exponential { initial: initial.0, factor: ratio(*factor) }, *max, jitter, seed)
        }
        BackoffConfig::Fibonacci { initial, max, jitter, seed } => {
            (BackoffKind::Fibonacci { initial: initial.0 }, *max, jitter, seed)
        }
        BackoffConfig::List { delays, jitter, seed } => {
            (BackoffKind::List { delays: few(delays.iter().map(|delay| delay.0))? }, None, jitter, seed)
        }
    };
    let jitter = match jitter {
        None | Some(JitterConfig::None) => config::Jitter::None,
        Some(JitterConfig::Full) => config::Jitter::Full,
        Some(JitterConfig::Equal) => config::Jitter::Equal,
        Some(JitterConfig::Decorrelated) => config::Jitter::Decorrelated,
        Some(JitterConfig::Proportional(share)) => config::Jitter::Proportional(ratio(*share)),
    };
    Ok(config::Backoff { kind, max: max.unwrap_or(Millis::NEVER).0, jitter, seed: *seed })
}
