use core::time::Duration;

use super::reading::Reading;
use super::{Edge, LevelDebouncer};
use crate::config::ConfigError;
use crate::time::{Instant, nanos};

/// What a button's user did.
///
/// # Examples
///
/// ```
/// use aplomb::level::Gesture;
///
/// assert_ne!(Gesture::Presses { count: 1 }, Gesture::Presses { count: 2 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Gesture {
    /// The button went down.
    Press,
    /// The button went up.
    Release,
    /// It has been down for `long_press`.
    LongPress,
    /// It is still down.
    Repeat,
    /// So many presses, each within `multi_press_gap` of the release before, and no further one.
    Presses {
        /// How many; 255 stands for more, too.
        count: u8,
    },
}

/// A button: a debounced level, and what is done with it.
///
/// A press that becomes long is not counted; presses counted before it are reported first. A repeat changes nothing in the count. What happens in the same instant as an edge happens before it, so that a press at the very end of the gap is a new first one.
///
/// # Examples
///
/// ```
/// use aplomb::{Instant, checked, level::{Gesture, Gestures, LevelDebouncer}, time::ms};
///
/// let mut button = checked!(Gestures::new(LevelDebouncer::new(ms(0))).long_press(ms(500)));
/// let start = Instant::ORIGIN;
/// assert_eq!(button.sample(start, true), Ok(Some(Gesture::Press)));
/// assert_eq!(button.next_deadline(), Some(start + ms(500)));
/// assert_eq!(button.sample(start + ms(500), true), Ok(Some(Gesture::LongPress)));
/// assert_eq!(button.sample(start + ms(700), false), Ok(Some(Gesture::Release)));
/// assert_eq!(button.sample(start + ms(700), false), Ok(None));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Gestures {
    debouncer: LevelDebouncer,
    /// Nanoseconds, as all of them.
    long_press: u64,
    multi_press_gap: u64,
    repeat_after: u64,
    repeat_every: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Idle,
    /// Down; the count is zero once it was long.
    Held {
        long: Instant,
        repeat: Instant,
        count: u8,
    },
    Counting {
        until: Instant,
        count: u8,
    },
}

impl Gestures {
    /// Presses, releases and their count.
    ///
    /// A button that is [initially](LevelDebouncer::initially) down was pressed by nobody: the first that it tells is its release.
    pub const fn new(debouncer: LevelDebouncer) -> Self {
        Self {
            debouncer,
            long_press: u64::MAX,
            multi_press_gap: nanos(Duration::from_millis(250)),
            repeat_after: u64::MAX,
            repeat_every: nanos(Duration::from_millis(100)),
            state: State::Idle,
        }
    }

    /// How long a long press is held. Default: never.
    pub const fn long_press(mut self, held: Duration) -> Self {
        self.long_press = nanos(held);
        self
    }

    /// How soon after a release the next press counts with those before. Default: 250 ms. With [`Duration::MAX`] no count is ever reported.
    pub const fn multi_press_gap(mut self, gap: Duration) -> Self {
        self.multi_press_gap = nanos(gap);
        self
    }

    /// When a press that is held repeats for the first time. Default: never.
    pub const fn repeat_after(mut self, held: Duration) -> Self {
        self.repeat_after = nanos(held);
        self
    }

    /// The time from one repeat to the next; longer than zero. Default: 100 ms.
    pub const fn repeat_every(mut self, interval: Duration) -> Self {
        self.repeat_every = nanos(interval);
        self
    }

    /// Refuses settings that make no sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError::RepeatEvery`] if that is zero.
    pub const fn check(self) -> Result<Self, ConfigError> {
        match self.config_error() {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// What is wrong with the settings, if anything.
    #[must_use]
    pub const fn config_error(&self) -> Option<ConfigError> {
        if self.repeat_every == 0 { Some(ConfigError::RepeatEvery { value: Duration::ZERO }) } else { None }
    }

    /// Takes a sample, and says what happened first. Several things may be due: call it until it says `None`; what is left is told by the next call.
    ///
    /// A late call tells what was missed in the order in which it was due, repeats once.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), if that was not asked.
    pub fn sample(&mut self, now: Instant, pressed: bool) -> Result<Option<Gesture>, ConfigError> {
        if let Some(error) = self.config_error() {
            return Err(error);
        }
        Ok(self.read(Reading::exact(now), pressed))
    }

    /// As [`sample`](Self::sample), by a clock that ticks, and of settings that make sense.
    pub(super) fn read(&mut self, reading: Reading, pressed: bool) -> Option<Gesture> {
        let now = reading.now;
        let changing = pressed != self.debouncer.level();
        let edge_at = self.debouncer.next_deadline().filter(|_| changing).unwrap_or(now);
        let due = self.due();
        if reading.is_past(due) && due <= edge_at && !due.is_never() {
            return self.fire(now);
        }
        self.debouncer.read(reading, pressed).map(|edge| self.turn(edge_at, edge))
    }

    /// When the next sample is wanted, should the level not change before; `None` if only a change matters.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = self.debouncer.next_deadline().unwrap_or(Instant::MAX).min(self.due());
        (!due.is_never()).then_some(due)
    }

    /// Whether the button is down, by its debounced level.
    #[must_use]
    pub const fn is_pressed(&self) -> bool {
        self.debouncer.level()
    }

    fn due(&self) -> Instant {
        match self.state {
            State::Idle => Instant::MAX,
            State::Held { long, repeat, .. } => long.min(repeat),
            State::Counting { until, .. } => until,
        }
    }

    fn fire(&mut self, now: Instant) -> Option<Gesture> {
        match self.state {
            State::Idle => None,
            State::Counting { count, .. } => {
                self.state = State::Idle;
                Some(Gesture::Presses { count })
            }
            State::Held { long, repeat, count } if long <= repeat => {
                if count > 1 {
                    self.state = State::Held { long, repeat, count: 1 };
                    return Some(Gesture::Presses { count: count.saturating_sub(1) });
                }
                self.state = State::Held { long: Instant::MAX, repeat, count: 0 };
                Some(Gesture::LongPress)
            }
            State::Held { long, count, .. } => {
                self.state = State::Held { long, repeat: now.saturating_add_nanos(self.repeat_every), count };
                Some(Gesture::Repeat)
            }
        }
    }

    fn turn(&mut self, at: Instant, edge: Edge) -> Gesture {
        let before = match self.state {
            State::Idle => 0,
            State::Held { count, .. } | State::Counting { count, .. } => count,
        };
        match edge {
            Edge::Rise => {
                let (long, repeat) = (at.saturating_add_nanos(self.long_press), at.saturating_add_nanos(self.repeat_after));
                self.state = State::Held { long, repeat, count: before.saturating_add(1) };
                Gesture::Press
            }
            Edge::Fall => {
                let until = at.saturating_add_nanos(self.multi_press_gap);
                self.state = if before == 0 { State::Idle } else { State::Counting { until, count: before } };
                Gesture::Release
            }
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

    fn all(button: &mut Gestures, millis: u64, pressed: bool) -> Vec<Gesture> {
        core::iter::from_fn(|| button.sample(at(millis), pressed).unwrap_or(None)).collect()
    }

    const PLAIN: Gestures = Gestures::new(LevelDebouncer::new(Duration::ZERO));

    #[test]
    fn counts_presses_until_the_gap_is_over() {
        use Gesture::{Press, Presses, Release};
        let mut button = PLAIN;
        assert_eq!(all(&mut button, 0, true), [Press]);
        assert_eq!(all(&mut button, 50, false), [Release]);
        assert_eq!(all(&mut button, 299, true), [Press]);
        assert_eq!(all(&mut button, 350, false), [Release]);
        assert_eq!(all(&mut button, 599, false), []);
        assert_eq!(all(&mut button, 600, true), [Presses { count: 2 }, Press]);
    }

    #[test]
    fn a_long_press_is_not_counted_and_those_before_it_are() {
        use Gesture::{LongPress, Press, Presses, Release};
        let mut button = PLAIN.long_press(ms(500));
        assert_eq!(all(&mut button, 0, true), [Press]);
        assert_eq!(all(&mut button, 50, false), [Release]);
        assert_eq!(all(&mut button, 100, true), [Press]);
        assert_eq!(all(&mut button, 700, false), [Presses { count: 1 }, LongPress, Release]);
        assert_eq!(button.next_deadline(), None);
    }

    #[test]
    fn a_late_clock_repeats_once() {
        use Gesture::{Press, Repeat};
        let mut button = PLAIN.repeat_after(ms(400));
        assert_eq!(all(&mut button, 0, true), [Press]);
        assert_eq!(all(&mut button, 1_000, true), [Repeat]);
        assert_eq!(button.next_deadline(), Some(at(1_100)));
    }

    #[test]
    fn a_zero_interval_is_refused() {
        let error = ConfigError::RepeatEvery { value: Duration::ZERO };
        let mut button = PLAIN.repeat_every(Duration::ZERO);
        assert_eq!(button.check(), Err(error));
        assert_eq!(button.sample(at(0), true), Err(error));
    }

    #[test]
    fn deadlines_tell_what_a_sample_each_millisecond_tells() {
        for seed in 0..1_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut duration = |below| ms(random.u64(0..below));
            let debouncer = LevelDebouncer::new(duration(4)).fall(duration(4));
            let mut ticked = Gestures::new(debouncer)
                .long_press(duration(20))
                .multi_press_gap(duration(10))
                .repeat_after(duration(20))
                .repeat_every(duration(5) + ms(1));
            let mut driven = ticked;
            let mut level = false;
            for now in 0..300 {
                let changed = random.u8(0..6) == 0;
                level ^= changed;
                let expected = all(&mut ticked, now, level);
                let wanted = changed || driven.next_deadline().is_some_and(|due| due <= at(now));
                let told = if wanted { all(&mut driven, now, level) } else { Vec::new() };
                assert_eq!(told, expected, "seed {seed} at {now} ms");
            }
        }
    }

    #[test]
    fn sizes() {
        assert_eq!((size_of::<LevelDebouncer>(), size_of::<Gestures>()), (32, 88));
    }
}
