//! aplomb
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod alarm;
pub mod backoff;
pub mod children;
mod config;
mod deadline;
pub mod observe;
mod operation;
pub mod platform;
pub mod prelude;
pub mod ratio;
pub mod retry;
pub mod storage;
pub mod sync;
pub mod time;
pub mod timeout;

pub use backoff::{Backoff, Jitter};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use children::OwnWakers;
pub use children::{Children, ParentWaker};
pub use config::ConfigError;
pub use deadline::Deadline;
pub use operation::{Fallible, InfallibleFuture, Lending, Operation, infallible};
pub use platform::{Ambient, Platform};
pub use ratio::Ratio;
pub use retry::{Retry, RetryBudget, RetryError};
#[cfg(feature = "alloc")]
pub use storage::Heap;
pub use storage::{Inline, Storage};
pub use time::{Clock, Instant, Sleep};
pub use timeout::{Timeout, TimeoutError};
