//! What numbers values are, for functions that have no captures.

use core::cell::Cell;
use core::time::Duration;

use aplomb::time;
use wire::Token;

use crate::world::World;

struct Numbers(Cell<Option<&'static World>>);

// SAFETY: a board has one thread, and interrupts don't know it.
unsafe impl Sync for Numbers {}

static NUMBERS: Numbers = Numbers(Cell::new(None));

/// From now on they are those of this scenario.
pub fn know(world: &'static World) {
    NUMBERS.0.set(Some(world));
}

/// As milliseconds.
pub fn time(value: Token) -> Duration {
    let number = NUMBERS.0.get().and_then(|world| world.number(value));
    number.map_or(Duration::MAX, |number| time::duration(number.time))
}

/// As a weight.
pub fn weight(value: Token) -> u32 {
    let number = NUMBERS.0.get().and_then(|world| world.number(value));
    number.and_then(|number| number.weight).unwrap_or(1)
}
