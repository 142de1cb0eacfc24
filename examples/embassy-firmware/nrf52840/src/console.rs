//! Where the device tells what happens: the probe, by defmt, which puts the time before each line.

use core::fmt::Display;

use defmt::Display2Format;

/// Prints a line. Errors, states and events of aplomb's are `defmt::Format` themselves, which is shorter; here all is text.
pub fn tell(who: &str, what: impl Display) {
    defmt::info!("{=str}: {}", who, Display2Format(&what));
}
