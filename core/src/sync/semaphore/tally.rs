use super::error::{AcquireError, TryAcquireError};

/// How many permits there are, and how many of them are taken: more than there are, after there have become fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) permits: u32,
    pub(super) taken: u32,
}

impl Tally {
    pub(super) const fn free(self) -> u32 {
        self.permits.saturating_sub(self.taken)
    }

    /// With so many more taken, if they are free.
    #[inline]
    pub(super) const fn taking(self, n: u32) -> Option<Self> {
        // No more than there are, which a `u32` can count.
        if n <= self.free() { Some(Self { taken: self.taken.wrapping_add(n), ..self }) } else { None }
    }

    /// With so many fewer taken.
    #[inline]
    pub(super) const fn giving_back(self, n: u32) -> Self {
        Self { taken: self.taken.saturating_sub(n), ..self }
    }

    /// Why so many more can't be taken.
    #[cold]
    pub(super) const fn lack(self, requested: u32) -> TryAcquireError {
        let Self { permits, .. } = self;
        if requested > permits {
            TryAcquireError::TooMany { requested, permits }
        } else {
            TryAcquireError::NoPermits { requested, free: self.free() }
        }
    }

    /// Whether so many may be waited for, where so many wait.
    pub(super) const fn check(self, requested: u32, waiting: u32, max_waiting: u32) -> Result<(), AcquireError> {
        let Self { permits, .. } = self;
        if requested > permits {
            Err(AcquireError::TooMany { requested, permits })
        } else if waiting >= max_waiting {
            Err(AcquireError::QueueFull { waiting })
        } else {
            Ok(())
        }
    }

    /// In a word; zero only if there are no permits, and none are taken.
    #[inline]
    pub(super) const fn packed(self) -> u64 {
        (self.permits as u64) << 32 | self.taken as u64
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "each half is as long as it was")]
    pub(super) const fn of_packed(word: u64) -> Self {
        Self { permits: (word >> 32) as u32, taken: word as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_both_numbers() {
        for permits in [0, 1, 7, u32::MAX] {
            for taken in [0, 1, 8, u32::MAX] {
                let tally = Tally { permits, taken };
                assert_eq!(Tally::of_packed(tally.packed()), tally);
            }
        }
    }

    #[test]
    fn no_more_are_taken_than_are_free() {
        let most = Tally { permits: u32::MAX, taken: 1 };
        assert_eq!(most.taking(u32::MAX), None);
        assert_eq!(most.taking(u32::MAX - 1).map(Tally::free), Some(0));
        let fewer_than_taken = Tally { permits: 1, taken: 3 };
        assert_eq!((fewer_than_taken.free(), fewer_than_taken.taking(1)), (0, None));
        assert_eq!(fewer_than_taken.taking(0), Some(fewer_than_taken));
        assert_eq!(fewer_than_taken.giving_back(2).taking(1), None);
        assert_eq!(fewer_than_taken.giving_back(9).taking(1), Some(Tally { permits: 1, taken: 1 }));
    }
}
