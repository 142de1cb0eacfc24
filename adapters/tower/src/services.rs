//! The services that the layers make, and the futures of their calls, for whoever has to name them. They are called as the patterns are, and so lie in a module of their own: `use aplomb_tower::*` beside an adapter's prelude takes no name from that.

pub use crate::adaptive_limit::AdaptiveLimit;
pub use crate::batch::{Batch, Sends};
pub use crate::bulkhead::Bulkhead;
pub use crate::circuit_breaker::CircuitBreaker;
pub use crate::fallback::{Fallback, WithFallback};
pub use crate::future::{Concluded, Guard, Guarded};
pub use crate::hedge::Hedge;
pub use crate::in_turn::InTurn;
pub use crate::keyed_circuit_breaker::{InCircuit, KeyedCircuitBreaker};
pub use crate::keyed_rate_limit::KeyedRateLimit;
pub use crate::pipeline::Pipeline;
pub use crate::rate_limit::RateLimit;
pub use crate::replay::Attempts;
pub use crate::retry::Retry;
pub use crate::timeout::Timeout;
pub use crate::when_ready::WhenReady;
