//! Many scenarios at once, each in every form of its call.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::patterns::Form;
use crate::runtimes::{Played, Runtime, Unplayable, play};
use crate::scenario::Scenario;
use crate::trace::Entry;

/// How many are played at once in real time, where each mostly waits.
const AT_ONCE: usize = 48;

/// How often one is played in real time before it has failed: a busy machine may be late.
const TRIES: usize = 3;

/// What came out of a scenario on a runtime.
#[derive(Debug)]
pub enum Verdict {
    /// What was expected, in every form of the call.
    Passed {
        /// What happened.
        trace: Vec<Entry>,
    },
    /// Something else.
    Failed {
        /// The form of the call in which it did.
        form: Form,
        /// What happened.
        trace: Vec<Entry>,
        /// The first difference, or what else went wrong.
        difference: String,
    },
    /// Nothing: the runtime cannot play it.
    Skipped(Unplayable),
}

/// Plays all scenarios, several at once, and hands each one's index and verdict to `done` as soon as it is known.
pub fn play_all(runtime: Runtime, scenarios: &[&Scenario], done: impl Fn(usize, Verdict) + Sync) {
    let threads = if runtime.is_real_time() { AT_ONCE } else { thread::available_parallelism().map_or(1, NonZeroUsize::get) };
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads.min(scenarios.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(scenario) = scenarios.get(index) else { break };
                    done(index, judge(runtime, scenario));
                }
            });
        }
    });
}

/// Plays a scenario in every form of its call.
fn judge(runtime: Runtime, scenario: &Scenario) -> Verdict {
    let mut verdict = None;
    for &form in Form::of(&scenario.pattern) {
        match play_patiently(runtime, scenario, form) {
            Ok(Played { trace, difference: Some(difference) }) => return Verdict::Failed { form, trace, difference },
            Ok(Played { trace, difference: None }) => _ = verdict.get_or_insert(Verdict::Passed { trace }),
            Err(unplayable) => return Verdict::Skipped(unplayable),
        }
    }
    verdict.unwrap_or(Verdict::Passed { trace: Vec::new() })
}

/// Plays it again in real time, if it fails.
fn play_patiently(runtime: Runtime, scenario: &Scenario, form: Form) -> Result<Played, Unplayable> {
    let tries = if runtime.is_real_time() { TRIES } else { 1 };
    let mut played = play_and_catch(runtime, scenario, form)?;
    for _ in 1..tries {
        if played.difference.is_none() {
            break;
        }
        played = play_and_catch(runtime, scenario, form)?;
    }
    Ok(played)
}

/// A pattern that panics has failed; the other scenarios are played nonetheless.
fn play_and_catch(runtime: Runtime, scenario: &Scenario, form: Form) -> Result<Played, Unplayable> {
    catch_unwind(AssertUnwindSafe(|| play(runtime, scenario, form)))
        .unwrap_or_else(|panic| Ok(Played { trace: Vec::new(), difference: Some(format!("panicked: {}", message(&*panic))) }))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
