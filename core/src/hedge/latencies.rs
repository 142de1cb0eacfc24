//! How long calls took: a histogram in whole numbers, of a fixed size, that forgets.

use crate::ratio::Ratio;

/// Buckets to an octave: one is an eighth longer than where it begins, at most.
const STEPS: usize = 8;
/// Eight of about a microsecond each, and 23 octaves: up to 68.7 s. What took longer counts as that.
const BUCKETS: usize = 24 * STEPS;
/// Nanoseconds are counted in units of 1,024.
const UNIT: u32 = 10;
/// At so many samples each counts half from then on: the newest thousand always weigh more than all that came before.
const FULL: u32 = 2_048;
/// How many samples are kept at least, once there were so many.
pub(super) const KEPT: u32 = FULL / 2;

/// Latencies, and where a percentile of them lies.
///
/// The percentile is followed, not looked for: a sample moves it by a bucket or so, and reading it costs nothing.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Latencies {
    counts: [u16; BUCKETS],
    total: u32,
    /// The bucket in which the percentile lies.
    at: usize,
    /// How many samples are in those before it.
    below: u32,
}

impl Latencies {
    pub(super) const NONE: Self = Self { counts: [0; BUCKETS], total: 0, at: 0, below: 0 };

    /// Counts a sample. `share` is the percentile that is followed, always the same.
    pub(super) fn record(&mut self, nanos: u64, share: Ratio) {
        let bucket = bucket_of(nanos);
        let Some(count) = self.counts.get_mut(bucket) else { return };
        *count = count.saturating_add(1);
        self.total = self.total.saturating_add(1);
        if bucket < self.at {
            self.below = self.below.saturating_add(1);
        }
        if self.total >= FULL {
            self.halve();
        }
        self.follow(share);
    }

    /// How many samples there are.
    pub(super) const fn total(&self) -> u32 {
        self.total
    }

    /// The latency in nanoseconds that the share did not exceed, rounded up to the end of its bucket.
    pub(super) fn percentile(&self) -> u64 {
        begin_of(self.at.saturating_add(1))
    }

    /// Each sample counts half. Where half a sample is left over, it goes to the next bucket, so that a thin tail does not vanish.
    #[cold]
    fn halve(&mut self) {
        let mut left_over = 0;
        (self.total, self.below) = (0, 0);
        for (bucket, count) in self.counts.iter_mut().enumerate() {
            let doubled = count.saturating_add(left_over);
            (*count, left_over) = (doubled / 2, doubled % 2);
            self.total = self.total.saturating_add(u32::from(*count));
            if bucket < self.at {
                self.below = self.below.saturating_add(u32::from(*count));
            }
        }
    }

    /// Moves to the bucket in which the share is reached.
    fn follow(&mut self, share: Ratio) {
        while self.at > 0 && share.is_reached(self.below, self.total) {
            self.at -= 1;
            self.below = self.below.saturating_sub(self.count());
        }
        while self.at < BUCKETS - 1 && !share.is_reached(self.below.saturating_add(self.count()), self.total) {
            self.below = self.below.saturating_add(self.count());
            self.at += 1;
        }
    }

    fn count(&self) -> u32 {
        self.counts.get(self.at).copied().map_or(0, u32::from)
    }
}

/// In which bucket such a latency is counted.
fn bucket_of(nanos: u64) -> usize {
    let units = nanos >> UNIT;
    let octave = units.checked_ilog2().unwrap_or(0).saturating_sub(STEPS.ilog2());
    // Below the first octave, a bucket is a unit; from there on, the leading digits say which one it is.
    let digits = usize::try_from(units >> octave).unwrap_or(0);
    (octave as usize).saturating_mul(STEPS).saturating_add(digits).min(BUCKETS - 1)
}

/// Where a bucket begins, in nanoseconds.
fn begin_of(bucket: usize) -> u64 {
    let (octave, digits) = match bucket.checked_sub(STEPS) {
        None => (0, bucket),
        Some(above) => (above / STEPS, STEPS + above % STEPS),
    };
    u64::try_from(digits).unwrap_or(0).checked_shl(u32::try_from(octave).unwrap_or(0).saturating_add(UNIT)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::ratio::percent;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for bucket in 0..BUCKETS - 1 {
            let (begin, end) = (begin_of(bucket), begin_of(bucket + 1));
            assert!(begin < end);
            assert!(end - begin <= (begin / 8).max(1 << UNIT), "{bucket}: from {begin} to {end}");
            assert_eq!((bucket_of(begin), bucket_of(end - 1)), (bucket, bucket));
        }
        assert_eq!(begin_of(BUCKETS), 1 << 36);
        assert_eq!((bucket_of(0), bucket_of(1 << 36), bucket_of(u64::MAX)), (0, BUCKETS - 1, BUCKETS - 1));
    }

    /// The smallest sample that so large a share does not exceed.
    fn exact(samples: &[u64], share: u32) -> u64 {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let rank = (sorted.len() * share as usize).div_ceil(100).max(1);
        sorted[rank - 1]
    }

    /// Of any octave up to 34 s, the smaller ones as often as the larger.
    fn latency(random: &mut fastrand::Rng) -> u64 {
        let longest = 1 << random.u32(1..36);
        random.u64(0..longest)
    }

    #[test]
    fn a_percentile_is_the_exact_one_rounded_up_to_its_bucket() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let share = [1, 50, 90, 95, 99, 100][random.usize(0..6)];
            let (mut latencies, mut samples) = (Latencies::NONE, Vec::new());
            for _ in 0..FULL - 1 {
                let sample = latency(&mut random);
                latencies.record(sample, percent(share));
                samples.push(sample);
                if random.u8(0..16) == 0 {
                    let exact = exact(&samples, share);
                    let seen = latencies.percentile();
                    assert!(exact < seen && seen <= exact + (exact / 8).max(1 << UNIT), "seed {seed}: {seen}, not {exact}");
                }
            }
        }
    }

    /// Beside one that keeps each sample with its weight.
    #[test]
    fn older_samples_weigh_half_each_time() {
        for seed in 0..8 {
            let mut random = fastrand::Rng::with_seed(seed);
            let share = [50, 90, 95, 99][random.usize(0..4)];
            let (mut latencies, mut samples, mut total) = (Latencies::NONE, Vec::<(u64, f64)>::new(), 0);
            for call in 0..12_000 {
                // Slower by a thousand times, from one call to the next.
                let sample = if call < 6_000 { 1_000_000 } else { 1_000_000_000 } + random.u64(0..10_000_000);
                latencies.record(sample, percent(share));
                samples.push((sample, 1.0));
                total += 1;
                if total == FULL {
                    total = KEPT;
                    for (_, weight) in &mut samples {
                        *weight /= 2.0;
                    }
                }
                assert!(latencies.total().abs_diff(total) <= 1);
                total = latencies.total();
                if call % 301 == 0 {
                    let mut sorted = samples.clone();
                    sorted.sort_unstable_by_key(|(sample, _)| *sample);
                    let at = |rank: f64| {
                        let mut reached = 0.0;
                        let within = sorted.iter().find(|(_, weight)| {
                            reached += weight;
                            reached >= rank
                        });
                        within.or(sorted.last()).unwrap().0
                    };
                    // The rounding of weights is worth two samples in rank.
                    let rank = f64::from(total) * f64::from(share) / 100.0;
                    let (low, high) = (at(rank - 3.0), at(rank + 3.0));
                    let seen = latencies.percentile();
                    assert!(low < seen && seen <= high + high / 8, "seed {seed}, call {call}: {seen}, not in {low} to {high}");
                }
            }
        }
    }

    #[test]
    fn a_thin_tail_does_not_vanish() {
        let mut latencies = Latencies::NONE;
        // One of fifty is slow, and hardly two are alike.
        for call in 0_u64..100_000 {
            let sample = if call % 50 == 0 { 100_000_000 + call % 1_001 * 20_000_000 } else { 1_000_000 };
            latencies.record(sample, percent(99));
        }
        assert!(latencies.percentile() > 100_000_000, "{}", latencies.percentile());
    }
}
