use conformance::trace::What;

use super::lane::{Lane, Then};
use super::scene::{Operation, Scene};

/// What of a caller its own row shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Its call with its attempts, one after another.
    WithAttempts,
    /// Its call; its operations have rows of their own.
    CallOnly,
}

/// The row of a caller that called at that instant.
pub(super) fn lane(scene: &Scene<'_>, called: u64, id: String, shown: Shown) -> Lane {
    let Scene { glyphs, .. } = scene;
    let mut lane = Lane::new(id);
    lane.mark(called, &glyphs.call, Then::Waits);
    let mut under_way: Option<Operation> = None;
    for (at, what) in scene.entries() {
        match what {
            What::Start { number, by, arg } if *by == lane.name && shown == Shown::WithAttempts => {
                if let Some(attempt) = under_way.take() {
                    lane.mark(attempt.ends.min(at), &glyphs.failed, Then::Waits);
                }
                lane.mark(at, number, Then::Runs);
                under_way = Some(scene.operation(at, *number, by, arg.as_ref()));
            }
            What::Drop { number } if under_way.as_ref().is_some_and(|attempt| attempt.number == *number) => {
                under_way = None;
                lane.mark(at, &glyphs.cut_off, Then::Waits);
            }
            What::End { id, result } if *id == lane.name => {
                // The last attempt ends as the call does.
                if let Some(attempt) = under_way.take().filter(|attempt| attempt.ends < at) {
                    lane.mark(attempt.ends, &glyphs.failed, Then::Waits);
                }
                lane.mark(at, if result.is_ok() { &glyphs.value } else { &glyphs.error }, Then::Rests);
                lane.outcome = match result {
                    Ok(value) => value.to_string(),
                    Err((kind, details)) => details.get("value").map_or((*kind).into(), |value| format!("{kind}: {value}")),
                };
                return lane;
            }
            _ => {}
        }
    }
    let dropped = scene.scenario.script.iter().find(|line| line.drop.contains(&lane.name)).map(|line| line.at.0);
    let over = dropped.unwrap_or_else(|| scene.over());
    if let Some(attempt) = under_way.filter(|attempt| attempt.ends <= over) {
        lane.mark(attempt.ends, &glyphs.failed, Then::Waits);
    }
    if let Some(at) = dropped {
        lane.mark(at, &glyphs.dropped, Then::Rests);
        lane.outcome = "dropped".into();
    } else {
        lane.outcome = "still waits".into();
    }
    lane
}
