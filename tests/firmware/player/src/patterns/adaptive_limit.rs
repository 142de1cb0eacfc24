//! The adaptive limit.

use core::cell::Cell;

use aplomb::adaptive_limit::{Aimd, Algorithm, Event, Gradient, Vegas, Verdict};
use aplomb::observe::Silent;
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
    limit: Written<A, O>,
    recording: &'static Cell<bool>,
}

/// A limit as a scenario says.
pub type Written<A, O = Silent> = AdaptiveLimit<Embassy, A, Listed, Inline<16>, O>;

/// The errors that are a sign of overload.
#[derive(Clone, Copy)]
pub struct Listed(&'static Few);

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
    struct Shared(&'static World);

    impl Use for Shared {
        type Output = &'static dyn Subject;

        #[inline(never)]
        fn of<A: Algorithm + Copy + 'static>(self, limit: Written<A>) -> &'static dyn Subject {
            let Self(world) = self;
            // What it tells before the scenario begins is none of it.
            let recording: &'static Cell<bool> = place(Cell::new(false));
            let limit = limit.observed_by(move |event: &Event| {
                if let (Event::Changed { to, .. }, true) = (event, recording.get()) {
                    world.limit(*to);
                }
            });
            place(Limiting { limit, recording })
        }
    }

    with(config, Shared(world))
}

/// What is done with a limit, whatever its rule is.
pub trait Use {
    type Output;

    fn of<A: Algorithm + Copy + 'static>(self, limit: Written<A>) -> Self::Output;
}

/// Makes a limit as it is written.
pub fn with<U: Use>(config: &'static config::AdaptiveLimit, user: U) -> U::Output {
    match config.rule {
        LimitRule::Aimd { max_latency, backoff } => {
            let rule = Aimd::new(time::duration(max_latency));
            user.of(build(config, backoff.map(ratio).into_iter().fold(rule, Aimd::backoff)))
        }
        LimitRule::Vegas { probe_every } => {
            user.of(build(config, probe_every.into_iter().fold(Vegas::new(), Vegas::probe_every)))
        }
        LimitRule::Gradient { tolerance, smoothing, queue_size, probe_every } => {
            let rule = tolerance.map(ratio).into_iter().fold(Gradient::new(), Gradient::tolerance);
            let rule = smoothing.map(ratio).into_iter().fold(rule, Gradient::smoothing);
            let rule = queue_size.into_iter().fold(rule, Gradient::queue_size);
            user.of(build(config, probe_every.into_iter().fold(rule, Gradient::probe_every)))
        }
    }
}

fn build<A: Algorithm + Copy>(config: &'static config::AdaptiveLimit, rule: A) -> Written<A> {
    let limit = AdaptiveLimit::with_clock(EmbassyClock, rule)
        .judged_by(Listed(&config.overload_if))
        .max_wait(time::duration(config.max_wait));
    let limit = config.initial_limit.into_iter().fold(limit, AdaptiveLimit::initial_limit);
    let limit = config.min_limit.into_iter().fold(limit, AdaptiveLimit::min_limit);
    let limit = config.max_limit.into_iter().fold(limit, AdaptiveLimit::max_limit);
    let limit = config.window.into_iter().fold(limit, |limit, window| limit.window(time::duration(window)));
    let limit = config.min_calls.into_iter().fold(limit, AdaptiveLimit::min_calls);
    let limit = config.overload_tolerance.map(ratio).into_iter().fold(limit, AdaptiveLimit::overload_tolerance);
    config.max_waiting.into_iter().fold(limit, AdaptiveLimit::max_waiting)
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
