//! Single flight: of calls with one key that come together, one runs, and all have its result.
//!
//! ```text
//! calls a   --run------------> ok
//!       a      -----waits----> ok (a clone)
//!       b        --run---> ok
//!       a                        --run------------> ok
//! ```
//!
//! # What it promises
//!
//! - Of concurrent calls with one key, one leads: it starts its operation. The others wait, and end with clones of the leader's result, of its error too. Nothing is kept after that: the next call starts anew.
//! - A leader that is dropped, or whose operation panics, hands over to the caller that has waited longest, which starts its own operation. If the flight [survives](SingleFlight::surviving), that caller goes on with the one under way; one that panicked is started anew.
//! - A leader has to be polled. One that is kept and is not, as a future that lost a `select!` may be, holds up those who wait for it until it is dropped, or their deadlines come; [`forget`](SingleFlight::forget) has the next call start anew.
//! - A follower that is dropped harms nobody, wherever it stands. The operation is dropped with the last caller.
//! - [`forget`](SingleFlight::forget) has the next call start anew, while those who share the flight under way still get its result; and its end does not disturb the newer one.
//! - A caller learns whether its result was shared: [`with_shared`](Run::with_shared).
//! - A caller may have a [deadline](Run::deadline_at) of its own. Others are not bound by it: if it leads, the next one does. Where all of them are shorter than an operation, none of it ends, unless it [survives](SingleFlight::surviving) its callers, and one of them waits at any time.
//! - Results that cannot be cloned are shared through an `Arc`: [`run_into`](SingleFlight::run_into).
//! - Keys are asked for by anything they can be [borrowed](core::borrow::Borrow) as, and made only by the caller that leads, unless they own nothing. It hashes, clones, and drops outside its lock; `Borrow` and `Eq` of keys are called within, and must not call back in.
//! - Waiting costs nothing: no timer is set, and who waits is polled when it comes and when it has its result.
//!
//! # When not to use it
//!
//! To keep results beyond the calls that asked for them: that is a cache. For work that must happen as often as it is asked for: sharing drops all but one. Nor for an operation that asks for its own key: it would wait for itself, for ever.
//!
//! # What it costs
//!
//! A call takes the lock when it comes and when it ends, and reads the clock only for a deadline. Nothing is allocated for it, but a box for a flight that [survives](SingleFlight::surviving); tables on the heap grow to what is under way at once. A call that waits is a clone of the result dearer.
//!
//! # How others differ
//!
//! As in Go's `x/sync/singleflight`, errors are shared, and `shared` is true for the leader too if somebody else has its result. There, the run lives by the leader's context, and followers fail when that is cancelled; here the next one takes over.

mod boarding;
mod error;
mod event;
mod outcome;
mod run;
mod settings;
#[cfg(feature = "alloc")]
mod surviving;
mod with_deadline;
mod with_shared;

pub use self::error::FlightError;
pub use self::event::Event;
pub use self::outcome::{AsIs, Converted, Outcome};
pub use self::run::Run;
#[cfg(feature = "alloc")]
pub use self::settings::Survives;
pub use self::settings::{Restarts, SingleFlight, Snapshot, Succession};
#[cfg(feature = "alloc")]
pub use self::surviving::{Boxed, SurvivingRun, Work};
pub use self::with_deadline::{Late, Timed, WithDeadline};
pub use self::with_shared::{MaybeShared, Shared, WithShared};
pub use crate::sync::flights::{Board, Flights};
