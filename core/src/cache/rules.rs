use super::compact::{Compact, LONGEST};
use super::exponential::exponential;
use crate::config::ConfigError;
use crate::ratio::Ratio;
use crate::time::Instant;

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
    /// The end of its TTL, or of what it may idle, if that comes first. As bytes, so that nothing is lost between them and what follows.
    until: [u8; 8],
    /// How much later its TTL ends, of an entry that would be idle before.
    more: Compact,
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

/// Of [`Times`]: an error has no grace; what is queued is not queued again. The other bits are the store's.
const ERROR: u8 = 1 << 7;
const QUEUED: u8 = 1 << 6;

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
            let less = u64::try_from((u128::from(most) * u128::from(random)) >> 64).unwrap_or(0);
            now.saturating_add_nanos(ttl.saturating_sub(less))
        };
        let mut times = Times { until: [0; 8], more: Compact::ZERO, marks: if is_error { ERROR } else { 0 } };
        times.set_until(end);
        self.read(&mut times, now);
        times
    }

    /// What an entry is good for now. A fetch takes `cost` nanoseconds.
    #[inline]
    pub(super) fn age(&self, times: &Times, now: Instant, cost: u64, random: impl FnOnce() -> u64) -> Age {
        let until = times.until();
        if now < until {
            let is_due =
                (self.refresh_ahead > 0 || self.needs_cost()) && !times.is_error() && self.is_due(times, now, cost, random);
            return if is_due { Age::Due } else { Age::Fresh };
        }
        let past = now.as_nanos() - until.as_nanos();
        match () {
            // It idled before its end.
            () if times.more != Compact::ZERO => Age::Dead,
            () if times.is_error() => Age::Dead,
            () if past < self.stale_while_revalidate => Age::Stale,
            () if past < self.stale_if_error => Age::Reserve,
            () => Age::Dead,
        }
    }

    fn is_due(&self, times: &Times, now: Instant, cost: u64, random: impl FnOnce() -> u64) -> bool {
        let end = times.end();
        if end.is_never() {
            return false;
        }
        let left = end.as_nanos().saturating_sub(now.as_nanos());
        // By XFetch: the sooner the end and the longer a fetch, the more likely. No draw is longer than 45 times the mean: mostly none is needed.
        let mean = self.early_refresh.of(cost);
        left <= self.refresh_ahead || left < mean.saturating_mul(45) && exponential(random(), mean) >= left
    }

    /// From this instant on an entry is of no use to anybody.
    pub(super) fn dies_at(&self, times: &Times) -> Instant {
        if times.more != Compact::ZERO || times.is_error() {
            return times.until();
        }
        times.until().saturating_add_nanos(self.stale_while_revalidate.max(self.stale_if_error))
    }

    /// It is read: idleness begins anew.
    #[inline]
    pub(super) fn read(&self, times: &mut Times, now: Instant) {
        if self.time_to_idle != NEVER && !times.is_error() {
            let (end, idle) = (times.end(), now.saturating_add_nanos(self.time_to_idle));
            (times.more, times.until) = if idle >= end {
                (Compact::ZERO, end.as_nanos().to_ne_bytes())
            } else if end.is_never() {
                (Compact::FOREVER, idle.as_nanos().to_ne_bytes())
            } else {
                // Rounded so that the end stays what it is.
                let more = Compact::from_nanos(end.as_nanos() - idle.as_nanos());
                (more, end.as_nanos().saturating_sub(more.nanos()).to_ne_bytes())
            };
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
    #[inline]
    pub(super) const fn until(&self) -> Instant {
        Instant::from_nanos(u64::from_ne_bytes(self.until))
    }

    const fn set_until(&mut self, until: Instant) {
        self.until = until.as_nanos().to_ne_bytes();
    }

    /// The end of its TTL.
    fn end(&self) -> Instant {
        if self.more == Compact::FOREVER { Instant::MAX } else { self.until().saturating_add_nanos(self.more.nanos()) }
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
        self.marks & !(ERROR | QUEUED)
    }

    #[inline]
    pub(super) const fn set_marks(&mut self, marks: u8) {
        self.marks = self.marks & (ERROR | QUEUED) | marks & !(ERROR | QUEUED);
    }
}
