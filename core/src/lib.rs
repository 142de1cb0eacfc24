//! Resilience patterns for async Rust that are right everywhere: pure state machines, and futures over an abstract clock. No allocator needed, no `unsafe`, no path that panics.
//!
//! This is the core. Its users take an adapter, which hands on all of it with a platform filled in (but for that of tower):
//!
//! | | | |
//! | --- | --- | --- |
//! | `aplomb-tokio` | servers | tokio's clock, and its paused time in tests |
//! | `aplomb-smol` | smol apps | async-io's timers |
//! | `aplomb-embassy` | firmware | embassy's time driver, no allocator |
//! | `aplomb-tower` | axum, tonic, hyper | layers, beside one of the others |
//! | `aplomb-sim` | tests | virtual time, seeded schedules that shrink and replay; a clock moved by hand |
//!
//! ```
//! use aplomb_sim::prelude::*; // or aplomb_tokio, aplomb_smol, aplomb_embassy
//!
//! static BUDGET: RetryBudget = RetryBudget::new(500);
//! static RETRY: Retry = checked!(Retry::standard(&BUDGET).max_attempts(5));
//!
//! async fn fetch_user(id: u32) -> Result<String, &'static str> {
//!     Ok(format!("user {id}"))
//! }
//!
//! aplomb_sim::block_on(async {
//!     let user = RETRY.run(|| timeout(secs(2), fetch_user(7))).await;
//!     assert_eq!(user.as_deref(), Ok("user 7"));
//! });
//! ```
//!
//! # Patterns
//!
//! - [`timeout`]: so long, and no longer.
//! - [`fallback`](mod@fallback): what fails has an alternative.
//! - [`hedge`]: once more beside what is late; what succeeds first counts.
//! - [`single_flight`]: of calls with one key that come together one runs, and all have its result.
//! - [`batcher`]: single calls made into one, and each has its own result.
//! - [`bulkhead`]: so many at once, a queue with an end, and no longer in it than that.
//! - [`adaptive_limit`]: as many at once as the service can take, found from how long its calls take.
//! - [`circuit_breaker`]: a service that fails is left alone for a while.
//! - [`cache`]: values by key, for as long as they are good; one fetch for all who ask. [`memoize`](mod@memoize): a function whose values are kept.
//! - [`debounce`]: only the newest call of a burst; [`throttle`]: never closer than an interval. As calls, as triggers with one loop that runs, as streams.
//! - [`guarded`]: a bus with timeout, retry and recovery; with the feature `embedded-hal`, one that existing drivers take for their own.
//! - [`level`]: a contact that bounces, as edges and gestures. Machines for a driver of your own; with the feature `embedded-hal`, pins that are waited for.
//! - [`pipeline`]: any of these around one operation, in the order written.
//! - [`polling`]: asking again until the answer is there.
//! - [`pool`]: so many jobs at once, added while it runs.
//! - [`waterfall`]: steps one after another, each fed what the one before ended with.
//! - [`rate_limiter`]: so many permits in so much time, first come first served.
//! - [`parallel`]: an operation for each item, so many at once.
//! - [`retry`]: once more, with [`backoff`], jitter, deadlines, and a budget.
//!
//! Below them lies what all patterns are made of: [`time`], [`alarm`], [`platform`], [`storage`], [`sync`], [`children`], [`observe`].
//!
//! # Operations
//!
//! What a pattern guards is a future that ends with a `Result`. The pattern's own ways to fail are added to the operation's in one flat error, so that one `?` is enough. Work that cannot fail is
//! wrapped in [`infallible`].
//!
//! If one panics, the panic goes on to who polls it, and what was held for it is given back in that poll. A second panic while the first one unwinds (of two wakers, say) aborts the process, as everywhere in Rust.
//!
//! # Features
//!
//! None is on by default, all are additive.
//!
//! - `alloc`: storage on the heap ([`storage`]), and wakers of their own for the children of a task ([`children`]).
//! - `std`: implies `alloc`; conversions between the system's instants and ours.
//! - `embedded-hal`: [contacts and buttons](level#pins) at the pins of `embedded-hal` and `embedded-hal-async`, and guarded buses.
//! - `defmt`: `defmt::Format` for patterns and their configurations, states, snapshots, events and errors.
//! - `tracing`: an observer that writes events to `tracing`.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod adaptive_limit;
pub mod alarm;
mod attempts;
pub mod backoff;
pub mod batcher;
mod bind;
mod budget;
pub mod bulkhead;
pub mod cache;
pub mod children;
pub mod circuit_breaker;
mod config;
mod deadline;
pub mod debounce;
pub mod edge;
pub mod fallback;
mod fused;
pub mod guarded;
pub mod hedge;
mod judge;
pub mod key;
pub mod level;
pub mod memoize;
pub mod observe;
mod operation;
mod panicking;
pub mod parallel;
pub mod pipeline;
pub mod platform;
pub mod polling;
pub mod pool;
pub mod prelude;
pub mod rate_limiter;
pub mod ratio;
pub mod retry;
mod rows;
pub mod single_flight;
pub mod storage;
pub mod sync;
mod table;
pub mod throttle;
pub mod time;
pub mod timeout;
pub mod waterfall;
mod wide;
mod yielding;

pub use adaptive_limit::{AdaptiveLimit, LimitError};
pub use backoff::{Backoff, Jitter};
pub use batcher::{BatchError, Batcher};
pub use bulkhead::{Bulkhead, BulkheadError};
pub use cache::Cache;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use children::OwnWakers;
pub use children::{Children, ParentWaker};
pub use circuit_breaker::{BreakerError, CircuitBreaker, KeyedCircuitBreaker};
pub use config::ConfigError;
pub use deadline::Deadline;
pub use debounce::Debounce;
pub use edge::EdgeError;
pub use fallback::Fallback;
pub use hedge::{Hedge, HedgeError};
pub use judge::Judge;
pub use memoize::Memoize;
pub use operation::{Fallible, InfallibleFuture, Lending, Operation, infallible};
pub use parallel::{Parallel, ParallelError};
pub use pipeline::{Pipeline, PipelineError};
pub use platform::{Ambient, Platform};
pub use polling::{PollError, Polling};
pub use pool::{JobSet, Pool, PoolError};
pub use rate_limiter::{KeyedRateLimiter, RateLimitError, RateLimiter};
pub use ratio::Ratio;
pub use retry::{Retry, RetryBudget, RetryError};
pub use single_flight::{FlightError, SingleFlight};
#[cfg(feature = "alloc")]
pub use storage::Heap;
pub use storage::{Inline, Storage};
pub use throttle::Throttle;
pub use time::{Clock, Instant, Sleep};
pub use timeout::{Timeout, TimeoutError};
pub use waterfall::{Waterfall, WaterfallError};
