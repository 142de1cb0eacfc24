use core::num::NonZeroU64;
use core::time::Duration;

use super::span::Span;
use super::{Algorithm, Refused};
use crate::config::ConfigError;
use crate::platform::SMALL;
use crate::rate_limiter::Rate;
use crate::time::{Instant, duration};
use crate::wide::{Halves, divided, quotient, scaled};

/// A bucket that holds up to `burst` permits, and into which they drip one by one at an even pace.
///
/// It is kept as the generic cell rate algorithm (ITU-T I.371; the *virtual scheduling* form): not the permits are counted, but the time at which the bucket is full again, in whole nanoseconds and a fraction of one whose
/// denominator divides the number of permits. Nothing is rounded, so that it does not drift: of 7 permits per 3 seconds there are exactly 73,584,000 in a year of 365 days.
///
/// It looks only at whole nanoseconds: what drips into a bucket that is full is lost, and a bucket of one is full at the nanosecond at which it is emptied again, so that an even pace is rounded up to whole nanoseconds. A reservation is counted for its exact instant, and told the
/// nanosecond after.
///
/// In any stretch of time `t`, at most `burst + t / (per / permits)` permits are given; to callers that wait with a coarse timer, as many more as become due [while it is late](crate::rate_limiter#what-it-promises).
///
/// # Examples
///
/// ```
/// use aplomb::Instant;
/// use aplomb::rate_limiter::{Algorithm, Rate, Refused, TokenBucket};
/// use aplomb::time::ms;
///
/// let bucket = TokenBucket::new(Rate::per_second(10)).burst(2);
/// let mut state = TokenBucket::START;
/// let start = Instant::ORIGIN;
/// assert_eq!(bucket.try_take(&mut state, start, 2), Ok(()));
/// assert_eq!(bucket.try_take(&mut state, start, 1), Err(Refused::Until(start + ms(100))));
/// assert_eq!(bucket.try_take(&mut state, start + ms(100), 1), Ok(()));
/// assert_eq!(bucket.try_take(&mut state, start, 3), Err(Refused::Never));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TokenBucket {
    rate: Rate,
    burst: u32,
    /// The burst that fills again in the longest time that can be told, and never less than comes in one `per`. Kept, since to work it out takes a division of 128 bits.
    largest_burst: u32,
    /// From one permit to the next; zero if the configuration makes no sense.
    interval: Span,
    /// From empty to full.
    depth: Span,
    /// How many parts a nanosecond has: so many that the interval is a whole number of them.
    denominator: u32,
    /// Whether the interval is a whole number of nanoseconds, and everything else makes sense.
    is_whole: bool,
    /// Whether the burst was set, and is not only what comes in one `per`.
    burst_is_set: bool,
}

/// What has been taken out of a [`TokenBucket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Bucket {
    /// When it is full again, as time since the clock's origin.
    whole: Halves,
    parts: u32,
    /// Permits that were given back from under reservations that keep their instants; or [`UNKNOWN`].
    given_back: u32,
}

/// Somebody comes later for his permits than they are there. Who gives back what lies before them does not know whether the bucket is full meanwhile.
const UNKNOWN: u32 = u32::MAX;

/// What is longer is never: 146 years, so that sums are exact.
const LONGEST: u64 = u64::MAX / 4;

impl TokenBucket {
    /// A full bucket that holds `rate.permits()`.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self::of(rate, rate.permits(), false)
    }

    /// How many permits it holds, and so may be taken at once. At least one. Default: as many as come in one `per`.
    #[must_use]
    pub const fn burst(self, burst: u32) -> Self {
        Self::of(self.rate, burst, true)
    }

    #[allow(
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        reason = "a remainder is less than its divisor; conversions are not const"
    )]
    const fn of(rate: Rate, burst: u32, burst_is_set: bool) -> Self {
        let per = if rate.per_nanos() < LONGEST { rate.per_nanos() } else { LONGEST };
        let (divisor, largest_burst) = (Self::divisor(rate.permits(), per), Self::largest_burst(rate));
        let (interval, depth) = (Span::ZERO, Span::ZERO);
        let wrong = Self { rate, burst, largest_burst, interval, depth, denominator: 1, is_whole: false, burst_is_set };
        if wrong.config_error().is_some() {
            return wrong;
        }
        // `burst * per / permits`, of numbers that fit into 64 bits.
        let denominator = quotient(rate.permits() as u64, divisor);
        let Some((interval, parts)) = divided(quotient(per, divisor), denominator) else { return wrong };
        let Some((carry, rest)) = divided(burst as u64 * parts, denominator) else { return wrong };
        let depth = interval.saturating_mul(burst as u64).saturating_add(carry);
        let depth = if depth < LONGEST { depth } else { LONGEST };
        Self {
            rate,
            burst,
            largest_burst,
            interval: Span { whole: interval, parts: parts as u32 },
            depth: Span { whole: depth, parts: rest as u32 },
            denominator: denominator as u32,
            is_whole: denominator == 1 && rate.per_nanos() < LONGEST,
            burst_is_set,
        }
    }

    /// The greatest common divisor.
    #[allow(clippy::cast_lossless, reason = "conversions are not const")]
    const fn divisor(permits: u32, per: u64) -> u64 {
        let (mut divisor, mut rest) = (per, permits as u64);
        while let Some((_, next)) = divided(divisor, rest) {
            (divisor, rest) = (rest, next);
        }
        divisor
    }

    /// From one permit to the next, rounded down to nanoseconds.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        duration(self.interval.whole)
    }

    /// The rate at which it fills.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// What is wrong with it, if anything is.
    #[must_use]
    pub const fn config_error(&self) -> Option<ConfigError> {
        if let Some(error) = self.rate.config_error() {
            Some(error)
        } else if self.burst == 0 || self.burst > self.largest_burst {
            Some(ConfigError::Burst { value: self.burst, most: self.largest_burst })
        } else {
            None
        }
    }

    #[allow(clippy::cast_lossless, clippy::cast_possible_truncation, reason = "conversions are not const")]
    const fn largest_burst(rate: Rate) -> u32 {
        let (permits, per) = (rate.permits() as u128, rate.per_nanos() as u128);
        let Some(largest) = (LONGEST as u128 * permits).checked_div(per) else { return 0 };
        let permits = rate.permits();
        if largest >= u32::MAX as u128 {
            u32::MAX
        } else if largest < permits as u128 {
            permits
        } else {
            largest as u32
        }
    }

    /// Whether it never gives so many.
    fn is_never(&self, n: u32) -> bool {
        n > self.burst || self.interval == Span::ZERO
    }

    /// What `n` permits fill again in.
    #[inline]
    fn cost(&self, n: u64) -> Span {
        match self.interval {
            interval if n == 1 => interval,
            Span { whole, parts: 0 } => Span { whole: scaled(whole, n), parts: 0 },
            interval => self.many(interval, n),
        }
    }

    /// So many times as much, without a division: doubled, and added up.
    fn many(&self, mut span: Span, mut n: u64) -> Span {
        let mut sum = Span::ZERO;
        while n > 0 {
            if n % 2 == 1 {
                sum = self.add(sum, span);
            }
            span = self.add(span, span);
            n /= 2;
        }
        sum
    }

    #[inline]
    fn add(&self, a: Span, b: Span) -> Span {
        let (parts, overflows) = a.parts.overflowing_add(b.parts);
        let carry = overflows || parts >= self.denominator;
        let parts = if carry { parts.wrapping_sub(self.denominator) } else { parts };
        Span { whole: a.whole.saturating_add(b.whole).saturating_add(u64::from(carry)), parts }
    }

    /// `a - b`; zero if that is less.
    fn sub(&self, a: Span, b: Span) -> Span {
        if a <= b {
            return Span::ZERO;
        }
        let borrow = a.parts < b.parts;
        let parts = if borrow { a.parts.wrapping_add(self.denominator) } else { a.parts };
        Span { whole: a.whole.wrapping_sub(b.whole).wrapping_sub(u64::from(borrow)), parts: parts.wrapping_sub(b.parts) }
    }

    /// How many permits drip in that time.
    fn permits_in(&self, span: Span) -> u32 {
        // Mostly none, where a reservation is given back: a division saved.
        if span < self.interval {
            return 0;
        }
        let permits = self.parts(span).checked_div(self.parts(self.interval)).unwrap_or(0);
        u32::try_from(permits).unwrap_or(u32::MAX)
    }

    /// How many parts that is.
    fn parts(&self, span: Span) -> u128 {
        u128::from(span.whole) * u128::from(self.denominator) + u128::from(span.parts)
    }

    /// How many permits after those that may be used at `at`, which was rounded up, the last one of `last` comes.
    fn permits_until(&self, last: Span, at: Instant) -> u32 {
        let (nano, after) = (Span { whole: 1, parts: 0 }, Span { whole: at.as_nanos(), parts: 1 });
        self.permits_in(self.sub(self.add(last, nano), after))
    }

    /// When `n` permits may be used if they are taken, and when the bucket is full again then.
    #[inline(never)]
    fn taking(&self, state: &Bucket, now: Instant, n: u64) -> (Instant, Span) {
        let now_or_later = if state.whole.get() < now.as_nanos() { Span::at(now) } else { state.full_at() };
        let full_at = self.add(now_or_later, self.cost(n));
        let usable_at = self.sub(full_at, self.depth).round_up();
        if usable_at <= now {
            (now, full_at)
        } else if self.rate.per_nanos() >= LONGEST {
            (Instant::MAX, full_at)
        } else {
            (usable_at, full_at)
        }
    }

    /// Takes `n` permits that may be used at `latest`, or before, but not before `not_before`, and says when.
    // Kept out of line, so that the short way is short.
    #[cold]
    #[inline(never)]
    fn take_by(
        &self,
        state: &mut Bucket,
        now: Instant,
        not_before: Instant,
        n: u32,
        latest: Instant,
    ) -> Result<Instant, Refused> {
        if self.is_never(n) {
            return Err(Refused::Never);
        }
        let then = now.max(not_before);
        let (at, full_at) = self.taking(state, then, u64::from(n));
        if at > latest {
            return Err(Refused::at(at));
        }
        let (full_before, drained_at) = (state.full_at(), self.sub(full_at, self.depth).round_up());
        let given_back = if then > now && (full_before <= Span::at(then) || drained_at < then) {
            UNKNOWN
        } else if full_before <= Span::at(now) {
            0
        } else {
            state.given_back_after(n)
        };
        *state = Bucket::new(full_at, given_back);
        Ok(at)
    }

    /// Whether nothing was taken after `n` permits of that instant.
    fn are_last(&self, state: &Bucket, n: u32, at: Instant) -> bool {
        let (full_at, drained_at) = (state.full_at(), self.sub(state.full_at(), self.depth).round_up());
        drained_at == at || full_at == self.add(Span::at(at), self.cost(u64::from(n)))
    }
}

impl TokenBucket {
    /// So many parts, unless they are too many to add some up: of a clock's time, 146 years divided by the denominator.
    #[inline]
    fn number(&self, span: Span) -> Option<u64> {
        let number = span.whole.checked_mul(u64::from(self.denominator))?.checked_add(u64::from(span.parts));
        number.filter(|number| *number < u64::MAX / 4 || self.denominator == 1)
    }
}

/// Takes permits that fill again in `cost`, out of a bucket that does in `depth`: when it is full then, or else when they are there. All is told in one unit.
#[inline]
fn taken(full_at: NonZeroU64, now: u64, cost: u64, depth: u64) -> Result<NonZeroU64, u64> {
    // Of a bucket that is full this lies in the past. It does not depend on the time, which is known last.
    let at = full_at.saturating_add(cost).get().saturating_sub(depth);
    if at > now {
        return Err(at);
    }
    Ok(full_at.max(NonZeroU64::new(now).unwrap_or(NonZeroU64::MIN)).saturating_add(cost))
}

impl Bucket {
    const fn new(full_at: Span, given_back: u32) -> Self {
        Self { whole: Halves::of(full_at.whole), parts: full_at.parts, given_back }
    }

    const fn full_at(&self) -> Span {
        Span { whole: self.whole.get(), parts: self.parts }
    }

    /// Of those that were given back, how many count once so many more have been taken.
    const fn given_back_after(&self, n: u32) -> u32 {
        if self.given_back == UNKNOWN { UNKNOWN } else { self.given_back.saturating_sub(n) }
    }
}

impl Algorithm for TokenBucket {
    type State = Bucket;
    const START: Bucket = Bucket::new(Span::ZERO, 0);

    #[inline]
    fn try_take(&self, state: &mut Bucket, now: Instant, n: u32) -> Result<(), Refused> {
        // A rate without fractions, as most are: the same, in fewer steps. On a small machine they would be more code.
        let is_number = !SMALL && self.is_whole && state.parts == 0 && state.given_back == 0;
        let full_at = NonZeroU64::new(state.whole.get()).filter(|_| is_number);
        match full_at.and_then(|full_at| self.try_take_quickly(full_at, now, n)) {
            Some(Ok(full_at)) => {
                *state = Bucket::new(Span { whole: full_at.get(), parts: 0 }, 0);
                Ok(())
            }
            Some(Err(at)) => Err(Refused::Until(at)),
            None => self.take_by(state, now, now, n, now).map(drop),
        }
    }

    fn reserve(&self, state: &mut Bucket, now: Instant, not_before: Instant, n: u32) -> Option<Instant> {
        self.take_by(state, now, not_before, n, Instant::LAST).ok()
    }

    /// As in Go's `x/time/rate`: less what later reservations have taken from behind it. If that was done before, and they are still to come, then only as much that no burst is larger than the bucket.
    /// Of what lies before one that comes later than it could, nothing.
    /// And less what has dripped in since, for which there would have been no room: nobody knows whether it was full meanwhile.
    fn give_back(&self, state: &mut Bucket, now: Instant, n: u32, at: Instant) {
        let last = self.sub(state.full_at(), self.depth);
        let later = self.permits_until(last, at);
        let room = match later {
            _ if state.given_back == UNKNOWN => {
                if self.are_last(state, n, at) {
                    n
                } else {
                    0
                }
            }
            0 => n,
            _ => self.burst.saturating_sub(later).saturating_sub(state.given_back.saturating_mul(2)),
        };
        let back = n.saturating_sub(later).min(room);
        let given_back = state.given_back.saturating_add(back);
        let held = Span { whole: now.as_nanos().saturating_sub(at.as_nanos()), parts: 0 };
        *state = Bucket::new(self.sub(state.full_at(), self.sub(self.cost(u64::from(back)), held)), given_back);
    }

    fn not_before(&self, state: &Bucket, now: Instant, ahead: u64, n: u32) -> Instant {
        self.taking(state, now, ahead.saturating_add(u64::from(n))).0
    }

    fn available(&self, state: &Bucket, now: Instant) -> u32 {
        let room = self.sub(self.add(Span::at(now), self.depth), state.full_at().max(Span::at(now)));
        self.permits_in(room).min(self.burst)
    }

    fn most(&self) -> u32 {
        self.burst
    }

    fn renewed_at(&self, state: &Bucket) -> Instant {
        state.full_at().round_up()
    }

    /// A burst that was set stays, unless another one is; as far as it can fill again.
    fn in_place_of(self, earlier: &Self) -> Self {
        if earlier.burst_is_set && !self.burst_is_set {
            self.burst(earlier.burst.clamp(1, self.largest_burst.max(1)))
        } else {
            self
        }
    }

    fn counts_late_as_due(&self) -> bool {
        true
    }

    #[inline]
    fn pack(&self, state: &Bucket, now: Instant) -> Option<NonZeroU64> {
        let full_at = state.full_at();
        let most = now.as_nanos().saturating_add(self.depth.whole);
        if full_at.whole > most || state.given_back > 0 || self.rate.per_nanos() >= LONGEST {
            return None;
        }
        self.number(full_at).and_then(NonZeroU64::new)
    }

    #[inline]
    fn unpack(&self, word: NonZeroU64) -> Bucket {
        let (whole, parts) = divided(word.get(), u64::from(self.denominator)).unwrap_or((word.get(), 0));
        Bucket::new(Span { whole, parts: u32::try_from(parts).unwrap_or(0) }, 0)
    }

    #[inline]
    fn try_take_packed(&self, full_at: NonZeroU64, now: Instant, n: u32) -> Option<Result<NonZeroU64, Instant>> {
        if n > self.burst {
            return None;
        }
        let [time, interval, depth] = [Span::at(now), self.interval, self.depth].map(|span| self.number(span));
        let taken = taken(full_at, time?, interval?.saturating_mul(u64::from(n)), depth?);
        Some(taken.map_err(|at| Instant::from_nanos(at.div_ceil(u64::from(self.denominator.max(1))))))
    }

    #[inline]
    fn try_take_quickly(&self, full_at: NonZeroU64, now: Instant, n: u32) -> Option<Result<NonZeroU64, Instant>> {
        if !self.is_whole || n > self.burst {
            return None;
        }
        let cost = self.interval.whole.saturating_mul(u64::from(n));
        Some(taken(full_at, now.as_nanos(), cost, self.depth.whole).map_err(Instant::from_nanos))
    }

    /// The number of permits stays what it is, to a fraction of a permit (as in Go's `x/time/rate`).
    fn take_over(&self, state: &mut Bucket, from: &Self, now: Instant) {
        // What a permit costs, in parts.
        let (old, new) = (from.parts(from.interval), self.parts(self.interval));
        let taken = from.parts(from.sub(state.full_at(), Span::at(now)));
        // If the bucket's size changes, what is there stays.
        let taken = taken.saturating_add(u128::from(self.burst) * old).saturating_sub(u128::from(from.burst) * old);
        let whole_permits = taken / old.max(1);
        let rest = taken % old.max(1);
        // Rounded up: no permit comes sooner for it.
        let parts = whole_permits.saturating_mul(new).saturating_add((rest.saturating_mul(new)).div_ceil(old.max(1)));
        let denominator = u128::from(self.denominator.max(1));
        let whole = u64::try_from(parts / denominator).unwrap_or(u64::MAX).min(LONGEST);
        let taken = Span { whole, parts: u32::try_from(parts % denominator).unwrap_or(0) };
        *state = Bucket::new(self.add(Span::at(now), taken), state.given_back);
    }

    fn config_error(&self) -> Option<ConfigError> {
        self.config_error()
    }
}

impl From<Rate> for TokenBucket {
    fn from(rate: Rate) -> Self {
        Self::new(rate)
    }
}
