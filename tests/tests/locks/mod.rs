//! A platform moved by hand, with or without a word, whose lock counts how often it is taken.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::cell::Cell;
use std::marker::PhantomData;

use aplomb::sync::{ConstInit, LocalRawMutex, ScopedRawMutex, Word};
use aplomb::time::secs;
use aplomb::{Inline, Instant, ParentWaker, Platform};
use aplomb_sim::ManualClock;

/// A lock that counts how often it is taken, with all others of its thread.
pub(crate) struct CountingLock(LocalRawMutex);

thread_local! {
    static LOCKED: Cell<u32> = const { Cell::new(0) };
}

impl ConstInit for CountingLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "each use of it is a new lock")]
    const INIT: Self = Self(LocalRawMutex::INIT);
}

// SAFETY: it is the lock in it.
unsafe impl ScopedRawMutex for CountingLock {
    fn try_with_lock<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        LOCKED.set(LOCKED.get() + 1);
        self.0.try_with_lock(f)
    }

    fn with_lock<R>(&self, f: impl FnOnce() -> R) -> R {
        LOCKED.set(LOCKED.get() + 1);
        self.0.with_lock(f)
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

pub(crate) struct ByHand<W>(PhantomData<W>);

impl<W: Word> Platform for ByHand<W> {
    type Clock = &'static ManualClock<1>;
    type RawMutex = CountingLock;
    type Word = W;
    type Storage = Inline<8>;
    type Children = ParentWaker;

    fn random() -> u64 {
        0
    }
}

/// How often the lock is taken meanwhile.
pub(crate) fn locked<R>(act: impl FnOnce() -> R) -> (R, u32) {
    LOCKED.set(0);
    let result = act();
    (result, LOCKED.get())
}

/// A second after its origin. It leaks.
pub(crate) fn clock() -> &'static ManualClock<1> {
    let clock: &'static ManualClock<1> = Box::leak(Box::new(ManualClock::new()));
    clock.set(Instant::ORIGIN + secs(1));
    clock
}
