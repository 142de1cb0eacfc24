use super::compact::{Compact, LONGEST};
use super::exponential::exponential;
use crate::config::ConfigError;
use crate::platform::Platform;
use crate::ratio::Ratio;
use crate::time::Instant;
use crate::wide::high_half;

/// How long entries live, and what they are good for at which age; in nanoseconds, `u64::MAX` for ever.
///
/// What few settings need lies behind pointers, which those settings set: where nobody names them, nothing of it is linked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) ttl: u64,
    pub(super) ttl_jitter: Ratio,
    /// A TTL, shortened by chance.
    pub(super) shortened: Option<fn(&Self, u64) -> u64>,
    pub(super) error_ttl: u64,
    pub(super) time_to_idle: u64,
    pub(super) idle: Option<Idle>,
    pub(super) refresh_ahead: u64,
    pub(super) early_refresh: Ratio,
    /// Whether a read is early by chance, so long before the end, if a fetch takes so long.
    pub(super) is_early: Option<fn(&Self, u64, u64) -> bool>,
    pub(super) stale_while_revalidate: u64,
    pub(super) stale_if_error: u64,
    /// Whether all of it gets old, or may.
    pub(super) is_timed: bool,
    /// Whether an entry is fresh until its end, whatever is done with it.
    pub(super) is_plain: bool,
}

/// How the times of entries are told and kept that may idle for so long only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    end: fn(&Times) -> Instant,
    /// The end of its TTL, and the longer one of both spans.
    keep_end: fn(&mut Times, Instant, u64),
}

impl Idle {
    pub(super) const KEPT: Self = Self { end: Times::end_beside_idle, keep_end: Times::keep_end_beside_idle };
}

/// A TTL, less a random share of it. Down only: it is a promise.
pub(super) fn shortened<P: Platform>(rules: &Rules, ttl: u64) -> u64 {
    if ttl >= LONGEST {
        return ttl;
    }
    ttl.saturating_sub(high_half(rules.ttl_jitter.of(ttl), P::random()))
}

/// By `XFetch`: the sooner the end and the longer a fetch, the more likely. No draw is longer than 45 times the mean: mostly none is needed.
pub(super) fn is_early<P: Platform>(rules: &Rules, left: u64, cost: u64) -> bool {
    let mean = rules.early_refresh.of(cost);
    left < mean.saturating_mul(45) && exponential(P::random(), mean) >= left
}

/// What is kept of an entry's times, and what the store marks it with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// The end of what it may idle; if it may idle for ever, of its TTL. As bytes, so that nothing is lost between them and what follows.
    until: [u8; 8],
    /// The end of its TTL beside that.
    end: Compact,
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

/// Of [`Times`]: an error has no grace; what is queued is not queued again; it has no TTL. The other bits are the store's.
const ERROR: u8 = 1 << 7;
const QUEUED: u8 = 1 << 6;
const ENDLESS: u8 = 1 << 5;
const OURS: u8 = ERROR | QUEUED | ENDLESS;

impl Rules {
    pub(super) const NONE: Self = Self {
        ttl: NEVER,
        ttl_jitter: Ratio::new(0, 1),
        shortened: None,
        error_ttl: 0,
        time_to_idle: NEVER,
        idle: None,
        refresh_ahead: 0,
        early_refresh: Ratio::new(0, 1),
        is_early: None,
        stale_while_revalidate: 0,
        stale_if_error: 0,
        is_timed: false,
        is_plain: true,
    };

    /// Whether it matters how long fetches take.
    #[inline]
    pub(super) const fn needs_cost(&self) -> bool {
        self.is_early.is_some()
    }

    /// Of a value or an error that came at `now`.
    pub(super) fn times(&self, now: Instant, ttl: u64, is_error: bool) -> Times {
        let end = if ttl >= LONGEST { Instant::MAX } else { now.saturating_add_nanos(ttl) };
        let marks = if is_error { ERROR } else { 0 } | if end.is_never() { ENDLESS } else { 0 };
        let mut times = Times { until: [0; 8], end: Compact::ZERO, marks };
        times.set_until(end);
        if let Some(idle) = self.idle {
            (idle.keep_end)(&mut times, end, ttl.max(self.time_to_idle));
            self.read(&mut times, now);
        }
        times
    }

    /// Whether an entry is fresh, where little is to be asked. If not, [`age`](Self::age) says what it is.
    #[inline]
    pub(super) fn is_plainly_fresh(&self, times: &Times, now: Instant) -> bool {
        self.is_plain && now < times.until()
    }

    /// What an entry is good for now. A fetch takes `cost` nanoseconds.
    #[inline(never)]
    pub(super) fn age(&self, times: &Times, now: Instant, cost: u64) -> Age {
        if self.idle.is_some() && now >= times.until() {
            return Age::Dead;
        }
        let end = self.end(times);
        if now < end {
            return if !times.is_error() && self.is_due(end, now, cost) { Age::Due } else { Age::Fresh };
        }
        let past = now.as_nanos() - end.as_nanos();
        match () {
            () if times.is_error() => Age::Dead,
            () if past < self.stale_while_revalidate => Age::Stale,
            () if past < self.stale_if_error => Age::Reserve,
            () => Age::Dead,
        }
    }

    fn is_due(&self, end: Instant, now: Instant, cost: u64) -> bool {
        if end.is_never() {
            return false;
        }
        let left = end.as_nanos().saturating_sub(now.as_nanos());
        left <= self.refresh_ahead || self.is_early.is_some_and(|is_early| is_early(self, left, cost))
    }

    /// From this instant on an entry is of no use to anybody.
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub(super) fn dies_at(&self, times: &Times) -> Instant {
        let grace = if times.is_error() { 0 } else { self.stale_while_revalidate.max(self.stale_if_error) };
        let end = self.end(times).saturating_add_nanos(grace);
        if self.idle.is_some() { end.min(times.until()) } else { end }
    }

    /// The end of its TTL.
    fn end(&self, times: &Times) -> Instant {
        self.idle.map_or(times.until(), |idle| (idle.end)(times))
    }

    /// It is read: idleness begins anew.
    #[inline]
    pub(super) fn read(&self, times: &mut Times, now: Instant) {
        if self.idle.is_some() {
            times.set_until(now.saturating_add_nanos(self.time_to_idle));
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

    fn end_beside_idle(&self) -> Instant {
        if self.marks & ENDLESS == 0 { Instant::from_nanos(self.end.near(self.until().as_nanos())) } else { Instant::MAX }
    }

    fn keep_end_beside_idle(&mut self, end: Instant, span: u64) {
        self.end = Compact::of(end.as_nanos(), span);
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
