//! Guarded: a bus whose transfers are tried again, no longer than so long each, with a step in between that sets the bus right.
//!
//! ```text
//! driver's call   |==========================================o
//! transfer 1      |=====x                        the timeout: dropped halfway, the bus hangs
//! pause                 |--------|
//! recovery                       |===|           a step of yours: clock the line free, reset, power-cycle
//! transfer 2                         |=======o   what the driver sees
//! ```
//!
//! With the feature `embedded-hal`, [`Guarded`] has a bus and is one: it implements `embedded-hal-async`'s `I2c`, `SpiDevice` and `SpiBus` wherever the bus does, so that the driver of a sensor that has no idea of timeouts is given them
//! unchanged. On a bus of another kind, a modem at a serial port, [`run`](Guarded::run) does the same for what you write yourself. Limits, attempts and pauses are those of a [`Retry`](struct@crate::Retry), whose [`attempt_timeout`](crate::Retry::attempt_timeout) is the timeout of a transfer.
//!
//! # What it promises
//!
//! - A transfer is dropped at its timeout, and then nothing of it is under way: its buffers are the driver's again.
//! - Whatever a transfer leaves behind that did not end well, a [`Recovery`] sets right before the next one starts: between two attempts, or, if there was no further attempt or the driver's call was dropped, at the
//!   beginning of the next call. A transfer that ended well owes nothing, and an error only if the recovery [says so](Recovery::is_needed).
//! - Nothing is repeated that cannot be. A transfer in place has overwritten what it was to send, and a call of an `SpiBus` is a part of something whose beginning nobody here knows: either is cut off and recovered from, and has one
//!   attempt. Guard the device, not the bus it is on.
//! - The error is [`RetryError`](crate::RetryError), which has the bus's last error; the `kind` of one is that of the other, and `Other` where there is none.
//!
//! # Transfers that must not be dropped
//!
//! A timeout drops the bus's future at whatever it awaits. Drivers of good peripherals stop their DMA then (embassy's do), and leave the bus in the middle of a byte, which is what the recovery is for. One whose DMA would go on in memory that is
//! somebody else's by then must not be dropped at all, by nobody, and is not to be given a timeout or a deadline.
//!
//! # When not to use it
//!
//! - A transfer has effects that must not happen twice: a register that counts its reads, a command that moves something. Retry above the driver, where it is known what is safe to repeat.
//! - The bus is shared. What recovers one device throws the others' transfers away: guard the bus, and share what is guarded.
//! - The device says by an error that it is busy, and for how long. Ask it by [`poll_until`](mod@crate::polling).
//!
//! # What it costs
//!
//! The struct is the bus, a reference to the policy, the recovery, and a byte. A call is as large as the transfer or the recovery, whichever is larger, the runtime's sleep, and some 210 bytes, or 160 on a processor of 32 bits. One that ends well at once reads no clock.
//!
//! # How others differ
//!
//! Linux frees a stuck I2C bus between attempts (`i2c_recover_bus`, with `retries` and `timeout` of an adapter); so does this, with the step in your hands.

mod bus;
#[cfg(feature = "embedded-hal")]
mod error;
#[cfg(feature = "embedded-hal")]
mod i2c;
mod recovery;
#[cfg(feature = "embedded-hal")]
mod spi;

pub use bus::Guarded;
pub use recovery::{NoRecovery, Recovery};
