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
mod in_turn;
mod key;
mod keyed_circuit_breaker;
mod keyed_rate_limit;
mod let_through;
mod mode;
#[cfg(feature = "tonic")]
mod named;
mod pipeline;
mod rate_limit;
mod refusal;
mod replay;
mod retry;
pub mod services;
mod timeout;
mod turn;
#[cfg(feature = "http")]
pub mod web;
mod when_ready;

pub use adaptive_limit::AdaptiveLimitLayer;
pub use batch::BatchLayer;
pub use bulkhead::BulkheadLayer;
pub use circuit_breaker::CircuitBreakerLayer;
pub use deadline::{DeadlineOf, NoDeadline};
pub use fallback::{Condition, EveryFailure, FallbackLayer};
pub use hedge::HedgeLayer;
pub use key::KeyOf;
pub use keyed_circuit_breaker::KeyedCircuitBreakerLayer;
pub use keyed_rate_limit::KeyedRateLimitLayer;
pub use let_through::LetThrough;
pub use mode::{Mode, Respond, Responder, Typed};
pub use pipeline::PipelineLayer;
pub use rate_limit::RateLimitLayer;
pub use refusal::{Reason, Refusal, Rejection};
pub use replay::{Cloned, Replay};
pub use retry::RetryLayer;
pub use timeout::TimeoutLayer;
