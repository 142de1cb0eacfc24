//! The rate limiter: its callers wait, try, or reserve.

use aplomb::rate_limiter::{
    Algorithm, FixedWindow, KeyedRateLimiter, Rate, RateLimitError, RateLimiter, SlidingCounter, SlidingWindow, TokenBucket,
};
use aplomb::{Clock, Deadline, Inline, time};
use aplomb_embassy::{Embassy, EmbassyClock};
use wire::{Order, Request, Token, config};

use super::{Ending, Subject};
use crate::arena::place;
use crate::world::{Error, Output, World};

/// A limiter, which its callers share.
struct Limiting<A: Algorithm> {
    limiter: RateLimiter<Embassy, A>,
    rule: fn(config::Rate) -> A,
}

/// The limiter of a scenario.
#[inline(never)]
pub fn set_up(config: config::RateLimiter) -> &'static dyn Subject {
    match config.algorithm {
        config::Algorithm::TokenBucket => Limiting::placed(config, token_bucket),
        config::Algorithm::FixedWindow => Limiting::placed(config, |setting| FixedWindow::new(rate(setting))),
        config::Algorithm::SlidingWindow => Limiting::placed(config, |setting| SlidingWindow::<Inline<16>>::new(rate(setting))),
        config::Algorithm::SlidingCounter => Limiting::placed(config, |setting| SlidingCounter::new(rate(setting))),
    }
}

/// A token bucket as a scenario says, for a layer.
pub fn layer(config: config::RateLimiter) -> RateLimiter<Embassy, TokenBucket> {
    build(config, token_bucket)
}

/// The same for each key.
pub fn keyed_layer(config: config::RateLimiter) -> KeyedRateLimiter<Embassy, Token> {
    let limiter = KeyedRateLimiter::with_clock(EmbassyClock, token_bucket(config.rate));
    let limiter = config.capacity.into_iter().fold(limiter, |limiter, most| limiter.capacity(most as usize));
    let limiter = config.max_concurrent.into_iter().fold(limiter, KeyedRateLimiter::max_concurrent);
    config.max_waiting.into_iter().fold(limiter, KeyedRateLimiter::max_waiting)
}

fn token_bucket(setting: config::Rate) -> TokenBucket {
    TokenBucket::new(rate(setting)).burst(setting.burst)
}

fn build<A: Algorithm>(config: config::RateLimiter, rule: fn(config::Rate) -> A) -> RateLimiter<Embassy, A> {
    let limiter = RateLimiter::with_clock(EmbassyClock, rule(config.rate));
    let limiter = config.max_concurrent.into_iter().fold(limiter, RateLimiter::max_concurrent);
    config.max_waiting.into_iter().fold(limiter, RateLimiter::max_waiting)
}

fn rate(setting: config::Rate) -> Rate {
    Rate::new(setting.permits, time::duration(setting.per))
}

impl<A: Algorithm + 'static> Limiting<A> {
    #[inline(never)]
    fn placed(config: config::RateLimiter, rule: fn(config::Rate) -> A) -> &'static dyn Subject {
        place(Self { limiter: build(config, rule), rule })
    }
}

impl<A: Algorithm + 'static> Subject for Limiting<A> {
    fn call(&'static self, world: &'static World, request: Request) -> Ending {
        let limiter = &self.limiter;
        Ending::new(async move {
            let n = request.permits;
            let operation = || world.start(request.id, request.arg);
            let result = if request.reserves {
                limiter.reserve(n).map_err(|error| explain(&error))?.await;
                operation().await
            } else if !request.waits {
                let _permit = limiter.try_acquire(n).map_err(|error| explain(&error))?;
                operation().await
            } else if let Some(deadline) = request.deadline {
                let deadline = Deadline::after(EmbassyClock.now(), time::duration(deadline));
                let _permit = limiter.acquire_by(n, deadline).await.map_err(|error| explain(&error))?;
                operation().await
            } else {
                return limiter.run_n(n, operation).await.map(Output::One).map_err(|error| match error {
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
        RateLimitError::Config(error) => Error::config(*error),
        _ => Error::unknown(),
    }
}
