//! The counting semaphore: the wait list under the plainest rule for admission.

mod acquire;
mod counting;
mod error;
mod outside;
mod patient;
mod permit;
mod state;
mod tally;

pub use acquire::Acquire;
pub use counting::{Lender, Semaphore};
pub use error::{AcquireError, MergeError, TryAcquireError};
pub(crate) use patient::{Patient, SleepOf, poll_patiently};
pub use permit::Permit;
