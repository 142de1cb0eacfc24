use std::cell::Cell;

use aplomb_embassy::Embassy;
use embassy_host::Host;

use super::{Played, Unplayable, playable, run_at_once, verdict};
use crate::interpreter;
use crate::patterns::Form;
use crate::scenario::Scenario;
use crate::stage::{Jumps, Stage, Task};
use crate::trace::Tolerance;

/// The driver counts microseconds.
const NANOS_PER_TICK: u64 = 1_000;

/// By how many ticks the script falls behind with each line. A timer is a tick behind, and behind the one before it: what is due at an instant happens before what the script does then.
const PER_LINE: u64 = 10;

/// By how many at most: less than a millisecond.
const AT_MOST: u64 = 900;

pub(super) struct EmbassyStage {
    host: Host,
    /// By how many ticks the script is behind.
    behind: Cell<u64>,
}

impl Stage for EmbassyStage {
    type Platform = Embassy;

    const TOLERANCE: Tolerance = Tolerance { grid: NANOS_PER_TICK, lateness: AT_MOST * NANOS_PER_TICK };
    const JUMPS: Jumps = Jumps::Both;
    const IN_ORDER: bool = false;
    const IS_EXACT: bool = false;

    fn now(&self) -> u64 {
        self.host.ticks() * NANOS_PER_TICK
    }

    fn spawn(&self, task: Task) {
        self.host.spawn(task);
    }

    async fn settle(&self) {
        self.host.settle();
    }

    async fn advance_to(&self, at: u64) {
        self.behind.set(AT_MOST.min(self.behind.get() + PER_LINE));
        let tick = self.tick(at);
        self.advance(tick);
        self.host.set_ticks(self.host.ticks().max(tick));
        let _ = self.host.fire_and_settle();
    }

    async fn advance_before(&self, at: u64) {
        self.advance((at / NANOS_PER_TICK).saturating_sub(1));
    }

    async fn set_clock(&self, at: u64) {
        self.host.set_ticks(self.tick(at));
    }
}

impl EmbassyStage {
    /// When the script does what it does at that instant.
    fn tick(&self, at: u64) -> u64 {
        at / NANOS_PER_TICK + self.behind.get()
    }

    /// Moves from timer to timer, up to that tick.
    fn advance(&self, tick: u64) {
        while let Some(next) = self.host.fire_and_settle().filter(|next| *next <= tick) {
            self.host.set_ticks(next);
        }
    }
}

pub(super) fn play(scenario: &Scenario, form: Form) -> Result<Played, Unplayable> {
    playable::<EmbassyStage>(scenario)?;
    let stage = EmbassyStage { host: Host::new(), behind: Cell::new(0) };
    let trace = run_at_once(interpreter::play(stage, scenario, form));
    Ok(verdict(scenario, trace, &EmbassyStage::TOLERANCE))
}
