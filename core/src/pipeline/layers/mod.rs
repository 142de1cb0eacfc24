//! The patterns, each as a layer.

mod adaptive_limit;
mod bulkhead;
mod circuit_breaker;
mod fallback;
mod hedge;
mod rate_limiter;
mod retry;
mod timeout;

pub use circuit_breaker::CircuitOf;
pub use fallback::FallbackLayer;
pub use rate_limiter::LineOf;
pub use retry::{RetryRejected, Within};
pub use timeout::TimeoutLayer;
