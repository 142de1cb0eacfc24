use std::cell::RefCell;
use std::rc::Rc;

use aplomb::Instant;
use aplomb_sim::{Failure, Sim, World};

use super::{Played, Unplayable, playable, run_at_once, verdict};
use crate::interpreter;
use crate::patterns::Form;
use crate::scenario::Scenario;
use crate::stage::{Jumps, Stage, Task};
use crate::trace::Tolerance;

#[derive(Clone)]
pub(super) struct SimStage {
    world: Rc<World>,
    /// What went wrong in the world, if anything did.
    failure: Rc<RefCell<Option<Failure>>>,
}

impl SimStage {
    fn note(&self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.failure.borrow_mut().get_or_insert(failure);
        }
    }
}

impl Stage for SimStage {
    type Platform = Sim;

    const TOLERANCE: Tolerance = Tolerance { grid: 1, lateness: 0 };
    const JUMPS: Jumps = Jumps::Both;

    fn now(&self) -> u64 {
        self.world.now().as_nanos()
    }

    fn spawn(&self, task: Task) {
        self.world.spawn("caller", task);
    }

    async fn settle(&self) {
        self.note(self.world.settle());
    }

    async fn advance_to(&self, at: u64) {
        self.note(self.world.advance_to(Instant::from_nanos(at)));
    }

    async fn advance_before(&self, at: u64) {
        self.advance_to(at.saturating_sub(1)).await;
    }

    async fn set_clock(&self, at: u64) {
        self.world.set_clock(Instant::from_nanos(at));
    }
}

pub(super) fn play(scenario: &Scenario, form: Form) -> Result<Played, Unplayable> {
    playable::<SimStage>(scenario)?;
    let stage = SimStage { world: Rc::new(World::new()), failure: Rc::default() };
    let trace = run_at_once(interpreter::play(stage.clone(), scenario, form));
    let mut played = verdict(scenario, trace, &SimStage::TOLERANCE);
    if let Some(failure) = stage.failure.take() {
        played.difference = Some(failure.to_string());
    }
    Ok(played)
}
