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
        AdaptiveLimit, Bulkhead, Debounce, EdgeStream, EdgeStreamExt, JobSet, KeyedRateLimiter, PaceStream, Parallel,
        ParallelArray, ParallelStreamExt, Polling, Pool, RateLimiter, Retry, RetryBudget, Semaphore, Share, Throttle, Timeout,
        TimeoutExt, deadline, guarded, level, parallel, parallel_array, poll_until, prelude, retry, timeout, timeout_at,
    },
    pool::SimTask,
    sim::{Sim, spawn},
    spawn::{Aborted, JoinHandle},
    tape::{ParseTapeError, Tape},
    trace::{Event, Trace, What},
    waits::{Settle, UntilIdle, WaitingFor, YieldNow, waiting_for},
    world::{World, block_on},
};
