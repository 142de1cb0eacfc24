use std::collections::BTreeMap;
use std::fmt::Display;

use conformance::Runtime;
use conformance::millis::Millis;
use conformance::scenario::{Action, Request, Scenario};
use conformance::trace::{Entry, What};

use super::glyphs::Glyphs;

/// What happened to one caller: what a row of a timeline shows.
pub(super) struct Lane {
    /// The caller.
    pub(super) id: String,
    /// What happened when, in nanoseconds.
    pub(super) moments: BTreeMap<u64, Moment>,
    /// How it ended, in words.
    pub(super) outcome: String,
}

/// What happened to a caller at one instant, and what it did from then on.
pub(super) struct Moment {
    pub(super) marks: String,
    pub(super) then: Then,
}

/// What a caller does between two instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// An attempt runs.
    Attempts,
    /// It waits for its next attempt, or for its turn.
    Waits,
    /// It has ended.
    Rests,
}

/// The callers of a scenario, in the order of their calls.
pub(super) fn lanes(scenario: &Scenario, trace: &[Entry], runtime: Runtime, glyphs: &Glyphs) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    let grid = if runtime.is_real_time() { runtime.tolerance().grid } else { 1 };
    for line in &scenario.script {
        let Ok(Action::Call(Request { id, .. })) = line.action() else { continue };
        if lanes.iter().any(|lane| lane.id == id) {
            continue;
        }
        let mut lane = Lane { id, moments: BTreeMap::new(), outcome: "still waits".into() };
        lane.mark(line.at.0, &glyphs.call, Then::Waits);
        lane.fill(scenario, trace, grid, glyphs);
        lanes.push(lane);
    }
    lanes
}

/// An attempt that is under way.
struct Attempt {
    number: usize,
    /// When it ends, if nothing ends it before.
    ends: u64,
}

impl Lane {
    fn mark(&mut self, at: u64, mark: &dyn Display, then: Then) {
        let moment = self.moments.entry(at).or_insert_with(|| Moment { marks: String::new(), then });
        moment.marks.push_str(&mark.to_string());
        moment.then = then;
    }

    /// Draws the caller's own entries. A trace doesn't say when an attempt failed: the scenario does.
    fn fill(&mut self, scenario: &Scenario, trace: &[Entry], grid: u64, glyphs: &Glyphs) {
        let mut under_way: Option<Attempt> = None;
        for entry in trace {
            let at = entry.at / grid * grid;
            match &entry.what {
                What::Start { number, by, arg } if *by == self.id => {
                    if let Some(attempt) = under_way.take() {
                        self.mark(attempt.ends.min(at), &glyphs.failed, Then::Waits);
                    }
                    self.mark(at, number, Then::Attempts);
                    let takes = scenario.operation.behaviour(*number, by, arg.as_ref()).takes;
                    under_way = Some(Attempt { number: *number, ends: after(scenario, at, takes) });
                }
                What::Drop { number } if under_way.as_ref().is_some_and(|attempt| attempt.number == *number) => {
                    under_way = None;
                    self.mark(at, &glyphs.cut_off, Then::Waits);
                }
                What::End { id, result } if *id == self.id => {
                    // The last attempt ends as the call does.
                    if let Some(attempt) = under_way.take().filter(|attempt| attempt.ends < at) {
                        self.mark(attempt.ends, &glyphs.failed, Then::Waits);
                    }
                    self.mark(at, if result.is_ok() { &glyphs.value } else { &glyphs.error }, Then::Rests);
                    self.outcome = match result {
                        Ok(value) => value.to_string(),
                        Err((kind, details)) => details.get("value").map_or((*kind).into(), |value| format!("{kind}: {value}")),
                    };
                    return;
                }
                _ => {}
            }
        }
        let dropped = scenario.script.iter().find(|line| line.drop.contains(&self.id)).map(|line| line.at.0);
        let over = dropped.or(scenario.until.map(|until| until.0)).or(trace.last().map(|entry| entry.at)).unwrap_or(0);
        if let Some(attempt) = under_way.filter(|attempt| attempt.ends <= over) {
            self.mark(attempt.ends, &glyphs.failed, Then::Waits);
        }
        if let Some(at) = dropped {
            self.mark(at, &glyphs.dropped, Then::Rests);
            self.outcome = "dropped".into();
        }
    }
}

/// When something is over that began at `at` and takes so long: later, if the clock jumps over its end.
fn after(scenario: &Scenario, at: u64, takes: Millis) -> u64 {
    let mut end = at.saturating_add(takes.0);
    for line in &scenario.script {
        if let Ok(Action::Jump { nanos }) = line.action() {
            let landing = line.at.0.saturating_add_signed(nanos);
            if (line.at.0..landing).contains(&end) {
                end = landing;
            }
        }
    }
    end
}
