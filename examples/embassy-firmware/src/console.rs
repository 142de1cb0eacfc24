//! Where the device tells what happens: the emulator's console.

use core::fmt::Display;

use embassy_time::Instant;

/// Prints a line with the time before it.
pub fn tell(who: &str, what: impl Display) {
    let now = Instant::now().as_millis();
    board::hprintln!("{:3}.{:03} {}: {}", now / 1_000, now % 1_000, who, what);
}
