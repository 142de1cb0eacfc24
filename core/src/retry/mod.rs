//! Retry: once more, but not for ever, not at once, and not all together.
//!
//! ```text
//! attempt 1 |====x
//! pause          |--------|                 backoff, jitter, or what the error asks for
//! between                 |==|              a hook of the caller's: reset, connect anew
//! attempt 2                  |==========o   the value
//! ```
//!
//! # When not to use it
//!
//! - The operation has effects that must not happen twice, and no key by which the service recognises the second time.
//! - The error will be the same next time: say so by [`retry_if`](Retry::retry_if).
//! - Somebody further in retries already. Three attempts at each of three levels are twenty-seven.
//!
//! # A budget first
//!
//! Backoff and jitter spread retries; they do not make them fewer. A service that is down for five seconds, with clients that make three retries each, may stay down for ever: every call
//! costs four, and that is more than it can bear. A [`RetryBudget`], shared by all callers of the service, ends that; [`Retry::standard`] takes one.
//!
//! # What it promises
//!
//! - [`max_attempts`](Retry::max_attempts) counts the first attempt too. No pause follows the last.
//! - After a failure is asked, in this order: whether it [is to be retried](Retry::retry_if); whether attempts are left; how long the pause is; whether it would end
//!   after the [deadline](Retry::deadline); whether the [budget](Retry::budget) bears it. Nothing is spent for a retry that another of these forbids.
//! - What the outcome asks for itself wins over the backoff, up to [`retry_after_max`](Retry::retry_after_max).
//! - A pause of zero takes no timer: the other tasks have their turn, and on it goes. One of [`Duration::MAX`](core::time::Duration::MAX) never ends.
//! - An attempt is dropped before anything else happens: what it held is free in the pause.
//! - The deadline is kept: no pause begins that would end after it, and an attempt that is under way then is dropped. An attempt that is ready at that very instant wins.
//! - The last error comes back, as it was, with the number of attempts and the reason for stopping.
//!
//! # The forms of a call
//!
//! | | the operation | where |
//! | --- | --- | --- |
//! | [`run`](Retry::run) | `\|\| fetch(&id)`: makes a future, and may capture references | everywhere |
//! | [`run_with`](Retry::run_with) | `async \|modem\| modem.send(..).await`: borrows one thing mutably | everywhere |
//! | [`run_mut`](Retry::run_mut) | `async \|\| modem.send(&mut frame).await`: borrows what it captured | local executors |
//! | [`run_blocking`](Retry::run_blocking) | `\|\| read()`: no future at all | threads, and firmware without an executor |
//! | [`call`](Retry::call), and `retry(op)` of the adapters | as `run`, and told more before it is awaited | everywhere |
//!
//! # What it costs
//!
//! A first attempt that succeeds reads no clock, makes no timer, and allocates nothing; nothing else allocates either. A call of a `static` policy refers to it, and is as large as the attempt, the
//! runtime's sleep, and some 100 bytes; of the forms that lend ([`run_with`](Retry::run_with), [`run_mut`](Retry::run_mut)), some 160, or 130 on a processor of 32 bits.
//!
//! # How others differ
//!
//! backon and tokio-retry let delays of zero pass through the timer, a millisecond each on tokio; backon adds jitter after the cap. Neither has a budget, a timeout for each attempt, or virtual time.
//! The semantics of budgets are those of the AWS SDKs and of gRPC, of values that are retried those of Polly and Failsafe, of backoffs that end those of tokio-retry.

mod budget;
mod call;
mod error;
mod event;
mod forms;
mod future;
mod lent;
mod policy;
mod rules;
mod session;

pub use budget::{Charge, RetryBudget};
pub use call::{Between, Call, Nothing, Numbered, Plain, Start};
pub use error::{RetryError, StopReason};
pub use event::{Attempt, Cause, Event};
pub(crate) use future::Progress;
pub use future::Run;
pub(crate) use lent::{Lend, Repetition};
pub use policy::{AsPolicy, Policy, Retry};
pub use rules::{Notify, RetryAfter, RetryAll, RetryIf, RetryIfValue, Rules};
