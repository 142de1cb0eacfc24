use std::collections::BTreeMap;
use std::fmt::Display;

use conformance::scenario::{Action, Request};

use super::at_once;
use super::caller;
use super::items;
use super::scene::Scene;

/// A row of a timeline: one caller, one of the operations that it runs at once, or items of a stream.
pub(super) struct Lane {
    /// What stands before it.
    pub(super) name: String,
    /// What happened when, in nanoseconds.
    pub(super) moments: BTreeMap<u64, Moment>,
    /// How it ended, in words.
    pub(super) outcome: String,
}

/// What happened at one instant, and what was done from then on.
pub(super) struct Moment {
    pub(super) marks: String,
    pub(super) then: Then,
}

/// What is done between two instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// An operation runs.
    Runs,
    /// A caller waits for its next attempt, or for its turn.
    Waits,
    /// Nothing.
    Rests,
}

/// Who starts what no caller does: the loop of a pattern that has one, or who polls a stream.
const DRIVER: &str = "driver";

/// All rows: what comes in; the callers, in the order of their calls, each with what it runs; the driver's operations; what comes out; the states of a breaker.
pub(super) fn lanes(scene: &Scene<'_>) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = items::fed(scene).into_iter().collect();
    for line in &scene.scenario.script {
        let Ok(Action::Call(Request { id, .. })) = line.action() else { continue };
        if scene.scenario.pattern.runs_several_at_once() {
            let operations = at_once::lanes(scene, &id);
            lanes.push(caller::lane(scene, line.at.0, id, caller::Shown::CallOnly));
            lanes.extend(operations);
        } else {
            lanes.push(caller::lane(scene, line.at.0, id, caller::Shown::WithAttempts));
        }
    }
    lanes.extend(at_once::lanes(scene, DRIVER));
    lanes.extend(items::came_out(scene));
    lanes.extend(items::states(scene));
    lanes
}

impl Lane {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), moments: BTreeMap::new(), outcome: String::new() }
    }

    pub(super) fn mark(&mut self, at: u64, mark: &dyn Display, then: Then) {
        let moment = self.moments.entry(at).or_insert_with(|| Moment { marks: String::new(), then });
        moment.marks.push_str(&mark.to_string());
        moment.then = then;
    }
}
