//! How a breaker is set up.

use core::mem::forget;
use core::time::Duration;

use super::breaker::CircuitBreaker;
use super::judge::{AnyError, FailureIf};
use super::machine::{HalfOpen, Terms};
use super::trip::{Consecutive, LastCalls, LastTime, Sliding, Trip, Window};
use crate::backoff::{Backoff, Constant, Growth, Schedule, Spread};
use crate::config::ConfigError;
use crate::observe::Silent;
use crate::platform::{Ambient, Platform};
use crate::ratio::Ratio;
use crate::storage::Storage;
use crate::time::{nanos, secs};

const DEFAULT_OPEN: Constant = Constant::every(secs(60));

impl<P: Platform<Clock: Ambient>> CircuitBreaker<P> {
    /// Trips when so many calls in a row have failed, at least 1.
    #[must_use]
    pub const fn consecutive(failures: u32) -> Self {
        Self::with_clock(Ambient::CLOCK, Consecutive::new(failures))
    }
}

impl<P: Platform<Clock: Ambient>> CircuitBreaker<P, LastCalls> {
    /// Trips when of the last `calls` too many have failed: by default half of them, when there are so many. At most 128; [`with_clock`](CircuitBreaker::with_clock) takes a [`LastCalls`] that has room for more.
    #[must_use]
    pub const fn last_calls(calls: u32) -> Self {
        Self::with_clock(Ambient::CLOCK, LastCalls::new(calls))
    }
}

impl<P: Platform<Clock: Ambient>> CircuitBreaker<P, LastTime> {
    /// Trips when of the calls of the last `time` too many have failed: by default half of them, when there are at least 20. They are counted in at most ten [buckets](CircuitBreaker::buckets); [`with_clock`](CircuitBreaker::with_clock) takes a [`LastTime`] that has room for more.
    #[must_use]
    pub const fn last_time(time: Duration) -> Self {
        Self::with_clock(Ambient::CLOCK, LastTime::new(time))
    }
}

impl<P: Platform, T: Trip, S: Storage> CircuitBreaker<P, T, Constant, AnyError, S> {
    /// By any rule, one of one's own included, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, trip: T) -> Self {
        Self::made(clock, Terms { trip, open: DEFAULT_OPEN, half_open: HalfOpen::DEFAULT }, AnyError, Silent)
    }
}

impl<P: Platform, T: Trip, J, S: Storage, O> CircuitBreaker<P, T, Constant, J, S, O> {
    /// How long it opens, each time. Default: 60 s. Zero is legal: the next call is a probe. [`Duration::MAX`]: until somebody says otherwise.
    #[must_use]
    pub const fn open_for(mut self, time: Duration) -> Self {
        self.terms.open = Constant::every(time);
        self
    }
}

impl<P: Platform, T: Trip, B: Backoff<State: Copy>, J, S: Storage, O> CircuitBreaker<P, T, B, J, S, O> {
    /// How many probes may be under way at once while it is half-open, at least 1. Default: 1.
    ///
    /// Of each time that it is half-open, so many. Those that outlast [theirs](CircuitBreaker::half_open_for) go on all the same: what is to end, put a [timeout](crate::timeout) around.
    #[must_use]
    pub const fn half_open(mut self, calls: u32) -> Self {
        self.terms.half_open.calls = calls;
        self
    }

    /// How long it stays half-open, longer than zero: if it has not closed by then, it opens again, and the probes under way don't count any more. So one that never ends does not hold it up for ever. With [`Duration::MAX`], it does.
    ///
    /// Longer than a call may take: probes that need more would never close it. Default: as long as it opens if its probes fail ([`open_for`](CircuitBreaker::open_for), or what the [backoff](CircuitBreaker::open_backoff) has come to), but no less than 60 s.
    #[must_use]
    pub const fn half_open_for(mut self, time: Duration) -> Self {
        self.terms.half_open.time = Some(nanos(time));
        self
    }

    /// How many probes have to succeed for it to close, at least 1. They need not be under way at once. Default: 1.
    #[must_use]
    pub const fn success_threshold(mut self, successes: u32) -> Self {
        self.terms.half_open.successes = successes;
        self
    }

    /// Itself, if it makes sense; for what comes from a configuration file. [`checked!`](crate::checked) does so at compile time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says which setting it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let refused: Result<CircuitBreaker, ConfigError> = CircuitBreaker::consecutive(0).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "consecutive is 0, must be at least 1");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        self.terms.config_error().map_or(Ok(self), Err)
    }
}

// Of what changes the type, nothing may be dropped, which a `const fn` can't: so it has to be `Copy`.
impl<P, T, B, J, S, O> CircuitBreaker<P, T, B, J, S, O>
where
    P: Platform<Clock: Copy>,
    T: Trip + Copy,
    B: Backoff<State: Copy> + Copy,
    J: Copy,
    S: Storage,
    O: Copy,
{
    /// How long it opens the first time, and each time that its probes have failed. It begins anew when the breaker has closed; where a list ends, its last delay goes on; it has one at least.
    ///
    /// With jitter, not all instances of a program come back at once.
    ///
    /// A delay is drawn when it trips, and when it goes half-open for the case that its probes fail; outside the lock, so that a [`Backoff`] of one's own may look at the breaker.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static API: CircuitBreaker<Consecutive, Exponential> =
    ///     checked!(CircuitBreaker::consecutive(5).open_backoff(Exponential::from(secs(5)).max(secs(300)).jitter(Jitter::Equal)));
    /// ```
    #[must_use]
    pub const fn open_backoff<B2: Backoff<State: Copy>>(self, backoff: B2) -> CircuitBreaker<P, T, B2, J, S, O> {
        let Parts { clock, terms: Terms { trip, half_open, .. }, judge, observer } = self.parts();
        CircuitBreaker::made(clock, Terms { trip, open: backoff, half_open }, judge, observer)
    }

    /// Keeps those who wait for a [change](CircuitBreaker::changed) in `Q`: in [`Inline<N>`](crate::storage::Inline), at most `N` of them. Default: the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::circuit_breaker::AnyError;
    /// use aplomb_sim::prelude::*;
    ///
    /// static MODEM: CircuitBreaker<Consecutive, Constant, AnyError, Inline<1>> = checked!(CircuitBreaker::consecutive(3).storage());
    /// ```
    #[must_use]
    pub const fn storage<Q: Storage>(self) -> CircuitBreaker<P, T, B, J, Q, O> {
        let Parts { clock, terms, judge, observer } = self.parts();
        CircuitBreaker::made(clock, terms, judge, observer)
    }

    /// Counts by a judge of one's own.
    #[must_use]
    pub const fn judged_by<J2>(self, judge: J2) -> CircuitBreaker<P, T, B, J2, S, O> {
        let Parts { clock, terms, observer, .. } = self.parts();
        CircuitBreaker::made(clock, terms, judge, observer)
    }

    /// Only errors of which `predicate` is true are failures; all others count as successes, since the service did answer. Default: every error is one.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::circuit_breaker::FailureIf;
    /// use aplomb_sim::prelude::*;
    ///
    /// struct HttpError(u16);
    ///
    /// static API: CircuitBreaker<Consecutive, Constant, FailureIf<fn(&HttpError) -> bool>> =
    ///     CircuitBreaker::consecutive(5).failure_if(|error| error.0 >= 500);
    /// ```
    #[must_use]
    pub const fn failure_if<F>(self, predicate: F) -> CircuitBreaker<P, T, B, FailureIf<F>, S, O> {
        self.judged_by(FailureIf { predicate })
    }

    /// Tells an observer what happens, outside the lock: of two threads that change the state one after the other, either may come first.
    #[must_use]
    pub const fn observed_by<O2>(self, observer: O2) -> CircuitBreaker<P, T, B, J, S, O2> {
        let Parts { clock, terms, judge, .. } = self.parts();
        CircuitBreaker::made(clock, terms, judge, observer)
    }

    /// What it was made of. There is nothing on record yet.
    pub(super) const fn parts(self) -> Parts<P::Clock, T, B, J, O> {
        let parts = Parts { clock: self.clock, terms: self.terms, judge: self.judge, observer: self.observer };
        forget(self);
        parts
    }
}

/// What a breaker is made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<C, T, B, J, O> {
    pub(super) clock: C,
    pub(super) terms: Terms<T, B>,
    pub(super) judge: J,
    pub(super) observer: O,
}

impl<P: Platform, W: Window, B: Backoff<State: Copy>, J, S: Storage, O> CircuitBreaker<P, Sliding<W>, B, J, S, O> {
    /// Which share of the calls are too many that fail, above zero and at most one; it trips when that is reached. Default: 50 %.
    #[must_use]
    pub const fn failure_rate(mut self, share: Ratio) -> Self {
        self.terms.trip.failure_rate = share;
        self
    }

    /// Trips by slowness too: when such a share of the calls took longer than `longer_than`, whether they failed or not. A slow probe counts as a failure. In a pipeline, what a call waits for in a queue within, before it comes to the operation, is no part of its time. Default: no call is slow, and none is timed.
    #[must_use]
    pub const fn slow_calls(mut self, longer_than: Duration, share: Ratio) -> Self {
        (self.terms.trip.slow_after, self.terms.trip.slow_rate) = (longer_than, share);
        self
    }

    /// How many calls there have to be in the window for it to trip. Default: as many as it holds, or 20 of a window of time.
    #[must_use]
    pub const fn min_calls(mut self, calls: u32) -> Self {
        self.terms.trip.min_calls = calls;
        self
    }
}

impl<P: Platform, const BUCKETS: usize, B: Backoff<State: Copy>, J, S: Storage, O>
    CircuitBreaker<P, LastTime<BUCKETS>, B, J, S, O>
{
    /// In how many buckets calls are counted, from 1 to `BUCKETS`, which is the default. With each that begins the oldest one is forgotten, so that of the window at least all but one bucket's time is looked at.
    #[must_use]
    pub const fn buckets(mut self, buckets: u32) -> Self {
        self.terms.trip = self.terms.trip.buckets(buckets);
        self
    }
}

macro_rules! config_error {
    ([$($parameter:tt)*], $trip:ty) => {
        impl<P, $($parameter)* G, D, J, S, O> CircuitBreaker<P, $trip, Schedule<G, D>, J, S, O>
        where
            P: Platform,
            G: Growth<State: Copy>,
            D: Spread<Previous: Copy>,
            S: Storage,
        {
            /// What is wrong with it, if anything is: [`check`](CircuitBreaker::check), for code that is evaluated at compile time.
            #[must_use]
            pub const fn config_error(self) -> Option<ConfigError> {
                let error = wrong(self.terms.trip.config_error(), self.terms.half_open, self.terms.open.open_error());
                // Nobody waits yet, and a `const fn` drops nothing.
                forget(self);
                error
            }
        }
    };
}

// One for each rule whose own is constant.
config_error!([], Consecutive);
config_error!([W: Window,], Sliding<W>);

pub(super) const fn wrong(trip: Option<ConfigError>, half_open: HalfOpen, open: Option<ConfigError>) -> Option<ConfigError> {
    match (trip, half_open.config_error()) {
        (Some(error), _) | (None, Some(error)) => Some(error),
        (None, None) => open,
    }
}
