//! What every user needs, and no platform fills in. The adapters' preludes hold all this and more: use theirs.

pub use crate::adaptive_limit::LimitError;
pub use crate::backoff::{Backoff, Constant, Exponential, Fibonacci, Jitter, Linear, List};
pub use crate::batcher::BatchError;
pub use crate::bulkhead::BulkheadError;
pub use crate::circuit_breaker::{BreakerError, Consecutive, LastCalls, LastTime};
pub use crate::edge::{EdgeError, Trigger};
pub use crate::fallback::{fallback, fallback_value};
pub use crate::hedge::{After, HedgeError, Percentile};
pub use crate::key::FoldHash;
pub use crate::parallel::ParallelError;
pub use crate::pipeline::PipelineError;
pub use crate::polling::PollError;
pub use crate::pool::PoolError;
pub use crate::rate_limiter::{Rate, RateLimitError, RateLimitStreamExt, TokenBucket};
pub use crate::ratio::{Ratio, percent};
pub use crate::retry::RetryError;
pub use crate::single_flight::FlightError;
#[cfg(feature = "alloc")]
pub use crate::single_flight::Survives;
#[cfg(feature = "alloc")]
pub use crate::storage::Heap;
pub use crate::storage::Inline;
pub use crate::time::{ms, secs};
pub use crate::waterfall::{WaterfallError, waterfall};
pub use crate::{ConfigError, Deadline, TimeoutError, checked, infallible, layers};
