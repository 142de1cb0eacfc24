//! aplomb
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod alarm;
pub mod children;
mod deadline;
pub mod observe;
mod operation;
pub mod platform;
pub mod storage;
pub mod sync;
pub mod time;
pub mod timeout;

pub use children::{Children, ParentWaker};
pub use deadline::Deadline;
pub use operation::{Fallible, InfallibleFuture, Lending, Operation, infallible};
pub use platform::{Ambient, Platform};
#[cfg(feature = "alloc")]
pub use storage::Heap;
pub use storage::{Inline, Storage};
pub use time::{Clock, Instant, Sleep};
pub use timeout::{Timeout, TimeoutError};
