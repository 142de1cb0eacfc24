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
    pub(super) refresh_after: u64,
    pub(super) early_refresh: Ratio,
    pub(super) stale_while_revalidate: u64,
    pub(super) stale_if_error: u64,
    /// Whether each entry has a TTL of its own.
    pub(super) each_its_own: bool,
}

/// What is kept of an entry's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    fresh_until: Instant,
    ttl: Compact,
    /// How old it was when it was read last.
    read: Compact,
    /// How long the fetch took.
    cost: Compact,
    /// Whether it is in the queue of those to be fetched anew.
    is_queued: bool,
    /// An error has no grace.
    is_error: bool,
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

impl Rules {
    pub(super) const NONE: Self = Self {
        ttl: NEVER,
        ttl_jitter: Ratio::new(0, 1),
        error_ttl: 0,
        time_to_idle: NEVER,
        refresh_after: NEVER,
        early_refresh: Ratio::new(0, 1),
        stale_while_revalidate: 0,
        stale_if_error: 0,
        each_its_own: false,
    };

    /// Whether anything ever gets old.
    pub(super) const fn needs_time(&self) -> bool {
        self.each_its_own || self.does_end() || self.error_ttl > 0
    }

    const fn does_end(&self) -> bool {
        self.ttl != NEVER || self.time_to_idle != NEVER || self.refresh_after != NEVER
    }

    /// Whether it matters how long a fetch takes.
    #[inline]
    pub(super) const fn needs_cost(&self) -> bool {
        !self.early_refresh.is_zero()
    }

    /// Of a value or an error that came at `now`, after a fetch of so many nanoseconds.
    pub(super) fn times(&self, now: Instant, ttl: u64, cost: u64, is_error: bool, random: u64) -> Times {
        let ttl = ttl.min(LONGEST);
        // Down only: a TTL is a promise.
        let less = if is_error { 0 } else { self.ttl_jitter.of(ttl) };
        let less = u64::try_from((u128::from(less) * u128::from(random)) >> 64).unwrap_or(0);
        let ttl = Compact::from_nanos(ttl - less.min(ttl));
        let fresh_until = now.saturating_add_nanos(ttl.nanos());
        Times { fresh_until, ttl, read: Compact::ZERO, cost: Compact::from_nanos(cost), is_queued: false, is_error }
    }

    /// What an entry is good for now.
    #[inline]
    pub(super) fn age(&self, times: &Times, now: Instant, random: impl FnOnce() -> u64) -> Age {
        if self.time_to_idle != NEVER && times.stored_after(times.read.nanos(), self.time_to_idle) <= now {
            return Age::Dead;
        }
        if now >= times.fresh_until {
            let past = now.as_nanos() - times.fresh_until.as_nanos();
            return match () {
                () if times.is_error => Age::Dead,
                () if past < self.stale_while_revalidate => Age::Stale,
                () if past < self.stale_if_error => Age::Reserve,
                () => Age::Dead,
            };
        }
        if times.is_error || !(self.refreshes_early(times, now, random) || self.is_refreshed(times, now)) {
            return Age::Fresh;
        }
        Age::Due
    }

    fn is_refreshed(&self, times: &Times, now: Instant) -> bool {
        self.refresh_after != NEVER && times.stored_after(self.refresh_after, 0) <= now
    }

    /// By `XFetch`: the sooner the end and the longer a fetch, the more likely.
    fn refreshes_early(&self, times: &Times, now: Instant, random: impl FnOnce() -> u64) -> bool {
        if !self.needs_cost() {
            return false;
        }
        let mean = self.early_refresh.of(times.cost.nanos());
        let left = times.fresh_until.as_nanos().saturating_sub(now.as_nanos());
        // No draw is longer than 45 times the mean: mostly none is needed.
        mean > 0 && left < mean.saturating_mul(45) && exponential(random(), mean) >= left
    }

    /// From this instant on an entry is of no use to anybody.
    pub(super) fn dies_at(&self, times: &Times) -> Instant {
        let grace = if times.is_error { 0 } else { self.stale_while_revalidate.max(self.stale_if_error) };
        let end = times.fresh_until.saturating_add_nanos(grace);
        if self.time_to_idle == NEVER {
            return end;
        }
        end.min(times.stored_after(times.read.nanos(), self.time_to_idle))
    }

    /// It is read: idleness begins anew.
    #[inline]
    pub(super) fn read(&self, times: &mut Times, now: Instant) {
        if self.time_to_idle != NEVER {
            let age = now.as_nanos().saturating_sub(times.stored_after(0, 0).as_nanos());
            times.read = Compact::from_nanos(age);
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
    pub(super) const fn is_queued(&self) -> bool {
        self.is_queued
    }

    pub(super) const fn queued(&mut self) -> &mut bool {
        &mut self.is_queued
    }

    /// The instant so many nanoseconds and so many more after it was stored.
    fn stored_after(&self, nanos: u64, more: u64) -> Instant {
        let stored = self.fresh_until.as_nanos().saturating_sub(self.ttl.nanos());
        Instant::from_nanos(stored.saturating_add(nanos).saturating_add(more))
    }
}

const NEVER: u64 = u64::MAX;
