//! How a limit is set up.

use core::mem::forget;
use core::time::Duration;

use super::algorithm::{Aimd, Algorithm, Gradient, Vegas};
use super::event::Event;
use super::judge::{IgnoreErrors, OverloadIf};
use super::limit::AdaptiveLimit;
use super::machine::{Machine, Terms};
use crate::config::ConfigError;
use crate::observe::{SharedObserver, Silent};
use crate::platform::{Ambient, Platform};
use crate::ratio::{Ratio, percent};
use crate::storage::{Storage, waiting_error};
use crate::sync::Semaphore;
use crate::time::{ms, nanos};

impl<P: Platform<Clock: Ambient>> AdaptiveLimit<P> {
    /// A limit that is found by [`Gradient`].
    #[must_use]
    pub const fn new() -> Self {
        Self::with_clock(Ambient::CLOCK, Gradient::new())
    }
}

impl<P: Platform<Clock: Ambient>> Default for AdaptiveLimit<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform, A: Algorithm, S: Storage> AdaptiveLimit<P, A, IgnoreErrors, S> {
    /// By any rule, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock, algorithm: A) -> Self {
        let (window, overload_tolerance) = (nanos(ms(100)), percent(5));
        let terms = Terms { algorithm, initial: 20, min: 1, max: 200, window, min_calls: 10, overload_tolerance };
        Self::made(clock, terms, Queue { max_waiting: u32::MAX, max_wait: u64::MAX }, IgnoreErrors, Silent)
    }
}

/// Who waits, and for how long, in nanoseconds.
#[derive(Clone, Copy)]
struct Queue {
    max_waiting: u32,
    max_wait: u64,
}

impl<P: Platform, A: Algorithm, J, S: Storage, O> AdaptiveLimit<P, A, J, S, O> {
    const fn made(clock: P::Clock, terms: Terms<A>, queue: Queue, judge: J, observer: O) -> Self {
        // It has no permits before somebody asks for one, which is when it is looked at whether it makes sense.
        let semaphore = Semaphore::with(0, Machine::NEW).max_waiting(queue.max_waiting);
        Self { semaphore, terms, clock, max_wait: queue.max_wait, judge, observer }
    }

    /// The limit that it begins with, from [`min_limit`](AdaptiveLimit::min_limit) to [`max_limit`](AdaptiveLimit::max_limit). Default: 20.
    #[must_use]
    pub const fn initial_limit(mut self, calls: u32) -> Self {
        self.terms.initial = calls;
        self
    }

    /// The smallest that the limit gets, at least 1. Default: 1.
    #[must_use]
    pub const fn min_limit(mut self, calls: u32) -> Self {
        self.terms.min = calls;
        self
    }

    /// The largest that the limit gets, at least [`min_limit`](AdaptiveLimit::min_limit): for what is known to be too much. Default: 200.
    #[must_use]
    pub const fn max_limit(mut self, calls: u32) -> Self {
        self.terms.max = calls;
        self
    }

    /// For how long calls are measured, at least, before the limit changes; never for less than one of them takes. Zero is legal. Default: 100 ms.
    #[must_use]
    pub const fn window(mut self, time: Duration) -> Self {
        self.terms.window = nanos(time);
        self
    }

    /// How many calls a window has, at least 1: the limit does not change before so many are measured, but when it is overloaded. Default: 10.
    #[must_use]
    pub const fn min_calls(mut self, calls: u32) -> Self {
        self.terms.min_calls = calls;
        self
    }

    /// The share of calls that may be a sign of overload whatever the load is, below 1: a window is overloaded when, beside one of them, so many of its calls are. Default: 5 %. With zero, one is enough.
    ///
    /// It is a share of the window's calls, or of those under way if these are more; so a service that is overloaded is not waited for until all its calls have timed out. What a share means that is not exceeded stands in the [module](crate::adaptive_limit).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::adaptive_limit::Gradient;
    /// use aplomb_sim::prelude::*;
    ///
    /// // Behind it is a network that loses a tenth of all calls.
    /// static FAR: AdaptiveLimit<Gradient> = checked!(AdaptiveLimit::new().overload_tolerance(percent(15)));
    /// ```
    #[must_use]
    pub const fn overload_tolerance(mut self, share: Ratio) -> Self {
        self.terms.overload_tolerance = share;
        self
    }

    /// Lets at most so many wait; with 0, whoever finds the limit reached is rejected at once. Default: as many as the [storage](AdaptiveLimit::storage) has room for; on the heap, set it.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let api: AdaptiveLimit = AdaptiveLimit::new().initial_limit(1).max_waiting(0);
    /// # aplomb_sim::block_on(async {
    /// let _permit = api.acquire().await;
    /// assert_eq!(api.acquire().await.unwrap_err(), LimitError::QueueFull { waiting: 0 });
    /// # });
    /// ```
    #[must_use]
    pub const fn max_waiting(mut self, max_waiting: u32) -> Self {
        self.semaphore.max_waiting = max_waiting;
        self
    }

    /// Lets nobody wait for longer than that, counted from the poll that has found the limit reached. Default: without limit. With zero, nobody waits.
    #[must_use]
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = nanos(max_wait);
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
    /// let refused: Result<AdaptiveLimit, ConfigError> = AdaptiveLimit::new().max_limit(10).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "initial_limit is 20, must be from 1 to 10");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        self.settings_error().map_or(Ok(self), Err)
    }

    pub(super) fn settings_error(&self) -> Option<ConfigError> {
        self.terms.config_error().or_else(|| waiting_error(self.semaphore.max_waiting, S::CAPACITY))
    }
}

// Of what changes the type, nothing may be dropped, which a `const fn` can't: so it has to be `Copy`.
/// Settings that change its type. Of a limit that has been used already, no more than its settings is kept: what it held is leaked.
impl<P: Platform<Clock: Copy>, A: Algorithm + Copy, J: Copy, S: Storage, O: Copy> AdaptiveLimit<P, A, J, S, O> {
    /// Finds the limit by another rule: [`Vegas`], [`Aimd`], a [`Gradient`] with settings of its own, or [one of one's own](Algorithm). Default: [`Gradient`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::adaptive_limit::Vegas;
    /// use aplomb_sim::prelude::*;
    ///
    /// static DB: AdaptiveLimit<Vegas> = checked!(AdaptiveLimit::new().algorithm(Vegas::new()));
    /// ```
    #[must_use]
    pub const fn algorithm<A2: Algorithm>(self, algorithm: A2) -> AdaptiveLimit<P, A2, J, S, O> {
        let (judge, observer) = (self.judge, self.observer);
        self.with(algorithm, judge, observer)
    }

    /// Keeps those who wait in `T`: in [`Inline<N>`](crate::storage::Inline), at most `N` of them, and one whose turn has come keeps its place until its task has its turn: with room for `max_waiting` and the `max_limit` together, the queue never ends early. Default: the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::adaptive_limit::{Gradient, IgnoreErrors};
    /// use aplomb_sim::prelude::*;
    ///
    /// static BUS: AdaptiveLimit<Gradient, IgnoreErrors, Inline<4>> = checked!(AdaptiveLimit::new().storage());
    /// ```
    #[must_use]
    pub const fn storage<T: Storage>(self) -> AdaptiveLimit<P, A, J, T, O> {
        let (algorithm, judge, observer) = (self.terms.algorithm, self.judge, self.observer);
        self.with(algorithm, judge, observer)
    }

    /// Counts by a judge of one's own.
    #[must_use]
    pub const fn judged_by<J2>(self, judge: J2) -> AdaptiveLimit<P, A, J2, S, O> {
        let (algorithm, observer) = (self.terms.algorithm, self.observer);
        self.with(algorithm, judge, observer)
    }

    /// Errors of which `predicate` is true are a sign of overload: timeouts, refusals. All others count as nothing. Default: all errors count as nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::adaptive_limit::{Gradient, OverloadIf};
    /// use aplomb_sim::prelude::*;
    ///
    /// type Late = TimeoutError<std::io::Error>;
    ///
    /// static API: AdaptiveLimit<Gradient, OverloadIf<fn(&Late) -> bool>> =
    ///     checked!(AdaptiveLimit::new().min_limit(4).overload_if(TimeoutError::is_timeout as fn(&Late) -> bool));
    ///
    /// async fn fetch() -> Result<u32, std::io::Error> { Ok(42) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let answer = API.run(|| timeout(secs(1), fetch())).await;
    ///     assert_eq!(answer.unwrap(), 42);
    /// });
    /// ```
    #[must_use]
    pub const fn overload_if<F>(self, predicate: F) -> AdaptiveLimit<P, A, OverloadIf<F>, S, O> {
        self.judged_by(OverloadIf { predicate })
    }

    /// Tells `observer` when the limit changes, who has to wait, for how long, and who is turned away.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::adaptive_limit::{Aimd, Event, IgnoreErrors};
    /// use aplomb_sim::prelude::*;
    /// use std::cell::RefCell;
    ///
    /// let seen = RefCell::new(Vec::new());
    /// let note = |event: &Event| seen.borrow_mut().push(*event);
    /// let api: AdaptiveLimit<Aimd, IgnoreErrors, Heap, _> =
    ///     AdaptiveLimit::new().algorithm(Aimd::new(ms(50))).window(ms(0)).overload_tolerance(percent(0)).observed_by(&note);
    /// let slow = async || { aplomb_sim::sleep(ms(60)).await; Ok::<_, std::io::Error>(()) };
    /// aplomb_sim::block_on(api.run(slow)).unwrap();
    /// assert_eq!(*seen.borrow(), [Event::Changed { from: 20, to: 18 }]);
    /// ```
    #[must_use]
    pub const fn observed_by<O2: SharedObserver<Event>>(self, observer: O2) -> AdaptiveLimit<P, A, J, S, O2> {
        let (algorithm, judge) = (self.terms.algorithm, self.judge);
        self.with(algorithm, judge, observer)
    }

    const fn with<A2: Algorithm, J2, T: Storage, O2>(
        self,
        algorithm: A2,
        judge: J2,
        observer: O2,
    ) -> AdaptiveLimit<P, A2, J2, T, O2> {
        let Terms { initial, min, max, window, min_calls, overload_tolerance, .. } = self.terms;
        let terms = Terms { algorithm, initial, min, max, window, min_calls, overload_tolerance };
        let queue = Queue { max_waiting: self.semaphore.max_waiting, max_wait: self.max_wait };
        let clock = self.clock;
        // It has no waiters yet.
        forget(self);
        AdaptiveLimit::made(clock, terms, queue, judge, observer)
    }
}

macro_rules! config_error {
    ($($algorithm:ty),*) => {$(
        impl<P: Platform, J, S: Storage, O> AdaptiveLimit<P, $algorithm, J, S, O> {
            /// What is wrong with it, if anything is: [`check`](AdaptiveLimit::check), for code that is evaluated at compile time.
            #[must_use]
            pub const fn config_error(self) -> Option<ConfigError> {
                let error = match (self.terms.wrong(), self.terms.algorithm.wrong()) {
                    (Some(error), _) | (None, Some(error)) => Some(error),
                    (None, None) => waiting_error(self.semaphore.max_waiting, S::CAPACITY),
                };
                // It has no waiters yet, and a `const fn` drops nothing.
                forget(self);
                error
            }
        }
    )*};
}

// One for each rule whose own is constant.
config_error!(Aimd, Vegas, Gradient);
