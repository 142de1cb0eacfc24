//! The script and the operation, as the wire has them: a number for each value.

use serde_json::Value;
use wire::{Action, Line, List, Order, Request, Start, Token, Verb, config};

use super::config::rate;
use crate::Pattern;
use crate::millis::Millis;
use crate::scenario::{self, Operation, Scenario, name_of, strictly};

pub(super) fn few<T, const N: usize>(values: impl IntoIterator<Item = T>) -> Result<heapless::Vec<T, N>, String> {
    let mut few = heapless::Vec::new();
    for value in values {
        few.push(value).map_err(|_| format!("more than {N} in a list"))?;
    }
    Ok(few)
}

/// Gives each value its number.
pub(super) struct Writer {
    pub(super) values: Vec<Value>,
}

impl Writer {
    pub(super) fn token(&mut self, value: &Value) -> Token {
        let found = self.values.iter().position(|known| known == value);
        let index = found.unwrap_or_else(|| {
            self.values.push(value.clone());
            self.values.len() - 1
        });
        Token(u16::try_from(index).unwrap_or(u16::MAX))
    }

    pub(super) fn id(&mut self, id: &str) -> Token {
        self.token(&Value::from(id))
    }

    pub(super) fn few(&mut self, values: &[Value]) -> Result<config::Few, String> {
        few(values.iter().map(|value| self.token(value)))
    }

    pub(super) fn lines(&mut self, scenario: &Scenario) -> Result<Vec<Line>, String> {
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

    pub(super) fn starts(&mut self, operation: &Operation) -> Vec<Start> {
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

    /// The results that a value of the operation is a list of.
    pub(super) fn lists(&mut self, operation: &Operation) -> Result<Vec<List>, String> {
        let mut lists = Vec::new();
        for start in operation.starts() {
            let Some(rows) = start.ok.as_array() else { continue };
            let results = rows.iter().map(|row| match row.get("err") {
                Some(error) => Err(self.token(error)),
                None => Ok(self.token(row)),
            });
            lists.push(List { results: few(results)?, value: self.token(&start.ok) });
        }
        Ok(lists)
    }

    pub(super) fn numbers(&self) -> Vec<wire::Number> {
        let number = |(index, value): (usize, &Value)| {
            Some(wire::Number {
                value: Token(u16::try_from(index).ok()?),
                time: Millis::from_f64(value.as_f64()?).0,
                weight: value.as_u64().and_then(|weight| u32::try_from(weight).ok()),
            })
        };
        self.values.iter().enumerate().filter_map(number).collect()
    }
}
