//! What boards tell, as a trace.

use serde_json::{Map, Value};

use super::Encoded;
use crate::millis::Millis;
use crate::trace::{ERROR_KINDS, Entry, STATES, What};

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
        } else if let Some(limit) = number(&told_of, "limit") {
            What::Limit { limit: u32::try_from(limit).unwrap_or(u32::MAX) }
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
    ERROR_KINDS.iter().chain(&STATES).find(|known| **known == word).copied()
}
