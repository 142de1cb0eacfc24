//! What has `Debug` and is an error, a state, a configuration, a snapshot or an event, has `defmt::Format` too. Futures, and places that are held, have `Debug` only.

#![no_std]

use core::convert::Infallible;
use core::fmt::Debug;
use core::future::Ready;

use aplomb::backoff::{Exponential, Geometric, Jitter, NoJitter, Schedule};
use aplomb::circuit_breaker::{
    AnyError, Call, CallsRing, CallsWindow, Consecutive, FailureIf, KeyedEvent, Sliding, State, Tally, Ticket, TimeRing,
    TimeWindow,
};
use aplomb::edge::{Decision, DriveError, Starting, Terms, Window};
use aplomb::guarded::NoRecovery;
use aplomb::level::{Edge, Gesture, GestureError, Gestures, LevelDebouncer};
use aplomb::observe::Silent;
use aplomb::pipeline::{self, LayerId};
use aplomb::rate_limiter::{FixedWindow, Rate, Refused, SlidingCounter, SlidingWindow, TokenBucket};
use aplomb::retry::{Attempt, StopReason};
use aplomb::sync::{AcquireError, TryAcquireError};
use aplomb::time::Steady;
use aplomb::{
    BatchError, BreakerError, BulkheadError, ConfigError, Deadline, EdgeError, FlightError, HedgeError, Inline, Instant,
    LimitError, ParallelError, PipelineError, PollError, PoolError, RateLimitError, Ratio, RetryError, TimeoutError,
    WaterfallError, adaptive_limit, batcher, bulkhead, cache, circuit_breaker, fallback, hedge, parallel, polling, pool,
    rate_limiter, retry, single_flight, waterfall,
};
use aplomb_embassy::edge::Trigger;
use aplomb_embassy::level::{Button, Contact};
use aplomb_embassy::{
    AdaptiveLimit, Batcher, Bulkhead, Cache, CircuitBreaker, Debounce, Embassy, Hedge, JobSet, KeyedCircuitBreaker,
    KeyedRateLimiter, Memoize, Pipeline, Polling, Pool, RateLimiter, Retry, RetryBudget, Semaphore, SingleFlight, Throttle,
};

/// What has both.
const fn told<T: Debug + defmt::Format>() {}

macro_rules! told {
    ($($type:ty,)*) => { $(const _: () = told::<$type>();)* };
}

/// An error, or a value, of the user's own.
type E = u8;

/// A pin of no kind.
type NoPin = ();

told! {
    // Patterns, which are their own configuration, and tell how they stand.
    AdaptiveLimit,
    Batcher<u8, u8, E>,
    Bulkhead,
    Cache<u8, u8, E>,
    CircuitBreaker,
    KeyedCircuitBreaker<u8>,
    KeyedRateLimiter<u8>,
    Debounce,
    Debounce<Trigger<u8>>,
    Throttle,
    Hedge,
    Contact<NoPin>,
    Button<NoPin>,
    aplomb_embassy::guarded::Guarded<()>,
    JobSet<Ready<u8>>,
    Memoize<u8, u8, u8, E>,
    Pipeline,
    Polling<(), ()>,
    Pool,
    RateLimiter,
    Retry,
    RetryBudget,
    Semaphore,
    SingleFlight<u8, u8, E>,
    aplomb::Waterfall<(), (), ()>,

    // Their parts.
    adaptive_limit::Aimd,
    adaptive_limit::Gradient,
    adaptive_limit::Vegas,
    adaptive_limit::IgnoreErrors,
    adaptive_limit::OverloadIf<u8>,
    AnyError,
    FailureIf<u8>,
    Consecutive,
    Sliding<CallsWindow<1>>,
    Sliding<TimeWindow<4>>,
    Exponential,
    Schedule<Geometric, NoJitter>,
    Jitter,
    fallback::OnlyIf<u8, u8>,
    hedge::After,
    hedge::Percentile,
    hedge::FatalIf<u8>,
    hedge::NoneFatal,
    parallel::FailFast,
    parallel::KeepGoing,
    pipeline::TimeoutLayer<Embassy>,
    retry::RetryAll,
    retry::RetryIf<retry::RetryAll, u8>,
    retry::RetryIfValue<retry::RetryAll, u8>,
    retry::RetryAfter<retry::RetryAll, u8>,
    retry::Notify<retry::RetryAll, u8>,
    waterfall::Then<waterfall::Start, u8>,
    NoRecovery,
    Silent,
    Gestures,
    LevelDebouncer,
    FixedWindow,
    SlidingCounter,
    SlidingWindow<Inline<4>>,
    TokenBucket,
    Rate,
    Ratio,
    Terms,
    Deadline,
    Instant,

    // States.
    adaptive_limit::GradientState,
    adaptive_limit::VegasState,
    CallsRing<1>,
    TimeRing<4>,
    State,
    Tally,
    Ticket,
    Call,
    Steady,
    Window,
    rate_limiter::Bucket,

    // Decisions.
    Decision,
    Starting,
    Refused,
    Edge,
    Gesture,
    adaptive_limit::Verdict,
    circuit_breaker::Verdict,
    hedge::Verdict,

    // Snapshots.
    adaptive_limit::Snapshot,
    batcher::Snapshot,
    bulkhead::Snapshot,
    cache::Snapshot,
    circuit_breaker::Snapshot,
    hedge::Snapshot,
    pool::Snapshot,
    rate_limiter::Snapshot,
    single_flight::Snapshot,

    // Events.
    Attempt,
    adaptive_limit::Event,
    batcher::Event,
    bulkhead::Event,
    cache::Event<'static, u8, u8>,
    circuit_breaker::Event,
    KeyedEvent<u8>,
    hedge::Event,
    parallel::Progress,
    polling::PollEvent<'static, u8, E>,
    pool::Event,
    rate_limiter::Event,
    retry::Cause<'static, E>,
    retry::Event<'static, E>,
    single_flight::Event,

    // Errors.
    AcquireError,
    TryAcquireError,
    BatchError<E>,
    BreakerError<E>,
    BulkheadError<E>,
    ConfigError,
    DriveError,
    EdgeError<E>,
    FlightError<E>,
    GestureError<E>,
    HedgeError<E>,
    LayerId,
    LimitError<E>,
    ParallelError<E>,
    PipelineError<E>,
    PollError<u8, E>,
    PoolError<E>,
    pool::Rejected<u8>,
    RateLimitError<E>,
    RetryError<E>,
    StopReason,
    TimeoutError<E>,
    TimeoutError<Infallible>,
    WaterfallError<E>,
}
