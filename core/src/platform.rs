//! What a pattern needs of the place where it runs.

use mutex::{ConstInit, ScopedRawMutex};

use crate::children::{Children, PinnedStorage};
use crate::sync::Word;
use crate::time::Clock;

/// Whether code is dearer than the time it saves: on processors of less than 64 bits. What is only quicker is left out there, and what stands in several places is not inlined.
pub(crate) const SMALL: bool = cfg!(not(target_pointer_width = "64"));

/// A runtime, seen from the patterns: one type parameter instead of five.
///
/// The adapters implement it for a unit struct each (`Tokio`, `Smol`, `Embassy`, `Sim`) and fill it in everywhere, so that their users never see it. Implement it
/// to run aplomb on something else: a runtime of your own, or a mock clock with another lock.
///
/// # Examples
///
/// Simulated time with room for four waiters each, and no lock but a `RefCell` in disguise:
///
/// ```
/// use aplomb::{Inline, ParentWaker, Platform};
/// use aplomb_sim::SimClock;
///
/// struct Small;
///
/// impl Platform for Small {
///     type Clock = SimClock;
///     type RawMutex = aplomb::sync::LocalRawMutex;
///     type Word = aplomb::sync::NoWord;
///     type Storage = Inline<4>;
///     type Children = ParentWaker;
///
///     fn random() -> u64 { 4 }
/// }
/// ```
pub trait Platform {
    /// Tells the time, and makes timers.
    type Clock: Clock;

    /// The lock around all shared state: a critical section where interrupts share it, a spinning or parking lock between threads, a `RefCell` in
    /// disguise where one executor has it alone.
    type RawMutex: ScopedRawMutex + ConstInit;

    /// What is changed past the lock by whoever need not wait: [`AtomicWord`](crate::sync::AtomicWord) where processors exchange 64 bits at once and the clock is never set back, [`NoWord`](crate::sync::NoWord) elsewhere.
    type Word: Word;

    /// Where tables lie unless their user says otherwise.
    type Storage: PinnedStorage;

    /// How the children of one task are woken.
    type Children: Children;

    /// A number that nobody foresees, for jitter: on servers, from the runtime's generator; in simulation, from the tape; on firmware, from a generator that the
    /// application seeds.
    fn random() -> u64;

    /// From what tables start to hash keys: the same for as long as the program runs, and where keys come from outside, another in each run. Default: zero.
    #[inline]
    #[must_use]
    fn hash_seed() -> u64 {
        0
    }
}

/// A clock that is everywhere, so that a `static` needs none in hand: it has a constant.
pub trait Ambient: Clock {
    /// The clock.
    const CLOCK: Self;
}
