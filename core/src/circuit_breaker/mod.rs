//! Circuit breaker: a service that fails is left alone for a while.
//!
//! ```text
//! consecutive(3), open_for |.......|, half_open(1)
//!
//!              closed     |  open   |half-open| closed
//! calls    o x o x x x    | . . . . | x       |             x fails, o succeeds, . is rejected at once
//!                         |.......| | |.......|
//!                                     open again, then half-open, and a probe succeeds
//! ```
//!
//! Calls to a service that is down cost its callers their time, their sockets and their patience, and keep the service from coming up again. A breaker counts how calls end. When too many fail, it *opens*: calls are rejected at once, with an error that says when to
//! come back. After a while it is *half-open*: a few calls go through as probes. If they succeed it *closes*, and if one fails it is open again.
//!
//! # What it promises
//!
//! - A share that equals its threshold trips; `open_for` has passed at its very instant. Shares are looked at whenever a call has ended, after a success too.
//! - Each time that it is half-open, never are more than [`half_open`](CircuitBreaker::half_open) of its probes under way at once. A place is free as soon as its probe has ended, was dropped, or has panicked.
//! - A call that is dropped counts as nothing: a cancelled probe neither closes nor opens.
//! - Results of calls that began before the last change of state count as nothing, and so neither close a breaker that has opened since, nor trip one that has closed since, nor make it open for longer.
//! - Probes that never end don't hold it half-open for ever, but [for a while](CircuitBreaker::half_open_for). Whoever finds that time over finds it open since then. They don't count any more, and go on beside those of the next time: a breaker stops nothing that it has let through. For that, put a [timeout](crate::timeout) within.
//! - Nothing happens by itself: there is no task and no timer. A breaker whose time has passed goes half-open with the call that comes next; [`state`](CircuitBreaker::state) tells that call's answer, and [`changed`](CircuitBreaker::changed) has a timer of its own.
//! - Where the clock is set back, that is no time; a jump forward makes what is due happen once. A window of time that nothing was recorded in for an hour is empty after it.
//! - The judge, the backoff, the observer and wakers run outside the lock, so that they may call the breaker. Only a [rule of one's own](Trip) may not.
//!
//! # Which rule
//!
//! | | trips | state | reads the clock at a success |
//! | --- | --- | --- | --- |
//! | [`Consecutive`] | after so many failures in a row, however far apart | 4 bytes | no |
//! | [`LastCalls`] | at a share of the last so many calls | 48 bytes for up to 128 | no |
//! | [`LastTime`] | at a share of the calls of the last so much time | 12 bytes a bucket, and 40 | yes |
//!
//! The latter two trip at a [share of slow calls](CircuitBreaker::slow_calls) too, and then read the clock twice a call. Consecutive failures are for what is up or down: a device, a single host. A service of many instances of which one is broken never fails five times in a row: take a share. Under little
//! traffic, calls of long ago say little: take a window of time, and mind [`min_calls`](CircuitBreaker::min_calls). Or a rule of one's own: [`Trip`].
//!
//! # What is a failure
//!
//! By default, every error. An error that is the caller's own (not found, invalid) says that the service is well: [`failure_if`](CircuitBreaker::failure_if), or a [`Judge`](crate::Judge) for values too, and for what counts as nothing.
//!
//! # By key
//!
//! A [`KeyedCircuitBreaker`] is a breaker for each key, in a table of fixed capacity that forgets idle ones first.
//!
//! # When not to use it
//!
//! In front of what cannot be harmed by calls and fails quickly: a retry with a [budget](crate::retry::RetryBudget) does. Around calls to many hosts with one breaker: the failures of one reject those to all; take a keyed one. To bound what a slow service holds up, before it fails: a [bulkhead](crate::bulkhead), a
//! [timeout](crate::timeout). A timeout belongs inside the breaker, so that it sees a call that hangs as a failure; a retry outside, so that each attempt is counted, with `retry_if` refusing what [is rejected](BreakerError::is_rejected), or waiting for its [`retry_after`](BreakerError::retry_after).
//!
//! # What it costs
//!
//! Beside its lock lies a word that says whether calls go through, and whether another success would change anything. So a call costs two loads as long as no failure is on record (and, for [`LastCalls`], the window is full); otherwise the lock once, when it has ended. A call that an
//! open one rejects costs a reading of the clock and the exchange of a word, and one that is forced open not even the clock; where the platform has [no such words](crate::sync::Word), the lock. Nothing is allocated.
//!
//! # How others differ
//!
//! Tests play the same calls against what they did or document.
//!
//! - **cockatiel** counts results of calls that began before it opened; lets whoever comes while a probe is under way wait for it; trips when a share is exceeded, and only at a failure; has a probe's success on record; and its sampling breaker forgets one bucket a call, so that after an hour of silence one failure can trip it.
//! - **resilience4j** closes by the share of its probes, and not by a number of successes. Its windows, thresholds and minimum are these, but its buckets are seconds of the wall clock. Late results count when it is half-open, and that has no end unless one is set.
//! - **gobreaker**'s `MaxRequests` is both [`half_open`](CircuitBreaker::half_open) and [`success_threshold`](CircuitBreaker::success_threshold) here; a probe that never ends keeps its place for ever.
//! - **Polly** lets one probe through, and closes when it is cancelled.
//! - **recloser** and **failsafe** let all callers through at once when they are half-open; **tower-resilience** bounds how many, and not for how long.

mod breaker;
mod changed;
mod circuit;
mod error;
mod forced;
mod gate;
mod judge;
mod keyed;
mod machine;
mod outside;
mod permit;
mod run;
mod settings;
mod state;
mod timing;
mod trip;

pub use breaker::CircuitBreaker;
pub use changed::Changed;
pub use circuit::{Circuit, Ticket};
pub use error::BreakerError;
pub use judge::{AnyError, FailureIf, Verdict};
pub use keyed::{KeyedCircuitBreaker, OfKey, OfOwnedKey};
pub use permit::Permit;
pub use run::Run;
pub use state::{Event, KeyedEvent, Snapshot, State};
pub use trip::{
    Call, CallsRing, CallsWindow, Consecutive, LastCalls, LastTime, Sliding, Tally, TimeRing, TimeWindow, Trip, Window,
};
