use conformance::scenario::{Action, Order};
use conformance::trace::What;
use serde_json::Value;

use super::lane::{Lane, Then};
use super::scene::Scene;

/// The row of what a stream is fed, or what a trigger is told; nothing, if that is not what the scenario is about.
pub(super) fn fed(scene: &Scene<'_>) -> Option<Lane> {
    let mut lane: Option<Lane> = None;
    for line in &scene.scenario.script {
        let (name, value) = match line.action() {
            Ok(Action::Item { item }) => ("in", item),
            Ok(Action::Do(Order { verb, value: Some(value), .. })) if verb == TRIGGER => (TRIGGER, value),
            _ => continue,
        };
        lane.get_or_insert_with(|| Lane::new(name)).show(line.at.0, &word(&value));
    }
    lane
}

/// The verb that is shown here, and nowhere else.
pub(super) const TRIGGER: &str = "trigger";

/// The row of what comes out of a stream.
pub(super) fn came_out(scene: &Scene<'_>) -> Option<Lane> {
    if !scene.scenario.pattern.is_stream() {
        return None;
    }
    let mut lane = Lane::new("out");
    lane.outcome = "goes on".into();
    for (at, what) in scene.entries() {
        match what {
            What::Item { item } => lane.show(at, &outcome(item, scene)),
            What::EndOfStream => {
                lane.mark(at, &scene.glyphs.value, Then::Rests);
                lane.outcome = "ends".into();
            }
            What::End { result: Err((kind, details)), .. } => {
                lane.mark(at, &scene.glyphs.error, Then::Rests);
                lane.outcome = details.get("value").map_or((*kind).into(), |value| format!("{kind}: {value}"));
            }
            What::Start { .. } | What::Drop { .. } | What::End { .. } | What::State { .. } | What::Limit { .. } => {}
        }
    }
    Some(lane)
}

/// The row of a circuit breaker's states, or of what a limit is; nothing, if that stays as it is.
pub(super) fn states(scene: &Scene<'_>) -> Option<Lane> {
    let mut lane: Option<Lane> = None;
    for (at, what) in scene.entries() {
        let (name, state) = match what {
            What::State { state } => ("state", state.replace('_', "-")),
            What::Limit { limit } => ("limit", limit.to_string()),
            _ => continue,
        };
        let lane = lane.get_or_insert_with(|| Lane::new(name));
        lane.show(at, &state);
        lane.outcome = state;
    }
    lane
}

impl Lane {
    /// Several at one instant stand apart.
    fn show(&mut self, at: u64, item: &str) {
        let gap = if self.moments.contains_key(&at) { " " } else { "" };
        self.mark(at, &format_args!("{gap}{item}"), Then::Rests);
    }
}

/// An item that is the outcome of an operation, or any other.
fn outcome(item: &Value, scene: &Scene<'_>) -> String {
    match (item.get("ok"), item.get("err")) {
        (Some(value), None) => word(value),
        (None, Some(error)) => format!("{}{}", scene.glyphs.error, word(error)),
        _ => word(item),
    }
}

/// A value, as briefly as it can be told.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
