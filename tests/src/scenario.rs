//! Scenario files, read strictly: what is not known is an error that says where it stands.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Pattern;
use crate::millis::Millis;
pub use crate::script::{Action, Line, Order, Request};
use crate::trace::Expected;

/// One scenario: what is set up, what is done to it, and what must come out.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// A sentence that says what it shows.
    pub name: String,
    /// The pattern with its configuration.
    pub pattern: Pattern,
    /// How the guarded operation behaves.
    pub operation: Operation,
    /// What is done, and when.
    pub script: Vec<Line>,
    /// The trace that must come out.
    pub expect: Vec<Expected>,
    /// Entries of one instant are compared in their order too.
    pub strict_order: bool,
    /// It hangs on several timers, or timers and a script, that meet to the nanosecond.
    pub exact: bool,
    /// Only entries of these kinds are compared, if any is given.
    pub compare: Option<Vec<EntryKind>>,
    /// Where it stops, if not when nothing is left to happen.
    pub until: Option<Millis>,
    /// Whether the pattern's `run` loop is kept running, if it has one.
    pub driver: bool,
}

/// The scenario as it is written. The configuration is read when the pattern is known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    pattern: String,
    config: Option<Map<String, Value>>,
    operation: Option<Value>,
    script: Vec<Line>,
    expect: Vec<Expected>,
    #[serde(default)]
    strict_order: bool,
    #[serde(default)]
    exact: bool,
    compare: Option<Vec<EntryKind>>,
    until: Option<Millis>,
    #[serde(default = "yes")]
    driver: bool,
}

fn yes() -> bool {
    true
}

/// Behaviour by order of the starts, or by what is asked.
#[derive(Debug, Clone)]
pub enum Operation {
    /// The n-th start behaves as the n-th entry; the last one repeats.
    InOrder(Vec<Start>),
    /// A start behaves as the entry of its argument, key or caller.
    ByName {
        /// The entries.
        starts: BTreeMap<String, Start>,
        /// By which key a caller calls, where there are keys.
        keys: BTreeMap<String, String>,
    },
}

impl Operation {
    fn parse(json: Option<Value>, script: &[Line]) -> Result<Self, String> {
        match json {
            None => Ok(Self::InOrder(vec![Start::default()])),
            Some(Value::Array(starts)) if starts.is_empty() => Err("operation: the list is empty".into()),
            Some(Value::Array(starts)) => {
                let starts = starts.into_iter().enumerate();
                starts
                    .map(|(index, start)| strictly(start, &format!("operation[{index}]")))
                    .collect::<Result<_, _>>()
                    .map(Self::InOrder)
            }
            Some(Value::Object(starts)) => {
                let starts = starts.into_iter();
                let named = starts.map(|(name, start)| Ok((name.clone(), strictly(start, &format!("operation.{name}"))?)));
                let keys = script.iter().filter_map(|line| Some((line.call.clone()?, name_of(line.key.as_ref()?)))).collect();
                named.collect::<Result<_, String>>().map(|starts| Self::ByName { starts, keys })
            }
            Some(other) => Err(format!("operation: expected a list or an object, not {other}")),
        }
    }
}

impl Operation {
    /// All ways in which it behaves.
    pub(crate) fn starts(&self) -> impl Iterator<Item = &Start> {
        let (in_order, by_name) = match self {
            Self::InOrder(starts) => (Some(starts.iter()), None),
            Self::ByName { starts, .. } => (None, Some(starts.values())),
        };
        in_order.into_iter().flatten().chain(by_name.into_iter().flatten())
    }

    /// How the n-th start behaves, for that caller's call.
    #[must_use]
    pub fn behaviour(&self, number: usize, by: &str, arg: Option<&Value>) -> Start {
        match self {
            Self::InOrder(starts) => starts.get(number - 1).or(starts.last()).cloned().unwrap_or_default(),
            Self::ByName { starts, keys } => {
                let by_arg = arg.and_then(|arg| starts.get(&name_of(arg)));
                let by_key = || keys.get(by).and_then(|key| starts.get(key));
                by_arg.or_else(by_key).or_else(|| starts.get(by)).cloned().unwrap_or_default()
            }
        }
    }
}

/// The name of an entry: a string as it is, and anything else as it is written.
pub(crate) fn name_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How one start of the operation behaves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// How long it runs.
    #[serde(default)]
    pub takes: Millis,
    /// The value it ends with, unless there is an error.
    #[serde(default)]
    pub ok: Value,
    /// The error it ends with.
    #[serde(default, deserialize_with = "present")]
    pub err: Option<Value>,
    /// The delay that the error asks for.
    pub retry_after: Option<Millis>,
    /// Whether it panics instead of ending.
    #[serde(default)]
    pub panics: bool,
}

impl Default for Start {
    fn default() -> Self {
        Self { takes: Millis::ZERO, ok: Value::Null, err: None, retry_after: None, panics: false }
    }
}

/// A value that is there, be it `null`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl Scenario {
    /// All instants and times that are written in it.
    #[must_use]
    pub fn instants(&self) -> Vec<Millis> {
        let starts = self.operation.starts();
        let mut instants: Vec<Millis> = self.script.iter().map(|line| line.at).collect();
        instants.extend(self.script.iter().filter_map(|line| line.deadline));
        instants.extend(starts.flat_map(|start| [Some(start.takes), start.retry_after]).flatten());
        instants.extend(self.expect.iter().flat_map(|entry| [entry.at.earliest(), entry.at.latest()]));
        instants.extend(self.pattern.times());
        instants
    }

    /// The same, where lines come a little early, the later the more: what ends otherwise then hangs on a timer that comes before a line of its instant.
    #[must_use]
    pub fn hurried(&self) -> Self {
        let mut hurried = self.clone();
        for line in &mut hurried.script {
            line.at.0 = line.at.0.saturating_sub(line.at.0 / 200);
        }
        hurried
    }

    /// The same, where all but a drop is a little late: what ends otherwise then hangs on what comes first at one instant.
    #[must_use]
    pub fn delayed(&self) -> Self {
        const LATE: u64 = 1_000_000;
        let mut delayed = self.clone();
        for line in delayed.script.iter_mut().filter(|line| line.drop.is_empty()) {
            line.at.0 = line.at.0.saturating_add(LATE);
        }
        let starts: Vec<&mut Start> = match &mut delayed.operation {
            Operation::InOrder(starts) => starts.iter_mut().collect(),
            Operation::ByName { starts, .. } => starts.values_mut().collect(),
        };
        for start in starts {
            start.takes.0 = start.takes.0.saturating_add(2 * LATE);
        }
        delayed
    }
}

/// A kind of trace entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The operation starts.
    Start,
    /// A caller's future is ready.
    End,
    /// A started operation is dropped.
    Drop,
    /// A circuit breaker changes its state.
    State,
    /// An item comes out of a stream.
    Item,
    /// An adaptive limit changes.
    Limit,
}

/// A file that is not a scenario file, and where.
#[derive(Debug)]
pub struct Malformed {
    file: PathBuf,
    scenario: Option<String>,
    what: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if let Some(scenario) = &self.scenario {
            write!(f, "{scenario}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Malformed {}

/// Reads a file: one scenario, or an array of them.
///
/// # Errors
///
/// [`Malformed`] says where: the file, the scenario, the key.
pub fn read(file: &Path) -> Result<Vec<Scenario>, Malformed> {
    let malformed = |scenario, what| Malformed { file: file.to_owned(), scenario, what };
    let text = fs::read_to_string(file).map_err(|error| malformed(None, error.to_string()))?;
    let json: Value = serde_json::from_str(&text).map_err(|error| malformed(None, error.to_string()))?;
    let scenarios = match json {
        Value::Array(scenarios) => scenarios,
        scenario => vec![scenario],
    };
    scenarios
        .into_iter()
        .enumerate()
        .map(|(index, json)| {
            let name =
                json.get("name").and_then(Value::as_str).map_or_else(|| format!("scenario {index}"), |name| format!("{name:?}"));
            parse(json).map_err(|what| malformed(Some(name), what))
        })
        .collect()
}

fn parse(json: Value) -> Result<Scenario, String> {
    let written: Written = strictly(json, "")?;
    let pattern = Pattern::parse(&written.pattern, written.config)?;
    for (index, line) in written.script.iter().enumerate() {
        let action = line.action().map_err(|what| format!("script[{index}]: {what}"))?;
        pattern.check(&action).map_err(|what| format!("script[{index}]: {what}"))?;
    }
    for (index, entry) in written.expect.iter().enumerate() {
        entry.kind().map_err(|what| format!("expect[{index}]: {what}"))?;
    }
    check_order(&written.script)?;
    Ok(Scenario {
        name: written.name,
        pattern,
        operation: Operation::parse(written.operation, &written.script)?,
        script: written.script,
        expect: written.expect,
        strict_order: written.strict_order,
        exact: written.exact,
        compare: written.compare,
        until: written.until,
        driver: written.driver,
    })
}

/// Time goes on, callers have names of their own, and only who was called is dropped.
fn check_order(script: &[Line]) -> Result<(), String> {
    let mut callers = Vec::new();
    let mut now = Millis::ZERO;
    for (index, line) in script.iter().enumerate() {
        if line.at < now {
            return Err(format!("script[{index}].at: {} lies before what the clock says after the line above", line.at));
        }
        now = line.at;
        match line.action()? {
            // The lines that follow go by what the clock says then.
            Action::Jump { nanos } => now = Millis(line.at.0.saturating_add_signed(nanos)),
            Action::Call(Request { id, .. }) if callers.contains(&id) => {
                return Err(format!("script[{index}]: `{id}` has called already"));
            }
            Action::Call(Request { id, .. }) => callers.push(id),
            Action::Drop { ids } => {
                if let Some(id) = ids.iter().find(|id| !callers.contains(id)) {
                    return Err(format!("script[{index}].drop: `{id}` has not called"));
                }
            }
            Action::Do(_) | Action::Item { .. } => {}
        }
    }
    Ok(())
}

/// Reads a value, and says at which key it went wrong.
pub(crate) fn strictly<T: for<'de> Deserialize<'de>>(json: Value, within: &str) -> Result<T, String> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let separator = if within.is_empty() || path.is_empty() { "" } else { "." };
        match format!("{within}{separator}{path}") {
            key if key.is_empty() => error.inner().to_string(),
            key => format!("{key}: {}", error.inner()),
        }
    })
}
