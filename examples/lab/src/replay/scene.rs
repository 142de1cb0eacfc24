use conformance::Runtime;
use conformance::scenario::{Action, Scenario, Start};
use conformance::trace::{Entry, What};
use serde_json::Value;

use super::glyphs::Glyphs;

/// What is drawn: a scenario, and what came of it on a runtime.
pub(super) struct Scene<'s> {
    pub(super) scenario: &'s Scenario,
    pub(super) trace: &'s [Entry],
    pub(super) glyphs: &'s Glyphs,
    /// Instants are drawn at multiples of so many nanoseconds.
    grid: u64,
}

/// An operation that is under way.
pub(super) struct Operation {
    pub(super) number: usize,
    /// When it ends, if nothing ends it before.
    pub(super) ends: u64,
    pub(super) succeeds: bool,
}

impl<'s> Scene<'s> {
    pub(super) fn new(scenario: &'s Scenario, trace: &'s [Entry], runtime: Runtime, glyphs: &'s Glyphs) -> Self {
        let grid = if runtime.is_real_time() { runtime.tolerance().grid } else { 1 };
        Self { scenario, trace, glyphs, grid }
    }

    /// What happened, and at which instant it is drawn.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u64, &'s What)> {
        self.trace.iter().map(|entry| (entry.at / self.grid * self.grid, &entry.what))
    }

    /// The operation that starts. A trace doesn't say when it ends: the scenario does.
    pub(super) fn operation(&self, at: u64, number: usize, by: &str, arg: Option<&Value>) -> Operation {
        let Start { takes, err, .. } = self.scenario.operation.behaviour(number, by, arg);
        Operation { number, ends: self.after(at, takes.0), succeeds: err.is_none() }
    }

    /// When something is over that began at `at` and takes so long: later, if the clock jumps over its end.
    fn after(&self, at: u64, takes: u64) -> u64 {
        let mut end = at.saturating_add(takes);
        for line in &self.scenario.script {
            if let Ok(Action::Jump { nanos }) = line.action() {
                let landing = line.at.0.saturating_add_signed(nanos);
                if (line.at.0..landing).contains(&end) {
                    end = landing;
                }
            }
        }
        end
    }

    /// When it was over, for whom nothing ended before.
    pub(super) fn over(&self) -> u64 {
        self.scenario.until.map(|until| until.0).or(self.trace.last().map(|entry| entry.at)).unwrap_or(0)
    }
}
