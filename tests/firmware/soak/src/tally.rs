//! What is counted of a pattern: how its calls ended, and what became of the operations that they started.

use core::cell::Cell;
use core::future::Future;
use core::time::Duration;

use aplomb_embassy::prelude::*;
use aplomb_embassy::{Clock, EmbassyClock, TimeoutError};
use board::hprintln;

use crate::dice;
use crate::patterns::name_of;

/// The longest that any pattern here lets a caller wait, in milliseconds. Who waits longer was forgotten.
const LONGEST: u32 = 90_000;

/// A count, in as little RAM as does. One that had no room would stay at its most, and not add up.
pub struct Count(Cell<u16>);

impl Count {
    const fn new() -> Self {
        Self(Cell::new(0))
    }

    pub fn add(&self) {
        self.0.set(self.0.get().saturating_add(1));
    }

    pub fn get(&self) -> u32 {
        self.0.get().into()
    }
}

/// The counts of a pattern.
pub struct Tally {
    /// Calls; each ends in one of the four ways that follow.
    pub calls: Count,
    pub values: Count,
    /// With an error of the operation.
    pub failures: Count,
    /// With an error of the pattern's own: turned away, or out of time.
    pub refusals: Count,
    /// Its caller lost patience, and dropped it.
    pub given_up: Count,
    /// Operations; each ends in one of the three ways that follow.
    pub starts: Count,
    pub done: Count,
    pub broken: Count,
    pub dropped: Count,
    /// Milliseconds.
    pub longest: Cell<u32>,
    laws_broken: Cell<bool>,
}

// SAFETY: a board has one thread, and interrupts don't know it.
unsafe impl Sync for Tally {}

impl Tally {
    pub const fn new() -> Self {
        Self {
            calls: Count::new(),
            values: Count::new(),
            failures: Count::new(),
            refusals: Count::new(),
            given_up: Count::new(),
            starts: Count::new(),
            done: Count::new(),
            broken: Count::new(),
            dropped: Count::new(),
            longest: Cell::new(0),
            laws_broken: Cell::new(false),
        }
    }

    /// Makes a call, and counts it. One caller in five has little patience.
    pub async fn call<T, E>(&self, call: impl Future<Output = Result<T, E>>, is_failure: impl FnOnce(&E) -> bool) -> Option<T> {
        self.calls.add();
        let patience = if dice::once_in(5) { dice::millis_below(600) } else { Duration::MAX };
        let begun = EmbassyClock.now();
        let ended = timeout(patience, call).await;
        let took = EmbassyClock.now().saturating_duration_since(begun);
        let took = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        self.longest.set(self.longest.get().max(took));
        match &ended {
            Ok(_) => self.values.add(),
            Err(TimeoutError::TimedOut { .. }) => self.given_up.add(),
            Err(TimeoutError::Failed(error)) if is_failure(error) => self.failures.add(),
            Err(TimeoutError::Failed(_)) => self.refusals.add(),
        }
        ended.ok()
    }

    fn name(&self) -> &'static str {
        name_of(self)
    }

    /// Tells what is not as it must be.
    pub fn must(&self, holds: bool, law: &str) {
        if !holds {
            hprintln!("{}: {}", self.name(), law);
            self.laws_broken.set(true);
        }
    }

    /// What holds for each pattern.
    pub fn check(&self) {
        let ended = self.values.get() + self.failures.get() + self.refusals.get() + self.given_up.get();
        self.must(self.calls.get() == ended, "each call ends, and once");
        self.must(self.starts.get() == self.done.get() + self.broken.get() + self.dropped.get(), "each operation ends, and once");
        self.must(self.longest.get() < LONGEST, "no caller is forgotten");
    }

    /// What holds where a call is an operation, or none.
    pub fn check_one_to_one(&self) {
        self.must(self.values.get() == self.done.get(), "each value is its caller's");
        self.must(self.failures.get() == self.broken.get(), "each error is its caller's");
        self.must(self.starts.get() <= self.calls.get(), "nothing starts twice");
    }

    /// Whether all that had to hold did.
    pub fn is_sound(&self) -> bool {
        !self.laws_broken.get()
    }

    /// The head of the lines that follow.
    pub fn print_head() {
        hprintln!("                   calls: values failures refusals given up, starts:  done broken dropped, longest");
    }

    pub fn print(&self) {
        hprintln!(
            "{:16} {:>7} {:>7} {:>8} {:>8} {:>8} {:>7} {:>6} {:>6} {:>7} {:>6} ms",
            self.name(),
            self.calls.get(),
            self.values.get(),
            self.failures.get(),
            self.refusals.get(),
            self.given_up.get(),
            self.starts.get(),
            self.done.get(),
            self.broken.get(),
            self.dropped.get(),
            self.longest.get(),
        );
    }
}
