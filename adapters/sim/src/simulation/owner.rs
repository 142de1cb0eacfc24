//! Whose shared state is.

use std::sync::atomic::{AtomicU64, Ordering};

use super::inner;

/// The number of the world that came first, or 0 while none has.
#[derive(Debug)]
pub(super) struct Owner(AtomicU64);

impl Owner {
    pub(super) const fn nobody() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn number(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails the current world if another one has come before it. Says which the current one is; 0: it is outside of all.
    pub(super) fn enter(&self) -> u64 {
        let world = inner::current_number();
        if world != 0 {
            let owner = match self.number() {
                0 => {
                    self.0.compare_exchange(0, world, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|owner| owner, |_| world)
                }
                owner => owner,
            };
            if owner != world {
                inner::report_shared(owner);
            }
        }
        world
    }
}
