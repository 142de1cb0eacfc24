//! The pipeline. Its layers are known when the scenario has been read, and so they are put together in places of the arena, one by one, as `Pipeline` does without.

use core::any::Any;
use core::future::{Ready, ready};
use core::pin::Pin;
use core::task::{Context, Poll};

use aplomb::adaptive_limit::Algorithm;
use aplomb::pipeline::{Cause, CircuitOf, FallbackLayer, Layer, LineOf, RetryRejected, TimeoutLayer};
use aplomb::retry::StopReason;
use aplomb::{BreakerError, BulkheadError, LimitError, Operation, Pipeline, PipelineError, RateLimitError, time};
use aplomb_embassy::{Embassy, EmbassyClock};
use heapless::Vec;
use wire::config::{self, HedgeDelay, Trip};
use wire::{Entries, Request, Token};

use super::{Ending, Subject, adaptive_limit, bulkhead, circuit_breaker, hedge, rate_limiter, retry};
use crate::arena::{Owned, place};
use crate::world::{Error, Failure, Output, Value, World};

type Ended = Result<Token, PipelineError<Failure>>;

/// A pipeline, which its callers share.
pub struct Piping(Layers);

/// The layers of a scenario, the outermost first.
type Layers = Vec<&'static dyn Placed, 8>;

/// The same, for a call with that key.
#[derive(Clone, Copy)]
struct Written {
    layers: &'static Layers,
    key: Token,
}

/// A layer around an operation that has been placed.
trait Placed {
    fn wrap(&'static self, index: usize, operation: Erased, key: Token) -> Erased;
}

/// One that is the same for all keys.
struct Fixed<L>(L);

/// One that is made for the key of a call.
struct Made<F>(F);

impl<L> Placed for Fixed<L>
where
    L: Layer<'static, Erased, Operation: Operation<Output = Ended, Run: 'static> + 'static> + 'static,
{
    fn wrap(&'static self, index: usize, operation: Erased, _key: Token) -> Erased {
        Erased::new(self.0.wrap(index, operation))
    }
}

impl<F, L> Placed for Made<F>
where
    F: Fn(&'static Token) -> L,
    L: Layer<'static, Erased, Operation: Operation<Output = Ended, Run: 'static> + 'static> + 'static,
{
    fn wrap(&'static self, index: usize, operation: Erased, key: Token) -> Erased {
        let layer: &'static L = place((self.0)(place(key)));
        Erased::new(layer.wrap(index, operation))
    }
}

impl<O> Layer<'_, O> for Written
where
    O: Operation<Output = Ended, Run: 'static> + 'static,
{
    type Operation = Erased;

    fn wrap(&self, index: usize, operation: O) -> Erased {
        let numbered = self.layers.iter().enumerate().rev();
        numbered.fold(Erased::new(operation), |within, (number, layer)| layer.wrap(index + number, within, self.key))
    }
}

/// An operation that has been placed, whose runs are too.
struct Erased(Owned<dyn AnyOperation>);

trait AnyOperation {
    fn start(&mut self) -> Owned<dyn Any>;
    fn poll_run(&mut self, run: Pin<&mut dyn Any>, cx: &mut Context<'_>) -> Poll<Ended>;
    fn may_repeat(&self) -> bool;
    fn begun(&self) -> Option<u32>;
}

impl<O: Operation<Output = Ended, Run: 'static>> AnyOperation for O {
    fn start(&mut self) -> Owned<dyn Any> {
        Owned::of(Operation::start(self), |run| run)
    }

    fn poll_run(&mut self, run: Pin<&mut dyn Any>, cx: &mut Context<'_>) -> Poll<Ended> {
        // SAFETY: it is not moved out of, and pinned again at once.
        let run = unsafe { run.get_unchecked_mut() }.downcast_mut::<O::Run>();
        let Some(run) = run else { unreachable!("a run of this operation") };
        // SAFETY: it was pinned until now.
        Operation::poll_run(self, unsafe { Pin::new_unchecked(run) }, cx)
    }

    fn may_repeat(&self) -> bool {
        Operation::may_repeat(self)
    }

    fn begun(&self) -> Option<u32> {
        Operation::begun(self)
    }
}

impl Erased {
    fn new(operation: impl Operation<Output = Ended, Run: 'static> + 'static) -> Self {
        Self(Owned::of(operation, |operation| operation))
    }

    fn operation(&mut self) -> &mut dyn AnyOperation {
        // SAFETY: an operation may be moved; where it lies it is not.
        unsafe { self.0.as_mut().get_unchecked_mut() }
    }
}

impl Operation for Erased {
    type Output = Ended;
    type Run = Owned<dyn Any>;

    fn start(&mut self) -> Owned<dyn Any> {
        self.operation().start()
    }

    fn poll_run(&mut self, run: Pin<&mut Owned<dyn Any>>, cx: &mut Context<'_>) -> Poll<Ended> {
        self.operation().poll_run(run.get_mut().as_mut(), cx)
    }

    fn may_repeat(&self) -> bool {
        self.0.as_ref().may_repeat()
    }

    fn begun(&self) -> Option<u32> {
        self.0.as_ref().begun()
    }
}

impl Piping {
    pub fn new(world: &'static World) -> Self {
        Self(Entries::<config::Layer>::of(world.scenario.layers).map(|written| layer(place(written))).collect())
    }
}

#[inline(never)]
fn layer(written: &'static config::Layer) -> &'static dyn Placed {
    match written {
        config::Layer::Timeout { after } => fixed(TimeoutLayer::<Embassy>::after(EmbassyClock, time::duration(*after))),
        config::Layer::Retry(config) => fixed(retry::layer(config)),
        config::Layer::RetryRejected(config) => fixed(RetryRejected::new(retry::layer(config))),
        config::Layer::RateLimiter(config) => {
            let max_wait = time::duration(config.max_wait);
            if config.keyed {
                let limiter = &*place(rate_limiter::keyed_layer(*config));
                made(move |key| LineOf::new(limiter, key).max_wait(max_wait))
            } else {
                fixed(LineOf::new(&*place(rate_limiter::layer(*config)), ()).max_wait(max_wait))
            }
        }
        config::Layer::AdaptiveLimit(config) => adaptive_limit::with(config, AsLayer),
        config::Layer::CircuitBreaker(config) => match config.trip {
            Trip::Consecutive(failures) if config.keyed => {
                let breakers = &*place(circuit_breaker::keyed_layer(config, failures));
                made(move |key| CircuitOf::of_key(breakers, key))
            }
            Trip::Consecutive(failures) => shared(circuit_breaker::layer(config, failures)),
            Trip::LastCalls { failure_rate, min_calls, last_calls } => {
                shared(circuit_breaker::layer_of_share(config, last_calls, failure_rate, min_calls))
            }
            Trip::LastTime { .. } => unreachable!("no host writes it"),
        },
        config::Layer::Bulkhead(config) => shared(bulkhead::build(*config)),
        config::Layer::Hedge(config) => match config.delay {
            HedgeDelay::After(delay) => shared(hedge::after(config, time::duration(delay))),
            HedgeDelay::Percentile { .. } => unreachable!("no host writes it"),
        },
        config::Layer::Fallback(config) => fixed(fallback(config)),
    }
}

fn fixed<L>(layer: L) -> &'static dyn Placed
where
    Fixed<L>: Placed + 'static,
{
    place(Fixed(layer))
}

fn made<F, L>(make: F) -> &'static dyn Placed
where
    F: Fn(&'static Token) -> L,
    Made<F>: Placed + 'static,
{
    place(Made(make))
}

/// What the calls of a layer share lies elsewhere.
fn shared<T: 'static>(shared: T) -> &'static dyn Placed
where
    Fixed<&'static T>: Placed,
{
    fixed(&*place(shared))
}

/// Puts a limit, whatever its rule is, among the layers.
struct AsLayer;

impl adaptive_limit::Use for AsLayer {
    type Output = &'static dyn Placed;

    fn of<A: Algorithm + Copy + 'static>(self, limit: adaptive_limit::Written<A>) -> &'static dyn Placed {
        shared(limit)
    }
}

/// To a value, for the errors that are listed: by what they are, or by their kind.
fn fallback(config: &'static config::Fallback) -> FallbackLayer<impl Fn(PipelineError<Failure>) -> Ready<Ended>> {
    FallbackLayer::new(move |error: PipelineError<Failure>| {
        let is_for = match (error.cause(), &config.fallback_if) {
            (_, None) => true,
            (Cause::Failed(failure), Some(listed)) => listed.contains(&failure.value),
            (cause, Some(_)) => config.of_timeouts && kind(cause) == "timeout",
        };
        ready(if is_for { Ok(config.value.unwrap_or(Token::NULL)) } else { Err(error) })
    })
}

impl Subject for Piping {
    fn call(&'static self, world: &'static World, Request { id, arg, key, .. }: Request) -> Ending {
        let written = Written { layers: &self.0, key };
        let call = Pipeline::<Embassy>::new().layer(written).run(move || world.start(id, arg));
        Ending::new(async move { call.await.map(Output::One).map_err(|error| explain(&error)) })
    }
}

fn explain(error: &PipelineError<Failure>) -> Error {
    let layer = error.layer().map(|layer| layer.index);
    let cause = error.cause();
    let value = match cause {
        Cause::Failed(failure) => Some(Value::Token(failure.value)),
        Cause::Config(error) => Some(Value::Config(*error)),
        _ => None,
    };
    let Some(reason) = error.stop_reason().filter(|reason| *reason != StopReason::Refused) else {
        let retry_after = match cause {
            Cause::CircuitBreaker(BreakerError::Open { retry_after } | BreakerError::HalfOpen { retry_after }) => Some(*retry_after),
            _ => None,
        };
        return Error { value, attempts: Some(error.attempts()), layer, retry_after, ..Error::new(kind(cause)) };
    };
    let kind_of_end = match reason {
        StopReason::Exhausted => "exhausted",
        StopReason::Budget => "budget",
        StopReason::Deadline => "deadline",
        _ => "unknown",
    };
    let value = error.inner().map_or_else(|| Value::Kind(kind(cause)), |failure| Value::Token(failure.value));
    Error { value: Some(value), attempts: Some(error.attempts()), layer, ..Error::new(kind_of_end) }
}

fn kind(cause: &Cause<Failure>) -> &'static str {
    match cause {
        Cause::Failed(_) => "operation",
        Cause::TimedOut { .. }
        | Cause::Bulkhead(BulkheadError::TimedOut { .. })
        | Cause::AdaptiveLimit(LimitError::TimedOut { .. }) => "timeout",
        Cause::RateLimiter(RateLimitError::QueueFull { .. })
        | Cause::Bulkhead(BulkheadError::QueueFull { .. })
        | Cause::AdaptiveLimit(LimitError::QueueFull { .. }) => "queue_full",
        Cause::RateLimiter(RateLimitError::Deadline { .. }) => "deadline",
        Cause::RateLimiter(RateLimitError::TableFull { .. }) | Cause::CircuitBreaker(BreakerError::TableFull { .. }) => "full",
        Cause::RateLimiter(RateLimitError::Exhausted) => "exhausted",
        Cause::CircuitBreaker(BreakerError::Open { .. } | BreakerError::HalfOpen { .. }) => "open",
        Cause::Config(_) => "config",
        // The enum may grow; a scenario then says which kind it expects.
        _ => "unknown",
    }
}
