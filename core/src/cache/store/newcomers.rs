/// How many newcomers stay that nobody used on probation: none where popularity is steady, nearly all where it shifts.
///
/// Who goes leaves a ghost, and those that come back tell. If those that went from probation come back more often than those that the hand took from among the regulars, then newcomers are worth more than what is kept in their stead. That is told by trial: it counts who goes, while as many go as there are entries, and then waits for half as long, for the last of them to come back.
/// So all who are counted have gone by the same rule, whatever the trial before has changed.
pub(super) struct Newcomers {
    /// Of [`SHARES`], how many stay; and what is left of that, of those before.
    stay: u8,
    rest: u8,
    /// How many have gone since the trial began.
    turns: u32,
    from_probation: Count,
    from_regulars: Count,
}

#[derive(Clone, Copy)]
struct Count {
    gone: u32,
    back: u32,
}

/// Who has gone, as its ghost says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    Newcomer,
    Regular,
    /// A newcomer of whom no trial wants to know.
    Uncounted,
}

const SHARES: u8 = 32;

/// One in so many goes all the same, so that it is known when those come back.
const MOST: u8 = SHARES - 1;

/// How many are counted in a trial, at least.
const FEWEST: u32 = 256;

impl Newcomers {
    pub(super) const NEW: Self = Self {
        stay: 0,
        rest: 0,
        turns: 0,
        from_probation: Count { gone: 0, back: 0 },
        from_regulars: Count { gone: 0, back: 0 },
    };

    /// Whether one stays that nobody used.
    pub(super) const fn stays(&mut self) -> bool {
        self.rest += self.stay;
        let stays = self.rest >= SHARES;
        if stays {
            self.rest -= SHARES;
        }
        stays
    }

    /// One of so many entries goes. What its ghost says, if it leaves one.
    pub(super) fn gone(&mut self, is_newcomer: bool, entries: usize) -> Option<Gone> {
        let entries = u32::try_from(entries).unwrap_or(u32::MAX).max(FEWEST);
        if self.turns >= entries.saturating_add(entries / 2) {
            self.decide();
        }
        let is_counted = self.turns < entries;
        self.turns = self.turns.saturating_add(1);
        match (is_newcomer, is_counted) {
            (true, true) => {
                self.from_probation.gone = self.from_probation.gone.saturating_add(1);
                Some(Gone::Newcomer)
            }
            (false, true) => {
                self.from_regulars.gone = self.from_regulars.gone.saturating_add(1);
                Some(Gone::Regular)
            }
            (true, false) => Some(Gone::Uncounted),
            (false, false) => None,
        }
    }

    /// It comes back. Whether it is a regular from now on.
    pub(super) const fn back(&mut self, gone: Gone) -> bool {
        match gone {
            Gone::Newcomer => self.from_probation.back = self.from_probation.back.saturating_add(1),
            Gone::Regular => self.from_regulars.back = self.from_regulars.back.saturating_add(1),
            Gone::Uncounted => {}
        }
        !matches!(gone, Gone::Regular)
    }

    /// Ends a trial. More stay if, of a hundred newcomers that went, more came back than of as many regulars, by a quarter, and by more than chance would have it where few went; else fewer do, and sooner than more did.
    fn decide(&mut self) {
        let Self { from_probation: newcomers, from_regulars: regulars, .. } = *self;
        let [newcomers_back, regulars_back] = [
            product(newcomers.back, regulars.gone).saturating_mul(4),
            product(regulars.back.saturating_add(2), newcomers.gone).saturating_mul(5),
        ];
        self.stay = if newcomers_back > regulars_back {
            (self.stay + SHARES / 4).min(MOST)
        } else {
            self.stay.saturating_sub(SHARES / 2)
        };
        for count in [&mut self.from_probation, &mut self.from_regulars] {
            *count = Count { gone: count.gone / 2, back: count.back / 2 };
        }
        self.turns = 0;
    }
}

fn product(a: u32, b: u32) -> u64 {
    u64::from(a).saturating_mul(u64::from(b))
}
