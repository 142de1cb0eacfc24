use std::time::Duration;

use fastrand::Rng;

/// What the service does in a round, and when: the same in every round, and drawn from a seed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// How long a round's calls are spread over.
    pub(super) round: Duration,
    pub(super) seed: u64,
}

/// A part of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Healthy,
    Failing,
    Stalling,
    Recovered,
}

/// What the service does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It answers, after that time.
    Value { after: Duration },
    /// It says that it is unavailable, and perhaps for how long to leave it alone.
    Unavailable { retry_after: Option<Duration> },
}

/// How many of a hundred requests fail in [`Phase::Failing`].
pub(super) const FAILING: u8 = 60;
/// How many of a hundred failures ask for a pause.
pub(super) const ASKING: u8 = 30;
/// The pause that they ask for.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(200);

impl Phase {
    /// All of them, each with the hundredths of a round at which it begins.
    pub(super) const ALL: [(u32, Self); 4] =
        [(0, Self::Healthy), (20, Self::Failing), (50, Self::Stalling), (65, Self::Recovered)];

    /// What the service does then, in a word or two.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Healthy => "is healthy",
            Self::Failing => "fails",
            Self::Stalling => "stalls",
            Self::Recovered => "has recovered",
        }
    }
}

impl Plan {
    /// How long a stalled answer takes.
    pub(super) fn stall(&self) -> Duration {
        self.round.mul_f64(2.0 / 3.0)
    }

    /// When that hundredth of a round begins.
    pub(super) fn hundredth(&self, hundredth: u32) -> Duration {
        self.round * hundredth / 100
    }

    /// The phase at a time since the round began.
    pub(super) fn phase(&self, at: Duration) -> Phase {
        let begun = Phase::ALL.iter().rev().find(|(hundredth, _)| self.hundredth(*hundredth) <= at);
        begun.map_or(Phase::Healthy, |(_, phase)| *phase)
    }

    /// What is done with the n-th request of a round, which arrives at that time since it began.
    pub(super) fn answer(&self, number: u64, at: Duration) -> Answer {
        let mut draw = Rng::with_seed(self.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        let usual = Answer::Value { after: Duration::from_micros(draw.u64(2_000..8_000)) };
        match self.phase(at) {
            Phase::Failing if draw.u8(0..100) < FAILING => {
                Answer::Unavailable { retry_after: (draw.u8(0..100) < ASKING).then_some(RETRY_AFTER) }
            }
            Phase::Healthy | Phase::Failing | Phase::Recovered => usual,
            Phase::Stalling => Answer::Value { after: self.stall() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { round: Duration::from_secs(3), seed: 1 };

    #[test]
    fn phases_follow_each_other() {
        let ms = Duration::from_millis;
        let cases = [
            (ms(0), Phase::Healthy),
            (ms(599), Phase::Healthy),
            (ms(600), Phase::Failing),
            (ms(1_500), Phase::Stalling),
            (ms(1_950), Phase::Recovered),
            (ms(60_000), Phase::Recovered),
        ];
        for (at, phase) in cases {
            assert_eq!(PLAN.phase(at), phase, "at {at:?}");
        }
    }

    #[test]
    fn answers_hang_on_the_seed_alone() {
        let at = Duration::from_secs(1);
        let answers = |seed| (0..1_000).map(|number| Plan { seed, ..PLAN }.answer(number, at)).collect::<Vec<_>>();
        assert_eq!(answers(1), answers(1));
        assert_ne!(answers(1), answers(2));
    }

    #[test]
    fn as_many_fail_as_it_says() {
        let answers = (0..10_000).map(|number| PLAN.answer(number, Duration::from_secs(1)));
        let (mut failed, mut asking) = (0, 0);
        for answer in answers {
            if let Answer::Unavailable { retry_after } = answer {
                failed += 1;
                asking += u32::from(retry_after.is_some());
            }
        }
        assert!((5_800..6_200).contains(&failed), "{failed} of 10000 failed");
        assert!((1_600..2_000).contains(&asking), "{asking} of {failed} asked for a pause");
    }
}
