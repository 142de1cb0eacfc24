#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adaptive_limit;
mod batch;
mod bulkhead;
mod circuit_breaker;
mod deadline;
mod fallback;
mod future;
mod hedge;
#[cfg(feature = "http")]
pub mod http;
mod key;
mod keyed_circuit_breaker;
mod keyed_rate_limit;
mod mode;
#[cfg(feature = "tonic")]
mod named;
mod pipeline;
mod rate_limit;
mod refusal;
mod replay;
mod retry;
mod timeout;
mod turn;

pub use adaptive_limit::{AdaptiveLimit, AdaptiveLimitLayer};
pub use batch::{Batch, BatchLayer, Sends, WhenReady};
pub use bulkhead::{Bulkhead, BulkheadLayer};
pub use circuit_breaker::{CircuitBreaker, CircuitBreakerLayer};
pub use deadline::{DeadlineOf, NoDeadline};
pub use fallback::{Condition, EveryFailure, Fallback, FallbackLayer, WithFallback};
pub use future::{Concluded, Guard, Guarded};
pub use hedge::{Hedge, HedgeLayer};
pub use key::KeyOf;
pub use keyed_circuit_breaker::{KeyedCircuitBreaker, KeyedCircuitBreakerLayer};
pub use keyed_rate_limit::{InTurn, KeyedRateLimit, KeyedRateLimitLayer};
pub use mode::{Mode, Respond, Responder, Typed};
pub use pipeline::{Pipeline, PipelineLayer};
pub use rate_limit::{RateLimit, RateLimitLayer};
pub use refusal::{Reason, Refusal, Rejection};
pub use replay::{Attempt, Attempts, Cloned, Replay};
pub use retry::{Retry, RetryLayer};
pub use timeout::{Timeout, TimeoutLayer};
