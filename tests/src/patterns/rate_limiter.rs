//! The rate limiter, one or one for each key: its callers wait, try, or reserve.

use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use aplomb::rate_limiter::{
    Algorithm, FixedWindow, KeyedRateLimiter, RateLimitError, RateLimiter, SlidingCounter, SlidingWindow, TokenBucket,
};
use aplomb::{Ambient, Clock, ConfigError, Deadline, Platform, time};
use serde_json::{Map, Value, json};

use super::circuit_breaker::written;
use super::{Ending, Subject, details};
use crate::config::{RateLimiterAlgorithm, RateLimiterConfig, RateSetting};
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::Failure;
use crate::scenario::{Order, Request, strictly};
use crate::stage::Stage;

/// A limiter, which its callers share.
struct Limiting<L, A> {
    limiter: Rc<L>,
    rule: fn(RateSetting) -> A,
}

pub(super) type Keyed<P, A> = KeyedRateLimiter<P, String, A>;

/// A limiter, as the script uses it.
trait Limiter<A> {
    async fn run<F: Future<Output = Result<Value, Failure>>>(
        &self,
        key: &str,
        n: u32,
        operation: impl FnOnce() -> F,
    ) -> Result<Value, RateLimitError<Failure>>;

    async fn acquire_by(&self, key: &str, n: u32, deadline: Deadline) -> Result<impl Sized, RateLimitError>;

    fn try_acquire(&self, key: &str, n: u32) -> Result<impl Sized, RateLimitError>;

    fn reserve(&self, key: &str, n: u32) -> Result<impl IntoFuture<Output = ()>, RateLimitError>;

    fn set_rate(&self, rule: A) -> Result<(), ConfigError>;
}

/// The limiter of a scenario.
pub(super) fn set_up<S: Stage + 'static>(config: &RateLimiterConfig) -> Rc<dyn Subject<S>> {
    struct Shared<'c, S>(&'c RateLimiterConfig, PhantomData<S>);

    impl<S: Stage + 'static> Use<S::Platform> for Shared<'_, S> {
        type Output = Rc<dyn Subject<S>>;

        fn of<A: Algorithm + Copy + 'static>(
            self,
            limiter: RateLimiter<S::Platform, A>,
            rule: fn(RateSetting) -> A,
        ) -> Rc<dyn Subject<S>> {
            if self.0.keyed {
                return Rc::new(Limiting { limiter: Rc::new(keyed::<S::Platform, A>(self.0, rule)), rule });
            }
            Rc::new(Limiting { limiter: Rc::new(limiter), rule })
        }
    }

    with(config, Shared(config, PhantomData))
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

/// The same for each key.
pub(super) fn keyed<P: Platform<Clock: Ambient>, A: Algorithm + Copy>(
    config: &RateLimiterConfig,
    rule: fn(RateSetting) -> A,
) -> Keyed<P, A> {
    let limiter = Keyed::with_clock(P::Clock::CLOCK, rule(config.setting()));
    let limiter = config.capacity.into_iter().fold(limiter, Keyed::capacity);
    let limiter = config.max_concurrent.into_iter().fold(limiter, Keyed::max_concurrent);
    config.max_waiting.into_iter().fold(limiter, Keyed::max_waiting)
}

impl<P: Platform, A: Algorithm> Limiter<A> for RateLimiter<P, A> {
    async fn run<F: Future<Output = Result<Value, Failure>>>(
        &self,
        _key: &str,
        n: u32,
        operation: impl FnOnce() -> F,
    ) -> Result<Value, RateLimitError<Failure>> {
        self.run_n(n, operation).await
    }

    async fn acquire_by(&self, _key: &str, n: u32, deadline: Deadline) -> Result<impl Sized, RateLimitError> {
        self.acquire_by(n, deadline).await
    }

    fn try_acquire(&self, _key: &str, n: u32) -> Result<impl Sized, RateLimitError> {
        self.try_acquire(n)
    }

    fn reserve(&self, _key: &str, n: u32) -> Result<impl IntoFuture<Output = ()>, RateLimitError> {
        self.reserve(n)
    }

    fn set_rate(&self, rule: A) -> Result<(), ConfigError> {
        self.set_rate(rule)
    }
}

impl<P: Platform, A: Algorithm + Copy> Limiter<A> for Keyed<P, A> {
    async fn run<F: Future<Output = Result<Value, Failure>>>(
        &self,
        key: &str,
        n: u32,
        operation: impl FnOnce() -> F,
    ) -> Result<Value, RateLimitError<Failure>> {
        self.run_n(key, n, operation).await
    }

    async fn acquire_by(&self, key: &str, n: u32, deadline: Deadline) -> Result<impl Sized, RateLimitError> {
        self.acquire_by(key, n, deadline).await
    }

    fn try_acquire(&self, key: &str, n: u32) -> Result<impl Sized, RateLimitError> {
        self.try_acquire(key, n)
    }

    fn reserve(&self, key: &str, n: u32) -> Result<impl IntoFuture<Output = ()>, RateLimitError> {
        self.reserve(key, n)
    }

    fn set_rate(&self, rule: A) -> Result<(), ConfigError> {
        self.set_rate(rule)
    }
}

impl<S: Stage + 'static, L: Limiter<A> + 'static, A: 'static> Subject<S> for Limiting<L, A> {
    fn call(&self, world: Rc<World<S>>, request: Request) -> Ending {
        let limiter = Rc::clone(&self.limiter);
        Box::pin(async move {
            let (key, n) = (&*written(request.key), request.permits.unwrap_or(1));
            let operation = || world.start(&request.id, request.arg.as_ref());
            if request.reserves {
                limiter.reserve(key, n).map_err(|error| explain(&error))?.await;
                operation().await.map_err(failed)
            } else if !request.waits {
                let _permit = limiter.try_acquire(key, n).map_err(|error| explain(&error))?;
                operation().await.map_err(failed)
            } else if let Some(deadline) = request.deadline {
                let deadline = Deadline::after(<S::Platform as Platform>::Clock::CLOCK.now(), deadline.duration());
                let _permit = limiter.acquire_by(key, n, deadline).await.map_err(|error| explain(&error))?;
                operation().await.map_err(failed)
            } else {
                limiter.run(key, n, operation).await.map_err(|error| match error {
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
        RateLimitError::TableFull { retry_after, .. } => ("full", again(*retry_after)),
        RateLimitError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
