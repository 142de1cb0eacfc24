//! The rate limiter: its callers wait, try, or reserve.

use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use aplomb::rate_limiter::{Algorithm, FixedWindow, RateLimitError, RateLimiter, SlidingCounter, SlidingWindow, TokenBucket};
use aplomb::{Ambient, Deadline, Platform};
use aplomb::{Clock, time};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::{RateLimiterAlgorithm, RateLimiterConfig, RateSetting};
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::Failure;
use crate::scenario::{Order, Request, strictly};
use crate::stage::Stage;

/// A limiter, which its callers share.
struct Limiting<P: Platform, A: Algorithm> {
    limiter: Rc<RateLimiter<P, A>>,
    rule: fn(RateSetting) -> A,
}

/// The limiter of a scenario.
pub(super) fn set_up<S: Stage + 'static>(config: &RateLimiterConfig) -> Rc<dyn Subject<S>> {
    struct Shared<S>(PhantomData<S>);

    impl<S: Stage + 'static> Use<S::Platform> for Shared<S> {
        type Output = Rc<dyn Subject<S>>;

        fn of<A: Algorithm + Copy + 'static>(
            self,
            limiter: RateLimiter<S::Platform, A>,
            rule: fn(RateSetting) -> A,
        ) -> Rc<dyn Subject<S>> {
            Rc::new(Limiting { limiter: Rc::new(limiter), rule })
        }
    }

    with(config, Shared(PhantomData))
}

/// What is done with a limiter, whatever its rule is.
pub(super) trait Use<P: Platform> {
    type Output;

    fn of<A: Algorithm + Copy + 'static>(self, limiter: RateLimiter<P, A>, rule: fn(RateSetting) -> A) -> Self::Output;
}

/// Makes a limiter as it is written.
pub(super) fn with<P: Platform<Clock: Ambient, Storage: 'static>, U: Use<P>>(config: &RateLimiterConfig, user: U) -> U::Output {
    fn build<P: Platform<Clock: Ambient>, A: Algorithm + Copy + 'static, U: Use<P>>(
        config: &RateLimiterConfig,
        user: U,
        rule: fn(RateSetting) -> A,
    ) -> U::Output {
        let limiter = RateLimiter::with_clock(P::Clock::CLOCK, rule(config.setting()));
        let limiter = config.max_concurrent.into_iter().fold(limiter, RateLimiter::max_concurrent);
        let limiter = config.max_waiting.into_iter().fold(limiter, RateLimiter::max_waiting);
        user.of(limiter, rule)
    }

    type Log<P> = SlidingWindow<<P as Platform>::Storage>;
    match config.algorithm {
        RateLimiterAlgorithm::TokenBucket => {
            build(config, user, |setting| TokenBucket::new(setting.rate()).burst(setting.burst()))
        }
        RateLimiterAlgorithm::FixedWindow => build(config, user, |setting| FixedWindow::new(setting.rate())),
        RateLimiterAlgorithm::SlidingWindow => build(config, user, |setting| Log::<P>::new(setting.rate())),
        RateLimiterAlgorithm::SlidingCounter => build(config, user, |setting| SlidingCounter::new(setting.rate())),
    }
}

impl<S: Stage + 'static, A: Algorithm + 'static> Subject<S> for Limiting<S::Platform, A> {
    fn call(&self, world: Rc<World<S>>, request: Request) -> Ending {
        let limiter = Rc::clone(&self.limiter);
        Box::pin(async move {
            let n = request.permits.unwrap_or(1);
            let operation = || world.start(&request.id, request.arg.as_ref());
            if request.reserves {
                limiter.reserve(n).map_err(|error| explain(&error))?.await;
                operation().await.map_err(failed)
            } else if !request.waits {
                let _permit = limiter.try_acquire(n).map_err(|error| explain(&error))?;
                operation().await.map_err(failed)
            } else if let Some(deadline) = request.deadline {
                let deadline = Deadline::after(<S::Platform as Platform>::Clock::CLOCK.now(), deadline.duration());
                let _permit = limiter.acquire_by(n, deadline).await.map_err(|error| explain(&error))?;
                operation().await.map_err(failed)
            } else {
                limiter.run_n(n, operation).await.map_err(|error| match error {
                    RateLimitError::Failed(failure) => failed(failure),
                    error => explain(&error),
                })
            }
        })
    }

    fn act(&self, Order { value, .. }: Order) {
        // The one verb is `set_rate`. What is refused changes nothing, which the trace shows.
        let setting: Result<RateSetting, _> = strictly(value.unwrap_or_default(), "value");
        let _refused = setting.map(|setting| self.limiter.set_rate((self.rule)(setting)));
    }
}

fn failed(Failure { value, .. }: Failure) -> (&'static str, Map<String, Value>) {
    ("operation", details(json!({ "value": value })))
}

fn again(after: Option<Duration>) -> Map<String, Value> {
    details(json!({ "retry_after": after.map(|after| Millis(time::nanos(after)).to_json()) }))
}

fn explain<E>(error: &RateLimitError<E>) -> (&'static str, Map<String, Value>) {
    match error {
        RateLimitError::Limited { retry_after } => ("limited", again(*retry_after)),
        RateLimitError::Deadline { retry_after } => ("deadline", again(*retry_after)),
        RateLimitError::TooManyPermits { .. } => ("too_many_permits", Map::new()),
        RateLimitError::Exhausted => ("exhausted", Map::new()),
        RateLimitError::QueueFull { .. } => ("queue_full", Map::new()),
        RateLimitError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
