use core::fmt;
use core::future::{Future, IntoFuture};
use core::time::Duration;

use super::event::PollEvent;
use super::future::Run;
use super::grid::Grid;
use crate::attempts::{Limits, Terms};
use crate::backoff::{Backoff, Constant};
use crate::config::ConfigError;
use crate::deadline::Deadline;
use crate::observe::{Observer, Silent};
use crate::platform::Platform;
use crate::time::nanos;

/// A call that is made again and again until its value will do. It is told more before it is awaited.
///
/// | setting | default |
/// | --- | --- |
/// | [`every`](Polling::every), [`at_rate`](Polling::at_rate), [`backoff`](Polling::backoff) | every second |
/// | [`initial_delay`](Polling::initial_delay) | none |
/// | [`max_attempts`](Polling::max_attempts) | without limit |
/// | [`tolerate_errors`](Polling::tolerate_errors), [`tolerate_errors_in_a_row`](Polling::tolerate_errors_in_a_row) | the first error ends it |
/// | [`deadline`](Polling::deadline) | none |
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// #[derive(Debug)]
/// struct Job { progress: u8 }
/// impl Job { fn is_done(&self) -> bool { self.progress == 100 } }
///
/// # let progress = std::cell::Cell::new(0);
/// let job_status = |_id: u32| {
///     progress.set(progress.get() + 25);
///     let job = Job { progress: progress.get() };
///     async move { Ok::<_, std::io::Error>(job) }
/// };
///
/// aplomb_sim::block_on(async {
///     # let id = 7;
///     let job = poll_until(|| job_status(id), |job| job.is_done()).every(secs(2)).max_attempts(30).await.unwrap();
///     assert_eq!(job.progress, 100);
///     assert_eq!(aplomb_sim::now().as_nanos(), 6_000_000_000);
/// });
/// ```
#[must_use = "a call does nothing unless awaited"]
pub struct Polling<P: Platform, O, U, B = Constant, N = Silent> {
    pub(super) clock: P::Clock,
    pub(super) terms: Terms<B>,
    pub(super) grid: Option<Grid>,
    /// Nanoseconds.
    pub(super) initial_delay: u64,
    pub(super) errors: Errors,
    pub(super) operation: O,
    pub(super) until: U,
    pub(super) observer: N,
}

/// Which errors do not end it.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Errors {
    All,
    /// So many one after another; with none, each ends it.
    InARow(u32),
}

impl<P: Platform, O, U> Polling<P, O, U> {
    /// Calls `operation` until a value comes of which `until` is true.
    pub fn with_clock<Fut, T, E>(clock: P::Clock, operation: O, until: U) -> Self
    where
        O: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
        U: FnMut(&T) -> bool,
    {
        let backoff = Constant::every(Duration::from_secs(1));
        let terms = Terms { limits: Limits::new(Limits::FOREVER), backoff };
        let (grid, initial_delay, errors, observer) = (None, 0, Errors::InARow(0), Silent);
        Self { clock, terms, grid, initial_delay, errors, operation, until, observer }
    }
}

impl<P: Platform, O, U, B, N> Polling<P, O, U, B, N> {
    /// Waits so long after the end of an attempt. Default: a second. With zero, the other tasks have their turn, and no more.
    pub fn every(self, delay: Duration) -> Polling<P, O, U, Constant, N> {
        self.backoff(Constant::every(delay))
    }

    /// Starts attempts on a grid of that interval, which begins with the first start. Ticks that were missed are skipped, and those that the clock [cannot tell apart](crate::Clock::TICK). At least a nanosecond.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let mut starts = Vec::new();
    /// let sample = || {
    ///     starts.push(aplomb_sim::now().as_nanos() / 1_000_000);
    ///     let takes = if starts.len() == 1 { ms(250) } else { ms(10) };
    ///     async move {
    ///         aplomb_sim::sleep(takes).await;
    ///         Ok::<_, std::io::Error>(())
    ///     }
    /// };
    /// let sampling = aplomb_sim::block_on(async { poll_until(sample, |()| false).at_rate(ms(100)).max_attempts(3).await });
    /// assert!(sampling.is_err());
    /// assert_eq!(starts, [0, 300, 400]);
    /// ```
    pub fn at_rate(self, interval: Duration) -> Polling<P, O, U, Constant, N> {
        Polling { grid: Some(Grid::new(nanos(interval))), ..self.every(interval) }
    }

    /// Waits after the end of an attempt as `backoff` says. Where that ends, so do the attempts.
    pub fn backoff<B2>(self, backoff: B2) -> Polling<P, O, U, B2, N> {
        let Self { clock, terms, initial_delay, errors, operation, until, observer, .. } = self;
        let terms = Terms { limits: terms.limits, backoff };
        Polling { clock, terms, grid: None, initial_delay, errors, operation, until, observer }
    }

    /// Waits so long before the first attempt. Default: not at all.
    pub fn initial_delay(mut self, delay: Duration) -> Self {
        self.initial_delay = nanos(delay);
        self
    }

    /// Makes at most so many attempts, the first included. Default: without limit.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.terms.limits.max_attempts = attempts;
        self
    }

    /// Goes on after every error. Default: the first ends it.
    pub fn tolerate_errors(mut self) -> Self {
        self.errors = Errors::All;
        self
    }

    /// Goes on after up to so many errors in a row; one more ends it. A value begins the count anew.
    pub fn tolerate_errors_in_a_row(mut self, errors: u32) -> Self {
        self.errors = Errors::InARow(errors);
        self
    }

    /// Ends at the latest so long after the first poll: an attempt under way is dropped then, and no pause begins that would end later. Default: never.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.terms.limits.deadline = nanos(after);
        self
    }

    /// Ends at that deadline at the latest, as [`deadline`](Polling::deadline) does.
    pub fn deadline_at(mut self, deadline: Deadline) -> Self {
        self.terms.limits.deadline_at = deadline.instant();
        self
    }

    /// Tells `observer` of each attempt that came to nothing, before the pause, and of the end.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::polling::PollEvent;
    /// use aplomb_sim::prelude::*;
    ///
    /// let mut progress = 0;
    /// let mut seen = Vec::new();
    /// let job = || { progress += 50; let progress = progress; async move { Ok::<u8, std::io::Error>(progress) } };
    /// aplomb_sim::block_on(async {
    ///     poll_until(job, |progress| *progress == 100)
    ///         .notify(|event: &PollEvent<'_, u8, std::io::Error>| if let PollEvent::Pending { outcome: Ok(progress), .. } = event { seen.push(*progress) })
    ///         .await
    ///         .unwrap();
    /// });
    /// assert_eq!(seen, [50]);
    /// ```
    pub fn notify<T, E, F>(self, observer: F) -> Polling<P, O, U, B, F>
    where
        F: FnMut(&PollEvent<'_, T, E>),
    {
        self.observed_by(observer)
    }

    /// As [`notify`](Polling::notify), with an observer that is no closure.
    pub fn observed_by<V>(self, observer: V) -> Polling<P, O, U, B, V> {
        let Self { clock, terms, grid, initial_delay, errors, operation, until, .. } = self;
        Polling { clock, terms, grid, initial_delay, errors, operation, until, observer }
    }
}

impl<P: Platform, O, U, B: Backoff, N> Polling<P, O, U, B, N> {
    /// Itself, if it makes sense; for what comes from a configuration file. It is asked again when it is awaited, and nothing starts then.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if it may make no attempt, if the grid of [`at_rate`](Polling::at_rate) has no distance, or if the backoff makes no sense.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let sample = || async { Ok::<_, std::io::Error>(7) };
    /// let refused = poll_until(sample, |_| true).at_rate(ms(0)).check();
    /// assert_eq!(refused.unwrap_err().to_string(), "interval is 0ns, must be longer than zero");
    /// ```
    pub fn check(self) -> Result<Self, ConfigError> {
        match self.config_error() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// What is wrong with it, if anything is.
    pub(super) fn config_error(&self) -> Option<ConfigError> {
        if self.terms.limits.max_attempts == 0 {
            return Some(ConfigError::MaxAttempts { value: 0 });
        }
        if self.grid.is_some_and(|grid| grid.interval == 0) {
            return Some(ConfigError::Interval { value: Duration::ZERO });
        }
        self.terms.backoff.check().err()
    }
}

impl<P, O, U, B, N, Fut, T, E> IntoFuture for Polling<P, O, U, B, N>
where
    P: Platform,
    O: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    U: FnMut(&T) -> bool,
    B: Backoff,
    N: for<'e> Observer<PollEvent<'e, T, E>>,
{
    type Output = Result<T, super::PollError<T, E>>;
    type IntoFuture = Run<P, O, U, B, N, Fut, T, E>;

    fn into_future(self) -> Self::IntoFuture {
        Run::new(self)
    }
}

impl<P: Platform, O, U, B: fmt::Debug, N> fmt::Debug for Polling<P, O, U, B, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polling").field("terms", &self.terms).field("errors", &self.errors).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, O, U, B: defmt::Format, N> defmt::Format for Polling<P, O, U, B, N> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Polling {{ terms: {}, errors: {}, .. }}", self.terms, self.errors);
    }
}
