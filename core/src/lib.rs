//! aplomb
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod children;
pub mod platform;
pub mod storage;
pub mod time;

pub use children::{Children, ParentWaker};
pub use platform::{Ambient, Platform};
#[cfg(feature = "alloc")]
pub use storage::Heap;
pub use storage::{Inline, Storage};
pub use time::{Clock, Instant, Sleep};

/// Locks.
pub mod sync {
    pub use mutex::raw_impls::local::LocalRawMutex;
    pub use mutex::{ConstInit, ScopedRawMutex};
}
