//! The few shared structures that patterns are made of: the lock, a number beside it, the wait list, and the semaphore on top of it.

pub(crate) mod flights;
pub mod semaphore;
mod shared;
pub mod wait_list;
mod word;

pub use mutex::raw_impls::local::LocalRawMutex;
pub use mutex::{ConstInit, ScopedRawMutex};
pub use semaphore::{Acquire, AcquireError, Lender, MergeError, Permit, Semaphore, TryAcquireError};
pub use shared::Shared;
pub use wait_list::WaitList;
#[cfg(target_has_atomic = "64")]
pub use word::AtomicWord;
pub use word::{NoWord, Word};
