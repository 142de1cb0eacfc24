//! The rules by which permits are given, each a machine.

mod fixed_window;
mod sliding_counter;
mod sliding_window;
mod span;
mod token_bucket;

pub use fixed_window::{FixedWindow, Window};
pub use sliding_counter::{Counters, SlidingCounter};
pub use sliding_window::{Log, SlidingWindow};
pub use token_bucket::{Bucket, TokenBucket};

use core::num::NonZeroU64;

use crate::config::ConfigError;
use crate::time::Instant;

/// A rule by which permits are given: how many there are, and when there are more.
///
/// It is the configuration; what has been taken stands in its [`State`](Algorithm::State), one for each line of callers, so that a keyed limiter keeps no more than that for each key. A rule is arithmetic: it runs under the
/// limiter's lock, reads no clock and calls nothing foreign. If it panics all the same, so does whoever has asked, and no place among the calls that run is lost; but others may wait in vain for what it was about to say. The limiter sees to it that time does not run backwards, and that who waits longest asks first.
///
/// # Examples
///
/// A rule of one's own: any number of permits, but only in every other second.
///
/// ```
/// use aplomb::rate_limiter::{Algorithm, RateLimiter, Refused};
/// use aplomb::{ConfigError, Instant};
/// use aplomb_sim::prelude::*;
///
/// #[derive(Debug, Clone, Copy)]
/// struct EvenSeconds;
///
/// impl Algorithm for EvenSeconds {
///     type State = ();
///     const START: () = ();
///
///     fn try_take(&self, (): &mut (), now: Instant, _: u32) -> Result<(), Refused> {
///         let second = now.as_nanos() / 1_000_000_000;
///         if second % 2 == 0 { Ok(()) } else { Err(Refused::Until(Instant::ORIGIN + secs(second + 1))) }
///     }
///
///     fn reserve(&self, state: &mut (), _now: Instant, not_before: Instant, n: u32) -> Option<Instant> {
///         Some(self.try_take(state, not_before, n).err().and_then(Refused::until).unwrap_or(not_before))
///     }
///
///     fn give_back(&self, (): &mut (), _now: Instant, _n: u32, _at: Instant) {}
///     fn available(&self, (): &(), _now: Instant) -> u32 { u32::MAX }
///     fn most(&self) -> u32 { u32::MAX }
///     fn renewed_at(&self, (): &()) -> Instant { Instant::ORIGIN }
///     fn take_over(&self, (): &mut (), _from: &Self, _now: Instant) {}
///     fn config_error(&self) -> Option<ConfigError> { None }
/// }
///
/// aplomb_sim::block_on(async {
///     let limiter = RateLimiter::<aplomb_sim::Sim, _>::with_clock(aplomb_sim::SimClock, EvenSeconds);
///     limiter.acquire(1_000).await.unwrap();
///     aplomb_sim::sleep(ms(1_500)).await;
///     limiter.acquire(1).await.unwrap();
///     assert_eq!(aplomb_sim::now(), Instant::ORIGIN + secs(2));
/// });
/// ```
pub trait Algorithm {
    /// What has been taken.
    type State: Clone;

    /// When nothing has been taken yet.
    const START: Self::State;

    /// Takes `n` permits, if they are there now.
    ///
    /// # Errors
    ///
    /// [`Refused`] says when they are there if nobody takes any before, or that they never are; if that has come already, whoever waits asks again a nanosecond later. A configuration that makes no sense never gives any.
    fn try_take(&self, state: &mut Self::State, now: Instant, n: u32) -> Result<(), Refused>;

    /// Takes `n` permits in advance, behind all that have been taken, and says when they may be used, which is not before `not_before`; `None` if that is never, and nothing is taken then.
    fn reserve(&self, state: &mut Self::State, now: Instant, not_before: Instant, n: u32) -> Option<Instant>;

    /// Gives back `n` permits of that instant, which were reserved for it, or, unless it lies after `now`, were taken then and not used: as far as nothing that was taken or reserved later rests on them, so that no stretch of time has more for it.
    fn give_back(&self, state: &mut Self::State, now: Instant, n: u32, at: Instant);

    /// The earliest instant at which `n` permits can be there if `ahead` others are taken before; any earlier one, if that is hard to tell. What comes too late for a deadline is refused at once by it; and with none ahead, it says for
    /// when somebody is counted whom a coarse timer has woken a little late.
    fn not_before(&self, _state: &Self::State, now: Instant, _ahead: u64, _n: u32) -> Instant {
        now
    }

    /// Whether what is reserved for later is taken only when somebody comes after, so that it costs nothing to give it back before: for a rule whose [`give_back`](Algorithm::give_back) cannot undo it. With none ahead, [`not_before`](Algorithm::not_before) has to be exact then. Default: no, it is taken at once.
    fn reserves_late(&self) -> bool {
        false
    }

    /// How many permits are there now.
    fn available(&self, state: &Self::State, now: Instant) -> u32;

    /// How many permits there can be at once.
    fn most(&self) -> u32;

    /// From when on, if nothing more is taken, the state is as good as new: a key may be forgotten then.
    fn renewed_at(&self, state: &Self::State) -> Instant;

    /// The rule itself, where it takes the place of `earlier`: what it leaves open stays as it was there. Default: it leaves nothing open.
    #[must_use]
    fn in_place_of(self, earlier: &Self) -> Self
    where
        Self: Sized,
    {
        let _ = earlier;
        self
    }

    /// Whether a caller that a coarse timer woke a little late counts as of when it was due, so that the rate is met; at the price that two of them may come closer together than the rule says, by as much as the timer was late. Default: no, it counts as of when it goes.
    fn counts_late_as_due(&self) -> bool {
        false
    }

    /// The state in a word, if it fits into one and nothing is lost, nor is anything reserved for later: then permits are taken without the lock. Default: it does not.
    fn pack(&self, _state: &Self::State, _now: Instant) -> Option<NonZeroU64> {
        None
    }

    /// The state that was [packed](Algorithm::pack).
    fn unpack(&self, _word: NonZeroU64) -> Self::State {
        Self::START
    }

    /// [Takes](Algorithm::try_take) permits from a packed state: how it is packed afterwards, or when they are there. `None` leaves it to the lock.
    #[inline]
    fn try_take_packed(&self, word: NonZeroU64, now: Instant, n: u32) -> Option<Result<NonZeroU64, Instant>> {
        let mut state = self.unpack(word);
        match self.try_take(&mut state, now, n) {
            Ok(()) => self.pack(&state, now).map(Ok),
            Err(refused) => refused.until().map(Err),
        }
    }

    /// [Takes](Algorithm::try_take_packed) permits in a few steps, which are in line wherever some are taken; `None` leaves it to the longer way. Default: it always does.
    #[inline]
    fn try_take_quickly(&self, _word: NonZeroU64, _now: Instant, _n: u32) -> Option<Result<NonZeroU64, Instant>> {
        None
    }

    /// Takes over a state that another configuration has kept until now. What has been taken is not to be had again: a bucket keeps the permits that are there, as far as it can hold so many; a window keeps what was taken in it.
    fn take_over(&self, state: &mut Self::State, from: &Self, now: Instant);

    /// What is wrong with the configuration, if anything is.
    fn config_error(&self) -> Option<ConfigError>;
}

/// Why permits are not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refused {
    /// They are there at that instant, if nobody takes any before.
    Until(Instant),
    /// They never are: there can't be so many at once, or there will be no more.
    Never,
}

impl Refused {
    /// Until then, or never.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use aplomb::Instant;
    /// use aplomb::rate_limiter::Refused;
    ///
    /// assert_eq!(Refused::at(Instant::ORIGIN + secs(1)).until(), Some(Instant::ORIGIN + secs(1)));
    /// assert_eq!(Refused::at(Instant::MAX), Refused::Never);
    /// ```
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        if instant.is_never() { Self::Never } else { Self::Until(instant) }
    }

    /// When they are there.
    #[must_use]
    pub const fn until(self) -> Option<Instant> {
        match self {
            Self::Until(at) => Some(at),
            Self::Never => None,
        }
    }
}
