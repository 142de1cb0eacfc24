//! Retry, in each form of its call.

use std::rc::Rc;
use std::time::Duration;

use aplomb::retry::{Attempt, Rules};
use aplomb::{Ambient, Clock, Platform, Retry, RetryBudget, RetryError, TimeoutError};
use serde_json::{Map, Value, json};

use super::{Ending, Form, Subject, details};
use crate::config::{AnyBackoff, RetryConfig};
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::{Failure, timed};
use crate::scenario::Request;
use crate::stage::Stage;

/// A policy, with the budget that its callers share.
pub(super) struct Retrying<P: Platform> {
    config: RetryConfig,
    form: Form,
    budget: Option<Rc<RetryBudget<P>>>,
}

impl<P: Platform> Retrying<P> {
    pub(super) fn new(config: &RetryConfig, form: Form) -> Self {
        let budget = config
            .budget
            .map(|budget| RetryBudget::new(budget.capacity).retry_cost(budget.retry_cost).success_refund(budget.success_refund));
        Self { config: config.clone(), form, budget: budget.map(Rc::new) }
    }
}

impl<S: Stage + 'static> Subject<S> for Retrying<S::Platform> {
    fn call(&self, world: Rc<World<S>>, Request { id, arg, .. }: Request) -> Ending {
        let (config, budget, form) = (self.config.clone(), self.budget.clone(), self.form);
        Box::pin(async move { retry(&config, budget.as_deref(), form, &world, &id, arg.as_ref()).await.map_err(explain) })
    }
}

async fn retry<S: Stage + 'static>(
    config: &RetryConfig,
    budget: Option<&RetryBudget<S::Platform>>,
    form: Form,
    world: &Rc<World<S>>,
    id: &str,
    arg: Option<&Value>,
) -> Result<Value, RetryError<Failure>> {
    let policy = policy(config, budget);
    let between = config.between;
    match form {
        Form::Call => {
            policy
                .call(|| world.start(id, arg))
                .retry_if(|failure| config.retry_if.as_ref().is_none_or(|retried| retried.contains(&failure.value)))
                .retry_if_value(|value| config.retry_if_value.as_ref().is_some_and(|retried| retried.contains(value)))
                .retry_after(|outcome| outcome.err().and_then(|failure| failure.retry_after))
                .between(|_| pause::<S>(between))
                .await
        }
        Form::Numbered => {
            let mut last = 0;
            policy
                .rules(Written(config))
                .call_numbered(|attempt: Attempt| {
                    assert_eq!(attempt.number, last + 1, "attempts are numbered one by one");
                    last = attempt.number;
                    world.start(id, arg)
                })
                .between(|_| pause::<S>(between))
                .await
        }
        Form::With => {
            let mut count = 0;
            let operation = async |count: &mut u32| {
                *count += 1;
                world.start(id, arg).await
            };
            let between = async |_: &mut u32| pause::<S>(between).await;
            policy.rules(Written(config)).run_with_between(&mut count, operation, between).await
        }
    }
}

/// The policy of a scenario, with its rules and a budget of its own, as a layer; what it refers to leaks.
pub(super) fn leaked<P: Platform<Clock: Ambient + Copy> + 'static>(
    config: &RetryConfig,
) -> Retry<'static, P, AnyBackoff, impl Rules<Value, Failure> + Copy + use<P>> {
    let Retrying { config, budget, .. } = Retrying::<P>::new(config, Form::Call);
    let budget = budget.map(|budget| &*Box::leak(Box::new(budget)));
    policy(&config, budget.map(|budget| &**budget)).rules(Written(Box::leak(Box::new(config.clone()))))
}

fn policy<'b, P: Platform<Clock: Ambient + Copy>>(
    config: &RetryConfig,
    budget: Option<&'b RetryBudget<P>>,
) -> Retry<'b, P, AnyBackoff> {
    let mut policy = Retry::with_clock(P::Clock::CLOCK)
        .max_attempts(config.max_attempts.unwrap_or(u32::MAX))
        .attempt_timeout(config.attempt_timeout.duration())
        .deadline(config.deadline.duration())
        .retry_after_max(config.retry_after_max.duration())
        .reset_after(config.reset_after.duration());
    if let Some(budget) = budget {
        policy = policy.budget(budget);
    }
    let (backoff, seed) = config.backoff.build();
    if let Some(seed) = seed {
        policy = policy.seed(seed);
    }
    policy.backoff(backoff)
}

/// What a scenario writes of its rules, for the forms that take no closures for them.
#[derive(Clone, Copy)]
struct Written<'c>(&'c RetryConfig);

impl Rules<Value, Failure> for Written<'_> {
    fn retries(&mut self, outcome: Result<&Value, &Failure>) -> bool {
        match outcome {
            Ok(value) => self.0.retry_if_value.as_ref().is_some_and(|retried| retried.contains(value)),
            Err(failure) => self.0.retry_if.as_ref().is_none_or(|retried| retried.contains(&failure.value)),
        }
    }

    fn retry_after(&mut self, outcome: Result<&Value, &Failure>) -> Option<Duration> {
        outcome.as_ref().err().and_then(|failure| failure.retry_after)
    }
}

async fn pause<S: Stage>(time: Millis) {
    let clock = <<S::Platform as Platform>::Clock as Ambient>::CLOCK;
    match time {
        Millis::ZERO => {}
        Millis::NEVER => std::future::pending().await,
        _ => clock.sleep_until(clock.now() + timed::<S>(time)).await,
    }
}

fn explain(error: RetryError<Failure>) -> (&'static str, Map<String, Value>) {
    let last = |last: TimeoutError<Failure>| match last {
        TimeoutError::TimedOut { .. } => json!("timeout"),
        TimeoutError::Failed(failure) => failure.value,
    };
    match error {
        RetryError::Refused { attempts, error } => ("operation", details(json!({ "value": error.value, "attempts": attempts }))),
        RetryError::Exhausted { attempts, last: error } => {
            ("exhausted", details(json!({ "value": last(error), "attempts": attempts })))
        }
        RetryError::Budget { attempts, last: error } => {
            ("budget", details(json!({ "value": last(error), "attempts": attempts })))
        }
        RetryError::Deadline { attempts, last: Some(error) } => {
            ("deadline", details(json!({ "value": last(error), "attempts": attempts })))
        }
        RetryError::Deadline { attempts, last: None } => ("deadline", details(json!({ "attempts": attempts }))),
        RetryError::Config(error) => ("config", details(json!({ "value": error.to_string() }))),
        // The enum may grow; a scenario then says which kind it expects.
        _ => ("unknown", Map::new()),
    }
}
