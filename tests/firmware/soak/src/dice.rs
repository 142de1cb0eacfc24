//! Chance, the same in each run.

use core::cell::Cell;
use core::time::Duration;

struct Dice(Cell<u32>);

// SAFETY: a board has one thread, and interrupts don't know it.
unsafe impl Sync for Dice {}

static DICE: Dice = Dice(Cell::new(0x9E37_79B9));

/// Marsaglia's xorshift of 32 bits.
pub fn mix(mut bits: u32) -> u32 {
    bits ^= bits << 13;
    bits ^= bits >> 17;
    bits ^ (bits << 5)
}

/// A number below that one.
pub fn below(end: u32) -> u32 {
    DICE.0.set(mix(DICE.0.get()));
    DICE.0.get() % end
}

/// Once in so many times.
pub fn once_in(times: u32) -> bool {
    below(times) == 0
}

/// Less than so many milliseconds.
pub fn millis_below(end: u32) -> Duration {
    Duration::from_millis(u64::from(below(end)))
}
