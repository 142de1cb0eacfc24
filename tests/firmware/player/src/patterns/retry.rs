//! Retry, in each of its forms.

use core::time::Duration;

use aplomb::retry::{Attempt, RetryBudget, Rules};
use aplomb::{Retry, RetryError, TimeoutError, time};
use aplomb_embassy::{Embassy, EmbassyClock};
use wire::{Form, Nanos, Request, Token, config};

use super::backoff::{AnyBackoff, build};
use super::{Ending, Subject};
use crate::world::{Error, Failure, Outcome, Output, Value, World, sleep_for};

type Policy<'b> = Retry<'b, Embassy, AnyBackoff>;

/// A policy as a scenario says, with its rules; for a layer, which has no budget.
pub fn layer(config: &'static config::Retry) -> Retry<'static, Embassy, AnyBackoff, Written> {
    policy(config, None).rules(Written(config))
}

fn policy<'b>(config: &config::Retry, budget: Option<&'b RetryBudget<Embassy>>) -> Policy<'b> {
    let mut policy = Retry::with_clock(EmbassyClock)
        .max_attempts(config.max_attempts.unwrap_or(u32::MAX))
        .attempt_timeout(time::duration(config.attempt_timeout))
        .deadline(time::duration(config.deadline))
        .retry_after_max(time::duration(config.retry_after_max))
        .reset_after(time::duration(config.reset_after));
    if let Some(budget) = budget {
        policy = policy.budget(budget);
    }
    if let Some(seed) = config.backoff.seed {
        policy = policy.seed(seed);
    }
    policy.backoff(build(&config.backoff))
}

/// A policy, with the budget that its callers share.
pub struct Retrying {
    config: &'static config::Retry,
    form: Form,
    budget: Option<RetryBudget<Embassy>>,
}

impl Retrying {
    pub fn new(config: &'static config::Retry, form: Form) -> Self {
        let budget =
            config.budget.map(|(capacity, cost, refund)| RetryBudget::new(capacity).retry_cost(cost).success_refund(refund));
        Self { config, form, budget }
    }

    fn policy(&self) -> Policy<'_> {
        policy(self.config, self.budget.as_ref())
    }

    async fn numbered(&self, world: &'static World, id: Token, arg: Option<Token>) -> Outcome {
        let between = self.config.between;
        let mut last = 0;
        let operation = |attempt: Attempt| {
            assert_eq!(attempt.number, last + 1, "attempts are numbered one by one");
            last = attempt.number;
            world.start(id, arg)
        };
        let rules = Written(self.config);
        let result = self.policy().rules(rules).call_numbered(operation).between(|_| pause(between)).await;
        result.map(Output::One).map_err(explain)
    }

    async fn with(&self, world: &'static World, id: Token, arg: Option<Token>) -> Outcome {
        let pausing = self.config.between;
        let mut count = 0;
        let operation = async |count: &mut u32| {
            *count += 1;
            world.start(id, arg).await
        };
        let between = async |_: &mut u32| pause(pausing).await;
        let result = self.policy().rules(Written(self.config)).run_with_between(&mut count, operation, between).await;
        result.map(Output::One).map_err(explain)
    }
}

impl Subject for Retrying {
    fn call(&'static self, world: &'static World, Request { id, arg, .. }: Request) -> Ending {
        let config = self.config;
        match self.form {
            Form::Call => Ending::new(async move {
                let policy = self.policy();
                let result = policy
                    .call(|| world.start(id, arg))
                    .retry_if(|failure| config.retry_if.as_ref().is_none_or(|retried| retried.contains(&failure.value)))
                    .retry_if_value(|value| config.retry_if_value.contains(value))
                    .retry_after(|outcome| outcome.err().and_then(|failure| failure.retry_after))
                    .between(|_| pause(config.between))
                    .await;
                result.map(Output::One).map_err(explain)
            }),
            Form::Numbered => Ending::new(self.numbered(world, id, arg)),
            Form::With => Ending::new(self.with(world, id, arg)),
        }
    }
}

/// What a scenario writes of its rules, for the forms that take no closures for them.
#[derive(Clone, Copy)]
pub struct Written(&'static config::Retry);

impl Rules<Token, Failure> for Written {
    fn retries(&mut self, outcome: Result<&Token, &Failure>) -> bool {
        match outcome {
            Ok(value) => self.0.retry_if_value.contains(value),
            Err(failure) => self.0.retry_if.as_ref().is_none_or(|retried| retried.contains(&failure.value)),
        }
    }

    fn retry_after(&mut self, outcome: Result<&Token, &Failure>) -> Option<Duration> {
        outcome.err().and_then(|failure| failure.retry_after)
    }
}

async fn pause(time: Nanos) {
    match time {
        0 => {}
        Nanos::MAX => core::future::pending().await,
        _ => sleep_for(time).await,
    }
}

fn explain(error: RetryError<Failure>) -> Error {
    let last = |kind, attempts, last: TimeoutError<Failure>| Error {
        value: Some(match last {
            TimeoutError::TimedOut { .. } => Value::Kind("timeout"),
            TimeoutError::Failed(failure) => Value::Token(failure.value),
        }),
        attempts: Some(attempts),
        ..Error::new(kind)
    };
    match error {
        RetryError::Refused { attempts, error } => Error { attempts: Some(attempts), ..Error::operation(error) },
        RetryError::Exhausted { attempts, last: error } => last("exhausted", attempts, error),
        RetryError::Budget { attempts, last: error } => last("budget", attempts, error),
        RetryError::Deadline { attempts, last: Some(error) } => last("deadline", attempts, error),
        RetryError::Deadline { attempts, last: None } => Error { attempts: Some(attempts), ..Error::new("deadline") },
        RetryError::Config(error) => Error::config(error),
        _ => Error::unknown(),
    }
}
