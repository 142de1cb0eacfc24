//! retry
mod budget;
mod call;
mod error;
mod event;
mod future;
mod lent;
mod machine;
mod policy;
mod rules;
mod session;

pub use budget::{Charge, RetryBudget};
pub use call::{Between, Call, Nothing, Numbered, Plain, Start};
pub use error::{RetryError, StopReason};
pub use event::{Attempt, Cause, Event};
pub use future::Run;
pub use lent::LendingBetween;
pub use policy::{AsPolicy, Policy, Retry};
pub use rules::{Notify, RetryAfter, RetryAll, RetryIf, RetryIfValue, Rules};
