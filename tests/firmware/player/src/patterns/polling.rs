//! Polling, set up as a scenario says.

use core::future::{Future, IntoFuture};

use aplomb::backoff::Backoff;
use aplomb::{Platform, PollError, Polling, time};
use aplomb_embassy::{Embassy, EmbassyClock};
use wire::config::{self, Every};
use wire::{Request, Token};

use super::backoff::build;
use super::{Ending, Subject};
use crate::world::{Error, Failure, Output, World};

/// Asks until a value will do.
pub struct Asking(pub &'static config::Polling);

impl Subject for Asking {
    fn call(&'static self, world: &'static World, Request { id, arg, .. }: Request) -> Ending {
        let config = self.0;
        Ending::new(async move {
            let operation = || world.start(id, arg);
            let until = |value: &Token| config.until.is_none_or(|until| until == *value);
            let polling = Polling::<Embassy, _, _>::with_clock(EmbassyClock, operation, until);
            let result = match &config.every {
                Every::Rate(interval) => settle(polling.at_rate(time::duration(*interval)), config).await,
                Every::Delay(interval) => settle(polling.every(time::duration(*interval)), config).await,
                Every::Backoff(backoff) => settle(polling.backoff(build(backoff)), config).await,
            };
            result.map(Output::One).map_err(explain)
        })
    }
}

/// All other settings.
fn settle<P, O, U, B, Fut>(
    polling: Polling<P, O, U, B>,
    config: &config::Polling,
) -> impl Future<Output = Result<Token, PollError<Token, Failure>>>
where
    P: Platform,
    O: FnMut() -> Fut,
    Fut: Future<Output = Result<Token, Failure>>,
    U: FnMut(&Token) -> bool,
    B: Backoff,
{
    let polling = polling.initial_delay(time::duration(config.initial_delay)).deadline(time::duration(config.deadline));
    let polling = match config.tolerated {
        Some(u32::MAX) => polling.tolerate_errors(),
        Some(errors) => polling.tolerate_errors_in_a_row(errors),
        None => polling,
    };
    match config.max_attempts {
        Some(attempts) => polling.max_attempts(attempts),
        None => polling,
    }
    .into_future()
}

fn explain(error: PollError<Token, Failure>) -> Error {
    let kind = match &error {
        PollError::Failed { .. } => "operation",
        PollError::Exhausted { .. } => "exhausted",
        PollError::Deadline { .. } => "deadline",
        PollError::Config(error) => return Error::config(*error),
        _ => "unknown",
    };
    let attempts = Some(error.attempts());
    match error.into_last() {
        Some(Ok(value)) => Error { last: Some(value), attempts, ..Error::new(kind) },
        Some(Err(failure)) => Error { attempts, ..Error::of(kind, failure.value) },
        None => Error { attempts, ..Error::new(kind) },
    }
}
