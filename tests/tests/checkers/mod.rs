//! Model checkers as platforms: each is one more lock, and one more word.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use aplomb::sync::{ConstInit, ScopedRawMutex, Word};
use aplomb::{Clock, Heap, Instant, ParentWaker, Platform, Sleep};
use aplomb_sim::SimClock;

/// A platform whose lock and word are the checker's.
macro_rules! checked_platform {
    ($platform:ident, $checker:ident, $lock:ident, $word:ident) => {
        pub(crate) struct $platform<C = SimClock>(PhantomData<C>);

        impl<C: Clock> Platform for $platform<C> {
            type Clock = C;
            type RawMutex = $lock;
            type Word = $word;
            type Storage = Heap;
            type Children = ParentWaker;

            fn random() -> u64 {
                0
            }
        }

        /// Made when it is first locked: the checker's own is no constant.
        pub(crate) struct $lock(OnceLock<$checker::sync::Mutex<()>>);

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

        /// Made when it is first looked at, as the lock.
        pub(crate) struct $word(OnceLock<$checker::sync::atomic::AtomicU64>);

        impl $word {
            fn number(&self) -> &$checker::sync::atomic::AtomicU64 {
                self.0.get_or_init(Default::default)
            }
        }

        impl ConstInit for $word {
            #[allow(clippy::declare_interior_mutable_const, reason = "each use of it is a new word")]
            const INIT: Self = Self(OnceLock::new());
        }

        impl Word for $word {
            fn get(&self) -> u64 {
                self.number().load(Ordering::Acquire)
            }

            fn put(&self, number: u64) {
                self.number().store(number, Ordering::Release);
            }

            fn exchange(&self, expected: u64, number: u64) -> Result<(), u64> {
                if forgets() {
                    // Forgets whoever comes between the two.
                    let found = self.get();
                    if found == expected {
                        self.put(number);
                        return Ok(());
                    }
                    return Err(found);
                }
                self.number().compare_exchange(expected, number, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
            }

            fn take(&self) -> u64 {
                self.number().swap(0, Ordering::AcqRel)
            }
        }
    };
}

checked_platform!(Loom, loom, LoomLock, LoomWord);
checked_platform!(Shuttle, shuttle, ShuttleLock, ShuttleWord);

/// A clock on which time stands still, and no timer fires.
#[derive(Clone, Copy, Default)]
pub(crate) struct Still;

impl Clock for Still {
    type Sleep = Never;

    fn now(&self) -> Instant {
        Instant::ORIGIN
    }

    fn sleep_until(&self, _at: Instant) -> Never {
        Never
    }
}

pub(crate) struct Never;

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Never {
    fn reset(self: Pin<&mut Self>, _at: Instant) {}
}

/// Who is set to play the bug: what must never be forgotten is.
const FORGET: &str = "APLOMB_FORGET_A_WAITER";

/// Whether this process is to show that a bug is found.
pub(crate) fn forgets() -> bool {
    std::env::var_os(FORGET).is_some()
}

/// Runs a test of this program anew with the bug in it, in a process of its own, and expects that it is found.
pub(crate) fn is_found_by(test: &str) {
    let this = std::env::current_exe().unwrap();
    let run = std::process::Command::new(this).args(["--exact", test, "--nocapture"]).env(FORGET, "1").output().unwrap();
    let told = String::from_utf8_lossy(&run.stderr).to_lowercase();
    // Those behind it wait for ever; or, if it is the last, it is left over.
    let found = told.contains("deadlock") || told.contains("assertion `left == right` failed");
    assert!(!run.status.success() && found, "the forgotten waiter went unnoticed:\n{told}");
}
