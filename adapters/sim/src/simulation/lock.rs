//! The lock of the simulated platform, which notices when a pattern outlives its world.
//!
//! This is the only module with `unsafe` in it: a lock's trait is an unsafe one. The lock itself is that of `parking_lot`.
#![allow(unsafe_code)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use mutex::raw_impls::lock_api_0_4::LockApiRawMutex;
use mutex::{ConstInit, ScopedRawMutex};

use super::owner::Owner;

/// The lock of the platform [`Sim`](crate::Sim), and the guard against state that leaks from one world into the next.
///
/// A pattern in a `static` keeps its state from seed to seed: permits that a dropped task took, a breaker that is
/// open. What a seed finds then depends on the seeds before it, and cannot be replayed. Every pattern has a lock,
/// so the lock is where this is noticed, and the [word](crate::SimWord) beside it: it remembers the world in which it was
/// locked first, and fails any other world that locks it, with a text that says so. (A pattern in shards has one for
/// each: it is noticed as soon as two worlds come to the same one.) Build the pattern inside the closure of [`Explore::run`](crate::Explore::run), or put it into
/// a [`Fresh`](crate::Fresh).
///
/// Outside a world it is an ordinary lock, and remembers nothing.
///
/// # Panics
///
/// Within a world, locking it again while it is held panics: a world has one thread, which would wait for itself for
/// ever.
///
/// # Examples
///
/// ```
/// use aplomb::sync::Shared;
/// use aplomb_sim::{FailureKind, SimRawMutex, World};
///
/// static COUNT: Shared<SimRawMutex, u32> = Shared::new(0);
///
/// let first = World::new();
/// first.spawn("first", async { COUNT.with(|count| *count += 1) });
/// assert!(first.run().is_ok());
///
/// let second = World::new();
/// second.spawn("second", async { COUNT.with(|count| *count += 1) });
/// let failure = second.run().unwrap_err();
/// assert!(matches!(failure.kind(), FailureKind::SharedBetweenWorlds { .. }));
/// ```
pub struct SimRawMutex {
    lock: LockApiRawMutex<parking_lot::RawMutex>,
    owner: Owner,
    /// The number of the world that holds it, or 0 for whoever is outside. Of no meaning while the lock is free.
    holder: AtomicU64,
}

impl ConstInit for SimRawMutex {
    const INIT: Self = Self { lock: LockApiRawMutex::INIT, owner: Owner::nobody(), holder: AtomicU64::new(0) };
}

// SAFETY: `f` runs inside `self.lock` and nowhere else, and that is a lock. What is done besides are loads and stores
// of atomics.
unsafe impl ScopedRawMutex for SimRawMutex {
    fn try_with_lock<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let world = self.owner.enter();
        self.lock.try_with_lock(|| {
            self.holder.store(world, Ordering::Relaxed);
            f()
        })
    }

    fn with_lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let world = self.owner.enter();
        assert!(
            world == 0 || !self.is_locked() || self.holder.load(Ordering::Relaxed) != world,
            "a lock was taken again by the world that holds it: foreign code (an operation, clone, drop or waker) runs inside it"
        );
        self.lock.with_lock(|| {
            self.holder.store(world, Ordering::Relaxed);
            f()
        })
    }

    fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }
}

impl fmt::Debug for SimRawMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRawMutex")
            .field("is_locked", &self.is_locked())
            .field("world", &self.owner.number())
            .finish_non_exhaustive()
    }
}
