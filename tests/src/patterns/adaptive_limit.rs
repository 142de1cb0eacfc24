//! The adaptive limit.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use aplomb::adaptive_limit::{Algorithm, Event, Verdict};
use aplomb::observe::Silent;
use aplomb::{AdaptiveLimit, Ambient, Judge, LimitError, Platform};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::{AdaptiveLimitConfig, LimitRule};
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::{Order, Request};
use crate::stage::Stage;
use crate::trace::What;

type Limit<P, A, O> = AdaptiveLimit<P, A, Listed, <P as Platform>::Storage, O>;

/// A limit, which its callers share.
struct Limiting<S: Stage, A: Algorithm, O> {
    limit: Rc<Limit<S::Platform, A, O>>,
    /// Where its changes are recorded.
    world: Recorder<S>,
}

type Recorder<S> = Rc<RefCell<Option<Rc<World<S>>>>>;

/// The errors that are a sign of overload. It leaks, a list for each scenario.
#[derive(Clone, Copy)]
pub(super) struct Listed(&'static [Value]);

impl Judge<Value, Failure, Verdict> for Listed {
    fn judge(&self, outcome: Result<&Value, &Failure>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Success,
            Err(failure) if self.0.contains(&failure.value) => Verdict::Overload,
            Err(_) => Verdict::Ignored,
        }
    }
}

/// The limit of a scenario.
pub(super) fn set_up<S: Stage + 'static>(config: &AdaptiveLimitConfig) -> Rc<dyn Subject<S>> {
    struct Shared<S>(PhantomData<S>);

    impl<S: Stage + 'static> Use<S::Platform> for Shared<S> {
        type Output = Rc<dyn Subject<S>>;

        fn of<A: Algorithm + Copy + 'static>(self, limit: Unobserved<S::Platform, A>) -> Rc<dyn Subject<S>> {
            let world: Recorder<S> = Rc::default();
            let recorder = Rc::clone(&world);
            let limit = limit.observed_by(move |event: &Event| {
                if let (Event::Changed { to, .. }, Some(world)) = (event, &*recorder.borrow()) {
                    world.record(What::Limit { limit: *to });
                }
            });
            Rc::new(Limiting::<S, A, _> { limit: Rc::new(limit), world })
        }
    }

    with(config, Shared(PhantomData))
}

/// A limit as it is written, that tells nobody.
pub(super) type Unobserved<P, A> = Limit<P, A, Silent>;

/// What is done with a limit, whatever its rule is.
pub(super) trait Use<P: Platform> {
    type Output;

    fn of<A: Algorithm + Copy + 'static>(self, limit: Unobserved<P, A>) -> Self::Output;
}

/// Makes a limit as it is written.
pub(super) fn with<P: Platform<Clock: Ambient + Copy>, U: Use<P>>(config: &AdaptiveLimitConfig, user: U) -> U::Output {
    match config.algorithm {
        LimitRule::Aimd { max_latency, backoff } => user.of(build(config, LimitRule::aimd(max_latency, backoff))),
        LimitRule::Vegas { probe_every } => user.of(build(config, LimitRule::vegas(probe_every))),
        LimitRule::Gradient { tolerance, smoothing, queue_size, probe_every } => {
            user.of(build(config, LimitRule::gradient(tolerance, smoothing, queue_size, probe_every)))
        }
    }
}

fn build<P: Platform<Clock: Ambient + Copy>, A: Algorithm + Copy>(
    config: &AdaptiveLimitConfig,
    algorithm: A,
) -> Unobserved<P, A> {
    let limit = AdaptiveLimit::with_clock(P::Clock::CLOCK, algorithm)
        .judged_by(Listed(config.overload_if.clone().leak()))
        .max_wait(config.max_wait.duration());
    let limit = config.initial_limit.into_iter().fold(limit, AdaptiveLimit::initial_limit);
    let limit = config.min_limit.into_iter().fold(limit, AdaptiveLimit::min_limit);
    let limit = config.max_limit.into_iter().fold(limit, AdaptiveLimit::max_limit);
    let limit = config.window.into_iter().fold(limit, |limit, window| limit.window(window.duration()));
    let limit = config.min_calls.into_iter().fold(limit, AdaptiveLimit::min_calls);
    let limit = config.overload_tolerance().into_iter().fold(limit, AdaptiveLimit::overload_tolerance);
    config.max_waiting.into_iter().fold(limit, AdaptiveLimit::max_waiting)
}

impl<S, A, O> Subject<S> for Limiting<S, A, O>
where
    S: Stage + 'static,
    A: Algorithm + 'static,
    O: Fn(&Event) + 'static,
{
    fn drive(&self, world: &Rc<World<S>>) {
        self.world.replace(Some(Rc::clone(world)));
    }

    fn call(&self, world: Rc<World<S>>, Request { id, arg, waits, .. }: Request) -> Ending {
        let limit = Rc::clone(&self.limit);
        Box::pin(async move {
            let operation = || world.start(&id, arg.as_ref());
            let run = if waits { limit.run(operation) } else { limit.try_run(operation) };
            run.await.map_err(explain)
        })
    }

    fn act(&self, Order { verb, .. }: Order) {
        if verb == "close" {
            self.limit.close();
        }
    }
}

fn explain(error: LimitError<Failure>) -> (&'static str, Map<String, Value>) {
    match error {
        // To try is to wait in a queue without places.
        LimitError::QueueFull { .. } | LimitError::Busy => ("queue_full", Map::new()),
        LimitError::TimedOut { .. } => ("timeout", Map::new()),
        LimitError::Closed => ("closed", Map::new()),
        LimitError::Failed(failure) => ("operation", details(json!({ "value": failure.value }))),
        LimitError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
