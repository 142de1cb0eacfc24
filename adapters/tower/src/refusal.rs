use core::fmt;
use core::time::Duration;

use aplomb::pipeline::Cause;
use aplomb::{
    BatchError, BreakerError, BulkheadError, HedgeError, LimitError, PipelineError, RateLimitError, RetryError, TimeoutError,
};

/// The error of a pattern: either that of the service within, or the pattern's own, which may become a response.
///
/// It is implemented for the errors of all patterns that are layers.
pub trait Refusal: Sized {
    /// The error of the service within.
    type Inner;

    /// The service within has failed.
    fn failed(inner: Self::Inner) -> Self;

    /// Whether the pattern has turned the call away, for the sake of what it guards.
    fn is_rejected(&self) -> bool;

    /// What the pattern has decided.
    ///
    /// # Errors
    ///
    /// That of the service within, if it was that.
    fn rejection(self) -> Result<Rejection, Self::Inner>;
}

/// Why a call has no response of the service's: what a [`Responder`](crate::Responder) makes a response of.
///
/// # Examples
///
/// ```
/// use aplomb::rate_limiter::RateLimitError;
/// use aplomb::time::ms;
/// use aplomb_tower::{Reason, Refusal};
///
/// let error: RateLimitError<std::io::Error> = RateLimitError::Limited { retry_after: Some(ms(1_500)) };
/// let rejection = error.rejection().unwrap();
/// assert_eq!(rejection.reason, Reason::RateLimited);
/// assert_eq!(rejection.retry_after_secs(), Some(2));
/// assert_eq!(rejection.to_string(), "rate limited, try again in 2 s");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    /// How long to wait before it is worth another try, where that is known.
    pub retry_after: Option<Duration>,
}

/// Why a call was ended by a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The rate is used up.
    RateLimited,
    /// There is no place, or there are too many keys.
    Overloaded,
    /// The circuit is open, or half-open with as many probes as may be.
    CircuitOpen,
    /// Time ran out.
    TimedOut,
    /// Nobody knows what has come of it: the batch that it was in was given up, or its responses were not as many as its requests.
    Lost,
    /// The configuration makes no sense.
    Misconfigured,
}

impl Rejection {
    /// For that reason.
    #[must_use]
    pub const fn new(reason: Reason, retry_after: Option<Duration>) -> Self {
        Self { reason, retry_after }
    }

    /// How long to wait in whole seconds, rounded up, as `Retry-After` has it: who comes then does not come too early.
    #[must_use]
    pub fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after.map(seconds)
    }
}

/// Rounded up.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::RateLimited => "rate limited",
            Reason::Overloaded => "overloaded",
            Reason::CircuitOpen => "circuit open",
            Reason::TimedOut => "timed out",
            Reason::Lost => "lost",
            Reason::Misconfigured => "misconfigured",
        })?;
        match self.retry_after_secs() {
            Some(seconds) => write!(f, ", try again in {seconds} s"),
            None => Ok(()),
        }
    }
}

/// Of a pattern's error that is `Failed`, `Config`, or one of its own: which reasons these are.
macro_rules! refusals {
    ($($error:ident: $($own:pat => $why:expr),+;)+) => { $(
        impl<E> Refusal for $error<E> {
            type Inner = E;

            fn failed(inner: E) -> Self {
                Self::Failed(inner)
            }

            fn is_rejected(&self) -> bool {
                self.is_rejected()
            }

            fn rejection(self) -> Result<Rejection, E> {
                let retry_after = self.retry_after();
                let reason = match self {
                    Self::Failed(error) => return Err(error),
                    Self::Config(_) => Reason::Misconfigured,
                    $($own => $why),+
                };
                Ok(Rejection { reason, retry_after })
            }
        }
    )+ };
}

refusals! {
    RateLimitError: Self::TableFull { .. } => Reason::Overloaded, _ => Reason::RateLimited;
    BreakerError: Self::TableFull { .. } => Reason::Overloaded, _ => Reason::CircuitOpen;
    BulkheadError: _ => Reason::Overloaded;
    LimitError: _ => Reason::Overloaded;
    BatchError: Self::QueueFull { .. } => Reason::Overloaded, _ => Reason::Lost;
}

impl<E> Refusal for TimeoutError<E> {
    type Inner = E;

    fn failed(inner: E) -> Self {
        Self::Failed(inner)
    }

    fn is_rejected(&self) -> bool {
        self.is_rejected()
    }

    fn rejection(self) -> Result<Rejection, E> {
        match self {
            Self::Failed(error) => Err(error),
            Self::TimedOut { .. } => Ok(Rejection { reason: Reason::TimedOut, retry_after: None }),
        }
    }
}

/// The last error of the service is handed on as it was; a rejection is what remains where there is none.
impl<E> Refusal for RetryError<E> {
    type Inner = E;

    fn failed(inner: E) -> Self {
        Self::Refused { attempts: 0, error: inner }
    }

    fn is_rejected(&self) -> bool {
        self.is_rejected()
    }

    fn rejection(self) -> Result<Rejection, E> {
        let reason = if matches!(self, Self::Config(_)) { Reason::Misconfigured } else { Reason::TimedOut };
        self.into_inner().map_or(Ok(Rejection { reason, retry_after: None }), Err)
    }
}

/// The last error of the service is handed on as it was; a configuration that makes no sense is what remains.
impl<E> Refusal for HedgeError<E> {
    type Inner = E;

    fn failed(inner: E) -> Self {
        Self::Fatal { attempts: 0, error: inner }
    }

    fn is_rejected(&self) -> bool {
        self.is_rejected()
    }

    fn rejection(self) -> Result<Rejection, E> {
        self.into_inner().map_or(Ok(Rejection { reason: Reason::Misconfigured, retry_after: None }), Err)
    }
}

/// By how the last attempt ended, whichever layer gave up then.
impl<E> Refusal for PipelineError<E> {
    type Inner = E;

    fn failed(inner: E) -> Self {
        Self::failed(inner)
    }

    fn is_rejected(&self) -> bool {
        self.is_rejected()
    }

    fn rejection(self) -> Result<Rejection, E> {
        let retry_after = self.retry_after();
        let of_layer = match self.into_cause() {
            Cause::Failed(error) => return Err(error),
            Cause::RateLimiter(error) => error.rejection(),
            Cause::CircuitBreaker(error) => error.rejection(),
            Cause::Bulkhead(error) => error.rejection(),
            Cause::AdaptiveLimit(error) => error.rejection(),
            Cause::TimedOut { .. } => Ok(Rejection { reason: Reason::TimedOut, retry_after }),
            Cause::Config(_) => Ok(Rejection { reason: Reason::Misconfigured, retry_after }),
            // A layer of one's own.
            _ => Ok(Rejection { reason: Reason::Overloaded, retry_after }),
        };
        of_layer.map_err(|never| match never {})
    }
}
