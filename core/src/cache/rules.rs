use super::compact::{Compact, LONGEST};
use super::exponential::exponential;
use crate::config::ConfigError;
use crate::ratio::Ratio;
use crate::time::Instant;
use crate::wide::high_half;

/// How long entries live, and what they are good for at which age; in nanoseconds, `u64::MAX` for ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) ttl: u64,
    pub(super) ttl_jitter: Ratio,
    pub(super) error_ttl: u64,
    pub(super) time_to_idle: u64,
    pub(super) refresh_ahead: u64,
    pub(super) early_refresh: Ratio,
    pub(super) stale_while_revalidate: u64,
    pub(super) stale_if_error: u64,
    /// Whether all of it gets old, or may.
    pub(super) is_timed: bool,
}

/// What is kept of an entry's times, and what the store marks it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// The end of its TTL; or, if it has none, of what it may idle. As bytes, so that nothing is lost between them and what follows.
    until: [u8; 8],
    /// How far from that the end of what it may idle is.
    apart: Compact,
    marks: u8,
}

/// What an entry is good for: less and less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    Fresh,
    /// To be served, and to be fetched anew meanwhile.
    Due,
    /// As due, and no longer fresh.
    Stale,
    /// To be served if a fetch fails.
    Reserve,
    Dead,
}

const NEVER: u64 = u64::MAX;

/// Of [`Times`]: an error has no grace; what is queued is not queued again; it may idle no longer than to before its end; it has no TTL. The other bits are the store's.
const ERROR: u8 = 1 << 7;
const QUEUED: u8 = 1 << 6;
const BEFORE: u8 = 1 << 5;
const ENDLESS: u8 = 1 << 4;
const OURS: u8 = ERROR | QUEUED | BEFORE | ENDLESS;

impl Rules {
    pub(super) const NONE: Self = Self {
        ttl: NEVER,
        ttl_jitter: Ratio::new(0, 1),
        error_ttl: 0,
        time_to_idle: NEVER,
        refresh_ahead: 0,
        early_refresh: Ratio::new(0, 1),
        stale_while_revalidate: 0,
        stale_if_error: 0,
        is_timed: false,
    };

    /// Whether it matters how long fetches take.
    #[inline]
    pub(super) const fn needs_cost(&self) -> bool {
        !self.early_refresh.is_zero()
    }

    /// Of a value or an error that came at `now`.
    pub(super) fn times(&self, now: Instant, ttl: u64, is_error: bool, random: u64) -> Times {
        let end = if ttl >= LONGEST {
            Instant::MAX
        } else {
            // Down only: a TTL is a promise.
            let most = if is_error { 0 } else { self.ttl_jitter.of(ttl) };
            let less = high_half(most, random);
            now.saturating_add_nanos(ttl.saturating_sub(less))
        };
        let marks = if is_error { ERROR } else { 0 } | if end.is_never() { ENDLESS } else { 0 };
        let mut times = Times { until: end.as_nanos().to_ne_bytes(), apart: Compact::ZERO, marks };
        self.read(&mut times, now);
        times
    }

    /// What an entry is good for now. A fetch takes `cost` nanoseconds.
    #[inline]
    pub(super) fn age(&self, times: &Times, now: Instant, cost: u64, random: fn() -> u64) -> Age {
        let is_plain = self.time_to_idle == NEVER && self.refresh_ahead == 0 && !self.needs_cost();
        if is_plain && now < times.end() { Age::Fresh } else { self.age_in_full(times, now, cost, random) }
    }

    #[inline(never)]
    fn age_in_full(&self, times: &Times, now: Instant, cost: u64, random: fn() -> u64) -> Age {
        if self.time_to_idle != NEVER && now >= times.idle_at() {
            return Age::Dead;
        }
        let end = times.end();
        if now < end {
            let is_due =
                (self.refresh_ahead > 0 || self.needs_cost()) && !times.is_error() && self.is_due(end, now, cost, random);
            return if is_due { Age::Due } else { Age::Fresh };
        }
        let past = now.as_nanos() - end.as_nanos();
        match () {
            () if times.is_error() => Age::Dead,
            () if past < self.stale_while_revalidate => Age::Stale,
            () if past < self.stale_if_error => Age::Reserve,
            () => Age::Dead,
        }
    }

    fn is_due(&self, end: Instant, now: Instant, cost: u64, random: fn() -> u64) -> bool {
        if end.is_never() {
            return false;
        }
        let left = end.as_nanos().saturating_sub(now.as_nanos());
        // By XFetch: the sooner the end and the longer a fetch, the more likely. No draw is longer than 45 times the mean: mostly none is needed.
        let mean = self.early_refresh.of(cost);
        left <= self.refresh_ahead || left < mean.saturating_mul(45) && exponential(random(), mean) >= left
    }

    /// [`dies_at`](Rules::dies_at) of whatever is asked for: one type, wherever it is handed on to.
    pub(super) fn ends(&self) -> impl Fn(&Times) -> Instant {
        |times| self.dies_at(times)
    }

    /// From this instant on an entry is of no use to anybody.
    pub(super) fn dies_at(&self, times: &Times) -> Instant {
        let grace = if times.is_error() { 0 } else { self.stale_while_revalidate.max(self.stale_if_error) };
        let end = times.end().saturating_add_nanos(grace);
        if self.time_to_idle == NEVER { end } else { end.min(times.idle_at()) }
    }

    /// It is read: idleness begins anew.
    #[inline]
    pub(super) fn read(&self, times: &mut Times, now: Instant) {
        if self.time_to_idle != NEVER {
            times.set_idle_at(now.saturating_add_nanos(self.time_to_idle));
        }
    }

    pub(super) const fn config_error(&self) -> Option<ConfigError> {
        if !self.ttl_jitter.is_at_most_one() {
            return Some(ConfigError::TtlJitter { value: self.ttl_jitter });
        }
        if !self.early_refresh.is_number() {
            return Some(ConfigError::EarlyRefresh { value: self.early_refresh });
        }
        None
    }
}

impl Times {
    const fn until(&self) -> Instant {
        Instant::from_nanos(u64::from_ne_bytes(self.until))
    }

    const fn set_until(&mut self, until: Instant) {
        self.until = until.as_nanos().to_ne_bytes();
    }

    /// The end of its TTL.
    #[inline]
    pub(super) const fn end(&self) -> Instant {
        if self.marks & ENDLESS == 0 { self.until() } else { Instant::MAX }
    }

    /// The end of what it may idle.
    fn idle_at(&self) -> Instant {
        let (until, apart) = (self.until(), self.apart.nanos());
        if self.marks & BEFORE == 0 {
            until.saturating_add_nanos(apart)
        } else {
            Instant::from_nanos(until.as_nanos().saturating_sub(apart))
        }
    }

    /// Never later than that.
    fn set_idle_at(&mut self, at: Instant) {
        if self.marks & ENDLESS != 0 {
            self.set_until(at);
            return;
        }
        let end = self.until();
        (self.apart, self.marks) = if at < end {
            (Compact::no_less(end.as_nanos() - at.as_nanos()), self.marks | BEFORE)
        } else {
            (Compact::no_more(at.as_nanos() - end.as_nanos()), self.marks & !BEFORE)
        };
    }

    const fn is_error(&self) -> bool {
        self.marks & ERROR != 0
    }

    pub(super) const fn is_queued(&self) -> bool {
        self.marks & QUEUED != 0
    }

    pub(super) const fn set_queued(&mut self, is_queued: bool) {
        self.marks = self.marks & !QUEUED | if is_queued { QUEUED } else { 0 };
    }

    /// The store's bits.
    #[inline]
    pub(super) const fn marks(&self) -> u8 {
        self.marks & !OURS
    }

    #[inline]
    pub(super) const fn set_marks(&mut self, marks: u8) {
        self.marks = self.marks & OURS | marks & !OURS;
    }
}
