//! Scenarios for boards: in a form that they can read, and what they tell, as a trace.

mod config;
mod script;
mod told;

use std::fmt;

use aplomb_embassy::EmbassyClock;
use serde_json::Value;
use wire::postcard;

use self::script::Writer;
use crate::Pattern;
use crate::interpreter::LONGEST;
use crate::patterns::Form;
use crate::runtimes::{Unplayable, on_clock, playable_on};
use crate::scenario::{Operation, Scenario};
use crate::stage::Jumps;
use crate::trace::Tolerance;

/// How exact a board's timers are: to the millisecond. They are some ticks late, which are microseconds.
pub const TOLERANCE: Tolerance = Tolerance { grid: 1_000_000, lateness: 900_000 };

/// Why a board does not play a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It can play it as little as another runtime of its kind.
    Unplayable(Unplayable),
    /// What it shows exists only where there is an allocator.
    Allocator,
    /// Its operations panic, and a board stops then.
    Panics,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplayable(unplayable) => unplayable.fmt(f),
            Self::Allocator => f.write_str("needs an allocator"),
            Self::Panics => f.write_str("needs panics that can be caught"),
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
    if let Err(unplayable) = playable_on(scenario, TOLERANCE.grid, on_clock::<EmbassyClock>(scenario, Jumps::Both), false, false)
    {
        return Ok(Err(Reason::Unplayable(unplayable)));
    }
    if matches!(&scenario.pattern, Pattern::SingleFlight(config) if config.survives) {
        return Ok(Err(Reason::Allocator));
    }
    if scenario.operation.starts().any(|start| start.panics) {
        return Ok(Err(Reason::Panics));
    }
    let mut writer = Writer { values: vec![Value::Null, "=arg".into(), "driver".into()] };
    let lines = writer.lines(scenario)?;
    let config = writer.config(&scenario.pattern)?;
    let layers = writer.layers(&scenario.pattern)?;
    let lists = match scenario.pattern {
        Pattern::Batcher(_) => writer.lists(&scenario.operation)?,
        _ => Vec::new(),
    };
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
        lists: &written(&lists)?,
        layers: &written(&layers)?,
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

/// One after another.
fn written<T: serde::Serialize>(entries: &[T]) -> Result<Vec<u8>, String> {
    let mut room = [0; 2 * wire::LONGEST];
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(postcard::to_slice(entry, &mut room).map_err(|error| format!("{error}"))?);
    }
    Ok(bytes)
}
