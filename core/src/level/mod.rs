//! Level: what a bouncing contact means, as edges and as gestures.
//!
//! ```text
//! contact     ___-_-_------------------_-______________
//! debounced   ___________-----------------------_______     each level after it has held for its time
//! gestures               Press      LongPress   Release
//! ```
//!
//! [`LevelDebouncer`] and [`Gestures`] are pure machines: their driver reads the pin and the clock, passes both on at each interrupt and when [`next_deadline`](Gestures::next_deadline) has come, and needs no fixed rate.
//!
//! # Pins
//!
//! With the feature `embedded-hal` there are such drivers: [`Contact`] and [`Button`], at pins of `embedded-hal` that can be waited for. The adapters' modules `level` have them with the clock filled in. A task sleeps until its pin changes
//! or its machine wants a sample.
//!
//! # When not to use it
//!
//! For calls and values that come in bursts, take [`debounce`](crate::debounce) or [`throttle`](crate::throttle). A pulse shorter than its hold time is taken for bouncing and is lost: count pulses in hardware.
//!
//! # Defaults
//!
//! The level before the first sample is low (`false`), and high is pressed: a driver of an active low button inverts the pin, as [`active_low`](Contact::active_low) does. Presses count together within 250 ms. Long presses and repeats are off until they are set; repeats
//! then come every 100 ms.
//!
//! # What it costs
//!
//! A [`LevelDebouncer`] is 32 bytes, [`Gestures`] with its own is 88. A [`Contact`] has 24 bytes, its clock and its pin beside its machine. A future that waits takes some 180 bytes on 64 bits, and what the pin's own does.
//!
//! # How peers differ
//!
//! `debouncr` counts samples in a shift register, in a byte or two, and so wants a fixed sampling rate. `button-driver` is ticked too. `async-button` waits for edges itself, and tells short presses with their count, and long presses.

#[cfg(feature = "embedded-hal")]
mod contact;
mod debouncer;
#[cfg(feature = "embedded-hal")]
mod error;
mod gestures;
mod reading;
#[cfg(feature = "embedded-hal")]
mod watch;

#[cfg(feature = "embedded-hal")]
pub use contact::{Button, Contact};
pub use debouncer::{Edge, LevelDebouncer};
#[cfg(feature = "embedded-hal")]
pub use error::GestureError;
pub use gestures::{Gesture, Gestures};
