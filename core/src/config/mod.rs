//! What is wrong with a configuration.

mod words;

use core::error::Error;
use core::time::Duration;

use crate::ratio::Ratio;

/// A setting that makes no sense: which field, what it is, and what it must be.
///
/// A configuration that came from outside is refused by its `check`, a constant one, at compile time, by [`checked!`](crate::checked). What has been checked by neither is refused, with this same error,
/// when it is used, before anything is started. Nothing panics.
///
/// # Examples
///
/// ```
/// use aplomb::ConfigError;
/// use aplomb_sim::prelude::*;
///
/// let refused = Retry::new().max_attempts(0).check();
/// assert_eq!(refused.unwrap_err(), ConfigError::MaxAttempts { value: 0 });
/// assert_eq!(refused.unwrap_err().to_string(), "max_attempts is 0, must be at least 1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// `max_attempts` counts the first attempt too.
    MaxAttempts {
        /// The setting.
        value: u32,
    },
    /// With none at once, nothing would ever run; and there is no room for more than there are places.
    Concurrency {
        /// The setting.
        value: u32,
        /// How many places there are.
        most: u32,
    },
    /// Without room to wait, nothing could be added to a set of jobs; and no more can wait than there are places.
    MaxQueued {
        /// The setting.
        value: u32,
        /// How many places there are.
        most: usize,
    },
    /// A delay can't shrink from one attempt to the next.
    Factor {
        /// The setting.
        value: Ratio,
    },
    /// Neither a leading nor a trailing edge: nothing would ever start.
    Edges,
    /// A burst can't be cut shorter than its quiet end.
    MaxWait {
        /// The setting.
        value: Duration,
        /// The window, which it must not be shorter than.
        wait: Duration,
    },
    /// A grid without distance between its ticks has no next one.
    Interval {
        /// The setting.
        value: Duration,
    },
    /// Repeats without time between them would never end.
    RepeatEvery {
        /// The setting.
        value: Duration,
    },
    /// A rate without permits lets nobody in.
    Permits {
        /// The setting.
        value: u32,
    },
    /// A rate is so many permits in some time.
    Per {
        /// The setting.
        value: Duration,
    },
    /// A bucket holds a permit at least, and fills again in 146 years at most.
    Burst {
        /// The setting.
        value: u32,
        /// The largest that there can be.
        most: u32,
    },
    /// A log in place has room for every permit.
    LogCapacity {
        /// Of the rate.
        permits: u32,
        /// Of the storage.
        capacity: usize,
    },
    /// A table has room for a key at least, and for no more than its storage.
    Capacity {
        /// The setting.
        value: usize,
        /// The storage's.
        most: usize,
    },
    /// With none at once, nothing ever starts.
    MaxConcurrent {
        /// The setting.
        value: u32,
    },
    /// What is under way already can't be told more.
    Begun,
    /// With none at once, nothing would ever be done; and there is no room for more than there are places.
    Limit {
        /// The setting.
        value: usize,
        /// How many places there are.
        most: usize,
    },
    /// Jitter can't take away more than the whole TTL.
    TtlJitter {
        /// The setting.
        value: Ratio,
    },
    /// What is fetched anew so long before its end would be due before it came.
    RefreshAhead {
        /// The setting.
        value: Duration,
        /// The shortest TTL by the settings, its jitter taken off.
        ttl: Duration,
    },
    /// It has to be a number.
    EarlyRefresh {
        /// The setting.
        value: Ratio,
    },
    /// With none at once, nothing would ever be fetched; and there is no room for more than there are places.
    MaxFetches {
        /// The setting.
        value: usize,
        /// How many places there are.
        most: usize,
    },
    /// Of a cache that a memoized function's values are kept in: nobody fetches them anew but who calls it, and errors are not kept.
    Memoized {
        /// The setting that has no sense there.
        setting: &'static str,
    },
    /// No more can wait than there are places.
    WaitingPlaces {
        /// The setting.
        value: u32,
        /// How many places there are.
        most: usize,
    },
    /// Without weight there is room for nothing.
    MaxWeight {
        /// The setting.
        value: u64,
    },
    /// Without a failure, nothing ever trips.
    ConsecutiveFailures {
        /// The setting.
        value: u32,
    },
    /// A window has room for a call at least, and for no more than its bits.
    LastCalls {
        /// The setting.
        value: u32,
        /// How many bits there are.
        most: u32,
    },
    /// A window without time has no calls in it.
    LastTime {
        /// The setting.
        value: Duration,
    },
    /// A window has a bucket at least, and no more than there is room for.
    Buckets {
        /// The setting.
        value: u32,
        /// How many there is room for.
        most: u32,
    },
    /// A share of nothing would be reached without a failure, and more than all never.
    FailureRate {
        /// The setting.
        value: Ratio,
    },
    /// A share of nothing would be reached without a slow call, and more than all never.
    SlowRate {
        /// The setting.
        value: Ratio,
    },
    /// There is no share of no calls, and never more calls than the window holds.
    MinCalls {
        /// The setting.
        value: u32,
        /// How many the window holds.
        most: u32,
    },
    /// Without a probe, a breaker would never close again.
    HalfOpenCalls {
        /// The setting.
        value: u32,
    },
    /// Without time for a probe, a breaker would never close again.
    HalfOpenFor {
        /// The setting.
        value: Duration,
    },
    /// A breaker closes by a success, not by itself.
    SuccessThreshold {
        /// The setting.
        value: u32,
    },
    /// With a limit of none, nothing ever starts.
    MinLimit {
        /// The setting.
        value: u32,
    },
    /// The largest limit can't be less than the smallest.
    MaxLimit {
        /// The setting.
        value: u32,
        /// The smallest limit.
        least: u32,
    },
    /// A limit begins within its bounds.
    InitialLimit {
        /// The setting.
        value: u32,
        /// The smallest limit.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// Every call takes longer than no time.
    MaxLatency {
        /// The setting.
        value: Duration,
    },
    /// A breaker that opens does so for some time, or for ever: a list of no times says neither.
    OpenBackoff,
    /// A limit that gives way shrinks, and does not collapse.
    BackoffRatio {
        /// The setting.
        value: Ratio,
    },
    /// Calls may take as long as they do in the long run.
    Tolerance {
        /// The setting.
        value: Ratio,
    },
    /// If all may be signs of overload, there is none.
    OverloadTolerance {
        /// The setting.
        value: Ratio,
    },
    /// A share of nothing would never get there, and more than all would overshoot.
    Smoothing {
        /// The setting.
        value: Ratio,
    },
    /// What is looked at after every window has no time to be otherwise.
    ProbeEvery {
        /// The setting.
        value: u32,
    },
    /// A batch has an item at least, and no more than there is room for.
    MaxItems {
        /// The setting.
        value: u32,
        /// How many there is room for.
        most: u32,
    },
    /// If no batch's worth of callers may wait, none is ever full.
    MaxWaiting {
        /// The setting.
        value: u32,
        /// A batch's worth.
        least: u32,
    },
    /// A hedge that makes none is none; and there is no room for more than there are places, nor for more than 32.
    MaxHedges {
        /// The setting.
        value: u32,
        /// For how many there is room.
        most: usize,
    },
    /// A budget of nothing would never let a hedge start.
    HedgeBudget {
        /// The setting.
        value: Ratio,
    },
    /// There is a hedge at least, and a budget is counted in parts of one: as many as its denominator says.
    HedgeBurst {
        /// The setting.
        value: u32,
        /// The largest that there can be with that budget.
        most: u32,
    },
    /// No call is quicker than the quickest, or slower than the slowest.
    Percentile {
        /// The setting.
        value: Ratio,
    },
    /// A percentile is one of some samples, and of no more than are kept.
    MinSamples {
        /// The setting.
        value: u32,
        /// How many are kept at least.
        most: u32,
    },
    /// A ceiling can't lie below the floor.
    MaxDelay {
        /// The setting.
        value: Duration,
        /// The floor.
        min: Duration,
    },
    /// Proportional jitter can't take away more than the whole delay.
    Jitter {
        /// The setting.
        value: Ratio,
    },
}

impl Error for ConfigError {}

/// A configuration that is checked while the program is compiled.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static RETRY: Retry = checked!(Retry::new().max_attempts(5));
/// ```
///
/// ```compile_fail
/// use aplomb_sim::prelude::*;
///
/// static RETRY: Retry = checked!(Retry::new().max_attempts(0)); // max_attempts must be at least 1
/// ```
#[macro_export]
macro_rules! checked {
    ($configuration:expr) => {
        // A `const` block runs in the compiler only, and so does its panic.
        const {
            // Made twice, of one type: to be asked, which uses it up, since the compiler drops nothing that may have waiters; and to be.
            let mut asked = false;
            loop {
                let configuration = $configuration;
                if asked {
                    break configuration;
                }
                if let ::core::option::Option::Some(error) = configuration.config_error() {
                    ::core::panic!("{}", error.requirement());
                }
                asked = true;
            }
        }
    };
}
