//! The circuit breaker: one, or one for each key.

use core::cell::Cell;

use aplomb::circuit_breaker::{Consecutive, Event, LastCalls, LastTime, Sliding, State, Trip, Verdict, Window};
use aplomb::key::FoldHash;
use aplomb::{BreakerError, CircuitBreaker, Inline, Judge, KeyedCircuitBreaker, time};
use aplomb_embassy::{Embassy, EmbassyClock};
use wire::config::{self, Few, Ratio};
use wire::{Nanos, Order, Request, Token, Verb};

use super::backoff::{AnyBackoff, build, ratio};
use super::{Ending, Subject};
use crate::arena::place;
use crate::world::{Error, Failure, Output, World};

type Single<T, O> = CircuitBreaker<Embassy, T, AnyBackoff, Listed, Inline<16>, O>;
type Keyed<T> = KeyedCircuitBreaker<Embassy, Token, T, AnyBackoff, Listed, Inline<16>, FoldHash>;
type Plain<T> = CircuitBreaker<Embassy, T>;
type Configured<T> = CircuitBreaker<Embassy, T, AnyBackoff, Listed>;

/// How many buckets a window of time has room for, and a breaker of each key.
const BUCKETS: usize = 64;

/// The errors that are failures, if not all are.
#[derive(Clone, Copy)]
pub struct Listed(Option<&'static Few>);

impl Judge<Token, Failure, Verdict> for Listed {
    fn judge(&self, outcome: Result<&Token, &Failure>) -> Verdict {
        match outcome {
            Err(failure) if self.0.is_none_or(|listed| listed.contains(&failure.value)) => Verdict::Failure,
            _ => Verdict::Success,
        }
    }
}

/// The breaker of a scenario.
pub fn set_up(config: &'static config::CircuitBreaker, world: &'static World) -> &'static dyn Subject {
    match config.trip {
        config::Trip::Consecutive(failures) => of_failures(config, failures, world),
        config::Trip::LastCalls { failure_rate, min_calls, last_calls } => {
            of_share(config, || of_last_calls(last_calls), failure_rate, min_calls, world)
        }
        config::Trip::LastTime { failure_rate, min_calls, last, buckets } => {
            let rule = || LastTime::<BUCKETS>::new(time::duration(last));
            let breaker = || CircuitBreaker::with_clock(EmbassyClock, rule()).buckets(buckets);
            of_share(config, breaker, failure_rate, min_calls, world)
        }
    }
}

#[inline(never)]
fn of_failures(config: &'static config::CircuitBreaker, failures: u32, world: &'static World) -> &'static dyn Subject {
    let breaker = CircuitBreaker::with_clock(EmbassyClock, Consecutive::new(failures));
    if config.keyed { place(Many(keyed(config, breaker))) } else { single(config, breaker, world) }
}

/// In a frame of its own: the window of such a breaker is large.
#[inline(never)]
fn of_share<W: Window>(
    config: &'static config::CircuitBreaker,
    breaker: impl FnOnce() -> Plain<Sliding<W>>,
    failure_rate: Ratio,
    min_calls: Option<u32>,
    world: &'static World,
) -> &'static dyn Subject
where
    Sliding<W>: Trip + Copy + 'static,
{
    single(config, sliding(config, breaker(), failure_rate, min_calls), world)
}

/// A breaker as a scenario says that opens by failures in a row, for a layer.
pub fn layer(config: &'static config::CircuitBreaker, failures: u32) -> Configured<Consecutive> {
    configured(config, CircuitBreaker::with_clock(EmbassyClock, Consecutive::new(failures)))
}

/// One that opens by a share of the last calls.
pub fn layer_of_share(
    config: &'static config::CircuitBreaker,
    last_calls: u32,
    failure_rate: Ratio,
    min_calls: Option<u32>,
) -> Configured<LastCalls<16>> {
    configured(config, sliding(config, of_last_calls(last_calls), failure_rate, min_calls))
}

/// The same for each key.
pub fn keyed_layer(config: &'static config::CircuitBreaker, failures: u32) -> Keyed<Consecutive> {
    keyed(config, CircuitBreaker::with_clock(EmbassyClock, Consecutive::new(failures)))
}

fn of_last_calls(last_calls: u32) -> Plain<LastCalls<16>> {
    CircuitBreaker::with_clock(EmbassyClock, LastCalls::new(last_calls))
}

fn sliding<W: Window>(
    config: &config::CircuitBreaker,
    breaker: Plain<Sliding<W>>,
    failure_rate: Ratio,
    min_calls: Option<u32>,
) -> Plain<Sliding<W>> {
    let breaker = breaker.failure_rate(ratio(failure_rate));
    let breaker = min_calls.into_iter().fold(breaker, CircuitBreaker::min_calls);
    let slow_calls = |breaker: Plain<Sliding<W>>, (longer_than, rate): (Nanos, Ratio)| {
        breaker.slow_calls(time::duration(longer_than), ratio(rate))
    };
    config.slow_call.into_iter().fold(breaker, slow_calls)
}

fn configured<T: Trip + Copy>(
    config: &'static config::CircuitBreaker,
    breaker: Plain<T>,
) -> Configured<T> {
    breaker
        .half_open(config.half_open_calls)
        .half_open_for(time::duration(config.half_open_for))
        .success_threshold(config.success_threshold)
        .judged_by(Listed(config.failure_if.as_ref()))
        .open_backoff(build(&config.open))
}

#[inline(never)]
fn single<T: Trip + Copy + 'static>(
    config: &'static config::CircuitBreaker,
    breaker: Plain<T>,
    world: &'static World,
) -> &'static dyn Subject {
    // What it tells before the scenario begins is none of it.
    let recording: &'static Cell<bool> = place(Cell::new(false));
    let breaker = configured(config, breaker).observed_by(move |event: &Event| {
        if let (Event::Changed { to, .. }, true) = (event, recording.get()) {
            world.state(name(*to));
        }
    });
    place(One { breaker, recording })
}

#[inline(never)]
fn keyed<T: Trip + Copy>(config: &'static config::CircuitBreaker, breaker: Plain<T>) -> Keyed<T> {
    let keyed = KeyedCircuitBreaker::new(configured(config, breaker));
    config.capacity.into_iter().fold(keyed, |keyed, most| keyed.capacity(most as usize))
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

/// A breaker, which its callers share.
struct One<T: Trip, O> {
    breaker: Single<T, O>,
    recording: &'static Cell<bool>,
}

impl<T: Trip + 'static, O: Fn(&Event) + 'static> Subject for One<T, O> {
    fn drive(&'static self, _world: &'static World) {
        self.recording.set(true);
    }

    fn call(&'static self, world: &'static World, Request { id, arg, .. }: Request) -> Ending {
        Ending::new(async move { self.breaker.run(|| world.start(id, arg)).await.map(Output::One).map_err(explain) })
    }

    fn act(&self, Order { verb, .. }: Order) {
        match verb {
            Verb::ForceOpen => self.breaker.force_open(),
            Verb::ForceClosed => self.breaker.force_closed(),
            Verb::Disable => self.breaker.disable(),
            Verb::Reset => self.breaker.reset(),
            _ => {}
        }
    }
}

/// A breaker for each key.
struct Many<T: Trip>(Keyed<T>);

impl<T: Trip + 'static> Subject for Many<T> {
    fn call(&'static self, world: &'static World, Request { id, arg, key, .. }: Request) -> Ending {
        Ending::new(async move { self.0.run(&key, || world.start(id, arg)).await.map(Output::One).map_err(explain) })
    }

    fn act(&self, Order { verb, key, .. }: Order) {
        // One that has no room changes nothing, which the trace shows.
        let _refused: Result<(), _> = match verb {
            Verb::ForceOpen => self.0.force_open(&key),
            Verb::ForceClosed => self.0.force_closed(&key),
            Verb::Disable => self.0.disable(&key),
            _ => {
                self.0.reset(&key);
                Ok(())
            }
        };
    }
}

fn explain(error: BreakerError<Failure>) -> Error {
    match error {
        BreakerError::Open { retry_after } | BreakerError::HalfOpen { retry_after } => {
            Error { retry_after: Some(retry_after), ..Error::new("open") }
        }
        BreakerError::TableFull { .. } => Error::new("full"),
        BreakerError::Failed(failure) => Error::operation(failure),
        BreakerError::Config(error) => Error::config(error),
        _ => Error::unknown(),
    }
}
