use std::pin::Pin;
use std::time::Duration;

use aplomb::adaptive_limit::{Aimd, Algorithm, Gradient, OverloadIf, Vegas};
use aplomb::backoff::Constant;
use aplomb::circuit_breaker::{Consecutive, LastCalls, LastTime, Trip as TripRule};
use aplomb::hedge::{After, Delay, FatalIf, Percentile};
use aplomb::platform::Ambient;
use aplomb::ratio::percent;
use aplomb::storage::Inline;
use aplomb::time::Clock;
use aplomb::{
    AdaptiveLimit, Bulkhead, CircuitBreaker, ConfigError, Deadline, Hedge, Platform, RateLimiter, Retry, RetryBudget, Timeout,
};

use super::Policy;
use super::failure::{Failure, OfService};
use super::layer::{Adapting, Breaking, Budgeting, Hedging, Housing, Late, Layer, Limiting, Retrying, Rule, Trip};

/// A request under way, or a call.
pub(crate) type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

/// A policy made of patterns, which all that call by it share.
pub(crate) struct Stack<P: Platform> {
    layers: Vec<Built<P>>,
}

impl<P: Platform<Clock: Ambient + Copy>> Stack<P> {
    /// A stack in which each request is given up after `patience`, whatever else the policy says.
    ///
    /// # Errors
    ///
    /// That of the pattern that makes no sense.
    pub(crate) fn new(policy: &Policy, patience: Duration) -> Result<Self, ConfigError> {
        let innermost = Layer::Timeout(patience);
        let layers = policy.layers.iter().chain([&innermost]).map(Built::new).collect::<Result<_, _>>()?;
        Ok(Self { layers })
    }

    /// Calls: sends requests as the policy says.
    pub(crate) fn call<'a>(&'a self, request: &'a dyn Fn() -> Sent<'a>) -> Sent<'a> {
        enter(&self.layers, Deadline::NEVER, request)
    }
}

fn enter<'a, P: Platform<Clock: Ambient + Copy>>(
    layers: &'a [Built<P>],
    deadline: Deadline,
    request: &'a dyn Fn() -> Sent<'a>,
) -> Sent<'a> {
    let Some((layer, inner)) = layers.split_first() else { return request() };
    let go = move || enter(inner, deadline, request);
    match layer {
        Built::Deadline(after) => {
            let deadline = deadline.earlier(Deadline::after(P::Clock::CLOCK.now(), *after));
            let call = Timeout::at_with_clock(P::Clock::CLOCK, deadline, enter(inner, deadline, request));
            Box::pin(async move { Ok(call.await?) })
        }
        Built::Timeout(after) => {
            let call = Timeout::with_clock(P::Clock::CLOCK, *after, go());
            Box::pin(async move { Ok(call.await?) })
        }
        Built::Retry(retrying, budget) => {
            let policy = retry(*retrying).deadline_at(deadline);
            let policy = if let Some(budget) = budget { policy.budget(budget) } else { policy };
            let call = policy.call(go).retry_if(Failure::is_of_service);
            Box::pin(async move { Ok(call.await?) })
        }
        Built::HedgeAfter(hedge) => Box::pin(async move { Ok(hedge.run(go).await?) }),
        Built::HedgePercentile(hedge) => Box::pin(async move { Ok(hedge.run(go).await?) }),
        Built::Consecutive(breaker) => Box::pin(async move { Ok(breaker.run(go).await?) }),
        Built::LastCalls(breaker) => Box::pin(async move { Ok(breaker.run(go).await?) }),
        Built::LastTime(breaker) => Box::pin(async move { Ok(breaker.run(go).await?) }),
        Built::Limiter(limiter, wait) => Box::pin(async move {
            let latest = wait.map_or(Deadline::NEVER, |wait| Deadline::after(P::Clock::CLOCK.now(), wait));
            limiter.acquire_by(1, latest.earlier(deadline)).await?;
            go().await
        }),
        Built::Bulkhead(bulkhead) => Box::pin(async move { Ok(bulkhead.run(go).await?) }),
        Built::Gradient(limit) => Box::pin(async move { Ok(limit.run(go).await?) }),
        Built::Vegas(limit) => Box::pin(async move { Ok(limit.run(go).await?) }),
        Built::Aimd(limit) => Box::pin(async move { Ok(limit.run(go).await?) }),
    }
}

type Breaker<P, T> = CircuitBreaker<P, T, Constant, OfService>;

type Hedged<P, D> = Hedge<P, D, Inline<1>, FatalIf<fn(&Failure) -> bool>>;
type Adaptive<P, A> = AdaptiveLimit<P, A, OverloadIf<fn(&Failure) -> bool>>;

/// A layer that has become a pattern.
pub(super) enum Built<P: Platform> {
    Deadline(Duration),
    Timeout(Duration),
    Retry(Retrying, Option<RetryBudget<P>>),
    HedgeAfter(Hedged<P, After>),
    HedgePercentile(Hedged<P, Percentile>),
    Consecutive(Breaker<P, Consecutive>),
    LastCalls(Breaker<P, LastCalls>),
    LastTime(Breaker<P, LastTime>),
    Limiter(RateLimiter<P>, Option<Duration>),
    Bulkhead(Bulkhead<P>),
    Gradient(Adaptive<P, Gradient>),
    Vegas(Adaptive<P, Vegas>),
    Aimd(Adaptive<P, Aimd>),
}

impl<P: Platform<Clock: Ambient + Copy>> Built<P> {
    /// Makes it one.
    ///
    /// # Errors
    ///
    /// The pattern's, if it makes no sense.
    pub(super) fn new(layer: &Layer) -> Result<Self, ConfigError> {
        Ok(match *layer {
            Layer::Deadline(after) => Self::Deadline(after),
            Layer::Timeout(after) => Self::Timeout(after),
            Layer::Retry(retrying) => {
                if let Some(error) = retry::<P>(retrying).config_error() {
                    return Err(error);
                }
                Self::Retry(retrying, retrying.budget.map(budget))
            }
            Layer::Hedge(hedging) => match hedging.late {
                Late::After(delay) => Self::HedgeAfter(hedge(hedging, Hedge::after(delay))?),
                Late::Percentile(share) => Self::HedgePercentile(hedge(hedging, Hedge::percentile(share))?),
            },
            Layer::Breaker(breaking) => match breaking.trip {
                Trip::Consecutive(failures) => Self::Consecutive(breaker(breaking, CircuitBreaker::consecutive(failures))?),
                Trip::LastCalls { share, calls } => {
                    Self::LastCalls(breaker(breaking, CircuitBreaker::last_calls(calls).failure_rate(share))?)
                }
                Trip::LastTime { share, time } => {
                    Self::LastTime(breaker(breaking, CircuitBreaker::last_time(time).failure_rate(share))?)
                }
            },
            Layer::Limiter(Limiting { rate, burst, wait }) => {
                let limiter = burst.map_or_else(|| RateLimiter::new(rate), |burst| RateLimiter::with_burst(rate, burst));
                Self::Limiter(limiter.check()?, wait)
            }
            Layer::Bulkhead(Housing { places, queue, wait }) => {
                let mut bulkhead = Bulkhead::new(places).max_wait(wait.unwrap_or(Duration::MAX));
                if let Some(queue) = queue {
                    bulkhead = bulkhead.max_waiting(queue);
                }
                Self::Bulkhead(bulkhead.check()?)
            }
            Layer::Adaptive(adapting) => match adapting.rule {
                Rule::Gradient => Self::Gradient(adaptive(adapting, Gradient::new())?),
                Rule::Vegas => Self::Vegas(adaptive(adapting, Vegas::new())?),
                Rule::Aimd(max_latency) => Self::Aimd(adaptive(adapting, Aimd::new(max_latency))?),
            },
        })
    }
}

/// Plain data: what calls share is the budget.
fn retry<'b, P: Platform<Clock: Ambient + Copy>>(retrying: Retrying) -> Retry<'b, P> {
    Retry::new().max_attempts(retrying.attempts).backoff(retrying.backoff)
}

/// A retry costs a hundred tokens, of which a success puts its share back.
fn budget<P: Platform>(Budgeting { percent, burst }: Budgeting) -> RetryBudget<P> {
    const COST: u32 = 100;
    const BURST: u32 = 100;
    let burst = burst.unwrap_or(BURST);
    RetryBudget::new(burst.saturating_mul(COST)).retry_cost(COST).success_refund(percent)
}

fn breaker<P: Platform<Clock: Ambient + Copy>, T: TripRule + Copy>(
    breaking: Breaking,
    rule: CircuitBreaker<P, T>,
) -> Result<Breaker<P, T>, ConfigError> {
    rule.open_for(breaking.open_for).half_open(breaking.probes).judged_by(OfService).check()
}

/// What a pattern within has rejected is not sent a second time.
fn hedge<P: Platform<Clock: Ambient + Copy>, D: Delay>(
    hedging: Hedging,
    mut hedge: Hedge<P, D, Inline<1>>,
) -> Result<Hedged<P, D>, ConfigError> {
    if let Some(budget) = hedging.budget {
        hedge = hedge.budget(percent(budget.percent));
        if let Some(burst) = budget.burst {
            hedge = hedge.burst(burst);
        }
    }
    hedge.fatal_if((|failure| !failure.is_of_service()) as fn(&Failure) -> bool).check()
}

/// What the service does not answer, or not in time, is a sign of overload.
fn adaptive<P: Platform<Clock: Ambient + Copy>, A: Algorithm + Copy>(
    adapting: Adapting,
    algorithm: A,
) -> Result<Adaptive<P, A>, ConfigError> {
    let mut limit = AdaptiveLimit::new().algorithm(algorithm).overload_if(Failure::is_of_service as fn(&Failure) -> bool);
    if let Some(calls) = adapting.initial {
        limit = limit.initial_limit(calls);
    }
    if let Some(calls) = adapting.queue {
        limit = limit.max_waiting(calls);
    }
    limit.max_wait(adapting.wait.unwrap_or(Duration::MAX)).check()
}
