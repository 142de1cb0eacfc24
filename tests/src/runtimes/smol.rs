use std::rc::Rc;
use std::time::{Duration, Instant};

use aplomb_smol::Smol;
use async_executor::LocalExecutor;
use async_io::Timer;

use super::{Played, Unplayable, playable, verdict};
use crate::interpreter;
use crate::patterns::Form;
use crate::scenario::Scenario;
use crate::stage::{Jumps, Stage, Task};
use crate::trace::{Tolerance, compare};

const MILLISECOND: u64 = 1_000_000;

/// What may take longer is not played in real time.
const LONGEST: u64 = 1_200 * MILLISECOND;

/// A trace that changes by more than that, when everything is a millisecond or two late, hangs on ties.
const DELAYED: Tolerance = Tolerance { grid: MILLISECOND, lateness: 50 * MILLISECOND };

/// What happens at different instants must be so far apart that a busy machine keeps the order.
const APART: u64 = 10 * MILLISECOND;

pub(super) struct SmolStage {
    began: Instant,
    executor: Rc<LocalExecutor<'static>>,
}

impl Stage for SmolStage {
    type Platform = Smol;

    const TOLERANCE: Tolerance = Tolerance { grid: MILLISECOND, lateness: 400 * MILLISECOND };
    const JUMPS: Jumps = Jumps::None;
    const IS_EXACT: bool = false;

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn spawn(&self, task: Task) {
        self.executor.spawn(task).detach();
    }

    async fn settle(&self) {
        while self.executor.try_tick() {}
    }

    async fn advance_to(&self, at: u64) {
        self.executor.run(Timer::at(self.began + Duration::from_nanos(at))).await;
        self.settle().await;
    }

    async fn advance_before(&self, _at: u64) {}

    async fn set_clock(&self, _at: u64) {}
}

pub(super) fn play(scenario: &Scenario, form: Form) -> Result<Played, Unplayable> {
    playable::<SmolStage>(scenario)?;
    let mut instants = scenario.instants();
    instants.retain(|instant| instant.0 != u64::MAX);
    instants.sort_unstable();
    instants.dedup();
    let last = instants.last().map_or(0, |last| last.0);
    if last > LONGEST {
        return Err(Unplayable::Length);
    }
    if scenario.pattern.goes_by_latencies() {
        return Err(Unplayable::Resolution);
    }
    let delayed = super::sim::play(&scenario.delayed(), form)?;
    let hangs_on_ties = compare(scenario, &delayed.trace, &DELAYED).is_err();
    let (exact, hurried) = (super::sim::play(scenario, form)?, super::sim::play(&scenario.hurried(), form)?);
    let happens = |played: &Played| played.trace.iter().map(|entry| entry.what.clone()).collect::<Vec<_>>();
    let hangs_on_ties = hangs_on_ties || happens(&exact) != happens(&hurried);
    if hangs_on_ties || instants.windows(2).any(|pair| pair[1].0 - pair[0].0 < APART) {
        return Err(Unplayable::Resolution);
    }
    let executor = Rc::new(LocalExecutor::new());
    let stage = SmolStage { began: Instant::now(), executor: Rc::clone(&executor) };
    // As late as all may be; it is over sooner when nobody is left.
    let scenario_end = scenario.until.map_or(last + SmolStage::TOLERANCE.lateness, |until| until.0);
    let trace = async_io::block_on(interpreter::play_until(stage, scenario, form, scenario_end));
    Ok(verdict(scenario, trace, &SmolStage::TOLERANCE))
}
