use core::fmt;
use core::time::Duration;

use super::budget::RetryBudget;
use super::rules::RetryAll;
use crate::attempts::{Limits, Terms};
use crate::backoff::{Backoff, Exponential, Jitter, Schedule};
use crate::config::ConfigError;
use crate::deadline::Deadline;
use crate::platform::{Ambient, Platform};
use crate::time::nanos;

/// A policy of retrying, and, once it has been given an operation, a call.
///
/// As a policy it is plain data: `const`, `Copy`, and referred to by any number of calls. [`run`](Retry::run) and its sisters make a call of it; [`call`](Retry::call), and the adapters' `retry(op)`, make a call that can be
/// told more before it is awaited.
///
/// | setting | default |
/// | --- | --- |
/// | [`max_attempts`](Retry::max_attempts) | 3, the first included |
/// | [`backoff`](Retry::backoff) | exponential from 100 ms to 20 s, full jitter |
/// | [`retry_if`](Retry::retry_if), [`retry_if_value`](Retry::retry_if_value) | every error, no value |
/// | [`retry_after`](Retry::retry_after), [`retry_after_max`](Retry::retry_after_max) | nobody asks; no ceiling |
/// | [`attempt_timeout`](Retry::attempt_timeout), [`deadline`](Retry::deadline) | none |
/// | [`budget`](Retry::budget) | none, but see [`standard`](Retry::standard) |
/// | [`reset_after`](Retry::reset_after) | never |
/// | [`seed`](Retry::seed) | drawn by the platform |
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// static BUDGET: RetryBudget = RetryBudget::new(500);
/// static RETRY: Retry = checked!(Retry::standard(&BUDGET).max_attempts(4).attempt_timeout(secs(2)));
///
/// aplomb_sim::block_on(async {
///     let mut failures = 2;
///     let answer = RETRY
///         .run(|| {
///             let outcome = if failures == 0 { Ok(42) } else { Err("refused") };
///             failures -= 1;
///             async move { outcome }
///         })
///         .await;
///     assert_eq!(answer, Ok(42));
/// });
/// ```
pub struct Retry<'b, P: Platform, B = Exponential, R = RetryAll, O = ()> {
    pub(crate) policy: Policy<'b, P, B>,
    pub(crate) rules: R,
    pub(super) call: O,
}

/// What a [`Retry`] has besides its rules: all that its calls share. A call made from a `static` only refers to it.
pub struct Policy<'b, P: Platform, B> {
    pub(super) clock: P::Clock,
    pub(super) terms: Terms<B>,
    pub(super) seed: Option<u64>,
    pub(super) budget: Option<&'b RetryBudget<P>>,
}

/// A policy, held or referred to.
///
/// It has no parameter for the budget's lifetime: under `tokio::spawn` the compiler would take its two occurrences for two different lifetimes.
pub trait AsPolicy {
    /// Its platform.
    type Platform: Platform;

    /// Its backoff.
    type Backoff: Backoff;

    /// The policy.
    fn policy(&self) -> &Policy<'_, Self::Platform, Self::Backoff>;
}

impl<P: Platform, B: Backoff> AsPolicy for Policy<'_, P, B> {
    type Platform = P;
    type Backoff = B;

    #[inline]
    fn policy(&self) -> &Policy<'_, P, B> {
        self
    }
}

impl<P: Platform, B: Backoff> AsPolicy for &Policy<'_, P, B> {
    type Platform = P;
    type Backoff = B;

    #[inline]
    fn policy(&self) -> &Policy<'_, P, B> {
        self
    }
}

const DEFAULT_BACKOFF: Exponential =
    Exponential::from(Duration::from_millis(100)).max(Duration::from_secs(20)).jitter(Jitter::Full);

const RECONNECT_BACKOFF: Exponential =
    Exponential::from(Duration::from_millis(500)).max(Duration::from_mins(1)).jitter(Jitter::Equal);

impl<'b, P: Platform<Clock: Ambient>> Retry<'b, P> {
    /// The policy with all defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_clock(Ambient::CLOCK)
    }

    /// The policy for calls to a service: all defaults, and a budget that its callers share, so that retries cannot multiply an outage.
    #[must_use]
    pub const fn standard(budget: &'b RetryBudget<P>) -> Self {
        Self::new().budget(budget)
    }

    /// The policy for a connection that is to be up: retries for ever, from every half second to every minute, with equal jitter, and begins anew after a
    /// connection that held for a minute.
    #[must_use]
    pub const fn reconnect() -> Self {
        Self::new().with_backoff(RECONNECT_BACKOFF).forever().reset_after(Duration::from_mins(1))
    }
}

impl<P: Platform> Retry<'_, P> {
    const fn with_backoff(mut self, backoff: Exponential) -> Self {
        self.policy.terms.backoff = backoff;
        self
    }

    /// The policy with all defaults, on a clock that is held in hand.
    #[must_use]
    pub const fn with_clock(clock: P::Clock) -> Self {
        Self {
            policy: Policy { clock, terms: Terms { limits: Limits::new(3), backoff: DEFAULT_BACKOFF }, seed: None, budget: None },
            rules: RetryAll,
            call: (),
        }
    }
}

/// Settings.
impl<'b, P: Platform, B, R, O> Retry<'b, P, B, R, O> {
    /// Makes at most so many attempts, the first included. Default: 3.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.policy.terms.limits.max_attempts = attempts;
        self
    }

    /// Makes as many attempts as it takes.
    #[must_use]
    pub const fn forever(self) -> Self {
        self.max_attempts(Limits::FOREVER)
    }

    /// Drops an attempt after that time, counted from the first poll that left it pending; it has failed then, and is retried. Default: never.
    #[must_use]
    pub const fn attempt_timeout(mut self, after: Duration) -> Self {
        self.policy.terms.limits.attempt_timeout = nanos(after);
        self
    }

    /// Ends the call at the latest so long after it began, that is, after the first poll that left it pending or failed: an attempt under way is dropped then, and no pause begins that would end later. Default: never.
    #[must_use]
    pub const fn deadline(mut self, after: Duration) -> Self {
        self.policy.terms.limits.deadline = nanos(after);
        self
    }

    /// Ends the call at that deadline at the latest, which came with the request; as [`deadline`](Retry::deadline) does.
    #[must_use]
    pub const fn deadline_at(mut self, deadline: Deadline) -> Self {
        self.policy.terms.limits.deadline_at = deadline.instant();
        self
    }

    /// Waits no longer than that when an outcome says itself [when to come again](Retry::retry_after). Default: no ceiling. The backoff's own `max` does not bound it.
    #[must_use]
    pub const fn retry_after_max(mut self, max: Duration) -> Self {
        self.policy.terms.limits.retry_after_max = nanos(max);
        self
    }

    /// Begins the backoff, and the count of attempts, anew when an attempt lasted so long before it failed: a connection that was up for a while is not one more
    /// failure in a row. Default: never. An attempt that was cut off after so long counts as one that held; so keep [`attempt_timeout`](Retry::attempt_timeout) below it.
    #[must_use]
    pub const fn reset_after(mut self, held: Duration) -> Self {
        self.policy.terms.limits.reset_after = nanos(held);
        self
    }

    /// Draws jitter from a generator that begins with `seed` at each call, instead of from the platform's.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.policy.seed = Some(seed);
        self
    }

    /// Pays for retries out of a budget that many callers share. Default: none.
    #[must_use]
    pub const fn budget(mut self, budget: &'b RetryBudget<P>) -> Self {
        self.policy.budget = Some(budget);
        self
    }
}

/// Settings that change the type of a policy.
impl<'b, P: Platform<Clock: Copy>, B: Copy, R: Copy> Retry<'b, P, B, R> {
    /// Waits between attempts as `backoff` says.
    #[must_use]
    pub const fn backoff<B2: Backoff>(self, backoff: B2) -> Retry<'b, P, B2, R> {
        let Policy { clock, terms, seed, budget } = self.policy;
        let policy = Policy { clock, terms: Terms { limits: terms.limits, backoff }, seed, budget };
        Retry { policy, rules: self.rules, call: () }
    }

    /// Decides by rules of your own what is retried, and when.
    #[must_use]
    pub const fn rules<R2>(self, rules: R2) -> Retry<'b, P, B, R2> {
        Retry { policy: self.policy, rules, call: () }
    }
}

impl<P: Platform, G: Copy, J: Copy, R, O> Retry<'_, P, Schedule<G, J>, R, O> {
    /// Itself, if it makes sense; for what comes from a configuration file. [`checked!`](crate::checked) does so at compile time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the setting that doesn't.
    pub const fn check(self) -> Result<Self, ConfigError>
    where
        Self: Copy,
    {
        match self.config_error() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// What is wrong with it, if anything is: [`check`](Retry::check), for code that is evaluated at compile time.
    #[must_use]
    pub const fn config_error(self) -> Option<ConfigError>
    where
        Self: Copy,
    {
        if self.policy.terms.limits.max_attempts == 0 {
            return Some(ConfigError::MaxAttempts { value: 0 });
        }
        self.policy.terms.backoff.config_error()
    }
}

impl<P: Platform, B: Backoff> Policy<'_, P, B> {
    /// Whether it makes sense.
    #[inline]
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.terms.limits.max_attempts == 0 {
            return Err(ConfigError::MaxAttempts { value: 0 });
        }
        self.terms.backoff.check()
    }
}

impl<P: Platform, B: Clone> Clone for Policy<'_, P, B> {
    fn clone(&self) -> Self {
        let terms = Terms { limits: self.terms.limits, backoff: self.terms.backoff.clone() };
        Self { clock: self.clock.clone(), terms, seed: self.seed, budget: self.budget }
    }
}

impl<P: Platform<Clock: Copy>, B: Copy> Copy for Policy<'_, P, B> {}

impl<P: Platform, B: fmt::Debug> fmt::Debug for Policy<'_, P, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("terms", &self.terms).field("budget", &self.budget).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, B: defmt::Format> defmt::Format for Policy<'_, P, B> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Policy {{ terms: {}, budget: {} }}", self.terms, self.budget.is_some());
    }
}

impl<P: Platform, B: Clone, R: Clone, O: Clone> Clone for Retry<'_, P, B, R, O> {
    fn clone(&self) -> Self {
        Self { policy: self.policy.clone(), rules: self.rules.clone(), call: self.call.clone() }
    }
}

impl<P: Platform<Clock: Copy>, B: Copy, R: Copy, O: Copy> Copy for Retry<'_, P, B, R, O> {}

impl<P: Platform, B: fmt::Debug, R, O> fmt::Debug for Retry<'_, P, B, R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P: Platform, B: defmt::Format, R, O> defmt::Format for Retry<'_, P, B, R, O> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Retry {{ policy: {} }}", self.policy);
    }
}

impl<P: Platform<Clock: Ambient>> Default for Retry<'_, P> {
    fn default() -> Self {
        Self::new()
    }
}
