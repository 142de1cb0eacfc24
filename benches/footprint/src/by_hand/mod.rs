//! What the patterns are compared with: the same, as one writes it who is in a hurry. What each leaves out is said.

pub mod batcher;
pub mod bulkhead;
pub mod cache;
pub mod circuit_breaker;
pub mod debounce;
pub mod fallback;
pub mod guarded;
pub mod hedge;
pub mod keyed_rate_limiter;
pub mod level;
pub mod memoize;
pub mod parallel;
pub mod pipeline;
pub mod polling;
pub mod pool;
pub mod rate_limiter;
pub mod retry;
pub mod single_flight;
pub mod throttle;
pub mod trigger;
pub mod waterfall;
