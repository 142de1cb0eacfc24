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

    /// The error of the service within, if it was that.
    fn inner(&self) -> Option<&Self::Inner>;

    /// As [`inner`](Refusal::inner), taken out.
    fn into_inner(self) -> Option<Self::Inner>;

    /// Why the pattern has ended the call; if it was the service within, it says nothing.
    fn reason(&self) -> Reason;

    /// How long to wait before it is worth another try, where that is known.
    fn retry_after(&self) -> Option<Duration>;

    /// What the pattern has decided.
    ///
    /// # Errors
    ///
    /// That of the service within, if it was that.
    fn rejection(self) -> Result<Rejection, Self::Inner> {
        let rejection = Rejection { reason: self.reason(), retry_after: self.retry_after() };
        self.into_inner().map_or(Ok(rejection), Err)
    }
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

/// Of a pattern's error: how it is made of the service's, and which reasons its own variants are.
macro_rules! refusals {
    ($($error:ident, $inner:ident => $failed:expr, { $($own:pat => $why:expr),+ };)+) => { $(
        impl<E> Refusal for $error<E> {
            type Inner = E;

            fn failed($inner: E) -> Self {
                $failed
            }

            fn is_rejected(&self) -> bool {
                self.is_rejected()
            }

            fn inner(&self) -> Option<&E> {
                self.inner()
            }

            fn into_inner(self) -> Option<E> {
                self.into_inner()
            }

            fn reason(&self) -> Reason {
                match self {
                    $($own => $why),+
                }
            }

            fn retry_after(&self) -> Option<Duration> {
                self.retry_after()
            }
        }
    )+ };
}

// A retry and a hedge hand the last error of the service on as it was, and a pipeline tells how the last attempt ended, whichever layer gave up then.
refusals! {
    RateLimitError, error => Self::Failed(error), {
        Self::Config(_) => Reason::Misconfigured, Self::TableFull { .. } => Reason::Overloaded, _ => Reason::RateLimited
    };
    BreakerError, error => Self::Failed(error), {
        Self::Config(_) => Reason::Misconfigured, Self::TableFull { .. } => Reason::Overloaded, _ => Reason::CircuitOpen
    };
    BulkheadError, error => Self::Failed(error), { Self::Config(_) => Reason::Misconfigured, _ => Reason::Overloaded };
    LimitError, error => Self::Failed(error), { Self::Config(_) => Reason::Misconfigured, _ => Reason::Overloaded };
    BatchError, error => Self::Failed(error), {
        Self::Config(_) => Reason::Misconfigured, Self::QueueFull { .. } => Reason::Overloaded, _ => Reason::Lost
    };
    TimeoutError, error => Self::Failed(error), { _ => Reason::TimedOut };
    RetryError, error => Self::Refused { attempts: 0, error }, { Self::Config(_) => Reason::Misconfigured, _ => Reason::TimedOut };
    HedgeError, error => Self::Fatal { attempts: 0, error }, { _ => Reason::Misconfigured };
    PipelineError, error => Self::failed(error), { error => reason_of(error.cause()) };
}

fn reason_of<E>(cause: &Cause<E>) -> Reason {
    match cause {
        Cause::RateLimiter(error) => error.reason(),
        Cause::CircuitBreaker(error) => error.reason(),
        Cause::Bulkhead(error) => error.reason(),
        Cause::AdaptiveLimit(error) => error.reason(),
        Cause::TimedOut { .. } => Reason::TimedOut,
        Cause::Config(_) => Reason::Misconfigured,
        // A layer of one's own.
        _ => Reason::Overloaded,
    }
}
