//! The rate limiter, one or one for each key: its callers wait, try, or reserve.

use core::future::{Future, IntoFuture};

use aplomb::rate_limiter::{
    Algorithm, FixedWindow, KeyedRateLimiter, Rate, RateLimitError, RateLimiter, SlidingCounter, SlidingWindow, TokenBucket,
};
use aplomb::{Clock, ConfigError, Deadline, Inline, time};
use aplomb_embassy::{Embassy, EmbassyClock};
use wire::{Order, Request, Token, config};

use super::{Ending, Subject};
use crate::arena::place;
use crate::world::{Error, Failure, Output, World};

/// A limiter, which its callers share.
struct Limiting<L, A> {
    limiter: L,
    rule: fn(config::Rate) -> A,
}

type Keyed<A> = KeyedRateLimiter<Embassy, Token, A>;

/// A limiter, as the script uses it.
trait Limiter<A> {
    async fn run<F: Future<Output = Result<Token, Failure>>>(
        &self,
        key: Token,
        n: u32,
        operation: impl FnOnce() -> F,
    ) -> Result<Token, RateLimitError<Failure>>;

    async fn acquire_by(&self, key: Token, n: u32, deadline: Deadline) -> Result<impl Sized, RateLimitError>;

    fn try_acquire(&self, key: Token, n: u32) -> Result<impl Sized, RateLimitError>;

    fn reserve(&self, key: Token, n: u32) -> Result<impl IntoFuture<Output = ()>, RateLimitError>;

    fn set_rate(&self, rule: A) -> Result<(), ConfigError>;
}

/// The limiter of a scenario.
#[inline(never)]
pub fn set_up(config: config::RateLimiter) -> &'static dyn Subject {
    match config.algorithm {
        config::Algorithm::TokenBucket => placed(config, token_bucket),
        config::Algorithm::FixedWindow => placed(config, |setting| FixedWindow::new(rate(setting))),
        // Of as many keys, shorter logs.
        config::Algorithm::SlidingWindow if config.keyed => one_for_each_key(config, sliding_window::<4>),
        config::Algorithm::SlidingWindow => one(config, sliding_window::<16>),
        config::Algorithm::SlidingCounter => placed(config, |setting| SlidingCounter::new(rate(setting))),
    }
}

/// A token bucket as a scenario says, for a layer.
pub fn layer(config: config::RateLimiter) -> RateLimiter<Embassy, TokenBucket> {
    build(config, token_bucket)
}

/// The same for each key.
pub fn keyed_layer(config: config::RateLimiter) -> Keyed<TokenBucket> {
    keyed(config, token_bucket)
}

fn token_bucket(setting: config::Rate) -> TokenBucket {
    TokenBucket::new(rate(setting)).burst(setting.burst)
}

fn sliding_window<const N: usize>(setting: config::Rate) -> SlidingWindow<Inline<N>> {
    SlidingWindow::new(rate(setting))
}

fn build<A: Algorithm>(config: config::RateLimiter, rule: fn(config::Rate) -> A) -> RateLimiter<Embassy, A> {
    let limiter = RateLimiter::with_clock(EmbassyClock, rule(config.rate));
    let limiter = config.max_concurrent.into_iter().fold(limiter, RateLimiter::max_concurrent);
    config.max_waiting.into_iter().fold(limiter, RateLimiter::max_waiting)
}

fn keyed<A: Algorithm + Copy>(config: config::RateLimiter, rule: fn(config::Rate) -> A) -> Keyed<A> {
    let limiter = Keyed::with_clock(EmbassyClock, rule(config.rate));
    let limiter = config.capacity.into_iter().fold(limiter, |limiter, most| limiter.capacity(most as usize));
    let limiter = config.max_concurrent.into_iter().fold(limiter, Keyed::max_concurrent);
    config.max_waiting.into_iter().fold(limiter, Keyed::max_waiting)
}

fn rate(setting: config::Rate) -> Rate {
    Rate::new(setting.permits, time::duration(setting.per))
}

fn placed<A: Algorithm + Copy + 'static>(config: config::RateLimiter, rule: fn(config::Rate) -> A) -> &'static dyn Subject {
    if config.keyed { one_for_each_key(config, rule) } else { one(config, rule) }
}

#[inline(never)]
fn one<A: Algorithm + 'static>(config: config::RateLimiter, rule: fn(config::Rate) -> A) -> &'static dyn Subject {
    place(Limiting { limiter: build(config, rule), rule })
}

#[inline(never)]
fn one_for_each_key<A: Algorithm + Copy + 'static>(
    config: config::RateLimiter,
    rule: fn(config::Rate) -> A,
) -> &'static dyn Subject {
    place(Limiting { limiter: keyed(config, rule), rule })
}

impl<A: Algorithm> Limiter<A> for RateLimiter<Embassy, A> {
    async fn run<F: Future<Output = Result<Token, Failure>>>(
        &self,
        _key: Token,
        n: u32,
        operation: impl FnOnce() -> F,
    ) -> Result<Token, RateLimitError<Failure>> {
        self.run_n(n, operation).await
    }

    async fn acquire_by(&self, _key: Token, n: u32, deadline: Deadline) -> Result<impl Sized, RateLimitError> {
        self.acquire_by(n, deadline).await
    }

    fn try_acquire(&self, _key: Token, n: u32) -> Result<impl Sized, RateLimitError> {
        self.try_acquire(n)
    }

    fn reserve(&self, _key: Token, n: u32) -> Result<impl IntoFuture<Output = ()>, RateLimitError> {
        self.reserve(n)
    }

    fn set_rate(&self, rule: A) -> Result<(), ConfigError> {
        self.set_rate(rule)
    }
}

impl<A: Algorithm + Copy> Limiter<A> for Keyed<A> {
    async fn run<F: Future<Output = Result<Token, Failure>>>(
        &self,
        key: Token,
        n: u32,
        operation: impl FnOnce() -> F,
    ) -> Result<Token, RateLimitError<Failure>> {
        self.run_n(&key, n, operation).await
    }

    async fn acquire_by(&self, key: Token, n: u32, deadline: Deadline) -> Result<impl Sized, RateLimitError> {
        self.acquire_by(&key, n, deadline).await
    }

    fn try_acquire(&self, key: Token, n: u32) -> Result<impl Sized, RateLimitError> {
        self.try_acquire(&key, n)
    }

    fn reserve(&self, key: Token, n: u32) -> Result<impl IntoFuture<Output = ()>, RateLimitError> {
        self.reserve(&key, n)
    }

    fn set_rate(&self, rule: A) -> Result<(), ConfigError> {
        self.set_rate(rule)
    }
}

impl<L: Limiter<A> + 'static, A: 'static> Subject for Limiting<L, A> {
    fn call(&'static self, world: &'static World, request: Request) -> Ending {
        let limiter = &self.limiter;
        Ending::new(async move {
            let (key, n) = (request.key, request.permits);
            let operation = || world.start(request.id, request.arg);
            let result = if request.reserves {
                limiter.reserve(key, n).map_err(|error| explain(&error))?.await;
                operation().await
            } else if !request.waits {
                let _permit = limiter.try_acquire(key, n).map_err(|error| explain(&error))?;
                operation().await
            } else if let Some(deadline) = request.deadline {
                let deadline = Deadline::after(EmbassyClock.now(), time::duration(deadline));
                let _permit = limiter.acquire_by(key, n, deadline).await.map_err(|error| explain(&error))?;
                operation().await
            } else {
                return limiter.run(key, n, operation).await.map(Output::One).map_err(|error| match error {
                    RateLimitError::Failed(failure) => Error::operation(failure),
                    error => explain(&error),
                });
            };
            result.map(Output::One).map_err(Error::operation)
        })
    }

    fn act(&self, order: Order) {
        // The one verb is `set_rate`. What is refused changes nothing, which the trace shows.
        let _refused = order.rate.map(|setting| self.limiter.set_rate((self.rule)(setting)));
    }
}

fn explain<E>(error: &RateLimitError<E>) -> Error {
    match error {
        RateLimitError::Limited { retry_after } => Error { retry_after: Some(*retry_after), ..Error::new("limited") },
        RateLimitError::Deadline { retry_after } => Error { retry_after: Some(*retry_after), ..Error::new("deadline") },
        RateLimitError::TooManyPermits { .. } => Error::new("too_many_permits"),
        RateLimitError::Exhausted => Error::new("exhausted"),
        RateLimitError::QueueFull { .. } => Error::new("queue_full"),
        RateLimitError::TableFull { retry_after, .. } => Error { retry_after: Some(*retry_after), ..Error::new("full") },
        RateLimitError::Config(error) => Error::config(*error),
        _ => Error::unknown(),
    }
}
