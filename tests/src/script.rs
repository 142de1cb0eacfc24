//! What is done in a scenario, and when.

use serde::Deserialize;
use serde_json::Value;

use crate::millis::Millis;
use crate::scenario::present;

/// A line of the script.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// When it acts.
    pub at: Millis,
    /// Whether it acts before the timers of its instant.
    #[serde(default)]
    pub first: bool,
    /// Whether nothing is polled between it and the next line, which is of the same instant.
    #[serde(default)]
    pub together: bool,
    /// Calls the pattern; the caller's name.
    pub call: Option<String>,
    /// The same without waiting.
    #[serde(rename = "try")]
    pub attempt: Option<String>,
    /// Waits until the pattern has nothing to do; the caller's name.
    pub drained: Option<String>,
    /// Drops the futures of these callers, one after the other, with nothing polled in between.
    #[serde(default, deserialize_with = "crate::names::one_or_more")]
    pub drop: Vec<String>,
    /// Moves the clock, forward or back, while nothing is polled.
    pub jump: Option<f64>,
    /// The input of the operation.
    #[serde(default, deserialize_with = "present")]
    pub arg: Option<Value>,
    /// Of patterns that tell callers apart.
    #[serde(default, deserialize_with = "present")]
    pub key: Option<Value>,
    /// How many permits the call takes.
    pub permits: Option<u32>,
    /// How long the call may wait.
    pub deadline: Option<Millis>,
    /// Whether the call takes its permits in advance.
    #[serde(default)]
    pub reserve: bool,
    /// What the call goes through.
    pub items: Option<Vec<Value>>,
    /// How urgent the call is.
    pub priority: Option<i32>,
    /// A verb of the pattern.
    #[serde(rename = "do")]
    pub verb: Option<String>,
    /// What the verb is done with.
    #[serde(default, deserialize_with = "present")]
    pub value: Option<Value>,
    /// An item of the source, for patterns that are streams.
    #[serde(default, deserialize_with = "present")]
    pub item: Option<Value>,
    /// A remark.
    #[serde(default, rename = "label")]
    _label: Option<String>,
}

/// A call of the pattern.
#[derive(Debug, Clone)]
pub struct Request {
    /// The caller's name.
    pub id: String,
    /// Whether it waits for its turn.
    pub waits: bool,
    /// The operation's input.
    pub arg: Option<Value>,
    /// Of patterns that tell callers apart.
    pub key: Option<Value>,
    /// How many permits it takes.
    pub permits: Option<u32>,
    /// How long it may wait.
    pub deadline: Option<Millis>,
    /// Whether it takes its permits in advance.
    pub reserves: bool,
    /// What it goes through.
    pub items: Option<Vec<Value>>,
    /// How urgent it is.
    pub priority: Option<i32>,
    /// Whether it only waits until there is nothing to do.
    pub drained: bool,
}

impl Request {
    /// The keys of its line that not every pattern takes.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'static str> {
        let options = [
            ("try", !self.waits),
            ("key", self.key.is_some()),
            ("permits", self.permits.is_some()),
            ("deadline", self.deadline.is_some()),
            ("reserve", self.reserves),
            ("items", self.items.is_some()),
            ("priority", self.priority.is_some()),
            ("drained", self.drained),
        ];
        options.into_iter().filter_map(|(name, given)| given.then_some(name))
    }
}

/// What is done to the pattern itself.
#[derive(Debug, Clone)]
pub struct Order {
    /// What.
    pub verb: String,
    /// To what.
    pub key: Option<Value>,
    /// With what.
    pub value: Option<Value>,
}

/// What a line does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Calls the pattern.
    Call(Request),
    /// Drops the futures of callers.
    Drop {
        /// The callers' names.
        ids: Vec<String>,
    },
    /// Moves the clock by so many nanoseconds.
    Jump {
        /// Forward, or back.
        nanos: i64,
    },
    /// Does something to the pattern.
    Do(Order),
    /// The source of a stream has an item.
    Item {
        /// The item.
        item: Value,
    },
}

impl Line {
    /// What it does.
    ///
    /// # Errors
    ///
    /// It must do one thing.
    pub fn action(&self) -> Result<Action, String> {
        let request = |id: &String, waits| Request {
            id: id.clone(),
            waits,
            arg: self.arg.clone(),
            key: self.key.clone(),
            permits: self.permits,
            deadline: self.deadline,
            reserves: self.reserve,
            items: self.items.clone(),
            priority: self.priority,
            drained: self.drained.is_some(),
        };
        let order = |verb: &String| Order { verb: verb.clone(), key: self.key.clone(), value: self.value.clone() };
        #[allow(clippy::cast_possible_truncation, reason = "it saturates")]
        let jump = |millis: f64| Action::Jump { nanos: (millis * 1e6).round() as i64 };
        let mut actions = [
            self.call.as_ref().map(|id| Action::Call(request(id, true))),
            self.attempt.as_ref().map(|id| Action::Call(request(id, false))),
            self.drained.as_ref().map(|id| Action::Call(request(id, true))),
            (!self.drop.is_empty()).then(|| Action::Drop { ids: self.drop.clone() }),
            self.jump.map(jump),
            self.verb.as_ref().map(|verb| Action::Do(order(verb))),
            self.item.as_ref().map(|item| Action::Item { item: item.clone() }),
        ]
        .into_iter()
        .flatten();
        match (actions.next(), actions.next()) {
            (Some(action), None) => Ok(action),
            _ => Err("a line has one of `call`, `try`, `drained`, `drop`, `jump`, `do`, `item`".into()),
        }
    }
}
