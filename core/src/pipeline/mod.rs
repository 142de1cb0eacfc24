//! Pipeline: patterns around one operation, in the order written.
//!
//! ```text
//! Pipeline::new().timeout(secs(10)).retry(RETRY).circuit_breaker(&BREAKER).timeout(secs(2))
//!
//!  | timeout 10 s ........................................ |     the whole call
//!    | retry ........................................... |       begins anew what is within
//!      | breaker ...... |     | breaker ...... |                 sees each attempt
//!        | 2 s, fetch |         | 2 s, fetch |                   cuts off each attempt
//! ```
//!
//! # What it promises
//!
//! - The outermost layer is written first. Each layer sees what is within as one operation, and what is started again is started through all layers within.
//! - One flat error, [`PipelineError`], whatever the layers are: how the last attempt ended, which layer said so, and which ended the call.
//! - Layers know each other's errors: a retry leaves what a layer within has rejected, a breaker takes a timeout within for a failure and a rejection for nothing, and neither needs a predicate for that. What timed out before it came to the operation, in a queue within, is nothing too: the service has not been asked. Nor does that wait make a call slow for a breaker, or count as latency for an adaptive limit.
//! - Nothing is boxed or allocated, and the operation need not be cloned: it lies in the outermost future, once, and is lent to the layers. The call is `Send` where its parts are.
//! - A call that is dropped gives back all it holds, the innermost first.
//!
//! # Which order
//!
//! | written | means |
//! | --- | --- |
//! | `timeout(10 s).retry(R).timeout(2 s)` | each attempt has 2 s, the call 10 s. With one timeout only, take the outer one: callers wait for the call |
//! | `retry(R).circuit_breaker(B)` | each attempt counts, and the retry ends when the breaker opens. The other way round, the breaker sees a call that was retried to its end as one failure, and trips late |
//! | `retry(R).rate_limiter(L)` | each attempt costs a permit: for a quota that the service counts. The other way round, for so many calls of users |
//! | `circuit_breaker(B).rate_limiter(L)` | nobody waits for a permit while the service is down |
//! | `circuit_breaker(B).timeout(2 s).rate_limiter(L)`, or a bulkhead or an adaptive limit within | the 2 s include the wait. What waits still when they are over counts as nothing for `B`; what has begun is a failure, however little of them was left to it. Put the timeout innermost |
//! | `circuit_breaker(B).timeout(2 s)` | what hangs is a failure. With the timeout outside, an attempt that is cut off is dropped, and counts as nothing |
//! | `bulkhead(H).timeout(2 s)` | the time counts from when there is a place. The other way round, it includes the queue |
//! | `bulkhead(H).retry(R)` | a call keeps its place during pauses, which bounds callers. `retry(R).bulkhead(H)` gives it to others meanwhile, which bounds the service's load |
//! | `hedge(H).timeout(2 s)` | each start has 2 s. With the timeout outside, the call has; what is late there is hedged all the same |
//! | `hedge(H).circuit_breaker(B)` | starts that lose are dropped, and count as nothing. The other way round, the breaker sees calls |
//! | `hedge(H).bulkhead(B)`, or a rate limiter or an adaptive limit within | each start waits for its own turn, so that hedges help only while there is room; one that still waits when the call ends has cost nothing. The other way round, a call has one place for all its starts, and the service may have more of them than places |
//! | `adaptive_limit(A).timeout(2 s)` | what is cut off is a sign of overload, and the limit gives way, unless it was cut off in a queue within. With the timeout outside it learns nothing from that |
//! | `fallback(F)`, outermost | whatever the layers within say has an alternative |
//!
//! What is to be all around, written outermost first, for a call to a service: `timeout`, `retry`, `circuit_breaker`, `rate_limiter`, `bulkhead`, `timeout`.
//!
//! Some orders make no sense, and nobody refuses them:
//!
//! | written | what happens |
//! | --- | --- |
//! | `timeout(t).retry(R)` with `t` below the first delay of the backoff, or below one attempt | there is never a second attempt |
//! | `timeout(2 s).timeout(10 s)` | the inner one never fires |
//! | `retry(R).retry(R)` | the attempts multiply: 3 and 3 are 9 |
//! | two limiters alike, two breakers alike | the inner one never has anything to say: what the outer one lets through, it would |
//! | `circuit_breaker(B).retry(R)` | see above |
//! | `rate_limiter(L).retry(R)` in front of a quota that the service counts | retries go beyond it |
//!
//! # When not to use it
//!
//! For one pattern, which has its own `run` and its own error. Around what is shared by key: call the pipeline within, `CACHE.get(&id, || guarded.run(|| fetch(id)))`, so that it runs once for all who ask. For an operation that lends from what it has captured (`async || modem.send(&mut frame)`):
//! futures that borrow from a closure have no names yet; nest the patterns' `run_mut` instead.
//!
//! # What it costs
//!
//! What its parts cost. Around what is ready, a timeout, a retry, a breaker and a limiter take a fifth more instructions, and about a tenth more time, than one by one: each has its state set up and ended within the others', and the one error has room for those of all. A call is as large as the layers' own state, one within the other, and the operation.
//!
//! # How others differ
//!
//! In Polly, cockatiel, resilience4j and failsafe-go, whatever is thrown within reaches a retry and a breaker, rejections too, unless predicates sort them out. tower's layers box their errors as soon as there are three of them.

mod builder;
mod error;
mod layer;
mod layers;
mod run;

pub use builder::Pipeline;
pub use error::{Cause, LayerId, PipelineError};
pub use layer::{Innermost, Layer, Layered, Stack};
pub use layers::{CircuitOf, FallbackLayer, LineOf, RetryRejected, TimeoutLayer, Within};
pub use run::Run;
