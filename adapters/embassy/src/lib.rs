//! [`aplomb`] on embassy: all of core, with the clock of embassy's time driver, a critical section as lock, and inline storage filled in. No allocator.
//!
//! ```
//! use aplomb_embassy::prelude::*;
//!
//! struct Modem;
//!
//! impl Modem {
//!     async fn send(&mut self, frame: &mut [u8]) -> Result<usize, &'static str> {
//!         Ok(frame.len())
//!     }
//! }
//!
//! static LINK: Retry = checked!(Retry::new().max_attempts(5).attempt_timeout(ms(200)));
//!
//! async fn report(mut modem: Modem) {
//!     let mut frame = [0; 16];
//!     let sent = LINK.run_mut(async || modem.send(&mut frame).await).await;
//!     assert_eq!(sent, Ok(16));
//! }
//! # embassy_host::block_on(report(Modem));
//! ```
//!
//! # What the application chooses
//!
//! The tick rate, the time driver and its queue: they are features of `embassy-time`, of which this crate enables none. Any rate is right. What waits by a
//! timer never ends early, and at most two ticks late; what only compares two readings of the clock is right to a tick: see [`Clock`]. The children of a task are polled with the task's own waker, since embassy's timer queue knows no other.
//!
//! Firmware that shares state with interrupts finds it behind a critical section; `static`s are built at compile time and lie in `.bss` where they can.
//!
//! # Randomness
//!
//! Jitter comes from a small generator. Give it a [`seed`] at start-up, of a hardware generator or a serial number, lest all devices of a kind do the same.

#![no_std]
#![forbid(unsafe_code)]

mod clock;
mod random;
mod ticks;

pub use aplomb::*;
pub use clock::{EmbassyClock, EmbassySleep};
pub use random::seed;

/// The platform: the time driver's clock, a critical section, inline storage for 16, children polled with their task's waker.
#[derive(Debug, Clone, Copy)]
pub struct Embassy;

impl Platform for Embassy {
    type Clock = EmbassyClock;
    type RawMutex = mutex::raw_impls::cs::CriticalSectionRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Inline<16>;
    type Children = ParentWaker;

    fn random() -> u64 {
        random::next()
    }
}

aplomb::bind!(Embassy, in "aplomb_embassy", main "# embassy_host::block_on(async {" to "# });");
