use super::compact::Compact;
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
    /// Of one that is read now, by the end of its TTL, which is no further away than this; with its marks.
    times: fn(Instant, Instant, u64, u8) -> Times,
    /// The end of its TTL.
    end: fn(&Times) -> Instant,
    read: fn(&Rules, &mut Times, Instant) -> bool,
}

impl Idle {
    pub(super) const KEPT: Self =
        Self { times: Times::beside_reading, end: Times::end_beside_reading, read: Rules::read_beside_end };
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
    /// The end of its TTL; where it may idle for so long only, when it was read last. As bytes, so that nothing is lost between them and what follows.
    at: [u8; 8],
    /// The end of its TTL beside that: not before it, or not after it if it is past. And its marks. In one, since parts that have just been stored are slow to load as a whole, and so it is copied.
    end_and_marks: [u8; 4],
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

/// The longest TTL: 31 years and eight months.
const LONGEST: u64 = 1_000_000_000_000_000_000;

/// Of [`Times`]: an error has no grace; what is queued is not queued again; it has no TTL; it was read after that; all has ended that has an end. The other bits are the store's.
const ERROR: u8 = 1 << 7;
const QUEUED: u8 = 1 << 6;
const ENDLESS: u8 = 1 << 5;
const PAST: u8 = 1 << 4;
const ENDED: u8 = 1 << 3;
const OURS: u8 = ERROR | QUEUED | ENDLESS | PAST | ENDED;

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
        match self.idle {
            Some(idle) => (idle.times)(now, end, ttl, marks),
            None => Times::new(end, Compact::ZERO, marks),
        }
    }

    /// Whether an entry is fresh, where little is to be asked. If not, [`age`](Self::age) says what it is.
    #[inline]
    pub(super) fn is_plainly_fresh(&self, times: &Times, now: Instant) -> bool {
        self.is_plain && now < times.at()
    }

    /// What an entry is good for now. A fetch takes `cost` nanoseconds.
    #[inline(never)]
    pub(super) fn age(&self, times: &Times, now: Instant, cost: u64) -> Age {
        if times.has_ended() {
            return self.age_without_end(times);
        }
        if self.idle.is_some() && now >= self.idle_end(times) {
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

    /// What an entry is good for whose ends have come.
    fn age_without_end(&self, times: &Times) -> Age {
        match () {
            () if times.is_error() || self.idle.is_some() => Age::Dead,
            () if self.stale_while_revalidate == NEVER => Age::Stale,
            () if self.stale_if_error == NEVER => Age::Reserve,
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
        if times.has_ended() {
            return if self.age_without_end(times) == Age::Dead { Instant::ORIGIN } else { Instant::MAX };
        }
        let grace = if times.is_error() { 0 } else { self.stale_while_revalidate.max(self.stale_if_error) };
        let end = self.end(times).saturating_add_nanos(grace);
        if self.idle.is_some() { end.min(self.idle_end(times)) } else { end }
    }

    /// All has ended that has an end, whatever time it is: but for what an entry is good for without one, it is of no use any more.
    pub(super) fn end_now(&self, times: &mut Times) {
        if self.idle.is_some() || times.all_marks() & ENDLESS == 0 {
            times.set_where(ENDED, ENDED);
            times.set_at(Instant::ORIGIN);
        }
    }

    /// The end of its TTL.
    fn end(&self, times: &Times) -> Instant {
        self.idle.map_or(times.at(), |idle| (idle.end)(times))
    }

    /// The end of what it may idle, where there is one.
    const fn idle_end(&self, times: &Times) -> Instant {
        times.at().saturating_add_nanos(self.time_to_idle)
    }

    /// It is read, and may be: idleness begins anew. Whether it may be of no use [sooner](Self::dies_at) than before.
    #[inline]
    pub(super) fn read(&self, times: &mut Times, now: Instant) -> bool {
        self.idle.is_some_and(|idle| (idle.read)(self, times, now))
    }

    fn read_beside_end(&self, times: &mut Times, now: Instant) -> bool {
        let end = times.end_beside_reading();
        let is_served = now.nanos_since(end) < self.stale_while_revalidate;
        let is_past = now >= end && (times.all_marks() & PAST == 0 || !is_served);
        if is_past {
            // From now on it is what the readings leave behind, by no more than the time for which it is still served, or then answers; and so it is rounded anew.
            let window = if is_served { self.stale_while_revalidate } else { self.stale_if_error };
            *times = Times::new(now, Compact::of(end.as_nanos(), window), times.all_marks() | PAST);
        }
        times.set_at(now);
        is_past
    }

    /// The shortest TTL that is one for all.
    pub(super) const fn shortest_ttl(&self) -> u64 {
        if self.ttl >= LONGEST { self.ttl } else { self.ttl.saturating_sub(self.ttl_jitter.of(self.ttl)) }
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

    /// What is wrong with them for the values of a memoized function: no refresher fetches them, and errors are not kept.
    pub(super) const fn memoized_error(&self) -> Option<ConfigError> {
        let setting = match () {
            () if self.stale_while_revalidate > 0 => "stale_while_revalidate",
            () if self.refresh_ahead > 0 => "refresh_ahead",
            () if self.is_early.is_some() => "early_refresh",
            () if self.error_ttl > 0 => "error_ttl",
            () => return None,
        };
        Some(ConfigError::Memoized { setting })
    }
}

impl Times {
    const fn new(at: Instant, end: Compact, marks: u8) -> Self {
        let Compact([a, b, c]) = end;
        Self { at: at.as_nanos().to_ne_bytes(), end_and_marks: [a, b, c, marks] }
    }

    fn beside_reading(read: Instant, end: Instant, span: u64, marks: u8) -> Self {
        Self::new(read, Compact::of(end.as_nanos(), span), marks)
    }

    const fn at(&self) -> Instant {
        Instant::from_nanos(u64::from_ne_bytes(self.at))
    }

    const fn set_at(&mut self, at: Instant) {
        self.at = at.as_nanos().to_ne_bytes();
    }

    fn end_beside_reading(&self) -> Instant {
        let read = self.at().as_nanos();
        let [a, b, c, marks] = self.end_and_marks;
        let end = Compact([a, b, c]);
        match marks & (ENDLESS | PAST) {
            0 => Instant::from_nanos(end.from(read)),
            PAST => Instant::from_nanos(end.until(read)),
            _ => Instant::MAX,
        }
    }

    const fn all_marks(&self) -> u8 {
        let [.., marks] = self.end_and_marks;
        marks
    }

    const fn set_where(&mut self, mask: u8, marks: u8) {
        let [.., all] = &mut self.end_and_marks;
        *all = *all & !mask | marks & mask;
    }

    const fn has_ended(&self) -> bool {
        self.all_marks() & ENDED != 0
    }

    const fn is_error(&self) -> bool {
        self.all_marks() & ERROR != 0
    }

    pub(super) const fn is_queued(&self) -> bool {
        self.all_marks() & QUEUED != 0
    }

    pub(super) const fn set_queued(&mut self, is_queued: bool) {
        self.set_where(QUEUED, if is_queued { QUEUED } else { 0 });
    }

    /// The store's bits.
    #[inline]
    pub(super) const fn marks(&self) -> u8 {
        self.all_marks() & !OURS
    }

    #[inline]
    pub(super) const fn set_marks(&mut self, marks: u8) {
        self.set_where(!OURS, marks);
    }
}
