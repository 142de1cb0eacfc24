use core::time::Duration;

use super::reading::Reading;
use crate::time::{Instant, nanos};

/// What a debounced level did.
///
/// # Examples
///
/// ```
/// use aplomb::{Instant, level::{Edge, LevelDebouncer}, time::ms};
///
/// assert_eq!(LevelDebouncer::new(ms(0)).sample(Instant::ORIGIN, true), Some(Edge::Rise));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Edge {
    /// It went high.
    Rise,
    /// It went low.
    Fall,
}

/// A level that follows another once that has held for some time.
///
/// The time counts from the first sample of the new level; a sample of the old one ends it. Sampling too early is harmless, too late only late. Time that runs backwards is no time. A zero time makes an edge at once,
/// [`Duration::MAX`] never. By a clock that tells whole [ticks](crate::Clock::TICK), two samples may be closer by a tick than their readings: add it to the time, if it matters. (A [`Contact`](super::Contact) reckons with it.)
///
/// # Examples
///
/// ```
/// use aplomb::{Instant, level::{Edge, LevelDebouncer}, time::ms};
///
/// let mut contact = LevelDebouncer::new(ms(20)).fall(ms(5));
/// let start = Instant::ORIGIN;
/// assert_eq!(contact.sample(start, true), None);
/// assert_eq!(contact.next_deadline(), Some(start + ms(20)));
/// assert_eq!(contact.sample(start + ms(20), true), Some(Edge::Rise));
/// assert!(contact.level());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct LevelDebouncer {
    /// Nanoseconds.
    rise: u64,
    fall: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Settled { level: bool },
    Changing { from: bool, since: Instant },
}

impl LevelDebouncer {
    /// A low level; both edges take `hold`.
    pub const fn new(hold: Duration) -> Self {
        Self { rise: nanos(hold), fall: nanos(hold), state: State::Settled { level: false } }
    }

    /// How long a high level must hold.
    pub const fn rise(mut self, hold: Duration) -> Self {
        self.rise = nanos(hold);
        self
    }

    /// How long a low level must hold.
    pub const fn fall(mut self, hold: Duration) -> Self {
        self.fall = nanos(hold);
        self
    }

    /// The level before the first sample. Default: low.
    pub const fn initially(mut self, level: bool) -> Self {
        self.state = State::Settled { level };
        self
    }

    /// Takes a sample, and says whether it made an edge.
    pub fn sample(&mut self, now: Instant, level: bool) -> Option<Edge> {
        self.read(Reading::exact(now), level)
    }

    /// As [`sample`](Self::sample), by a clock that ticks.
    pub(super) fn read(&mut self, reading: Reading, level: bool) -> Option<Edge> {
        let from = self.level();
        if level == from {
            self.state = State::Settled { level };
            return None;
        }
        if let State::Settled { .. } = self.state {
            self.state = State::Changing { from, since: reading.now };
        }
        let is_at_once = self.hold(from) == 0;
        self.next_deadline().filter(|due| is_at_once || reading.is_past(*due))?;
        self.state = State::Settled { level };
        Some(if level { Edge::Rise } else { Edge::Fall })
    }

    /// How long the other level must hold, in nanoseconds.
    const fn hold(&self, from: bool) -> u64 {
        if from { self.fall } else { self.rise }
    }

    /// When the next sample is wanted, should the level not change before; `None` if only a change matters.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Settled { .. } => None,
            State::Changing { from, since } => {
                let due = since.saturating_add_nanos(self.hold(from));
                (!due.is_never()).then_some(due)
            }
        }
    }

    /// The debounced level.
    #[must_use]
    pub const fn level(&self) -> bool {
        match self.state {
            State::Settled { level } | State::Changing { from: level, .. } => level,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::time::ms;

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + ms(millis)
    }

    #[test]
    fn table() {
        let mut contact = LevelDebouncer::new(ms(20)).fall(ms(5));
        for (millis, level, edge) in [
            (0, true, None),
            (10, false, None),
            (12, true, None),
            (31, true, None),
            (3, true, None), // backwards
            (32, true, Some(Edge::Rise)),
            (33, true, None),
            (40, false, None),
            (90, false, Some(Edge::Fall)), // late
        ] {
            assert_eq!(contact.sample(at(millis), level), edge, "at {millis} ms");
        }
    }

    #[test]
    fn zero_is_at_once_and_max_is_never() {
        let mut contact = LevelDebouncer::new(Duration::ZERO).fall(Duration::MAX);
        assert_eq!(contact.sample(at(1), true), Some(Edge::Rise));
        assert_eq!(contact.sample(at(2), false), None);
        assert_eq!(contact.next_deadline(), None);
        assert_eq!(contact.sample(Instant::MAX, false), None);
    }

    #[test]
    fn agrees_with_all_of_history() {
        for seed in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (rise, fall) = (random.u64(0..6), random.u64(0..6));
            let mut contact = LevelDebouncer::new(ms(rise)).fall(ms(fall));
            let (mut history, mut level, mut now) = (Vec::new(), false, 0);
            for _ in 0..60 {
                now += random.u64(0..4);
                let sample = random.u8(0..4) == 0;
                let sample = if random.bool() { level } else { sample };
                history.push((now, sample));
                let since = history.iter().rev().take_while(|(_, held)| *held != level).last();
                let hold = if level { fall } else { rise };
                let edge = since.filter(|(since, _)| now - since >= hold).map(|_| if level { Edge::Fall } else { Edge::Rise });
                level ^= edge.is_some();
                assert_eq!(contact.sample(at(now), sample), edge, "seed {seed} at {now} ms");
            }
        }
    }
}
