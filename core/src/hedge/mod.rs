//! Hedge: an operation that is late is started once more, and what succeeds first counts.
//!
//! ```text
//! after |........|
//!
//! start 1  |=================...        late
//! start 2           |======o            wins: start 1 is dropped, then the value is returned
//! ```
//!
//! Where many machines answer, some answer late, for reasons that have nothing to do with the question: a collection of garbage, a queue, a lost packet. Whoever asks another one after a while waits for the quicker of the two, and pays for it with a few questions
//! in a hundred. To wait until the 95th percentile before asking again costs 5 % more work at most, and takes most of the tail away (Dean and Barroso, *The Tail at Scale*, 2013).
//!
//! # What it promises
//!
//! - What succeeds first is the call's value. All other starts are dropped at once, before it is returned.
//! - The delay counts from the poll that has found the first start pending, and from each later start for the next: with `after(50 ms)` and three hedges, starts come at 0, 50, 100 and 150 ms. A start that succeeds at the very instant at which it would be late wins, and nothing starts.
//! - A start that fails has another take its place at once, instead of after the delay, which begins anew then; but if one of the others has succeeded by then, nothing starts. The call fails when nothing runs any more and nothing may start: with the error of the one that failed last. An error that is
//!   [fatal](Hedge::fatal_if) ends it at once. So it is in gRPC (gRFC A6).
//! - There are never more hedges than the [budget](Hedge::budget) bears, whatever they start for: a share of all calls, and a [burst](Hedge::burst) beyond. A call for which it is empty starts no more, and waits for what runs. It is told by nobody but the observer and the snapshot: hedges are a
//!   favour.
//! - A delay of zero starts all at once, and takes no timer. One of [`Duration::MAX`](core::time::Duration::MAX) starts none but in place of one that has failed.
//! - The caller's code runs outside the lock: operation, judge, observer, drops.
//!
//! # At a percentile
//!
//! [`Hedge::percentile`] keeps a histogram of what calls took, in whole numbers and in 400 bytes, and follows a percentile of it. A call that a hedge has won counts with the time that it took in the end: its first start would have taken longer still. So
//! hedging does not make calls look quicker than they are, and the percentile does not run away. What is ready at its first poll has taken no time. Calls that fail or are dropped count as nothing.
//!
//! # When not to use it
//!
//! - The operation has effects that must not happen twice. A start that is dropped may have had them.
//! - What is slow is slow for all, because it has too much to do: then a hedge is more of it. The budget bounds the harm; a [breaker](crate::circuit_breaker) or a [limit](crate::bulkhead) helps.
//! - Most errors are the caller's own (not found, invalid), and each costs a hedge: say so by [`fatal_if`](Hedge::fatal_if).
//! - There is but one machine that answers, and it answers in order: the second question waits behind the first.
//!
//! A [timeout](crate::timeout) belongs outside, for the whole call, and perhaps inside as well, for each start. A [retry](crate::retry) outside starts hedged calls; one inside multiplies. In a [pipeline](crate::pipeline), what a layer within has rejected is not started again: hedges are a favour to callers, not a way around a limit.
//!
//! # The form of a call
//!
//! One start goes on while another does, and so there is one form: [`run`](Hedge::run), with a closure that makes futures; and [`run_numbered`](Hedge::run_numbered) for one that wants to know which start it is.
//!
//! # What it costs
//!
//! A call whose first start is ready takes the lock once, to be counted, and reads no clock. One that is pending has a timer and a reading of the clock; at a percentile, another reading and the lock again at its end. Nothing is allocated, except with heap storage, for
//! each hedge that starts. The future is as large as all the starts that it has room for, the runtime's sleep, and some 80 bytes. Its starts are polled all together whenever its task is woken.
//!
//! # How others differ
//!
//! - **gRPC** has no percentile; its budget is that of retries, and counts failures only. Any error is fatal unless it is named.
//! - **Polly** has no budget and no percentile.
//! - **finagle**'s `BackupRequestFilter` has both, and one hedge, which an error does not start.
//! - **tower**'s `hedge` has a percentile, two histograms that change places, a minimum of requests, and no budget; errors end a call.

mod delay;
mod error;
mod event;
mod forms;
mod judge;
mod latencies;
mod run;
mod settings;

pub use delay::{After, Delay, Percentile};
pub use error::HedgeError;
pub use event::{Cause, Event, Snapshot};
pub use forms::Numbered;
pub use judge::{FatalIf, NoneFatal, Verdict};
pub(crate) use run::Progress;
pub use run::Run;
pub use settings::{Hedge, Hedging};
