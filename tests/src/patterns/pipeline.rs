//! The pipeline. Its layers are known when the scenario has been read, and so they are put together in boxes here, one by one, as `Pipeline` does without.

use std::any::Any;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use aplomb::circuit_breaker::Trip;
use aplomb::hedge::Delay;
use aplomb::pipeline::{Cause, FallbackLayer, Layer, RetryRejected, TimeoutLayer};
use aplomb::rate_limiter::Algorithm;
use aplomb::retry::StopReason;
use aplomb::{
    Ambient, BreakerError, BulkheadError, Operation, Pipeline, PipelineError, Platform, RateLimitError, RateLimiter, time,
};
use serde_json::{Map, Value, json};

use super::circuit_breaker::{self, Unobserved};
use super::{Ending, Subject, bulkhead, details, hedge, rate_limiter, retry};
use crate::config::{FallbackConfig, LayerConfig, PipelineConfig, RateSetting};
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::Failure;
use crate::scenario::Request;
use crate::stage::Stage;

type Ended = Result<Value, PipelineError<Failure>>;

/// A pipeline, which its callers share. What its layers refer to leaks, once for each scenario.
pub(super) struct Piping<P: Platform + 'static> {
    pipeline: &'static Pipeline<P, aplomb::layers![&'static Written]>,
}

/// The layers of a scenario, the outermost first.
struct Written(Vec<Box<dyn Boxed>>);

/// A layer around an operation in a box.
trait Boxed {
    fn wrap(&'static self, index: usize, operation: Erased) -> Erased;
}

impl<L> Boxed for L
where
    L: Layer<'static, Erased, Operation: Operation<Output = Ended, Run: 'static> + 'static> + 'static,
{
    fn wrap(&'static self, index: usize, operation: Erased) -> Erased {
        Erased::new(Layer::wrap(self, index, operation))
    }
}

impl<O> Layer<'_, O> for &'static Written
where
    O: Operation<Output = Ended, Run: 'static> + 'static,
{
    type Operation = Erased;

    fn wrap(&self, index: usize, operation: O) -> Erased {
        let numbered = self.0.iter().enumerate().rev();
        numbered.fold(Erased::new(operation), |within, (number, layer)| layer.wrap(index + number, within))
    }
}

/// An operation in a box, whose runs are in boxes too.
struct Erased(Box<dyn AnyOperation>);

trait AnyOperation {
    fn start(&mut self) -> Box<dyn Any>;
    fn poll_run(&mut self, run: &mut dyn Any, cx: &mut Context<'_>) -> Poll<Ended>;
    fn may_repeat(&self) -> bool;
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
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl<P: Platform<Clock: Ambient + Copy> + 'static> Piping<P> {
    pub(super) fn new(config: &PipelineConfig) -> Self {
        let written = leak(Written(config.layers.iter().map(layer::<P>).collect()));
        Self { pipeline: leak(Pipeline::new().layer(written)) }
    }
}

fn layer<P: Platform<Clock: Ambient + Copy> + 'static>(config: &LayerConfig) -> Box<dyn Boxed> {
    match config {
        LayerConfig::Timeout(config) => Box::new(TimeoutLayer::<P>::after(P::Clock::CLOCK, config.after.duration())),
        LayerConfig::Retry(config) => Box::new(retry::leaked::<P>(config)),
        LayerConfig::RetryRejected(config) => Box::new(RetryRejected::new(retry::leaked::<P>(config))),
        LayerConfig::Bulkhead(config) => Box::new(leak(bulkhead::build::<P>(config))),
        LayerConfig::RateLimiter(config) => rate_limiter::with::<P, _>(config, AsLayer),
        LayerConfig::CircuitBreaker(config) => circuit_breaker::with::<P, _>(config, AsLayer),
        LayerConfig::Hedge(config) => hedge::with::<P, _>(config, AsLayer),
        LayerConfig::Fallback(config) => Box::new(fallback(config.clone())),
    }
}

/// To a value, for the errors that are listed: by what they are, or by their kind.
fn fallback(config: FallbackConfig) -> FallbackLayer<impl Fn(PipelineError<Failure>) -> Ready<Ended>> {
    FallbackLayer::new(move |error: PipelineError<Failure>| {
        let own = error.inner().map(|failure| &failure.value);
        let kind = json!(cause(error.cause()).0);
        let is_for = config.fallback_if.as_ref().is_none_or(|listed| listed.contains(own.unwrap_or(&kind)));
        ready(if is_for { Ok(config.value.clone().unwrap_or_default()) } else { Err(error) })
    })
}

struct AsLayer;

impl<P: Platform + 'static> hedge::Use<P> for AsLayer {
    type Output = Box<dyn Boxed>;

    fn of<D: Delay + 'static>(self, hedge: hedge::Written<P, D>) -> Box<dyn Boxed> {
        Box::new(leak(hedge))
    }
}

impl<P: Platform + 'static> rate_limiter::Use<P> for AsLayer {
    type Output = Box<dyn Boxed>;

    fn of<A: Algorithm + 'static>(self, limiter: RateLimiter<P, A>, _rule: fn(RateSetting) -> A) -> Box<dyn Boxed> {
        Box::new(leak(limiter))
    }
}

impl<P: Platform + 'static> circuit_breaker::Use<P> for AsLayer {
    type Output = Box<dyn Boxed>;

    fn of<T: Trip + Copy + 'static>(self, breaker: Unobserved<P, T>) -> Box<dyn Boxed> {
        Box::new(leak(breaker))
    }
}

impl<S: Stage + 'static> Subject<S> for Piping<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        let call = self.pipeline.run(move || world.start(&id, arg.as_ref()));
        Box::pin(async move { call.await.map_err(|error| explain(&error)) })
    }
}

fn explain(error: &PipelineError<Failure>) -> (&'static str, Map<String, Value>) {
    let (kind, of_cause) = cause(error.cause());
    let Some(reason) = error.stop_reason() else {
        let mut told = details(of_cause);
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
        Cause::TimedOut { .. } | Cause::Bulkhead(BulkheadError::TimedOut { .. }) => ("timeout", json!({})),
        Cause::RateLimiter(RateLimitError::QueueFull { .. }) | Cause::Bulkhead(BulkheadError::QueueFull { .. }) => {
            ("queue_full", json!({}))
        }
        Cause::RateLimiter(RateLimitError::Exhausted) => ("exhausted", json!({})),
        Cause::CircuitBreaker(BreakerError::Open { retry_after }) => {
            let after = retry_after.map(|after| Millis(time::nanos(after)).to_json());
            ("open", json!({ "retry_after": after }))
        }
        Cause::CircuitBreaker(BreakerError::HalfOpen) => ("open", json!({ "retry_after": null })),
        Cause::Config(error) => ("config", json!({ "value": error.to_string() })),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", json!({})),
    }
}
