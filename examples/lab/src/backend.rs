//! A service as arithmetic: how much it is able to do, what goes wrong with it, and when it answers whom.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::iter::repeat_n;
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

/// What a service is able to do.
#[derive(Debug, Clone)]
pub(crate) struct Ability {
    /// Requests a second.
    pub(crate) capacity: f64,
    /// How long it works on a request, on average; the times are distributed exponentially.
    pub(crate) takes: Duration,
    /// How many requests may wait. The next one gets an error at once. `None`: any number.
    pub(crate) queue: Option<usize>,
    /// Of so many requests in a hundred the answer is late, by that much, though nobody works on it.
    pub(crate) hiccups: (f64, Duration),
    /// One after another.
    pub(crate) troubles: Vec<Trouble>,
}

/// Something that goes wrong for a while.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trouble {
    pub(crate) when: Range<Duration>,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What {
    /// It takes requests, and does nothing with them.
    Stalls,
    /// It answers each request with an error, at once.
    Fails,
    /// It works with so many hundredths of its speed.
    Slows(f64),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stalls => f.write_str("stalls"),
            Self::Fails => f.write_str("answers with errors"),
            Self::Slows(percent) => write!(f, "works at {percent} % of its speed"),
        }
    }
}

impl What {
    fn speed(self) -> f64 {
        match self {
            Self::Stalls => 0.0,
            // What waits already is worked on.
            Self::Fails => 1.0,
            Self::Slows(percent) => percent / 100.0,
        }
    }
}

/// What comes of a request, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Value { at: Duration },
    Error { at: Duration },
}

/// The service: so many workers, and a queue in front of them, first come first served.
///
/// It does not notice when a client has left, and works for nobody then. That is what keeps an overloaded service down.
#[derive(Debug)]
pub(crate) struct Backend {
    ability: Ability,
    /// Mean time on a request, such that the workers together have the capacity.
    mean: Duration,
    /// When each worker is free, the first on top.
    workers: BinaryHeap<Reverse<Duration>>,
    /// When those who wait will have their turn, in order.
    waiting: VecDeque<Duration>,
    random: Rng,
}

impl Backend {
    pub(crate) fn new(ability: Ability, seed: u64) -> Self {
        let workers = (ability.capacity * ability.takes.as_secs_f64()).round().clamp(1.0, 1e6);
        let mean = Duration::from_secs_f64(workers / ability.capacity);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from one to a million")]
        let workers = repeat_n(Reverse(Duration::ZERO), workers as usize).collect();
        Self { ability, mean, workers, waiting: VecDeque::new(), random: Rng::with_seed(seed) }
    }

    /// Takes a request that comes at that time, no earlier than the one before.
    pub(crate) fn arrive(&mut self, now: Duration) -> Answer {
        // Both are drawn in any case: so that the next request draws the same, whatever becomes of this one.
        let work = self.mean.mul_f64(-(1.0 - self.random.f64()).ln());
        let (percent, late) = self.ability.hiccups;
        let late = if self.random.f64() * 100.0 < percent { late } else { Duration::ZERO };
        if self.ability.troubles.iter().any(|trouble| trouble.what == What::Fails && trouble.when.contains(&now)) {
            return Answer::Error { at: now };
        }
        while self.waiting.front().is_some_and(|turn| *turn <= now) {
            self.waiting.pop_front();
        }
        if self.ability.queue.is_some_and(|most| self.waiting.len() >= most)
            && self.workers.peek().is_some_and(|free| free.0 > now)
        {
            return Answer::Error { at: now };
        }
        let turn = self.workers.pop().map_or(now, |free| free.0.max(now));
        let done = self.done(turn, work);
        self.workers.push(Reverse(done));
        if turn > now {
            self.waiting.push_back(turn);
        }
        Answer::Value { at: done + late }
    }

    /// When a worker that begins then has done so much, which would take that long at full speed.
    fn done(&self, begins: Duration, work: Duration) -> Duration {
        let (mut at, mut left) = (begins, work);
        for Trouble { when, what } in &self.ability.troubles {
            if when.end <= at {
                continue;
            }
            let before = when.start.saturating_sub(at);
            if left <= before {
                break;
            }
            left -= before;
            at += before;
            let able = when.end.saturating_sub(at).mul_f64(what.speed());
            if left <= able {
                return at + left.div_f64(what.speed());
            }
            left -= able;
            at = when.end;
        }
        at + left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn ability(troubles: Vec<Trouble>) -> Ability {
        Ability { capacity: 100.0, takes: ms(10), queue: None, hiccups: (0.0, Duration::ZERO), troubles }
    }

    #[test]
    fn work_stands_still_and_slows_with_the_service() {
        let troubles = vec![
            Trouble { when: ms(100)..ms(200), what: What::Stalls },
            Trouble { when: ms(200)..ms(300), what: What::Slows(50.0) },
        ];
        let backend = Backend::new(ability(troubles), 1);
        for (begins, work, done) in
            [(0, 50, 50), (0, 100, 100), (90, 20, 220), (150, 10, 220), (150, 60, 310), (250, 25, 300), (300, 7, 307)]
        {
            assert_eq!(backend.done(ms(begins), ms(work)), ms(done), "{work} ms from {begins} on");
        }
    }

    #[test]
    fn as_many_are_served_a_second_as_it_is_able_to() {
        for takes in [10, 80] {
            let mut backend = Backend::new(Ability { takes: ms(takes), ..ability(Vec::new()) }, 1);
            let answers: Vec<_> = (0..10_000).map(|_| backend.arrive(Duration::ZERO)).collect();
            let in_time = answers.iter().filter(|answer| matches!(answer, Answer::Value { at } if *at < ms(50_000))).count();
            assert!((4_800..5_200).contains(&in_time), "{in_time} in 50 s");
        }
    }

    #[test]
    fn it_refuses_what_has_no_place_in_the_queue_and_what_comes_while_it_fails() {
        let fails = Trouble { when: ms(500)..ms(600), what: What::Fails };
        let mut backend = Backend::new(Ability { queue: Some(2), ..ability(vec![fails]) }, 1);
        let answers: Vec<_> = (0..5).map(|_| backend.arrive(Duration::ZERO)).collect();
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Answer::Value { .. })).count(), 3, "{answers:?}");
        assert_eq!(backend.arrive(ms(500)), Answer::Error { at: ms(500) });
        assert!(matches!(backend.arrive(ms(600)), Answer::Value { .. }));
    }
}
