//! The pipeline. Its layers are known when the scenario has been read, and so they are put together in boxes here, one by one, as `Pipeline` does without.

use std::any::Any;
use std::future::ready;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use aplomb::circuit_breaker::Trip;
use aplomb::hedge::Delay;
use aplomb::pipeline::{Cause, CircuitOf, FallbackLayer, Layer, LineOf, RetryRejected, TimeoutLayer};
use aplomb::rate_limiter::Algorithm;
use aplomb::retry::StopReason;
use aplomb::{
    Ambient, BreakerError, BulkheadError, KeyedCircuitBreaker, LimitError, Operation, Pipeline, PipelineError, Platform,
    RateLimitError, RateLimiter, time,
};
use serde_json::{Map, Value, json};

use super::circuit_breaker::{self, Keyed, Unobserved};
use super::{Ending, Subject, adaptive_limit, bulkhead, details, hedge, rate_limiter, retry};
use crate::config::{CircuitBreakerConfig, FallbackConfig, LayerConfig, PipelineConfig, RateLimiterConfig, RateSetting};
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::Failure;
use crate::scenario::Request;
use crate::stage::Stage;

type Ended = Result<Value, PipelineError<Failure>>;

/// A pipeline, which its callers share. What its layers refer to leaks, once for each scenario.
pub(super) struct Piping<P: Platform + 'static> {
    layers: &'static [Box<dyn Boxed>],
    platform: PhantomData<P>,
}

/// The layers of a scenario, the outermost first, for a call with that key.
#[derive(Clone, Copy)]
struct Written {
    layers: &'static [Box<dyn Boxed>],
    key: &'static str,
}

/// A layer around an operation in a box.
trait Boxed {
    fn wrap(&'static self, index: usize, operation: Erased, key: &'static str) -> Erased;
}

/// One that is the same for all keys.
struct Fixed<L>(L);

/// One that is made for the key of a call, and leaks.
struct Made<F>(F);

impl<L> Boxed for Fixed<L>
where
    L: Layer<'static, Erased, Operation: Operation<Output = Ended, Run: 'static> + 'static> + 'static,
{
    fn wrap(&'static self, index: usize, operation: Erased, _key: &'static str) -> Erased {
        Erased::new(self.0.wrap(index, operation))
    }
}

impl<F, L> Boxed for Made<F>
where
    F: Fn(&'static str) -> L,
    L: Layer<'static, Erased, Operation: Operation<Output = Ended, Run: 'static> + 'static> + 'static,
{
    fn wrap(&'static self, index: usize, operation: Erased, key: &'static str) -> Erased {
        Erased::new(leak((self.0)(key)).wrap(index, operation))
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

/// An operation in a box, whose runs are in boxes too.
struct Erased(Box<dyn AnyOperation>);

trait AnyOperation {
    fn start(&mut self) -> Box<dyn Any>;
    fn poll_run(&mut self, run: &mut dyn Any, cx: &mut Context<'_>) -> Poll<Ended>;
    fn may_repeat(&self) -> bool;
    fn begun(&self) -> Option<u32>;
}

impl<O: Operation<Output = Ended, Run: 'static>> AnyOperation for O {
    fn start(&mut self) -> Box<dyn Any> {
        Box::new(Box::pin(Operation::start(self)))
    }

    fn poll_run(&mut self, run: &mut dyn Any, cx: &mut Context<'_>) -> Poll<Ended> {
        let run: &mut Pin<Box<O::Run>> = run.downcast_mut().expect("a run of this operation");
        Operation::poll_run(self, run.as_mut(), cx)
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
        Self(Box::new(operation))
    }
}

impl Operation for Erased {
    type Output = Ended;
    type Run = Box<dyn Any>;

    fn start(&mut self) -> Box<dyn Any> {
        self.0.start()
    }

    fn poll_run(&mut self, mut run: Pin<&mut Box<dyn Any>>, cx: &mut Context<'_>) -> Poll<Ended> {
        self.0.poll_run(&mut **run, cx)
    }

    fn may_repeat(&self) -> bool {
        self.0.may_repeat()
    }

    fn begun(&self) -> Option<u32> {
        self.0.begun()
    }
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl<P: Platform<Clock: Ambient + Copy> + 'static> Piping<P> {
    pub(super) fn new(config: &PipelineConfig) -> Self {
        Self { layers: config.layers.iter().map(layer::<P>).collect::<Vec<_>>().leak(), platform: PhantomData }
    }
}

fn layer<P: Platform<Clock: Ambient + Copy> + 'static>(config: &LayerConfig) -> Box<dyn Boxed> {
    match config {
        LayerConfig::Timeout(config) => Box::new(Fixed(TimeoutLayer::<P>::after(P::Clock::CLOCK, config.after.duration()))),
        LayerConfig::Retry(config) => Box::new(Fixed(retry::leaked::<P>(config))),
        LayerConfig::RetryRejected(config) => Box::new(Fixed(RetryRejected::new(retry::leaked::<P>(config)))),
        LayerConfig::Bulkhead(config) => Box::new(Fixed(leak(bulkhead::build::<P>(config)))),
        LayerConfig::AdaptiveLimit(config) => adaptive_limit::with::<P, _>(config, AsLayer(())),
        LayerConfig::RateLimiter(config) => rate_limiter::with::<P, _>(config, AsLayer(config)),
        LayerConfig::CircuitBreaker(config) => circuit_breaker::with::<P, _>(config, AsLayer(&**config)),
        LayerConfig::Hedge(config) => hedge::with::<P, _>(config, AsLayer(())),
        LayerConfig::Fallback(config) => fallback(config.clone()),
    }
}

/// To a value, for the errors that are listed: by what they are, or by their kind.
fn fallback(FallbackConfig { value, fallback_if }: FallbackConfig) -> Box<dyn Boxed> {
    let value = value.unwrap_or_default().to_string().leak();
    let alternative = |_: PipelineError<Failure>| ready(Ok(serde_json::from_str(value).unwrap_or_default()));
    let Some(listed) = fallback_if.map(Vec::leak) else { return Box::new(Fixed(FallbackLayer::new(alternative))) };
    let is_for = |error: &PipelineError<Failure>| {
        let own = error.inner().map(|failure| &failure.value);
        listed.contains(own.unwrap_or(&json!(cause(error.cause()).0)))
    };
    Box::new(Fixed(FallbackLayer::new(alternative).fallback_if(is_for)))
}

/// Puts a pattern into a box, by a part of how it is configured.
struct AsLayer<C>(C);

impl<P: Platform + 'static> adaptive_limit::Use<P> for AsLayer<()> {
    type Output = Box<dyn Boxed>;

    fn of<A: aplomb::adaptive_limit::Algorithm + Copy + 'static>(
        self,
        limit: adaptive_limit::Unobserved<P, A>,
    ) -> Box<dyn Boxed> {
        Box::new(Fixed(leak(limit)))
    }
}

impl<P: Platform + 'static> hedge::Use<P> for AsLayer<()> {
    type Output = Box<dyn Boxed>;

    fn of<D: Delay + 'static>(self, hedge: hedge::Written<P, D>) -> Box<dyn Boxed> {
        Box::new(Fixed(leak(hedge)))
    }
}

impl<P: Platform<Clock: Ambient + Copy> + 'static> rate_limiter::Use<P> for AsLayer<&RateLimiterConfig> {
    type Output = Box<dyn Boxed>;

    fn of<A: Algorithm + Copy + 'static>(self, limiter: RateLimiter<P, A>, rule: fn(RateSetting) -> A) -> Box<dyn Boxed> {
        let Self(config) = self;
        let max_wait = config.max_wait.duration();
        if !config.keyed {
            return Box::new(Fixed(LineOf::new(leak(limiter), ()).max_wait(max_wait)));
        }
        let keyed = leak(rate_limiter::keyed::<P, A>(config, rule));
        Box::new(Made(move |key: &'static str| LineOf::new(&*keyed, key).max_wait(max_wait)))
    }
}

impl<P: Platform<Clock: Copy> + 'static> circuit_breaker::Use<P> for AsLayer<&CircuitBreakerConfig> {
    type Output = Box<dyn Boxed>;

    fn of<T: Trip + Copy + 'static>(self, breaker: Unobserved<P, T>) -> Box<dyn Boxed> {
        let Self(config) = self;
        if !config.keyed {
            return Box::new(Fixed(leak(breaker)));
        }
        let keyed: Keyed<P, T> = KeyedCircuitBreaker::new(breaker);
        let keyed = leak(config.capacity.into_iter().fold(keyed, KeyedCircuitBreaker::capacity));
        Box::new(Made(move |key: &'static str| CircuitOf::of_key(&*keyed, key)))
    }
}

impl<S: Stage + 'static> Subject<S> for Piping<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, key, .. }: Request) -> Ending {
        let written = Written { layers: self.layers, key: circuit_breaker::written(key).leak() };
        let call = Pipeline::<S::Platform>::new().layer(written).run(move || world.start(&id, arg.as_ref()));
        Box::pin(async move { call.await.map_err(|error| explain(&error)) })
    }
}

fn explain(error: &PipelineError<Failure>) -> (&'static str, Map<String, Value>) {
    let (kind, of_cause) = cause(error.cause());
    let Some(reason) = error.stop_reason().filter(|reason| *reason != StopReason::Refused) else {
        let mut told = details(of_cause);
        told.insert("attempts".into(), json!(error.attempts()));
        if let Some(layer) = error.layer() {
            told.insert("layer".into(), json!(layer.index));
        }
        return (kind, told);
    };
    let value = error.inner().map_or_else(|| json!(kind), |failure| failure.value.clone());
    let told = json!({ "value": value, "attempts": error.attempts(), "layer": error.layer().map(|layer| layer.index) });
    let kind = match reason {
        StopReason::Exhausted => "exhausted",
        StopReason::Budget => "budget",
        StopReason::Deadline => "deadline",
        _ => "unknown",
    };
    (kind, details(told))
}

fn cause(cause: &Cause<Failure>) -> (&'static str, Value) {
    match cause {
        Cause::Failed(failure) => ("operation", json!({ "value": failure.value })),
        Cause::TimedOut { .. }
        | Cause::Bulkhead(BulkheadError::TimedOut { .. })
        | Cause::AdaptiveLimit(LimitError::TimedOut { .. }) => ("timeout", json!({})),
        Cause::RateLimiter(RateLimitError::QueueFull { .. })
        | Cause::Bulkhead(BulkheadError::QueueFull { .. })
        | Cause::AdaptiveLimit(LimitError::QueueFull { .. }) => ("queue_full", json!({})),
        Cause::RateLimiter(RateLimitError::Deadline { .. }) => ("deadline", json!({})),
        Cause::RateLimiter(RateLimitError::TableFull { .. }) | Cause::CircuitBreaker(BreakerError::TableFull { .. }) => {
            ("full", json!({}))
        }
        Cause::RateLimiter(RateLimitError::Exhausted) => ("exhausted", json!({})),
        Cause::CircuitBreaker(BreakerError::Open { retry_after } | BreakerError::HalfOpen { retry_after }) => {
            let after = retry_after.map(|after| Millis(time::nanos(after)).to_json());
            ("open", json!({ "retry_after": after }))
        }
        Cause::Config(error) => ("config", json!({ "value": error.to_string() })),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", json!({})),
    }
}
