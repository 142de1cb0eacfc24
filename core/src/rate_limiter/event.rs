use core::time::Duration;

use super::error::RateLimitError;

/// What a limiter tells its [observer](super::RateLimiter::observed_by). Of callers whose permits are there it tells nothing; a [snapshot](super::RateLimiter::snapshot) has how many there are.
///
/// # Examples
///
/// ```
/// use aplomb::rate_limiter::{Event, TokenBucket};
/// use aplomb_sim::prelude::*;
///
/// fn log(event: &Event) {
///     match event {
///         Event::Waiting { ahead, at_least } => println!("behind {ahead}, for {at_least:?}"),
///         Event::Admitted { waited } => println!("had to wait for {waited:?}"),
///         Event::Rejected { reason } => println!("rejected: {reason}"),
///         _ => {}
///     }
/// }
///
/// static GITHUB: RateLimiter<TokenBucket, Heap, fn(&Event)> =
///     checked!(RateLimiter::new(Rate::per_minute(100)).observed_by(log as fn(&Event)));
/// # aplomb_sim::block_on(async { drop(GITHUB.try_acquire(1)) });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// A caller waits for permits.
    Waiting {
        /// How many callers waited already. Reservations before it are counted in the time.
        ahead: u32,
        /// How long it waits at least, by the rule, if none of those leaves; zero where the rule can't tell, or a call has to end first.
        at_least: Duration,
    },
    /// A caller that waited has its permits.
    Admitted {
        /// How long it waited.
        waited: Duration,
    },
    /// A caller was turned away, at once or after it had waited.
    Rejected {
        /// Why.
        reason: RateLimitError,
    },
}
