#![cfg_attr(feature = "std", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "std"), doc = "A clock for tests in `no_std`, moved by hand; the simulation needs the feature `std`.")]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(not(feature = "std"), forbid(unsafe_code))]
#![deny(unsafe_code)]

mod manual;
#[cfg(feature = "std")]
mod simulation;

pub use aplomb::*;
pub use manual::{Manual, ManualClock, ManualSleep};
#[cfg(feature = "std")]
pub use simulation::{
    clock::{SimClock, SimSleep, now, sleep, sleep_until},
    explore::{Explore, Report},
    failure::{Failure, FailureKind, TaskReport},
    fresh::Fresh,
    inner::Order,
    lock::SimRawMutex,
    patterns::{
        AdaptiveLimit, Batcher, Bulkhead, Cache, CircuitBreaker, Debounce, EdgeStream, EdgeStreamExt, Hedge, JobSet,
        KeyedCircuitBreaker, KeyedRateLimiter, Memoize, PaceStream, Parallel, ParallelArray, ParallelStreamExt, Pipeline,
        Polling, Pool, RateLimiter, Retry, RetryBudget, Semaphore, Share, SingleFlight, Throttle, Timeout, TimeoutExt,
        adaptive_limit, batcher, bulkhead, cache, circuit_breaker, deadline, debounce, edge, guarded, hedge, level, memoize,
        parallel, parallel_array, pipeline, poll_until, polling, pool, prelude, rate_limiter, retry, single_flight, sync,
        throttle, timeout, timeout_at,
    },
    pool::SimTask,
    sim::{Sim, spawn},
    spawn::{Aborted, JoinHandle},
    tape::{ParseTapeError, Tape},
    trace::{Event, Trace, What},
    waits::{Settle, UntilIdle, WaitingFor, YieldNow, waiting_for},
    word::SimWord,
    world::{World, block_on},
};
