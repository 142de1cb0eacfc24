//! The circuit breaker: one, or one for each key.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;

use aplomb::circuit_breaker::{Consecutive, Event, LastCalls, LastTime, Sliding, State, Trip, Verdict, Window};
use aplomb::key::FoldHash;
use aplomb::{Ambient, BreakerError, CircuitBreaker, Judge, KeyedCircuitBreaker, Platform, time};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::{AnyBackoff, CircuitBreakerConfig, SlowCallConfig, TripConfig, failure_rate};
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::Failure;
use crate::scenario::{Order, Request};
use crate::stage::Stage;
use crate::trace::What;

type StorageOf<P> = <P as Platform>::Storage;
type Single<P, T, O> = CircuitBreaker<P, T, AnyBackoff, Listed, StorageOf<P>, O>;
pub(super) type Keyed<P, T> = KeyedCircuitBreaker<P, String, T, AnyBackoff, Listed, StorageOf<P>, FoldHash>;

/// A breaker, which its callers share.
struct Breaking<S, B> {
    breaker: Rc<B>,
    /// Where its changes are recorded.
    world: Recorder<S>,
}

type Recorder<S> = Rc<RefCell<Option<Rc<World<S>>>>>;

/// The errors that are failures, if not all are. It leaks, a list for each scenario that has one.
#[derive(Clone, Copy)]
pub(super) struct Listed(Option<&'static [Value]>);

impl Judge<Value, Failure, Verdict> for Listed {
    fn judge(&self, outcome: Result<&Value, &Failure>) -> Verdict {
        match outcome {
            Err(failure) if self.0.is_none_or(|listed| listed.contains(&failure.value)) => Verdict::Failure,
            _ => Verdict::Success,
        }
    }
}

/// The breaker of a scenario.
pub(super) fn set_up<S: Stage + 'static>(config: &CircuitBreakerConfig) -> Rc<dyn Subject<S>> {
    struct Shared<'c, S>(&'c CircuitBreakerConfig, PhantomData<S>);

    impl<S: Stage + 'static> Use<S::Platform> for Shared<'_, S> {
        type Output = Rc<dyn Subject<S>>;

        fn of<T: Trip + Copy + 'static>(self, breaker: Unobserved<S::Platform, T>) -> Rc<dyn Subject<S>> {
            let world: Recorder<S> = Rc::default();
            if self.0.keyed {
                let keyed: Keyed<S::Platform, T> = KeyedCircuitBreaker::new(breaker);
                let keyed = self.0.capacity.into_iter().fold(keyed, KeyedCircuitBreaker::capacity);
                return Rc::new(Breaking { breaker: Rc::new(keyed), world });
            }
            let recorder = Rc::clone(&world);
            let breaker = breaker.observed_by(move |event: &Event| {
                if let (Event::Changed { to, .. }, Some(world)) = (event, &*recorder.borrow()) {
                    world.record(What::State { state: name(*to) });
                }
            });
            Rc::new(Breaking { breaker: Rc::new(breaker), world })
        }
    }

    with(config, Shared(config, PhantomData))
}

type Plain<P, T> = CircuitBreaker<P, T>;

/// A breaker as it is written, that tells nobody.
pub(super) type Unobserved<P, T> = CircuitBreaker<P, T, AnyBackoff, Listed, StorageOf<P>>;

/// What is done with a breaker, whatever its rule is.
pub(super) trait Use<P: Platform> {
    type Output;

    fn of<T: Trip + Copy + 'static>(self, breaker: Unobserved<P, T>) -> Self::Output;
}

/// Makes a breaker as it is written.
pub(super) fn with<P: Platform<Clock: Ambient + Copy>, U: Use<P>>(config: &CircuitBreakerConfig, user: U) -> U::Output {
    let clock = P::Clock::CLOCK;
    match config.trip {
        TripConfig::Consecutive { consecutive } => {
            user.of(finish(config, CircuitBreaker::with_clock(clock, Consecutive::new(consecutive))))
        }
        TripConfig::LastCalls { failure_rate: share, min_calls, last_calls } => {
            let breaker = CircuitBreaker::with_clock(clock, LastCalls::<16>::new(last_calls)).failure_rate(failure_rate(share));
            let breaker = min_calls.into_iter().fold(breaker, CircuitBreaker::min_calls);
            user.of(finish(config, config.slow_call.into_iter().fold(breaker, slow_calls)))
        }
        TripConfig::LastTime { failure_rate: share, min_calls, last, buckets } => {
            let rule = LastTime::<64>::new(last.duration());
            let breaker =
                CircuitBreaker::with_clock(clock, rule).buckets(buckets.unwrap_or(10)).failure_rate(failure_rate(share));
            let breaker = min_calls.into_iter().fold(breaker, CircuitBreaker::min_calls);
            user.of(finish(config, config.slow_call.into_iter().fold(breaker, slow_calls)))
        }
    }
}

fn slow_calls<P: Platform, W: Window>(breaker: Plain<P, Sliding<W>>, slow: SlowCallConfig) -> Plain<P, Sliding<W>> {
    breaker.slow_calls(slow.longer_than.duration(), slow.rate())
}

fn finish<P: Platform<Clock: Copy>, T: Trip + Copy>(config: &CircuitBreakerConfig, breaker: Plain<P, T>) -> Unobserved<P, T> {
    breaker
        .half_open(config.half_open_calls)
        .half_open_for(config.half_open_for.duration())
        .success_threshold(config.success_threshold)
        .judged_by(Listed(config.failure_if.clone().map(|listed| &*listed.leak())))
        .open_backoff(config.open())
}

fn name(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "open",
        State::HalfOpen => "half_open",
        State::ForcedOpen => "forced_open",
        State::Disabled => "disabled",
    }
}

impl<S, T, O> Subject<S> for Breaking<S, Single<S::Platform, T, O>>
where
    S: Stage + 'static,
    T: Trip + 'static,
    O: Fn(&Event) + 'static,
{
    fn drive(&self, world: &Rc<World<S>>) {
        self.world.replace(Some(Rc::clone(world)));
    }

    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        let breaker = Rc::clone(&self.breaker);
        Box::pin(async move { breaker.run(|| world.start(&id, arg.as_ref())).await.map_err(explain) })
    }

    fn act(&self, Order { verb, .. }: Order) {
        match &*verb {
            "force_open" => self.breaker.force_open(),
            "force_closed" => self.breaker.force_closed(),
            "disable" => self.breaker.disable(),
            "reset" => self.breaker.reset(),
            _ => {}
        }
    }
}

impl<S, T> Subject<S> for Breaking<S, Keyed<S::Platform, T>>
where
    S: Stage + 'static,
    T: Trip + 'static,
{
    fn call(&self, world: Rc<World<S>>, Request { id, arg, key, .. }: Request) -> Ending {
        let breaker = Rc::clone(&self.breaker);
        let key = written(key);
        Box::pin(async move { breaker.run(&*key, || world.start(&id, arg.as_ref())).await.map_err(explain) })
    }

    fn act(&self, Order { verb, key, .. }: Order) {
        let key = written(key);
        // One that has no room changes nothing, which the trace shows.
        let _refused = match &*verb {
            "force_open" => self.breaker.force_open(&*key),
            "force_closed" => self.breaker.force_closed(&*key),
            "disable" => self.breaker.disable(&*key),
            _ => {
                self.breaker.reset(&*key);
                Ok(())
            }
        };
    }
}

/// How a key is written.
pub(super) fn written(key: Option<Value>) -> String {
    key.map_or_else(String::new, |key| key.to_string())
}

fn explain(error: BreakerError<Failure>) -> (&'static str, Map<String, Value>) {
    match error {
        BreakerError::Open { retry_after } | BreakerError::HalfOpen { retry_after } => {
            let after = retry_after.map(|after| Millis(time::nanos(after)).to_json());
            ("open", details(json!({ "retry_after": after })))
        }
        BreakerError::TableFull { .. } => ("full", Map::new()),
        BreakerError::Failed(failure) => ("operation", details(json!({ "value": failure.value }))),
        BreakerError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
