//! Errors, events, states and configurations can be logged by `defmt`. It holds if it compiles.
#![cfg(feature = "defmt")]

use aplomb::adaptive_limit::{Aimd, Gradient, GradientState, IgnoreErrors, Sample, Vegas, VegasState};
use aplomb::backoff::{Constant, Exponential, Fibonacci, Linear, List};
use aplomb::circuit_breaker::{AnyError, Consecutive, LastCalls, LastTime, Tally, Verdict};
use aplomb::edge::{Decision, DriveError, Starting};
use aplomb::guarded::NoRecovery;
use aplomb::hedge::{After, NoneFatal, Percentile};
use aplomb::level::{Edge, Gesture, Gestures, LevelDebouncer};
use aplomb::observe::Silent;
use aplomb::parallel::{FailFast, KeepGoing};
use aplomb::pipeline::LayerId;
use aplomb::polling::PollEvent;
use aplomb::pool::{Rejected, Stopped};
use aplomb::rate_limiter::{FixedWindow, Rate, Refused, SlidingCounter, SlidingWindow, TokenBucket};
use aplomb::retry::{Attempt, Cause, Policy, RetryAll, StopReason};
use aplomb::sync::{AcquireError, MergeError, TryAcquireError};
use aplomb::{
    BatchError, BreakerError, BulkheadError, ConfigError, Deadline, EdgeError, FlightError, HedgeError, Inline, Instant, Jitter,
    LimitError, ParallelError, PipelineError, PollError, PoolError, RateLimitError, Ratio, Retry, RetryError, TimeoutError,
    WaterfallError,
};
use aplomb::{adaptive_limit, batcher, fallback, hedge, pipeline};
use aplomb::{bulkhead, cache, circuit_breaker, edge, parallel, pool, rate_limiter, retry, single_flight, time};
use aplomb_sim::Sim;

const fn is_logged<T: defmt::Format>() {}

macro_rules! are_logged {
    ($($type:ty),* $(,)?) => {
        const _: () = {
            $(is_logged::<$type>();)*
        };
    };
}

// Errors.
are_logged! {
    ConfigError, PipelineError<u8>, TimeoutError<u8>, RetryError<u8>, StopReason, EdgeError<u8>, DriveError, PollError<u8, u8>, ParallelError<u8>, PoolError<u8>,
    Rejected<fn()>, Stopped, WaterfallError<u8>, RateLimitError<u8>, Refused, BulkheadError<u8>, BreakerError<u8>, FlightError<u8>, AcquireError,
    TryAcquireError, MergeError<&'static aplomb::sync::Semaphore<Sim>>, HedgeError<u8>, BatchError<u8>, LimitError<u8>, LayerId, pipeline::Cause<u8>,
}

#[cfg(feature = "embedded-hal")]
are_logged!(aplomb::level::GestureError<u8>);

// Events.
are_logged! {
    retry::Event<'static, u8>, Cause<'static, u8>, Attempt, PollEvent<'static, u8, u8>, pool::Event, bulkhead::Event, rate_limiter::Event,
    circuit_breaker::Event, parallel::Progress, Edge, Gesture, Decision, Starting, Verdict,
    hedge::Event, hedge::Cause, batcher::Event, batcher::Cause, adaptive_limit::Event, adaptive_limit::Verdict, Sample,
}

// States.
are_logged! {
    Instant, Deadline, time::Steady, edge::Window, circuit_breaker::State, Tally, circuit_breaker::Snapshot, rate_limiter::Snapshot,
    rate_limiter::Bucket, rate_limiter::Counters, bulkhead::Snapshot, pool::Snapshot, cache::Snapshot, single_flight::Snapshot, LevelDebouncer, Gestures,
    hedge::Snapshot, batcher::Snapshot, adaptive_limit::Snapshot, VegasState, GradientState,
}

// Configurations.
are_logged! {
    Ratio, Jitter, Constant, Linear, Exponential, Fibonacci, List<'static>, Rate, TokenBucket, FixedWindow, SlidingWindow<Inline<4>>, SlidingCounter,
    Consecutive, LastCalls, LastTime, AnyError, edge::Terms, RetryAll, Silent, NoRecovery, Policy<'static, Sim, Exponential>, Retry<'static, Sim>,
    After, Percentile, NoneFatal, Aimd, Vegas, Gradient, IgnoreErrors, fallback::Value<u8>, FailFast, KeepGoing,
}
