use core::time::Duration;

use super::sliding::Window;
use super::{Call, Tally};
use crate::config::ConfigError;
use crate::time::{Instant, duration, nanos};
use crate::wide::divided;

/// The calls of the last so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TimeWindow<const BUCKETS: usize> {
    /// Nanoseconds.
    time: u64,
    /// Of one bucket, rounded up; at least one nanosecond.
    width: u64,
    buckets: u32,
}

/// A ring of buckets, in which the newest one takes the place of the oldest.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TimeRing<const BUCKETS: usize> {
    buckets: [Tally; BUCKETS],
    total: Tally,
    /// The newest one.
    newest: usize,
    /// When the newest one began; `None` before the first call, which begins one.
    began: Option<Instant>,
}

impl<const BUCKETS: usize> TimeWindow<BUCKETS> {
    /// How many buckets there is room for.
    #[allow(clippy::cast_possible_truncation, reason = "it is the lesser of the two")]
    pub(super) const ROOM: u32 = if BUCKETS < u32::MAX as usize { BUCKETS as u32 } else { u32::MAX };

    pub(super) const fn new(time: Duration, buckets: u32) -> Self {
        let time = nanos(time);
        #[allow(clippy::cast_lossless, reason = "`u64::from` is not const")]
        let width = match divided(time, buckets as u64) {
            Some((width, rest)) => width.saturating_add((rest > 0) as u64),
            None => time,
        };
        Self { time, width: if width == 0 { 1 } else { width }, buckets }
    }

    pub(super) const fn time(&self) -> Duration {
        duration(self.time)
    }

    pub(super) const fn error(time: Duration, buckets: u32) -> Option<ConfigError> {
        if time.is_zero() {
            return Some(ConfigError::LastTime { value: time });
        }
        if buckets == 0 || buckets > Self::ROOM {
            return Some(ConfigError::Buckets { value: buckets, most: Self::ROOM });
        }
        None
    }

    /// How many buckets have begun since the newest one that is there, and when the last of them did. However long nothing was recorded, there is no more to forget than all of them.
    fn steps(&self, began: Instant, now: Instant) -> (u32, Instant) {
        let (mut steps, mut begins) = (0, began);
        // No more than there are buckets to forget, one by one: a division saved.
        while now.nanos_since(begins) >= self.width {
            if steps == self.buckets {
                return (steps, self.skip(begins, now));
            }
            steps += 1;
            begins = begins.saturating_add_nanos(self.width);
        }
        (steps, begins)
    }

    /// When the present bucket began, after a while in which all were forgotten.
    #[cold]
    fn skip(&self, began: Instant, now: Instant) -> Instant {
        let (_, over) = divided(now.nanos_since(began), self.width).unwrap_or((0, 0));
        Instant::from_nanos(now.as_nanos().saturating_sub(over))
    }
}

impl<const BUCKETS: usize> TimeRing<BUCKETS> {
    /// The one that is overwritten next; where there are so many.
    fn after(newest: usize, buckets: u32) -> usize {
        let next = newest.saturating_add(1);
        if next >= buckets as usize { 0 } else { next }
    }
}

impl<const BUCKETS: usize> Window for TimeWindow<BUCKETS> {
    type State = TimeRing<BUCKETS>;

    const START: TimeRing<BUCKETS> = TimeRing {
        buckets: [Tally { calls: 0, failures: 0, slow: 0 }; BUCKETS],
        total: Tally { calls: 0, failures: 0, slow: 0 },
        newest: 0,
        began: None,
    };
    const TIMED: bool = true;

    #[inline]
    fn record(&self, ring: &mut TimeRing<BUCKETS>, call: Call, now: Instant) {
        let (steps, begins) = self.steps(ring.began.unwrap_or(now), now);
        ring.began = Some(begins);
        for _ in 0..steps {
            ring.newest = TimeRing::<BUCKETS>::after(ring.newest, self.buckets);
            if let Some(oldest) = ring.buckets.get_mut(ring.newest) {
                ring.total.take(core::mem::take(oldest));
            }
        }
        ring.total.add(call);
        if let Some(newest) = ring.buckets.get_mut(ring.newest) {
            newest.add(call);
        }
    }

    #[inline]
    fn recorded(ring: &TimeRing<BUCKETS>) -> Tally {
        ring.total
    }

    fn tally(&self, ring: &TimeRing<BUCKETS>, now: Instant) -> Tally {
        let (mut total, mut oldest) = (ring.total, ring.newest);
        for _ in 0..self.steps(ring.began.unwrap_or(now), now).0 {
            oldest = TimeRing::<BUCKETS>::after(oldest, self.buckets);
            total.take(ring.buckets.get(oldest).copied().unwrap_or_default());
        }
        total
    }

    /// Each success counts for a while, and leaves then.
    fn is_calm(&self, _ring: &TimeRing<BUCKETS>) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    #[test]
    fn it_counts_as_a_list_of_instants_does() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let buckets = random.u32(1..=6);
            let width = random.u64(1..50);
            let window = TimeWindow::<6>::new(Duration::from_nanos(width * u64::from(buckets)), buckets);
            let mut ring = TimeWindow::<6>::START;
            let mut calls: Vec<(u64, Call)> = Vec::new();
            let (mut now, mut first) = (random.u64(0..1_000), None);
            for _ in 0..200 {
                now += match random.u8(0..10) {
                    0 => random.u64(0..width * 20),
                    1 => 1 << random.u64(0..50),
                    _ => random.u64(0..=width),
                };
                // Buckets are counted from the first call on.
                let first = *first.get_or_insert(now);
                let bucket = |at: u64| (at - first) / width;
                let in_window = |at: u64| bucket(now) - bucket(at) < u64::from(buckets);
                let total = |calls: &[(u64, Call)]| {
                    let mut total = Tally::default();
                    calls.iter().filter(|(at, _)| in_window(*at)).for_each(|(_, call)| total.add(*call));
                    total
                };
                assert_eq!(window.tally(&ring, Instant::from_nanos(now)), total(&calls), "seed {seed}");
                let call = Call { failed: random.bool(), slow: random.bool() };
                calls.push((now, call));
                window.record(&mut ring, call, Instant::from_nanos(now));
                assert_eq!(TimeWindow::<6>::recorded(&ring), total(&calls), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_time_without_end_is_one_bucket() {
        let window = TimeWindow::<4>::new(Duration::MAX, 4);
        let mut ring = TimeWindow::<4>::START;
        for at in [0, 1, u64::MAX / 8] {
            window.record(&mut ring, Call { failed: true, slow: false }, Instant::from_nanos(at));
        }
        assert_eq!(TimeWindow::<4>::recorded(&ring).failures, 3);
    }
}
