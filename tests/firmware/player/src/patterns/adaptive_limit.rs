//! The adaptive limit.

use core::cell::Cell;

use aplomb::adaptive_limit::{Aimd, Algorithm, Event, Gradient, Vegas, Verdict};
use aplomb::{AdaptiveLimit, Inline, Judge, LimitError, time};
use aplomb_embassy::{Embassy, EmbassyClock};
use wire::config::{self, Few, LimitRule};
use wire::{Order, Request, Token, Verb};

use super::backoff::ratio;
use super::{Ending, Subject};
use crate::arena::place;
use crate::world::{Error, Failure, Output, World};

/// A limit, which its callers share.
struct Limiting<A: Algorithm, O> {
    limit: AdaptiveLimit<Embassy, A, Listed, Inline<16>, O>,
    recording: &'static Cell<bool>,
}

/// The errors that are a sign of overload.
#[derive(Clone, Copy)]
struct Listed(&'static Few);

impl Judge<Token, Failure, Verdict> for Listed {
    fn judge(&self, outcome: Result<&Token, &Failure>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Success,
            Err(failure) if self.0.contains(&failure.value) => Verdict::Overload,
            Err(_) => Verdict::Ignored,
        }
    }
}

/// The limit of a scenario.
#[inline(never)]
pub fn set_up(config: &'static config::AdaptiveLimit, world: &'static World) -> &'static dyn Subject {
    match config.rule {
        LimitRule::Aimd { max_latency, backoff } => {
            let rule = Aimd::new(time::duration(max_latency));
            build(config, backoff.map(ratio).into_iter().fold(rule, Aimd::backoff), world)
        }
        LimitRule::Vegas { probe_every } => build(config, probe_every.into_iter().fold(Vegas::new(), Vegas::probe_every), world),
        LimitRule::Gradient { tolerance, smoothing, queue_size, probe_every } => {
            let rule = tolerance.map(ratio).into_iter().fold(Gradient::new(), Gradient::tolerance);
            let rule = smoothing.map(ratio).into_iter().fold(rule, Gradient::smoothing);
            let rule = queue_size.into_iter().fold(rule, Gradient::queue_size);
            build(config, probe_every.into_iter().fold(rule, Gradient::probe_every), world)
        }
    }
}

#[inline(never)]
fn build<A: Algorithm + Copy + 'static>(
    config: &'static config::AdaptiveLimit,
    rule: A,
    world: &'static World,
) -> &'static dyn Subject {
    // What it tells before the scenario begins is none of it.
    let recording: &'static Cell<bool> = place(Cell::new(false));
    let limit = AdaptiveLimit::with_clock(EmbassyClock, rule)
        .judged_by(Listed(&config.overload_if))
        .max_wait(time::duration(config.max_wait))
        .observed_by(move |event: &Event| {
            if let (Event::Changed { to, .. }, true) = (event, recording.get()) {
                world.limit(*to);
            }
        });
    let limit = config.initial_limit.into_iter().fold(limit, AdaptiveLimit::initial_limit);
    let limit = config.min_limit.into_iter().fold(limit, AdaptiveLimit::min_limit);
    let limit = config.max_limit.into_iter().fold(limit, AdaptiveLimit::max_limit);
    let limit = config.window.into_iter().fold(limit, |limit, window| limit.window(time::duration(window)));
    let limit = config.min_calls.into_iter().fold(limit, AdaptiveLimit::min_calls);
    let limit = config.overload_tolerance.map(ratio).into_iter().fold(limit, AdaptiveLimit::overload_tolerance);
    let limit = config.max_waiting.into_iter().fold(limit, AdaptiveLimit::max_waiting);
    place(Limiting { limit, recording })
}

impl<A: Algorithm + 'static, O: Fn(&Event) + 'static> Subject for Limiting<A, O> {
    fn drive(&'static self, _world: &'static World) {
        self.recording.set(true);
    }

    fn call(&'static self, world: &'static World, Request { id, arg, waits, .. }: Request) -> Ending {
        Ending::new(async move {
            let operation = || world.start(id, arg);
            let run = if waits { self.limit.run(operation) } else { self.limit.try_run(operation) };
            run.await.map(Output::One).map_err(explain)
        })
    }

    fn act(&self, Order { verb, .. }: Order) {
        if verb == Verb::Close {
            self.limit.close();
        }
    }
}

fn explain(error: LimitError<Failure>) -> Error {
    match error {
        // To try is to wait in a queue without places.
        LimitError::QueueFull { .. } | LimitError::Busy => Error::new("queue_full"),
        LimitError::TimedOut { .. } => Error::new("timeout"),
        LimitError::Closed => Error::new("closed"),
        LimitError::Failed(failure) => Error::operation(failure),
        LimitError::Config(error) => Error::config(error),
        _ => Error::unknown(),
    }
}
