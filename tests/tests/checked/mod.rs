//! Platforms whose lock is a model checker's.
#![allow(unreachable_pub, reason = "not every test uses each of them")]

use std::sync::OnceLock;

use aplomb::sync::{ConstInit, ScopedRawMutex};
use aplomb::{Heap, ParentWaker, Platform};
use aplomb_sim::SimClock;

/// A platform whose lock is the given one; it has no time.
macro_rules! checked_platform {
    ($platform:ident, $lock:ident, $mutex:ty) => {
        pub struct $platform;

        impl Platform for $platform {
            type Clock = SimClock;
            type RawMutex = $lock;
            type Storage = Heap;
            type Children = ParentWaker;

            fn random() -> u64 {
                0
            }
        }

        /// Made when it is first locked: the checker's own is no constant.
        pub struct $lock(OnceLock<$mutex>);

        impl ConstInit for $lock {
            #[allow(clippy::declare_interior_mutable_const, reason = "each use of it is a new lock")]
            const INIT: Self = Self(OnceLock::new());
        }

        // SAFETY: the checker's mutex is locked while `f` runs, and one lock has one mutex.
        unsafe impl ScopedRawMutex for $lock {
            fn try_with_lock<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
                let _guard = self.0.get_or_init(Default::default).try_lock().ok()?;
                Some(f())
            }

            fn with_lock<R>(&self, f: impl FnOnce() -> R) -> R {
                let _guard = self.0.get_or_init(Default::default).lock().unwrap();
                f()
            }

            fn is_locked(&self) -> bool {
                self.0.get_or_init(Default::default).try_lock().is_err()
            }
        }
    };
}

checked_platform!(Loom, LoomLock, loom::sync::Mutex<()>);
checked_platform!(Shuttle, ShuttleLock, shuttle::sync::Mutex<()>);
