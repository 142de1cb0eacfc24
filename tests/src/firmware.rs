//! Scenarios for boards: in a form that they can read, and what they tell, as a trace.

use std::fmt;

use serde_json::{Map, Value};
use wire::config::{self, Ratio};
use wire::{Action, Config, Line, Nanos, Order, Request, Start, Token, Verb, postcard};

use crate::Pattern;
use crate::config::{
    BackoffConfig, CircuitBreakerConfig, EdgesConfig, FAILURE_RATE, JitterConfig, OnError, Order as ParallelOrder,
    ParallelConfig, PollingConfig, PollingErrors, PollingMode, RateLimiterAlgorithm, RateSetting, RetryConfig, StreamConfig,
    Superseded, TripConfig, fraction,
};
use crate::interpreter::LONGEST;
use crate::millis::Millis;
use crate::patterns::Form;
use crate::runtimes::{Unplayable, playable_on};
use crate::scenario::{self, Operation, Scenario, name_of, strictly};
use crate::stage::Jumps;
use crate::trace::{Entry, Tolerance, What};

/// How exact a board's timers are: to the millisecond.
pub const TOLERANCE: Tolerance = Tolerance { grid: 1_000_000, lateness: 0 };

/// Why a board does not play a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It can play it as little as another runtime of its kind.
    Unplayable(Unplayable),
    /// What it shows exists only where there is an allocator.
    Allocator,
    /// The player does not know its pattern yet.
    Unknown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplayable(unplayable) => unplayable.fmt(f),
            Self::Allocator => f.write_str("needs an allocator"),
            Self::Unknown => f.write_str("missing: the player does not know the pattern"),
        }
    }
}

/// A scenario as a board reads it, and what its numbers mean.
#[derive(Debug)]
pub struct Encoded {
    /// What the board reads.
    pub bytes: Vec<u8>,
    values: Vec<Value>,
    /// Names of steps.
    names: Vec<String>,
}

/// Writes a scenario so that a board can read it; none if it cannot play it.
///
/// # Errors
///
/// What there is no room for in that form.
pub fn encode(scenario: &Scenario, form: Form) -> Result<Result<Encoded, Reason>, String> {
    if let Err(unplayable) = playable_on(scenario, TOLERANCE.grid, Jumps::Both, false) {
        return Ok(Err(Reason::Unplayable(unplayable)));
    }
    if matches!(&scenario.pattern, Pattern::SingleFlight(config) if config.survives) {
        return Ok(Err(Reason::Allocator));
    }
    if is_unknown(&scenario.pattern) {
        return Ok(Err(Reason::Unknown));
    }
    let mut writer = Writer { values: vec![Value::Null, "=arg".into(), "driver".into()] };
    let lines = writer.lines(scenario)?;
    let config = writer.config(&scenario.pattern)?;
    let starts = writer.starts(&scenario.operation);
    let keys: Vec<wire::Key> = scenario
        .script
        .iter()
        .filter_map(|line| Some(wire::Key { id: writer.id(line.call.as_ref()?), key: writer.token(line.key.as_ref()?) }))
        .collect();
    let numbers: Vec<wire::Number> = writer.numbers();
    let wired = wire::Scenario {
        config,
        form: match form {
            Form::Call => wire::Form::Call,
            Form::Numbered => wire::Form::Numbered,
            Form::With => wire::Form::With,
        },
        driver: scenario.driver,
        end: scenario.until.map_or(LONGEST, |until| until.0),
        in_order: matches!(scenario.operation, Operation::InOrder(_)),
        starts: &written(&starts)?,
        keys: &written(&keys)?,
        numbers: &written(&numbers)?,
        lines: &written(&lines)?,
    };
    let mut room = [0; wire::LONGEST];
    let bytes = postcard::to_slice(&wired, &mut room).map_err(|error| format!("{error}"))?.to_vec();
    let names = match &scenario.pattern {
        Pattern::Waterfall(config) => config.names(),
        _ => Vec::new(),
    };
    Ok(Ok(Encoded { bytes, values: writer.values, names }))
}

/// Whether the player has nothing for it.
fn is_unknown(pattern: &Pattern) -> bool {
    matches!(
        pattern,
        Pattern::Batcher(_) | Pattern::AdaptiveLimit(_) | Pattern::Pipeline(_) | Pattern::Hedge(_) | Pattern::Fallback(_)
    )
}

/// One after another.
fn written<T: serde::Serialize>(entries: &[T]) -> Result<Vec<u8>, String> {
    let mut room = [0; 2 * wire::LONGEST];
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(postcard::to_slice(entry, &mut room).map_err(|error| format!("{error}"))?);
    }
    Ok(bytes)
}

fn few<T, const N: usize>(values: impl IntoIterator<Item = T>) -> Result<heapless::Vec<T, N>, String> {
    let mut few = heapless::Vec::new();
    for value in values {
        few.push(value).map_err(|_| format!("more than {N} in a list"))?;
    }
    Ok(few)
}

fn ratio(number: f64) -> Ratio {
    let (numerator, denominator) = fraction(number);
    Ratio(numerator, denominator)
}

fn count(number: Option<usize>) -> Option<u32> {
    number.map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// Gives each value its number.
struct Writer {
    values: Vec<Value>,
}

impl Writer {
    fn token(&mut self, value: &Value) -> Token {
        let found = self.values.iter().position(|known| known == value);
        let index = found.unwrap_or_else(|| {
            self.values.push(value.clone());
            self.values.len() - 1
        });
        Token(u16::try_from(index).unwrap_or(u16::MAX))
    }

    fn id(&mut self, id: &str) -> Token {
        self.token(&Value::from(id))
    }

    fn few(&mut self, values: &[Value]) -> Result<config::Few, String> {
        few(values.iter().map(|value| self.token(value)))
    }

    fn lines(&mut self, scenario: &Scenario) -> Result<Vec<Line>, String> {
        let mut lines = Vec::new();
        for line in &scenario.script {
            let action = match line.action()? {
                scenario::Action::Call(request) => Action::Call(self.request(&request)?),
                scenario::Action::Drop { ids } => Action::Drop(few(ids.iter().map(|id| self.id(id)))?),
                scenario::Action::Jump { nanos } => Action::Jump(nanos),
                scenario::Action::Do(order) => Action::Do(self.order(&order, &scenario.pattern)?),
                scenario::Action::Item { item } => Action::Item(self.token(&item)),
            };
            lines.push(Line { at: line.at.0, first: line.first, together: line.together, action });
        }
        Ok(lines)
    }

    fn request(&mut self, request: &scenario::Request) -> Result<Request, String> {
        Ok(Request {
            id: self.id(&request.id),
            waits: request.waits,
            arg: request.arg.as_ref().map(|arg| self.token(arg)),
            key: self.key(request.key.as_ref()),
            permits: request.permits.unwrap_or(1),
            deadline: request.deadline.map(|deadline| deadline.0),
            reserves: request.reserves,
            items: few(request.items.iter().flatten().map(|item| self.token(item)))?,
            priority: request.priority.unwrap_or(0),
            drained: request.drained,
        })
    }

    fn key(&mut self, key: Option<&Value>) -> Token {
        key.map_or(Token::NO_KEY, |key| self.token(key))
    }

    fn order(&mut self, order: &scenario::Order, pattern: &Pattern) -> Result<Order, String> {
        let verb = match &*order.verb {
            "cancel" => Verb::Cancel,
            "flush" => Verb::Flush,
            "trigger" => Verb::Trigger,
            "set_rate" => Verb::SetRate,
            "end" => Verb::End,
            "pause" => Verb::Pause,
            "resume" => Verb::Resume,
            "close" => Verb::Close,
            "cancel_waiting" => Verb::CancelWaiting,
            "set_concurrency" | "set_max_concurrent" => Verb::SetConcurrency,
            "forget" => Verb::Forget,
            "invalidate" => Verb::Invalidate,
            "clear" => Verb::Clear,
            "insert" => Verb::Insert,
            "force_open" => Verb::ForceOpen,
            "force_closed" => Verb::ForceClosed,
            "disable" => Verb::Disable,
            "reset" => Verb::Reset,
            unknown => return Err(format!("no board knows the verb `{unknown}`")),
        };
        let value = order.value.clone().unwrap_or_default();
        let rate = match pattern {
            Pattern::RateLimiter(_) => Some(rate(strictly(value.clone(), "value")?)),
            _ => None,
        };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        Ok(Order { verb, key: self.key(order.key.as_ref()), value: self.token(&value), number, rate })
    }

    fn starts(&mut self, operation: &Operation) -> Vec<Start> {
        let mut start = |name: Token, start: &scenario::Start| Start {
            name,
            takes: start.takes.0,
            result: match &start.err {
                Some(error) => Err(self.token(error)),
                None => Ok(self.token(&start.ok)),
            },
            retry_after: start.retry_after.map(|after| after.0),
        };
        match operation {
            Operation::InOrder(starts) => starts.iter().map(|entry| start(Token::NULL, entry)).collect(),
            Operation::ByName { starts, .. } => {
                let named: Vec<(&String, Start)> = starts.iter().map(|(name, entry)| (name, start(Token::NULL, entry))).collect();
                // All values are known by now.
                let values = self.values.iter().enumerate();
                values
                    .filter_map(|(index, value)| {
                        let token = Token(u16::try_from(index).unwrap_or(u16::MAX));
                        let of_value = named.iter().find(|(name, _)| **name == name_of(value));
                        of_value.map(|(_, start)| Start { name: token, ..*start })
                    })
                    .collect()
            }
        }
    }

    fn numbers(&self) -> Vec<wire::Number> {
        let number = |(index, value): (usize, &Value)| {
            Some(wire::Number {
                value: Token(u16::try_from(index).ok()?),
                time: Millis::from_f64(value.as_f64()?).0,
                weight: value.as_u64().and_then(|weight| u32::try_from(weight).ok()),
            })
        };
        self.values.iter().enumerate().filter_map(number).collect()
    }

    fn config(&mut self, pattern: &Pattern) -> Result<Config, String> {
        Ok(match pattern {
            Pattern::Timeout(timeout) => Config::Timeout { after: timeout.after.0 },
            Pattern::Retry(retry) => Config::Retry(self.retry(retry)?),
            Pattern::Edges(edges) => Config::Edges(edges_of(edges)),
            Pattern::Stream(stream) => Config::Stream(stream_of(stream)),
            Pattern::Waterfall(waterfall) => Config::Waterfall {
                steps: u8::try_from(waterfall.steps.number()).unwrap_or(u8::MAX),
                named: !waterfall.names().is_empty(),
            },
            Pattern::Polling(polling) => Config::Polling(self.polling(polling)?),
            Pattern::RateLimiter(limiter) => Config::RateLimiter(config::RateLimiter {
                algorithm: match limiter.algorithm {
                    RateLimiterAlgorithm::TokenBucket => config::Algorithm::TokenBucket,
                    RateLimiterAlgorithm::FixedWindow => config::Algorithm::FixedWindow,
                    RateLimiterAlgorithm::SlidingWindow => config::Algorithm::SlidingWindow,
                    RateLimiterAlgorithm::SlidingCounter => config::Algorithm::SlidingCounter,
                },
                rate: rate(limiter.setting()),
                max_concurrent: limiter.max_concurrent,
                max_waiting: limiter.max_waiting,
            }),
            Pattern::Parallel(parallel) => Config::Parallel(parallel_of(*parallel)),
            Pattern::ParallelStream(parallel) => Config::ParallelStream(parallel_of(*parallel)),
            Pattern::Pool(pool) => Config::Pool { concurrency: pool.concurrency, max_queued: pool.max_queued },
            Pattern::Bulkhead(bulkhead) => Config::Bulkhead {
                max_concurrent: bulkhead.max_concurrent,
                max_waiting: bulkhead.max_waiting,
                max_wait: bulkhead.max_wait.0,
            },
            Pattern::SingleFlight(flight) => Config::SingleFlight {
                capacity: count(flight.capacity),
                max_waiting: flight.max_waiting,
                tells_shared: flight.tells_shared,
            },
            Pattern::Cache(cache) => Config::Cache(config::Cache {
                ttl: cache.ttl.0,
                ttl_by_value: cache.ttl_by.is_some(),
                time_to_idle: cache.time_to_idle.0,
                refresh_after: cache.refresh_after.0,
                error_ttl: cache.error_ttl.map(|ttl| ttl.0),
                stale_while_revalidate: cache.stale_while_revalidate.0,
                stale_if_error: cache.stale_if_error.0,
                capacity: count(cache.capacity),
                max_weight: cache.max_weight,
                max_fetches: count(cache.max_fetches),
                max_waiting: cache.max_waiting,
            }),
            Pattern::Memoize(memoize) => Config::Memoize { capacity: count(memoize.capacity), max_waiting: memoize.max_waiting },
            Pattern::CircuitBreaker(breaker) => Config::CircuitBreaker(self.breaker(breaker)?),
            unknown => return Err(format!("the player does not know `{}`", unknown.name())),
        })
    }

    fn retry(&mut self, retry: &RetryConfig) -> Result<config::Retry, String> {
        Ok(config::Retry {
            max_attempts: retry.max_attempts,
            backoff: backoff(&retry.backoff)?,
            retry_if: retry.retry_if.as_ref().map(|errors| self.few(errors)).transpose()?,
            retry_if_value: self.few(retry.retry_if_value.as_deref().unwrap_or_default())?,
            attempt_timeout: retry.attempt_timeout.0,
            deadline: retry.deadline.0,
            retry_after_max: retry.retry_after_max.0,
            reset_after: retry.reset_after.0,
            between: retry.between.0,
            budget: retry.budget.map(|budget| (budget.capacity, budget.retry_cost, budget.success_refund)),
        })
    }

    fn polling(&mut self, polling: &PollingConfig) -> Result<config::Polling, String> {
        Ok(config::Polling {
            every: match (polling.interval, &polling.backoff, polling.mode) {
                (Some(interval), _, PollingMode::Rate) => config::Every::Rate(interval.0),
                (Some(interval), _, PollingMode::Delay) => config::Every::Delay(interval.0),
                (None, Some(delays), _) => config::Every::Backoff(backoff(delays)?),
                (None, None, _) => return Err("polling without an interval".into()),
            },
            max_attempts: polling.max_attempts,
            until: polling.until.as_ref().map(|until| self.token(until)),
            tolerated: match polling.errors {
                PollingErrors::Tolerate => Some(u32::MAX),
                PollingErrors::InARow(errors) => Some(errors),
                PollingErrors::Fail => None,
            },
            deadline: polling.deadline.0,
            initial_delay: polling.initial_delay.0,
        })
    }

    fn breaker(&mut self, breaker: &CircuitBreakerConfig) -> Result<config::CircuitBreaker, String> {
        let share = |rate: Option<f64>| ratio(rate.unwrap_or(FAILURE_RATE));
        if breaker.keyed && !matches!(breaker.trip, TripConfig::Consecutive { .. }) {
            return Err("boards have keyed breakers only for failures in a row".into());
        }
        Ok(config::CircuitBreaker {
            trip: match breaker.trip {
                TripConfig::Consecutive { consecutive } => config::Trip::Consecutive(consecutive),
                TripConfig::LastCalls { failure_rate, min_calls, last_calls } => {
                    config::Trip::LastCalls { failure_rate: share(failure_rate), min_calls, last_calls }
                }
                TripConfig::LastTime { failure_rate, min_calls, last, buckets } => config::Trip::LastTime {
                    failure_rate: share(failure_rate),
                    min_calls,
                    last: last.0,
                    buckets: buckets.unwrap_or(10),
                },
            },
            slow_call: breaker.slow_call.map(|slow| (slow.longer_than.0, ratio(slow.rate))),
            open: backoff(&breaker.opens())?,
            half_open_calls: breaker.half_open_calls,
            half_open_for: breaker.half_open_for.0,
            success_threshold: breaker.success_threshold,
            failure_if: breaker.failure_if.as_ref().map(|errors| self.few(errors)).transpose()?,
            keyed: breaker.keyed,
            capacity: count(breaker.capacity),
        })
    }
}

fn rate(setting: RateSetting) -> config::Rate {
    config::Rate { permits: setting.permits, per: setting.per.0, burst: setting.burst() }
}

fn edges_of(edges: &EdgesConfig) -> config::Edges {
    config::Edges {
        debounces: edges.debounces,
        wait: edges.times[0].0,
        leading: edges.leading,
        trailing: edges.trailing,
        max_wait: if edges.debounces { edges.times[1].0 } else { Nanos::MAX },
        shares: edges.superseded == Superseded::Share,
    }
}

fn stream_of(stream: &StreamConfig) -> config::Stream {
    let interval = stream.edges.times[0].0;
    match stream.pace {
        Some(pace) => config::Stream::Pace { interval: pace.0 },
        None if stream.audits => config::Stream::Audit { interval },
        None => config::Stream::Edges(edges_of(&stream.edges)),
    }
}

fn parallel_of(parallel: ParallelConfig) -> config::Parallel {
    config::Parallel {
        limit: count(Some(parallel.limit)).unwrap_or(u32::MAX),
        collects: parallel.on_error == OnError::Collect,
        by_completion: parallel.order == ParallelOrder::Completion,
    }
}

fn backoff(backoff: &BackoffConfig) -> Result<config::Backoff, String> {
    use config::BackoffKind;
    let (kind, max, jitter, seed) = match backoff {
        BackoffConfig::Constant { delay, jitter, seed } => (BackoffKind::Constant { delay: delay.0 }, None, jitter, seed),
        BackoffConfig::Linear { initial, step, max, jitter, seed } => {
            (BackoffKind::Linear { initial: initial.0, step: step.0 }, *max, jitter, seed)
        }
        BackoffConfig::Exponential { initial, factor, max, jitter, seed } => {
            (BackoffKind::Exponential { initial: initial.0, factor: ratio(*factor) }, *max, jitter, seed)
        }
        BackoffConfig::Fibonacci { initial, max, jitter, seed } => {
            (BackoffKind::Fibonacci { initial: initial.0 }, *max, jitter, seed)
        }
        BackoffConfig::List { delays, jitter, seed } => {
            (BackoffKind::List { delays: few(delays.iter().map(|delay| delay.0))? }, None, jitter, seed)
        }
    };
    let jitter = match jitter {
        None | Some(JitterConfig::None) => config::Jitter::None,
        Some(JitterConfig::Full) => config::Jitter::Full,
        Some(JitterConfig::Equal) => config::Jitter::Equal,
        Some(JitterConfig::Decorrelated) => config::Jitter::Decorrelated,
        Some(JitterConfig::Proportional(share)) => config::Jitter::Proportional(ratio(*share)),
    };
    Ok(config::Backoff { kind, max: max.unwrap_or(Millis::NEVER).0, jitter, seed: *seed })
}

impl Encoded {
    /// What a board has told, as an entry of the trace.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn entry(&self, line: &str) -> Result<Entry, String> {
        let told = |what: &str| format!("the board told {line:?}: {what}");
        let Ok(Value::Object(mut told_of)) = serde_json::from_str(line) else { return Err(told("no object")) };
        let at = told_of.remove("at").and_then(|at| at.as_u64()).ok_or_else(|| told("no instant"))?;
        let number = |told_of: &Map<String, Value>, key: &str| {
            told_of.get(key).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
        };
        let caller = |told_of: &Map<String, Value>, key: &str| {
            let id = number(told_of, key).and_then(|index| self.values.get(index)).and_then(Value::as_str);
            id.map(str::to_owned)
        };
        let what = if let Some(start) = number(&told_of, "start") {
            let by = caller(&told_of, "by").ok_or_else(|| told("no caller"))?;
            What::Start { number: start, by, arg: told_of.remove("arg").map(|arg| self.meaning(arg)) }
        } else if let Some(number) = number(&told_of, "drop") {
            What::Drop { number }
        } else if let Some(item) = told_of.remove("item") {
            What::Item { item: self.meaning(item) }
        } else if told_of.contains_key("over") {
            What::EndOfStream
        } else if let Some(state) = told_of.remove("state") {
            What::State { state: known(&state).ok_or_else(|| told("no state"))? }
        } else {
            let id = if told_of.remove("broken").is_some() { Some("stream".to_owned()) } else { caller(&told_of, "end") };
            let id = id.ok_or_else(|| told("no caller"))?;
            told_of.remove("end");
            let result = match told_of.remove("err") {
                None => Ok(self.meaning(told_of.remove("ok").unwrap_or_default())),
                Some(kind) => Err((known(&kind).ok_or_else(|| told("no error"))?, self.details(told_of))),
            };
            What::End { id, result }
        };
        Ok(Entry { at, what })
    }

    fn details(&self, mut told: Map<String, Value>) -> Map<String, Value> {
        if told.remove("named").is_some() {
            let step = told.get("step").and_then(Value::as_u64).and_then(|step| usize::try_from(step).ok());
            let name = step.and_then(|step| self.names.get(step));
            told.insert("name".to_owned(), name.cloned().into());
        }
        told.into_iter().map(|(key, value)| (key, self.meaning(value))).collect()
    }

    /// What its numbers stand for.
    fn meaning(&self, told: Value) -> Value {
        match told {
            Value::Array(list) => list.into_iter().map(|told| self.meaning(told)).collect(),
            Value::Object(object) => {
                if let Some(index) = object.get("$").and_then(Value::as_u64) {
                    return usize::try_from(index).ok().and_then(|index| self.values.get(index)).cloned().unwrap_or_default();
                }
                if let Some(nanos) = object.get("ns").and_then(Value::as_u64) {
                    return Millis(nanos).to_json();
                }
                Value::Object(object.into_iter().map(|(key, told)| (key, self.meaning(told))).collect())
            }
            told => told,
        }
    }
}

/// A word that traces have.
fn known(word: &Value) -> Option<&'static str> {
    let word = word.as_str()?;
    crate::trace::ERROR_KINDS.iter().chain(&crate::trace::STATES).find(|known| **known == word).copied()
}
