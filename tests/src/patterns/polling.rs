//! Polling, set up as a scenario says.

use std::future::{Future, IntoFuture};
use std::rc::Rc;

use aplomb::backoff::Backoff;
use aplomb::{Ambient, Platform, PollError, Polling};
use serde_json::{Map, Value, json};

use super::{Ending, Subject, details};
use crate::config::{PollingConfig, PollingErrors, PollingMode};
use crate::interpreter::World;
use crate::operation::Failure;
use crate::scenario::Request;
use crate::stage::Stage;

impl<S: Stage + 'static> Subject<S> for PollingConfig {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        let config = self.clone();
        Box::pin(async move {
            let clock = <<S::Platform as Platform>::Clock as Ambient>::CLOCK;
            let operation = || world.start(&id, arg.as_ref());
            let until = |value: &Value| config.until.as_ref().is_none_or(|until| until == value);
            let polling = Polling::<S::Platform, _, _>::with_clock(clock, operation, until);
            let result = match (config.interval, &config.backoff, config.mode) {
                (Some(interval), _, PollingMode::Rate) => settle(polling.at_rate(interval.duration()), &config).await,
                (Some(interval), _, PollingMode::Delay) => settle(polling.every(interval.duration()), &config).await,
                (None, Some(backoff), _) => settle(polling.backoff(backoff.build().0), &config).await,
                (None, None, _) => settle(polling, &config).await,
            };
            result.map_err(explain)
        })
    }
}

/// All other settings.
fn settle<P, O, U, B, Fut>(
    polling: Polling<P, O, U, B>,
    config: &PollingConfig,
) -> impl Future<Output = Result<Value, PollError<Value, Failure>>>
where
    P: Platform,
    O: FnMut() -> Fut,
    Fut: Future<Output = Result<Value, Failure>>,
    U: FnMut(&Value) -> bool,
    B: Backoff,
{
    let polling = polling.initial_delay(config.initial_delay.duration()).deadline(config.deadline.duration());
    let polling = match config.errors {
        PollingErrors::Tolerate => polling.tolerate_errors(),
        PollingErrors::InARow(errors) => polling.tolerate_errors_in_a_row(errors),
        PollingErrors::Fail => polling,
    };
    match config.max_attempts {
        Some(attempts) => polling.max_attempts(attempts),
        None => polling,
    }
    .into_future()
}

fn explain(error: PollError<Value, Failure>) -> (&'static str, Map<String, Value>) {
    let kind = match &error {
        PollError::Failed { .. } => "operation",
        PollError::Exhausted { .. } => "exhausted",
        PollError::Deadline { .. } => "deadline",
        PollError::Config(error) => return ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => "unknown",
    };
    let mut json = json!({ "attempts": error.attempts() });
    match error.into_last() {
        Some(Ok(value)) => json["last"] = value,
        Some(Err(failure)) => json["value"] = failure.value,
        None => {}
    }
    (kind, details(json))
}
