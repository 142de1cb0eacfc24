//! What happened, what should have, and the difference.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::millis::Millis;
use crate::scenario::{EntryKind, Scenario};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When, in nanoseconds since the scenario began.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The n-th start of the operation, by that caller's call.
    Start {
        /// Which start it is; the first is 1.
        number: usize,
        /// The caller.
        by: String,
        /// The operation's input, if it has one.
        arg: Option<Value>,
    },
    /// The n-th started operation was dropped before it ended.
    Drop {
        /// Which start it was.
        number: usize,
    },
    /// That caller's future is ready.
    End {
        /// The caller.
        id: String,
        /// How it ended.
        result: Outcome,
    },
    /// An item came out of the stream.
    Item {
        /// The item.
        item: Value,
    },
    /// The stream is over.
    EndOfStream,
    /// A circuit breaker went to a state.
    State {
        /// Which.
        state: &'static str,
    },
    /// An adaptive limit has changed.
    Limit {
        /// What it is.
        limit: u32,
    },
}

/// Whose end it is when a stream is over.
const STREAM: &str = "stream";

/// How a caller's future ended: with a value, or with a kind of error and what that carries.
pub type Outcome = Result<Value, (&'static str, Map<String, Value>)>;

impl Entry {
    /// The entry in the format of the scenarios.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = match &self.what {
            What::Start { number, by, arg: None } => json!({ "start": number, "by": by }),
            What::Start { number, by, arg: Some(arg) } => json!({ "start": number, "by": by, "arg": arg }),
            What::Drop { number } => json!({ "drop": number }),
            What::Item { item } => json!({ "item": item }),
            What::State { state } => json!({ "state": state }),
            What::Limit { limit } => json!({ "limit": limit }),
            What::EndOfStream => json!({ "end": STREAM }),
            What::End { id, result: Ok(value) } => json!({ "end": id, "ok": value }),
            What::End { id, result: Err((kind, details)) } => {
                let mut json = json!({ "end": id, "err": kind });
                if let Value::Object(json) = &mut json {
                    json.extend(details.clone());
                }
                json
            }
        };
        json["at"] = Millis(self.at).to_json();
        json
    }

    fn kind(&self) -> EntryKind {
        match self.what {
            What::Start { .. } => EntryKind::Start,
            What::Drop { .. } => EntryKind::Drop,
            What::End { .. } | What::EndOfStream => EntryKind::End,
            What::Item { .. } => EntryKind::Item,
            What::State { .. } => EntryKind::State,
            What::Limit { .. } => EntryKind::Limit,
        }
    }
}

/// An entry that must come. What it leaves out is not compared.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// When, or from when to when.
    pub at: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, deserialize_with = "crate::scenario::present", skip_serializing_if = "Option::is_none")]
    arg: Option<Value>,
    #[serde(default, deserialize_with = "crate::scenario::present", skip_serializing_if = "Option::is_none")]
    ok: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    err: Option<String>,
    #[serde(default, deserialize_with = "crate::scenario::present", skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(default, deserialize_with = "crate::scenario::present", skip_serializing_if = "Option::is_none")]
    last: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, deserialize_with = "crate::scenario::present", skip_serializing_if = "Option::is_none")]
    item: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u32>,
}

/// An instant, or a range of them.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(untagged, expecting = "milliseconds, or a range of two")]
pub enum At {
    /// That very instant.
    Exactly(f64),
    /// Any from the first to the second, both included.
    Within(f64, f64),
}

impl At {
    /// The earliest instant.
    #[must_use]
    pub fn earliest(self) -> Millis {
        match self {
            Self::Exactly(at) | Self::Within(at, _) => Millis::from_f64(at),
        }
    }

    /// The latest instant.
    #[must_use]
    pub fn latest(self) -> Millis {
        match self {
            Self::Exactly(at) | Self::Within(_, at) => Millis::from_f64(at),
        }
    }
}

pub(crate) const ERROR_KINDS: [&str; 17] = [
    "operation",
    "timeout",
    "superseded",
    "cancelled",
    "open",
    "limited",
    "queue_full",
    "too_many_permits",
    "full",
    "exhausted",
    "budget",
    "deadline",
    "panicked",
    "closed",
    "config",
    "wrong_length",
    "abandoned",
];

/// The states of a circuit breaker.
pub(crate) const STATES: [&str; 5] = ["closed", "open", "half_open", "forced_open", "disabled"];

impl Expected {
    /// The kind of entry.
    ///
    /// # Errors
    ///
    /// It must be of one kind, and a kind of error that there is.
    pub fn kind(&self) -> Result<EntryKind, String> {
        if let Some(kind) = self.err.as_deref().filter(|kind| !ERROR_KINDS.contains(kind)) {
            return Err(format!("err: unknown kind `{kind}`, expected one of {ERROR_KINDS:?}"));
        }
        if let Some(state) = self.state.as_deref().filter(|state| !STATES.contains(state)) {
            return Err(format!("state: unknown state `{state}`, expected one of {STATES:?}"));
        }
        match (self.start, self.drop, &self.end, &self.item, &self.state, self.limit) {
            (Some(_), None, None, None, None, None) => Ok(EntryKind::Start),
            (None, Some(_), None, None, None, None) => Ok(EntryKind::Drop),
            (None, None, Some(_), None, None, None) if self.ok.is_some() && self.err.is_some() => {
                Err("an end is `ok` or `err`, not both".into())
            }
            (None, None, Some(_), None, None, None) => Ok(EntryKind::End),
            (None, None, None, Some(_), None, None) => Ok(EntryKind::Item),
            (None, None, None, None, Some(_), None) => Ok(EntryKind::State),
            (None, None, None, None, None, Some(_)) => Ok(EntryKind::Limit),
            _ => Err("an entry has one of `start`, `drop`, `end`, `item`, `state`, `limit`".into()),
        }
    }

    fn describes(&self, entry: &Entry, tolerance: &Tolerance) -> bool {
        if !(self.at.earliest().0..=tolerance.latest(self.at)).contains(&entry.at) {
            return false;
        }
        match &entry.what {
            What::Start { number, by, arg } => {
                self.start == Some(*number)
                    && agrees(self.by.as_deref(), by)
                    && (self.arg.is_none() || same_option(self.arg.as_ref(), arg.as_ref()))
            }
            What::Drop { number } => self.drop == Some(*number),
            What::Item { item } => self.item.as_ref().is_some_and(|expected| same(expected, item)),
            What::EndOfStream => self.end.as_deref() == Some(STREAM),
            What::State { state } => self.state.as_deref() == Some(state),
            What::Limit { limit } => self.limit == Some(*limit),
            What::End { id, result: Ok(value) } => {
                self.end.as_ref() == Some(id) && self.err.is_none() && self.ok.as_ref().is_none_or(|ok| same(ok, value))
            }
            What::End { id, result: Err((kind, details)) } => {
                let detail = |name: &str, expected: Option<Value>| {
                    expected.is_none_or(|expected| details.get(name).is_some_and(|value| same(&expected, value)))
                };
                self.end.as_ref() == Some(id)
                    && self.ok.is_none()
                    && agrees(self.err.as_deref(), kind)
                    && detail("value", self.value.clone())
                    && detail("last", self.last.clone())
                    && detail("attempts", self.attempts.map(Value::from))
                    && self.retry_after.is_none_or(|expected| tolerance.is_near(expected, details.get("retry_after")))
                    && detail("step", self.step.map(Value::from))
                    && detail("layer", self.layer.map(Value::from))
                    && detail("index", self.index.map(Value::from))
                    && detail("name", self.name.clone().map(Value::from))
            }
        }
    }
}

fn agrees(expected: Option<&str>, actual: &str) -> bool {
    expected.is_none_or(|expected| expected == actual)
}

fn same_option(expected: Option<&Value>, actual: Option<&Value>) -> bool {
    matches!((expected, actual), (Some(expected), Some(actual)) if same(expected, actual))
}

/// Equal as values: 1 is 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// How exact a runtime is.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// Instants are multiples of so many nanoseconds, rounded up.
    pub grid: u64,
    /// Timers may be late by so many nanoseconds; what is compared then is the order, and that nothing is early.
    pub lateness: u64,
}

impl Tolerance {
    fn latest(&self, at: At) -> u64 {
        let rounded = match at {
            At::Exactly(_) => at.latest().0,
            // Random delays are rounded up one by one.
            At::Within(..) => at.latest().0.saturating_add(16 * (self.grid - 1)),
        };
        rounded.saturating_add(self.lateness)
    }

    /// Whether what is left of a time, in milliseconds, is what was expected: who asks late is told less.
    fn is_near(&self, expected: f64, actual: Option<&Value>) -> bool {
        let Some(actual) = actual.and_then(Value::as_f64) else { return false };
        let (expected, actual) = (Millis::from_f64(expected).0, Millis::from_f64(actual).0);
        actual <= expected && expected - actual <= self.lateness
    }
}

/// Two traces side by side: how far they agree, and how each goes on.
#[derive(Debug)]
pub struct Alignment<'t> {
    /// What should have happened and did, in the order in which it did.
    pub agreed: Vec<(&'t Expected, &'t Entry)>,
    /// What should have happened next.
    pub expected: Vec<&'t Expected>,
    /// What happened instead.
    pub actual: Vec<&'t Entry>,
}

/// Lays what happened beside what should have, up to the first difference. What the scenario doesn't compare is left out.
#[must_use]
pub fn align<'t>(scenario: &'t Scenario, trace: &'t [Entry], tolerance: &Tolerance) -> Alignment<'t> {
    let compared = |kind| scenario.compare.as_ref().is_none_or(|kinds| kinds.contains(&kind));
    let mut expected: Vec<&Expected> = scenario.expect.iter().filter(|entry| entry.kind().is_ok_and(compared)).collect();
    let mut actual: Vec<&Entry> = trace.iter().filter(|entry| compared(entry.kind())).collect();
    let mut agreed = Vec::new();
    for entry in &actual {
        // Of what is still to come, an entry may be any that belongs to the same instant as the first.
        let Some(first) = expected.first() else { break };
        let instant = first.at.latest();
        let candidates =
            if scenario.strict_order { 1 } else { expected.iter().take_while(|other| other.at.earliest() <= instant).count() };
        match expected.iter().take(candidates).position(|expected| expected.describes(entry, tolerance)) {
            Some(position) => agreed.push((expected.remove(position), *entry)),
            None => break,
        }
    }
    actual.drain(..agreed.len());
    Alignment { agreed, expected, actual }
}

/// Compares what happened with what should have; the first difference, if there is one.
///
/// # Errors
///
/// The difference, in a line.
pub fn compare(scenario: &Scenario, trace: &[Entry], tolerance: &Tolerance) -> Result<(), String> {
    let Alignment { expected, actual, .. } = align(scenario, trace, tolerance);
    match (expected.first(), actual.first()) {
        (None, None) => Ok(()),
        (Some(missing), None) => Err(format!("missing: {}", describe(missing))),
        (None, Some(entry)) => Err(format!("unexpected: {}", entry.to_json())),
        (Some(first), Some(entry)) => Err(format!("expected {}, but {} came", describe(first), entry.to_json())),
    }
}

/// An expected entry as it is written.
#[must_use]
pub fn describe(expected: &Expected) -> String {
    serde_json::to_string(expected).unwrap_or_else(|error| error.to_string())
}
