use super::sliding::Window;
use super::{Call, Tally};
use crate::config::ConfigError;
use crate::time::Instant;

/// The last so many calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CallsWindow<const WORDS: usize> {
    calls: u32,
}

/// A ring of bits, in which the newest call takes the place of the oldest.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CallsRing<const WORDS: usize> {
    failed: [u64; WORDS],
    slow: [u64; WORDS],
    tally: Tally,
    /// Where the next call goes.
    next: u32,
}

impl<const WORDS: usize> CallsWindow<WORDS> {
    /// For how many calls there is room.
    #[allow(clippy::cast_possible_truncation, reason = "it is the lesser of the two")]
    const ROOM: u32 = {
        let bits = WORDS.saturating_mul(64);
        if bits < u32::MAX as usize { bits as u32 } else { u32::MAX }
    };

    pub(super) const fn new(calls: u32) -> Self {
        Self { calls }
    }

    pub(super) const fn error(calls: u32) -> Option<ConfigError> {
        if calls == 0 || calls > Self::ROOM {
            return Some(ConfigError::LastCalls { value: calls, most: Self::ROOM });
        }
        None
    }
}

impl<const WORDS: usize> Window for CallsWindow<WORDS> {
    type State = CallsRing<WORDS>;

    const START: CallsRing<WORDS> =
        CallsRing { failed: [0; WORDS], slow: [0; WORDS], tally: Tally { calls: 0, failures: 0, slow: 0 }, next: 0 };
    const TIMED: bool = false;

    #[inline]
    fn record(&self, ring: &mut CallsRing<WORDS>, call: Call, _now: Instant) {
        let (word, bit) = (ring.next as usize / 64, 1 << (ring.next % 64));
        let (Some(failed), Some(slow)) = (ring.failed.get_mut(word), ring.slow.get_mut(word)) else { return };
        if ring.tally.calls == self.calls {
            // Its bits are there since it was recorded; of a place that was never taken they are zero.
            ring.tally.take(Tally { calls: 1, failures: u32::from(*failed & bit != 0), slow: u32::from(*slow & bit != 0) });
        }
        ring.tally.add(call);
        *failed = if call.failed { *failed | bit } else { *failed & !bit };
        *slow = if call.slow { *slow | bit } else { *slow & !bit };
        ring.next = if ring.next.saturating_add(1) >= self.calls { 0 } else { ring.next.saturating_add(1) };
    }

    #[inline]
    fn recorded(ring: &CallsRing<WORDS>) -> Tally {
        ring.tally
    }

    fn tally(&self, ring: &CallsRing<WORDS>, _now: Instant) -> Tally {
        ring.tally
    }

    /// Where all are successes, one more takes the place of another.
    #[inline]
    fn is_calm(&self, ring: &CallsRing<WORDS>) -> bool {
        ring.tally == Tally { calls: self.calls, failures: 0, slow: 0 }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn it_counts_as_a_queue_does() {
        for seed in 0..300 {
            let mut random = fastrand::Rng::with_seed(seed);
            let calls = random.u32(1..=192);
            let window = CallsWindow::<3>::new(calls);
            let (mut ring, mut queue) = (CallsWindow::<3>::START, VecDeque::new());
            for _ in 0..random.u32(0..800) {
                let call = Call { failed: random.u8(0..4) == 0, slow: random.u8(0..3) == 0 };
                window.record(&mut ring, call, Instant::ORIGIN);
                queue.push_back(call);
                if queue.len() > calls as usize {
                    queue.pop_front();
                }
                let mut expected = Tally::default();
                for call in &queue {
                    expected.add(*call);
                }
                assert_eq!(CallsWindow::<3>::recorded(&ring), expected, "seed {seed}");
                let all_succeeded = queue.len() == calls as usize && queue.iter().all(|call| !call.failed && !call.slow);
                assert_eq!(window.is_calm(&ring), all_succeeded);
            }
        }
    }

    #[test]
    fn a_hundred_calls_take_what_the_docs_say() {
        assert_eq!(size_of::<CallsRing<2>>(), 48);
    }
}
