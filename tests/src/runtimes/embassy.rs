use std::rc::Rc;

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

pub(super) struct EmbassyStage(Rc<Host>);

impl Stage for EmbassyStage {
    type Platform = Embassy;

    const TOLERANCE: Tolerance = Tolerance { grid: NANOS_PER_TICK, lateness: 0 };
    const JUMPS: Jumps = Jumps::Both;
    const IN_ORDER: bool = false;

    fn now(&self) -> u64 {
        self.0.ticks() * NANOS_PER_TICK
    }

    fn spawn(&self, task: Task) {
        self.0.spawn(task);
    }

    async fn settle(&self) {
        self.0.settle();
    }

    async fn advance_to(&self, at: u64) {
        self.advance(at / NANOS_PER_TICK);
        self.0.set_ticks(self.0.ticks().max(at / NANOS_PER_TICK));
        let _ = self.0.fire_and_settle();
    }

    async fn advance_before(&self, at: u64) {
        self.advance((at / NANOS_PER_TICK).saturating_sub(1));
    }

    async fn set_clock(&self, at: u64) {
        self.0.set_ticks(at / NANOS_PER_TICK);
    }
}

impl EmbassyStage {
    /// Moves from timer to timer, up to that tick.
    fn advance(&self, tick: u64) {
        while let Some(next) = self.0.fire_and_settle().filter(|next| *next <= tick) {
            self.0.set_ticks(next);
        }
    }
}

pub(super) fn play(scenario: &Scenario, form: Form) -> Result<Played, Unplayable> {
    playable::<EmbassyStage>(scenario)?;
    let stage = EmbassyStage(Rc::new(Host::new()));
    let trace = run_at_once(interpreter::play(stage, scenario, form));
    Ok(verdict(scenario, trace, &EmbassyStage::TOLERANCE))
}
