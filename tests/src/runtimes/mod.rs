//! The four runtimes that scenarios are played on.

mod embassy;
mod sim;
mod smol;
mod tokio;

use std::fmt;

use aplomb::{Clock, Platform};

use crate::Pattern;
use crate::patterns::Form;
use crate::scenario::{Action, Scenario};
use crate::stage::{Jumps, Stage};
use crate::trace::{Entry, Tolerance, compare};

/// Where a scenario is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// aplomb's own deterministic executor.
    Sim,
    /// tokio, with its clock paused.
    Tokio,
    /// embassy's executor and timer queue, on a driver with virtual time.
    Embassy,
    /// smol, in real time.
    Smol,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sim, Self::Tokio, Self::Embassy, Self::Smol];

    /// The name, as it is written in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Tokio => "tokio",
            Self::Embassy => "embassy",
            Self::Smol => "smol",
        }
    }

    /// How exact its timers are.
    #[must_use]
    pub const fn tolerance(self) -> Tolerance {
        match self {
            Self::Sim => sim::SimStage::TOLERANCE,
            Self::Tokio => tokio::TokioStage::TOLERANCE,
            Self::Embassy => embassy::EmbassyStage::TOLERANCE,
            Self::Smol => smol::SmolStage::TOLERANCE,
        }
    }

    /// Whether scenarios take as long there as they say, and a busy machine can be late.
    #[must_use]
    pub const fn is_real_time(self) -> bool {
        matches!(self, Self::Smol)
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a runtime cannot play a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unplayable {
    /// Its timers are coarser than what the scenario depends on.
    Resolution,
    /// Its clock cannot jump so.
    Jump,
    /// Its executor does not poll tasks in the order in which they were woken.
    Order,
    /// In real time it would take too long.
    Length,
}

impl fmt::Display for Unplayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolution => "finer than the runtime's timers",
            Self::Jump => "the runtime's clock cannot jump so",
            Self::Order => "hangs on the order of tasks",
            Self::Length => "too long for real time",
        })
    }
}

/// What came out of a scenario.
#[derive(Debug)]
pub struct Played {
    /// What happened.
    pub trace: Vec<Entry>,
    /// The first difference to what was expected, if there is one.
    pub difference: Option<String>,
}

/// Plays a scenario, and compares.
///
/// # Errors
///
/// Says why the runtime cannot play it.
pub fn play(runtime: Runtime, scenario: &Scenario, form: Form) -> Result<Played, Unplayable> {
    match runtime {
        Runtime::Sim => sim::play(scenario, form),
        Runtime::Tokio => tokio::play(scenario, form),
        Runtime::Embassy => embassy::play(scenario, form),
        Runtime::Smol => smol::play(scenario, form),
    }
}

/// Whether a stage can play it.
fn playable<S: Stage>(scenario: &Scenario) -> Result<(), Unplayable> {
    let can_jump = on_clock::<<S::Platform as Platform>::Clock>(scenario, S::JUMPS);
    playable_on(scenario, S::TOLERANCE.grid, can_jump, S::IN_ORDER, S::IS_EXACT)
}

/// Which jumps of those that a runtime can play mean something to the pattern: a cache makes nothing of one back on a clock that says there is none.
pub(crate) fn on_clock<C: Clock>(scenario: &Scenario, can_jump: Jumps) -> Jumps {
    if C::IS_STEADY && matches!(scenario.pattern, Pattern::Cache(_)) { can_jump.min(Jumps::Forward) } else { can_jump }
}

/// Whether it can be played on such a grid, with such jumps, by an executor that keeps the order of tasks, or does not, and by timers that are exact, or are not.
pub(crate) fn playable_on(
    scenario: &Scenario,
    grid: u64,
    can_jump: Jumps,
    in_order: bool,
    is_exact: bool,
) -> Result<(), Unplayable> {
    let instants = scenario.instants();
    if (scenario.exact && !is_exact) || !instants.into_iter().all(|instant| instant.is_on(grid)) {
        return Err(Unplayable::Resolution);
    }
    let mut jumps = Jumps::None;
    for line in &scenario.script {
        match line.action() {
            Ok(Action::Jump { nanos: 0.. }) => jumps = jumps.max(Jumps::Forward),
            Ok(Action::Jump { .. }) => jumps = Jumps::Both,
            _ if line.first => jumps = jumps.max(Jumps::Forward),
            _ => {}
        }
    }
    if jumps > can_jump {
        return Err(Unplayable::Jump);
    }
    // An item is in its stream at once; all else is done in a task.
    let hangs_on_order = scenario.script.iter().any(|line| line.together && line.item.is_none());
    if hangs_on_order && !in_order { Err(Unplayable::Order) } else { Ok(()) }
}

fn verdict(scenario: &Scenario, trace: Vec<Entry>, tolerance: &Tolerance) -> Played {
    let difference = compare(scenario, &trace, tolerance).err();
    Played { trace, difference }
}

/// Runs a future that never has to wait: on a stage that moves its clock itself, nothing does.
fn run_at_once<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}
