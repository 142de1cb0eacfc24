//! How a limiter is made.

use core::mem::forget;

use super::algorithm::{Algorithm, FixedWindow, SlidingCounter, SlidingWindow, TokenBucket};
use super::event::Event;
use super::limiter::RateLimiter;
use super::line::Limits;
use super::rate::Rate;
use crate::config::ConfigError;
use crate::observe::{SharedObserver, Silent};
use crate::platform::{Ambient, Platform};
use crate::storage::Storage;

impl<P: Platform<Clock: Ambient>> RateLimiter<P> {
    /// A full [`TokenBucket`], which fills at this rate, and holds as many permits as come in one `per`.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        let bucket = TokenBucket::new(rate);
        Self::made(Ambient::CLOCK, bucket, Limits::NONE, bucket.config_error(), Silent)
    }

    /// A full [`TokenBucket`], which fills at this rate, and holds `burst` permits: so many may be taken at once after a while without any.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let pings: RateLimiter = RateLimiter::with_burst(Rate::per_minute(60), 5);
    /// # aplomb_sim::block_on(async {
    /// assert!(pings.try_acquire(5).is_ok());
    /// assert_eq!(pings.try_acquire(1).unwrap_err().retry_after(), Some(secs(1)));
    /// # });
    /// ```
    #[must_use]
    pub const fn with_burst(rate: Rate, burst: u32) -> Self {
        let bucket = TokenBucket::new(rate).burst(burst);
        Self::made(Ambient::CLOCK, bucket, Limits::NONE, bucket.config_error(), Silent)
    }
}

impl<P: Platform<Clock: Ambient>> RateLimiter<P, FixedWindow> {
    /// So many permits in each window, by [`FixedWindow`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use aplomb::rate_limiter::FixedWindow;
    ///
    /// let api: RateLimiter<FixedWindow> = RateLimiter::fixed_window(Rate::per_second(3));
    /// # aplomb_sim::block_on(async {
    /// assert!(api.try_acquire(3).is_ok());
    /// assert_eq!(api.try_acquire(1).unwrap_err().retry_after(), Some(secs(1)));
    /// # });
    /// ```
    #[must_use]
    pub const fn fixed_window(rate: Rate) -> Self {
        let rule = FixedWindow::new(rate);
        Self::made(Ambient::CLOCK, rule, Limits::NONE, rule.config_error(), Silent)
    }
}

impl<P: Platform<Clock: Ambient>> RateLimiter<P, SlidingWindow<<P as Platform>::Storage>> {
    /// So many permits in any stretch of time, exactly, by [`SlidingWindow`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use aplomb::rate_limiter::SlidingWindow;
    ///
    /// let api: RateLimiter<SlidingWindow<Heap>> = RateLimiter::sliding_window(Rate::per_second(3));
    /// # aplomb_sim::block_on(async {
    /// assert!(api.try_acquire(3).is_ok());
    /// assert_eq!(api.try_acquire(1).unwrap_err().retry_after(), Some(secs(1)));
    /// # });
    /// ```
    #[must_use]
    pub const fn sliding_window(rate: Rate) -> Self {
        let rule = SlidingWindow::new(rate);
        Self::made(Ambient::CLOCK, rule, Limits::NONE, rule.config_error(), Silent)
    }
}

impl<P: Platform<Clock: Ambient>> RateLimiter<P, SlidingCounter> {
    /// So many permits in any stretch of time, nearly, by [`SlidingCounter`].
    #[must_use]
    pub const fn sliding_counter(rate: Rate) -> Self {
        let rule = SlidingCounter::new(rate);
        Self::made(Ambient::CLOCK, rule, Limits::NONE, rule.config_error(), Silent)
    }
}

impl<P: Platform, A: Algorithm, S: Storage> RateLimiter<P, A, S> {
    /// By any rule, one of one's own included, on a clock that is held in hand. What is wrong with the rule is told by the first call.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use aplomb::rate_limiter::{RateLimiter, TokenBucket};
    /// use aplomb_sim::{Manual, ManualClock};
    ///
    /// let clock = ManualClock::<4>::new();
    /// let limiter: RateLimiter<Manual<'_, 4>> = RateLimiter::with_clock(&clock, TokenBucket::new(Rate::per_second(1)));
    /// assert!(limiter.try_acquire(1).is_ok() && limiter.try_acquire(1).is_err());
    /// clock.advance(secs(1));
    /// assert!(limiter.try_acquire(1).is_ok());
    /// ```
    #[must_use]
    pub const fn with_clock(clock: P::Clock, algorithm: A) -> Self {
        Self::made(clock, algorithm, Limits::NONE, None, Silent)
    }
}

/// Settings that change its type. Of a limiter that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform<Clock: Copy>, A: Algorithm + Copy, S: Storage, O: Copy> RateLimiter<P, A, S, O> {
    /// Keeps those who wait in `T`: in [`Inline<N>`](crate::storage::Inline), at most `N` of them, with the reservations that have not come to their end. Default: the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::rate_limiter::TokenBucket;
    /// use aplomb_sim::prelude::*;
    ///
    /// static AIRTIME: RateLimiter<TokenBucket, Inline<4>> = checked!(RateLimiter::new(Rate::per_second(2)).storage());
    /// ```
    #[must_use]
    pub const fn storage<T: Storage>(self) -> RateLimiter<P, A, T, O> {
        let observer = self.observer;
        self.with(observer)
    }

    /// Tells `observer` who has to wait, for how long, and who is turned away.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::rate_limiter::{Event, TokenBucket};
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::future::zip;
    /// use std::cell::RefCell;
    ///
    /// let seen = RefCell::new(Vec::new());
    /// let note = |event: &Event| seen.borrow_mut().push(*event);
    /// let desk: RateLimiter<TokenBucket, Heap, _> = RateLimiter::with_burst(Rate::per_second(2), 1).observed_by(note);
    /// let served = aplomb_sim::block_on(async { zip(desk.acquire(1), desk.acquire(1)).await });
    /// assert!(served.0.is_ok() && served.1.is_ok());
    /// let waiting = Event::Waiting { ahead: 0, at_least: ms(500) };
    /// assert_eq!(*seen.borrow(), [waiting, Event::Admitted { waited: ms(500) }]);
    /// ```
    #[must_use]
    pub const fn observed_by<V: SharedObserver<Event>>(self, observer: V) -> RateLimiter<P, A, S, V> {
        self.with(observer)
    }

    const fn with<T: Storage, V>(self, observer: V) -> RateLimiter<P, A, T, V> {
        let (clock, algorithm, limits, error) = (self.clock, self.algorithm, self.limits, self.error);
        // It has no waiters yet, and a `const fn` drops nothing.
        forget(self);
        RateLimiter::made(clock, algorithm, limits, error, observer)
    }
}

impl<P: Platform, A: Algorithm, S: Storage, O> RateLimiter<P, A, S, O> {
    /// How many calls run at once, whatever the rate. At least 1. Default: any number.
    ///
    /// A call that runs holds a [`Permit`](super::Permit); each counts as one, however many permits it took.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let api: RateLimiter = RateLimiter::new(Rate::per_second(100)).max_concurrent(1);
    /// # aplomb_sim::block_on(async {
    /// let call = api.try_acquire(1).unwrap();
    /// assert!(api.try_acquire(1).is_err());
    /// drop(call);
    /// assert!(api.try_acquire(1).is_ok());
    /// # });
    /// ```
    #[must_use]
    pub const fn max_concurrent(mut self, calls: u32) -> Self {
        self.limits.max_concurrent = calls;
        self
    }

    /// How many callers may wait, with the reservations behind them; the next one ends at once, with [`QueueFull`](super::RateLimitError::QueueFull). Zero is legal: nobody waits then. Default: as many as the storage has room for. On the heap that is no bound, and memory is taken for each; set it.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let api: RateLimiter = RateLimiter::with_burst(Rate::per_second(1), 1).max_waiting(0);
    /// # aplomb_sim::block_on(async {
    /// api.acquire(1).await.unwrap();
    /// let full = api.acquire(1).await.unwrap_err();
    /// assert_eq!(full, RateLimitError::QueueFull { waiting: 0, retry_after: Some(secs(1)) });
    /// # });
    /// ```
    #[must_use]
    pub const fn max_waiting(mut self, callers: u32) -> Self {
        self.limits.max_waiting = callers;
        self
    }

    /// What is wrong with it, if anything is: [`check`](RateLimiter::check), for code that is evaluated at compile time. Of a rule that came [by hand](RateLimiter::with_clock) it knows nothing: a trait has no `const fn`s, and so [`check`](RateLimiter::check) sees more.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError> {
        let error = match self.error {
            Some(error) => Some(error),
            None => self.limits.config_error::<S>(),
        };
        // It has no waiters yet, and a `const fn` drops nothing.
        forget(self);
        error
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
    /// let refused = RateLimiter::new(Rate::per_second(0)).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "permits is 0, must be at least 1");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        let error = self.algorithm.config_error().or(self.limits.config_error::<S>());
        error.map_or(Ok(self), Err)
    }
}
