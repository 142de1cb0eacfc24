//! The counting semaphore: the wait list under the plainest rule for admission.

mod acquire;
mod counting;
mod error;
mod permit;
mod state;

pub use acquire::Acquire;
pub use counting::{Lender, Semaphore};
pub use error::{AcquireError, MergeError, TryAcquireError};
pub use permit::Permit;
