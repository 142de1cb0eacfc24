use std::fmt;

use aplomb::sync::{AtomicWord, ConstInit, Word};

use super::owner::Owner;

/// The word of the platform [`Sim`](crate::Sim): as its [lock](crate::SimRawMutex), it remembers the world that came to it first, and fails any other.
///
/// # Examples
///
/// ```
/// use aplomb::sync::{ConstInit, Word};
/// use aplomb_sim::{FailureKind, SimWord, World};
///
/// static COUNT: SimWord = SimWord::INIT;
///
/// assert!(World::new().block_on(async { COUNT.put(1) }).is_ok());
/// let failure = World::new().block_on(async { COUNT.get() }).unwrap_err();
/// assert!(matches!(failure.kind(), FailureKind::SharedBetweenWorlds { .. }));
/// ```
pub struct SimWord {
    word: AtomicWord,
    owner: Owner,
}

impl SimWord {
    fn enter(&self) -> &AtomicWord {
        self.owner.enter();
        &self.word
    }
}

impl ConstInit for SimWord {
    #[allow(clippy::declare_interior_mutable_const, reason = "each use of it is a new word")]
    const INIT: Self = Self { word: AtomicWord::INIT, owner: Owner::nobody() };
}

impl Word for SimWord {
    fn get(&self) -> u64 {
        self.enter().get()
    }

    fn put(&self, number: u64) {
        self.enter().put(number);
    }

    fn exchange(&self, expected: u64, number: u64) -> Result<(), u64> {
        self.enter().exchange(expected, number)
    }

    fn take(&self) -> u64 {
        self.enter().take()
    }
}

impl fmt::Debug for SimWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimWord").field("number", &self.word.get()).field("world", &self.owner.number()).finish()
    }
}
