use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::adaptive_limit::LimitError;
use crate::bulkhead::BulkheadError;
use crate::circuit_breaker::BreakerError;
use crate::config::ConfigError;
use crate::hedge::HedgeError;
use crate::rate_limiter::RateLimitError;
use crate::retry::{RetryError, StopReason};
use crate::timeout::TimeoutError;

/// Why a call through a pipeline has no value: one flat error, however many layers there are.
///
/// Its [`cause`](PipelineError::cause) is how the last attempt ended, [`raised_by`](PipelineError::raised_by) tells who said so, and [`layer`](PipelineError::layer) who ended the call: a retry that gives up ends it, though the last word was the operation's.
///
/// # Examples
///
/// ```
/// use aplomb::pipeline::Cause;
/// use aplomb_sim::prelude::*;
///
/// const RETRY: Retry = Retry::new().max_attempts(2);
///
/// let guarded = Pipeline::new().timeout(secs(10)).retry(RETRY);
/// let refused = aplomb_sim::block_on(guarded.run(|| async { Err::<(), _>("refused") })).unwrap_err();
///
/// assert_eq!(refused.to_string(), "refused; layer 1 (retry) gave up after 2 attempts");
/// assert!(matches!(refused.cause(), Cause::Failed("refused")));
/// assert_eq!(refused.layer().unwrap().name, "retry");
/// assert_eq!((refused.attempts(), refused.inner()), (2, Some(&"refused")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PipelineError<E> {
    cause: Cause<E>,
    /// None: the operation.
    raised_by: Option<LayerId>,
    gave_up: Option<GaveUp>,
}

/// A layer of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LayerId {
    /// How many layers are around it: the outermost is 0.
    pub index: usize,
    /// What it is: `"timeout"`, `"retry"`, and so on.
    pub name: &'static str,
}

/// How an attempt ended, if not with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Cause<E> {
    /// The operation's own error.
    Failed(E),
    /// It was cut off: by a timeout, or by a retry's deadline or attempt timeout.
    TimedOut {
        /// The time that it had; none where a deadline said so.
        after: Option<Duration>,
    },
    /// A rate limiter has not let it through.
    RateLimiter(RateLimitError),
    /// A circuit breaker has not let it through.
    CircuitBreaker(BreakerError),
    /// A bulkhead has not let it through.
    Bulkhead(BulkheadError),
    /// An adaptive limit has not let it through.
    AdaptiveLimit(LimitError),
    /// A layer of your own has not let it through.
    Rejected {
        /// Why.
        reason: &'static str,
        /// When it is worth another try, where that is known.
        retry_after: Option<Duration>,
    },
    /// What a layer is made by makes no sense. Nothing has started.
    Config(ConfigError),
}

/// A retry, or a hedge, has given up, or has stopped at what it does not try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct GaveUp {
    layer: LayerId,
    attempts: u32,
    reason: StopReason,
}

impl<E> PipelineError<E> {
    /// The operation's own error, as it goes through the layers; for an [`Operation`](crate::Operation) that is a layer of your own.
    #[must_use]
    pub const fn failed(error: E) -> Self {
        Self { cause: Cause::Failed(error), raised_by: None, gave_up: None }
    }

    /// What a layer says.
    pub(super) const fn raised(cause: Cause<E>, by: LayerId) -> Self {
        Self { cause, raised_by: Some(by), gave_up: None }
    }

    /// That a layer of your own has not let an operation through; for an [`Operation`](crate::Operation) that you wrap.
    #[must_use]
    pub const fn rejected(layer: LayerId, reason: &'static str, retry_after: Option<Duration>) -> Self {
        Self::raised(Cause::Rejected { reason, retry_after }, layer)
    }

    /// A layer that tries again did not, this being no error for that. One of the first attempt goes through as it is.
    fn passed_on(self, attempts: u32, layer: LayerId) -> Self {
        if attempts > 1 { Self { gave_up: Some(GaveUp { layer, attempts, reason: StopReason::Refused }), ..self } } else { self }
    }

    pub(super) fn of_timeout(error: TimeoutError<Self>, layer: LayerId) -> Self {
        match error {
            TimeoutError::Failed(within) => within,
            TimeoutError::TimedOut { after } => Self::raised(Cause::TimedOut { after }, layer),
        }
    }

    pub(super) fn of_retry(error: RetryError<Self>, layer: LayerId) -> Self {
        let gave_up = GaveUp { layer, attempts: error.attempts(), reason: error.reason() };
        let last = match error {
            RetryError::Refused { attempts, error } => return error.passed_on(attempts, layer),
            RetryError::Config(error) => return Self::raised(Cause::Config(error), layer),
            RetryError::Exhausted { last, .. }
            | RetryError::Budget { last, .. }
            | RetryError::Deadline { last: Some(last), .. } => last,
            RetryError::Deadline { last: None, .. } => TimeoutError::TimedOut { after: None },
        };
        Self { gave_up: Some(gave_up), ..Self::of_timeout(last, layer) }
    }

    pub(super) fn of_hedge(error: HedgeError<Self>, layer: LayerId) -> Self {
        match error {
            HedgeError::Failed { attempts: 1, error } => error,
            HedgeError::Fatal { attempts, error } => error.passed_on(attempts, layer),
            HedgeError::Failed { attempts, error } => {
                Self { gave_up: Some(GaveUp { layer, attempts, reason: StopReason::Exhausted }), ..error }
            }
            HedgeError::Config(error) => Self::raised(Cause::Config(error), layer),
        }
    }

    pub(super) fn of_rate_limiter(error: RateLimitError<Self>, layer: LayerId) -> Self {
        match error.split() {
            Ok(within) => within,
            Err(RateLimitError::Config(error)) => Self::raised(Cause::Config(error), layer),
            Err(reason) => Self::raised(Cause::RateLimiter(reason), layer),
        }
    }

    pub(super) fn of_circuit_breaker(error: BreakerError<Self>, layer: LayerId) -> Self {
        match error.split() {
            Ok(within) => within,
            Err(BreakerError::Config(error)) => Self::raised(Cause::Config(error), layer),
            Err(reason) => Self::raised(Cause::CircuitBreaker(reason), layer),
        }
    }

    pub(super) fn of_bulkhead(error: BulkheadError<Self>, layer: LayerId) -> Self {
        match error.split() {
            Ok(within) => within,
            Err(BulkheadError::Config(error)) => Self::raised(Cause::Config(error), layer),
            Err(reason) => Self::raised(Cause::Bulkhead(reason), layer),
        }
    }

    pub(super) fn of_adaptive_limit(error: LimitError<Self>, layer: LayerId) -> Self {
        match error.split() {
            Ok(within) => within,
            Err(LimitError::Config(error)) => Self::raised(Cause::Config(error), layer),
            Err(reason) => Self::raised(Cause::AdaptiveLimit(reason), layer),
        }
    }

    /// How the last attempt ended.
    pub const fn cause(&self) -> &Cause<E> {
        &self.cause
    }

    /// How the last attempt ended.
    pub fn into_cause(self) -> Cause<E> {
        self.cause
    }

    /// Which layer the cause comes from; none if it is the operation's own error.
    pub const fn raised_by(&self) -> Option<LayerId> {
        self.raised_by
    }

    /// Which layer ended the call: the outermost retry or hedge that gave up, or the one that the cause comes from; none if the operation's own error went through all.
    ///
    /// A retry or hedge that does not try again what a layer within has said ([`StopReason::Refused`]) did not end the call; that layer did.
    pub const fn layer(&self) -> Option<LayerId> {
        match (self.gave_up, self.raised_by) {
            (Some(GaveUp { reason: StopReason::Refused, .. }), Some(raised_by)) => Some(raised_by),
            (Some(gave_up), _) => Some(gave_up.layer),
            (None, raised_by) => raised_by,
        }
    }

    /// How many attempts the outermost retry or hedge made that gave up, or stopped at an error that it does not try again; 1 if none made more.
    pub const fn attempts(&self) -> u32 {
        match self.gave_up {
            Some(gave_up) => gave_up.attempts,
            None => 1,
        }
    }

    /// Why the outermost retry or hedge gave up, or stopped; none if none did, or at the first attempt's error, which it passed on.
    pub const fn stop_reason(&self) -> Option<StopReason> {
        match self.gave_up {
            Some(gave_up) => Some(gave_up.reason),
            None => None,
        }
    }

    /// Whether time ran out, of whatever layer.
    pub const fn is_timeout(&self) -> bool {
        if let Some(GaveUp { reason: StopReason::Deadline, .. }) = self.gave_up {
            return true;
        }
        match &self.cause {
            Cause::TimedOut { .. } => true,
            Cause::RateLimiter(reason) => reason.is_timeout(),
            Cause::Bulkhead(reason) => reason.is_timeout(),
            Cause::AdaptiveLimit(reason) => reason.is_timeout(),
            _ => false,
        }
    }

    /// Whether a layer has not let it through.
    pub const fn is_rejected(&self) -> bool {
        if let Some(GaveUp { reason: StopReason::Budget, .. }) = self.gave_up {
            return true;
        }
        self.cause.is_rejected()
    }

    /// When it is worth another try, where a layer knows.
    pub const fn retry_after(&self) -> Option<Duration> {
        match &self.cause {
            Cause::RateLimiter(reason) => reason.retry_after(),
            Cause::CircuitBreaker(reason) => reason.retry_after(),
            Cause::Rejected { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The operation's own error, if that is the cause.
    pub const fn inner(&self) -> Option<&E> {
        match &self.cause {
            Cause::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The operation's own error, if that is the cause.
    pub fn into_inner(self) -> Option<E> {
        match self.cause {
            Cause::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl<E> Cause<E> {
    /// Whether a layer has not let it through.
    pub const fn is_rejected(&self) -> bool {
        matches!(
            self,
            Self::RateLimiter(_) | Self::CircuitBreaker(_) | Self::Bulkhead(_) | Self::AdaptiveLimit(_) | Self::Rejected { .. }
        )
    }
}

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layer {} ({})", self.index, self.name)
    }
}

impl<E: fmt::Display> fmt::Display for Cause<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut { after: Some(after) } => write!(f, "timed out after {after:?}"),
            Self::TimedOut { after: None } => f.write_str("deadline passed"),
            Self::RateLimiter(reason) => reason.fmt(f),
            Self::CircuitBreaker(reason) => reason.fmt(f),
            Self::Bulkhead(reason) => reason.fmt(f),
            Self::AdaptiveLimit(reason) => reason.fmt(f),
            Self::Rejected { reason, retry_after: Some(after) } => write!(f, "rejected: {reason}, try again in {after:?}"),
            Self::Rejected { reason, retry_after: None } => write!(f, "rejected: {reason}"),
            Self::Config(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Display> fmt::Display for PipelineError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.raised_by {
            write!(f, "{layer}: ")?;
        }
        self.cause.fmt(f)?;
        match self.gave_up {
            Some(GaveUp { layer, attempts, reason: StopReason::Refused }) => {
                write!(f, "; {layer} stopped after {attempts} attempts")
            }
            Some(GaveUp { layer, attempts, .. }) => write!(f, "; {layer} gave up after {attempts} attempts"),
            None => Ok(()),
        }
    }
}

impl<E: Error + 'static> Error for PipelineError<E> {
    /// That of the operation's error, whose text is in this one's already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner()?.source()
    }
}
