//! Many worlds: one for each seed, until one fails.

use std::fmt;
use std::ops::Range;
use std::panic::Location;
use std::time::Duration;

use super::catch::silently;
use super::failure::{Failure, FailureKind};
use super::inner::{Limits, Order};
use super::overrides::Overrides;
use super::shrink::shrink;
use super::sim::Sim;
use super::tape::{Source, Tape};
use super::trace::Trace;
use super::world::World;

/// Shrinking gives up after so many polls, so that it takes seconds at most.
const SHRINK_POLLS: u64 = 20_000_000;

/// Runs a world for each of many seeds; the first that fails is shrunk, and told with all that led to it.
///
/// The closure builds one world: it makes the patterns, spawns the tasks, draws faults, states invariants. A world
/// has ended when all its tasks have (but for those in the [background](crate::JoinHandle::background)); tasks that
/// cannot end are a deadlock. A seed decides everything: the order of tasks, what [`Sim::choose`] and its kin draw,
/// the jitter of backoffs, where a task is dropped.
///
/// | variable | meaning |
/// | --- | --- |
/// | `APLOMB_SEED=7` | only this seed |
/// | `APLOMB_SEEDS=0..100000`, or `100000` | these seeds instead of those in the code |
/// | `APLOMB_TAPE=0,3,1` | one world from this tape, as printed by a failure |
/// | `APLOMB_TRACE=out.json` | write the last trace: Chrome trace events, or JSON lines to `*.jsonl` |
///
/// # Examples
///
/// At most two at a time, whatever the order, and though one of the workers may be dropped at any point:
///
/// ```
/// use aplomb::sync::Semaphore;
/// use aplomb_sim::{Explore, Sim, sleep};
/// use core::time::Duration;
/// use std::{cell::Cell, rc::Rc};
///
/// struct Busy(Rc<Cell<u32>>);
/// impl Drop for Busy {
///     fn drop(&mut self) {
///         self.0.set(self.0.get() - 1);
///     }
/// }
///
/// let report = Explore::new().seeds(0..500).check_determinism(true).run(|sim| async move {
///     let semaphore = Rc::new(Semaphore::<Sim>::new(2));
///     let busy = Rc::new(Cell::new(0));
///     for name in ["a", "b", "c", "d"] {
///         let (semaphore, busy) = (Rc::clone(&semaphore), Rc::clone(&busy));
///         sim.spawn(name, async move {
///             let _permit = semaphore.acquire(1).await;
///             busy.set(busy.get() + 1);
///             let _busy = Busy(busy);
///             sleep(sim.latency(Duration::ZERO..=Duration::from_millis(5))).await;
///         });
///     }
///     sim.drop_at_random("b");
///     sim.always(move || busy.get() <= 2);
///     sim.run_until_idle().await;
///     sim.note("done");
/// });
/// assert_eq!(report.worlds, 500);
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is explored before `run`"]
pub struct Explore {
    seeds: Range<u64>,
    tape: Option<Tape>,
    order: Order,
    check: Check,
    limits: Limits,
    shrink_runs: u32,
}

/// A world that has ended, and how.
type Played = (World, Result<(), Failure>);

/// Which worlds are run twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    None,
    First,
    All,
}

impl Explore {
    /// The seeds from 0 to 999, in random order, at most a million polls each.
    pub fn new() -> Self {
        Self {
            seeds: 0..1_000,
            tape: None,
            order: Order::default(),
            check: Check::First,
            limits: Limits { polls: 1_000_000, ..Limits::default() },
            shrink_runs: 2_000,
        }
    }

    /// Sets the seeds. Default: `0..1_000`.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.seeds = seeds;
        self
    }

    /// Runs one world from this tape instead of seeds: a failure that was found once, kept as a test.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::{Explore, Tape};
    ///
    /// let report = Explore::new().tape(Tape::new([4])).run(|sim| async move { assert_eq!(sim.choose(10), 4) });
    /// assert_eq!(report.worlds, 1);
    /// ```
    pub fn tape(mut self, tape: Tape) -> Self {
        self.tape = Some(tape);
        self
    }

    /// Sets in which order tasks run that are ready at the same time. Default: [`Order::Random`].
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Runs every world twice and fails if the second differs; `false` checks none. Default: the first world is
    /// checked, which finds most of what there is.
    pub fn check_determinism(mut self, all: bool) -> Self {
        self.check = if all { Check::All } else { Check::None };
        self
    }

    /// Fails a world whose clock would go beyond this. Default: none, so that a world that goes on for ever is
    /// stopped by [`max_polls`](Explore::max_polls).
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limits.time = limit;
        self
    }

    /// Fails a world after so many polls. Default: 1,000,000.
    pub fn max_polls(mut self, polls: u64) -> Self {
        self.limits.polls = polls;
        self
    }

    /// Fails a world after so many polls at one instant, as one that makes no progress. Default: 100,000.
    pub fn max_polls_per_instant(mut self, polls: u32) -> Self {
        self.limits.polls_per_instant = polls;
        self
    }

    /// Sets how many worlds may be run to shrink a failure; 0 leaves it as it was found. Default: 2,000.
    pub fn shrink_runs(mut self, runs: u32) -> Self {
        self.shrink_runs = runs;
        self
    }

    /// Runs the worlds.
    ///
    /// # Panics
    ///
    /// If a world fails, with the whole report: what went wrong, the tasks and where each was spawned, the timeline,
    /// the seed, the shrunk tape, and the line that replays it. Also if one of the environment's variables makes no
    /// sense.
    #[track_caller]
    pub fn run<F, Fut>(&self, world: F) -> Report
    where
        F: Fn(Sim) -> Fut,
        Fut: Future<Output = ()>,
    {
        match self.try_run(world) {
            Ok(report) => report,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Runs the worlds, and gives a failure as a value.
    ///
    /// # Errors
    ///
    /// The first failure, shrunk.
    ///
    /// # Panics
    ///
    /// If one of the environment's variables makes no sense.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::{Explore, FailureKind};
    ///
    /// let failure = Explore::new().try_run(|sim| async move { assert!(sim.choose(100) < 90) }).unwrap_err();
    /// assert!(matches!(failure.kind(), FailureKind::Panicked { .. }));
    /// assert_eq!(failure.tape().choices(), [90]);
    /// ```
    #[track_caller]
    pub fn try_run<F, Fut>(&self, world: F) -> Result<Report, Failure>
    where
        F: Fn(Sim) -> Fut,
        Fut: Future<Output = ()>,
    {
        let called_at = Location::caller();
        let world = |source| self.play(&world, called_at, source);
        let overrides = Overrides::read();
        let tape = overrides.tape.clone().or_else(|| self.tape.clone());
        let seeds = overrides.seeds.clone().unwrap_or_else(|| self.seeds.clone());
        let mut report = Report::default();
        let mut last = None;
        let result = silently(|| {
            if let Some(tape) = tape {
                return self.one(&world, None, Source::replay(tape), &mut report, &mut last);
            }
            for seed in seeds {
                self.one(&world, Some(seed), Source::seed(seed), &mut report, &mut last)?;
            }
            Ok(())
        });
        let trace = match &result {
            Err(failure) => Some(failure.trace().clone()),
            Ok(()) => last.as_ref().map(World::trace),
        };
        overrides.write(trace.as_ref());
        result.map(|()| report)
    }

    /// Runs one world, a second time if that is asked for.
    fn one(
        &self,
        play: &impl Fn(Source) -> Played,
        seed: Option<u64>,
        source: Source,
        report: &mut Report,
        last: &mut Option<World>,
    ) -> Result<(), Failure> {
        let (world, played) = play(source);
        report.worlds += 1;
        report.polls += world.polls();
        if let Err(failure) = played {
            let shrunk = if seed.is_some() { self.shrunk(play, failure) } else { failure };
            return Err(explain(shrunk.with_seed(seed)));
        }
        if self.check == Check::All || (self.check == Check::First && report.worlds == 1) {
            let (again, played) = play(Source::replay(world.tape()));
            report.polls += again.polls();
            let failure = match played {
                // It says more than that the runs differ.
                Err(failure) if matches!(failure.kind(), FailureKind::SharedBetweenWorlds { .. }) => Some(failure),
                _ if world.hash() == again.hash() => None,
                _ => Some(again.failure(difference(&world.trace(), &again.trace()))),
            };
            if let Some(failure) = failure {
                return Err(explain(failure.with_seed(seed)));
            }
        }
        *last = Some(world);
        Ok(())
    }

    fn play<F, Fut>(&self, play: &F, called_at: &'static Location<'static>, source: Source) -> Played
    where
        F: Fn(Sim) -> Fut,
        Fut: Future<Output = ()>,
    {
        let world = World::with(source, self.order, self.limits);
        let played = world.block_on_from(called_at, async { play(Sim).await }).and_then(|()| world.run());
        (world, played)
    }

    /// Looks for the smallest tape that fails in the same way.
    fn shrunk(&self, play: &impl Fn(Source) -> Played, found: Failure) -> Failure {
        if self.shrink_runs == 0 {
            return found;
        }
        let original = found.tape().clone();
        let mut polls = 0;
        let (smallest, runs) = shrink(original.clone(), self.shrink_runs, |candidate| {
            if polls > SHRINK_POLLS {
                return None;
            }
            let (world, played) = play(Source::replay(candidate.clone()));
            polls += world.polls();
            let failure = played.err().filter(|failure| failure.kind().is_like(found.kind()))?;
            Some(failure.tape().clone())
        });
        match play(Source::replay(smallest.clone())).1 {
            Err(failure) if failure.kind().is_like(found.kind()) => failure.with_remark(format!(
                "shrunk from {} to {} choices that are not the plainest, in {runs} runs",
                original.deviations(),
                smallest.deviations()
            )),
            other => {
                let instead = other.map_or_else(|failure| failure.kind().to_string(), |()| "no failure".to_owned());
                found.with_remark(format!("could not be shrunk, because its own tape led to something else: {instead}"))
            }
        }
    }
}

impl Default for Explore {
    fn default() -> Self {
        Self::new()
    }
}

/// What was explored without a failure.
///
/// # Examples
///
/// ```
/// let explore = aplomb_sim::Explore::new().seeds(0..10).check_determinism(false);
/// let report = explore.run(|sim| async move { sim.yield_now().await });
/// assert_eq!(report.to_string(), "10 worlds, 20 polls");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many worlds.
    pub worlds: u64,
    /// How many polls in all, those of second runs included.
    pub polls: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} worlds, {} polls", self.worlds, self.polls)
    }
}

fn difference(first: &Trace, second: &Trace) -> FailureKind {
    let event = first.first_difference(second).unwrap_or(0);
    let tell = |trace: &Trace| {
        let told = trace.events().nth(event).map(|it| format!("{:?} {} {:?}", it.at, it.task.unwrap_or("world"), it.what));
        told.unwrap_or_else(|| "nothing".to_owned())
    };
    FailureKind::NotDeterministic { event, first: tell(first), second: tell(second) }
}

/// Adds how to see it again. The test harness names its threads after the tests.
fn explain(failure: Failure) -> Failure {
    let thread = std::thread::current();
    let test = thread.name().filter(|name| *name != "main");
    let command = test.map_or_else(|| "cargo test".to_owned(), |name| format!("cargo test {name}"));
    let tape = failure.tape().to_string();
    failure.with_remark(format!("replay with APLOMB_TAPE={tape} {command}"))
}
