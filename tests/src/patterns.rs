//! The patterns, set up as a scenario says.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use aplomb::retry::{Attempt, Rules};
use aplomb::{Ambient, Clock, Platform, Retry, RetryBudget, RetryError, Timeout, TimeoutError};
use serde_json::{Map, Value, json};

use crate::config::{AnyBackoff, Pattern, RetryConfig};
use crate::edges::{Edges, Source};
use crate::interpreter::World;
use crate::millis::Millis;
use crate::operation::Failure;
use crate::stage::Stage;
use crate::trace::Outcome;

/// How a retry is called. All forms play the same scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// `policy.call(op)`, told more, and awaited.
    #[default]
    Call,
    /// `policy.call_numbered(op)`.
    Numbered,
    /// `policy.run_with_between(&mut context, op, between)`.
    With,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Call, Self::Numbered, Self::With];

    /// Those that a pattern has.
    #[must_use]
    pub fn of(pattern: &Pattern) -> &'static [Self] {
        match pattern {
            Pattern::Timeout(_) | Pattern::Polling(_) | Pattern::Waterfall(_) | Pattern::Edges(_) | Pattern::Stream(_) => {
                &[Self::Call]
            }
            Pattern::Retry(_) => &Self::ALL,
        }
    }
}

/// The pattern of a scenario, which its callers share.
pub(crate) struct Guard<P: Platform> {
    pattern: Pattern,
    form: Form,
    budget: Option<Rc<RetryBudget<P>>>,
    edges: Option<Edges<P>>,
    source: Option<Rc<Source>>,
}

impl<P: Platform<Clock: Ambient + Copy> + 'static> Guard<P> {
    pub(crate) fn new(pattern: &Pattern, form: Form) -> Self {
        let budget = match pattern {
            Pattern::Retry(retry) => retry.budget,
            _ => None,
        };
        let budget = budget.map(|budget| {
            Rc::new(RetryBudget::new(budget.capacity).retry_cost(budget.retry_cost).success_refund(budget.success_refund))
        });
        let edges = match pattern {
            Pattern::Edges(config) => Some(Edges::new(config)),
            _ => None,
        };
        let source = matches!(pattern, Pattern::Stream(_)).then(Rc::default);
        Self { pattern: pattern.clone(), form, budget, edges, source }
    }

    /// Starts the task that the pattern needs beside its callers.
    pub(crate) fn drive<S>(&self, world: &Rc<World<S>>)
    where
        S: Stage<Platform = P> + 'static,
    {
        if let Some(edges) = &self.edges {
            edges.drive(world);
        }
        if let (Some(source), Pattern::Stream(config)) = (&self.source, &self.pattern) {
            source.drain(config, world);
        }
    }

    /// Does what a script says to the pattern itself.
    pub(crate) fn act(&self, verb: &str, value: Option<Value>) {
        if let Some(edges) = &self.edges {
            edges.act(verb, value);
        }
        if let Some(source) = &self.source {
            source.end();
        }
    }

    /// An item for the pattern that is a stream.
    pub(crate) fn feed(&self, item: &Value) {
        if let Some(source) = &self.source {
            source.push(item.clone());
        }
    }

    /// Whether there is something to come that no caller waits for.
    pub(crate) fn is_busy(&self) -> bool {
        self.edges.as_ref().is_some_and(Edges::is_busy) || self.source.as_ref().is_some_and(|source| !source.is_drained())
    }

    /// A call of the pattern.
    pub(crate) fn call<S>(&self, world: &Rc<World<S>>, id: &str, arg: Option<Value>) -> Pin<Box<dyn Future<Output = Outcome>>>
    where
        S: Stage<Platform = P> + 'static,
    {
        let (world, id) = (Rc::clone(world), id.to_owned());
        match &self.pattern {
            Pattern::Edges(_) => match &self.edges {
                Some(edges) => edges.call(world, id, arg),
                None => Box::pin(std::future::pending()),
            },
            Pattern::Stream(_) => Box::pin(std::future::pending()),
            Pattern::Polling(config) => crate::polling::call(config, world, id, arg),
            Pattern::Waterfall(config) => crate::waterfall::call(config, world, id, arg),
            Pattern::Timeout(config) => {
                let after = config.after.duration();
                Box::pin(async move {
                    let result =
                        Timeout::with_clock(P::Clock::CLOCK, after, async { world.start(&id, arg.as_ref()).await }).await;
                    result.map_err(|error| match error {
                        TimeoutError::TimedOut { .. } => ("timeout", Map::new()),
                        TimeoutError::Failed(failure) => ("operation", details(json!({ "value": failure.value }))),
                    })
                })
            }
            Pattern::Retry(config) => {
                let (config, budget, form) = (config.clone(), self.budget.clone(), self.form);
                Box::pin(async move { retry(&config, budget.as_deref(), form, &world, &id, arg.as_ref()).await.map_err(explain) })
            }
        }
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
                .retry_after(|outcome| outcome.as_ref().err().and_then(|failure| failure.retry_after))
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
    fn retries(&mut self, outcome: &Result<Value, Failure>) -> bool {
        match outcome {
            Ok(value) => self.0.retry_if_value.as_ref().is_some_and(|retried| retried.contains(value)),
            Err(failure) => self.0.retry_if.as_ref().is_none_or(|retried| retried.contains(&failure.value)),
        }
    }

    fn retry_after(&mut self, outcome: &Result<Value, Failure>) -> Option<Duration> {
        outcome.as_ref().err().and_then(|failure| failure.retry_after)
    }
}

async fn pause<S: Stage>(time: Millis) {
    let clock = <<S::Platform as Platform>::Clock as Ambient>::CLOCK;
    match time {
        Millis::ZERO => {}
        Millis::NEVER => std::future::pending().await,
        _ => clock.sleep_until(clock.now().saturating_add_nanos(time.0)).await,
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

pub(crate) fn details(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(details) => details,
        _ => Map::new(),
    }
}
