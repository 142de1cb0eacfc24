//! Fractions, for machines without floating point.

use core::fmt;

use crate::wide::{divided, scaled};

/// A fraction of two integers: a growth factor, a share of a delay.
///
/// # Examples
///
/// ```
/// use aplomb::ratio::{Ratio, percent};
///
/// assert_eq!(Ratio::new(3, 2).of(1_000), 1_500);
/// assert_eq!(percent(10).of(u64::MAX), u64::MAX / 10);
/// assert_eq!(percent(200).of(u64::MAX), u64::MAX, "it saturates");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
}

impl Ratio {
    /// One.
    pub const ONE: Self = Self::new(1, 1);

    /// `numerator / denominator`. With a denominator of zero it is no number, and every configuration refuses it.
    #[must_use]
    pub const fn new(numerator: u32, denominator: u32) -> Self {
        Self { numerator, denominator }
    }

    /// Whether it is a number, and at least one.
    #[must_use]
    pub const fn is_at_least_one(self) -> bool {
        self.denominator != 0 && self.numerator >= self.denominator
    }

    /// Whether it is a number, and at most one.
    #[must_use]
    pub const fn is_at_most_one(self) -> bool {
        self.denominator != 0 && self.numerator <= self.denominator
    }

    /// Whether it is a number.
    #[must_use]
    pub const fn is_number(self) -> bool {
        self.denominator != 0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.numerator == 0
    }

    /// Whether it is a number above zero, and at most one.
    #[must_use]
    pub const fn is_share(self) -> bool {
        self.numerator != 0 && self.is_at_most_one()
    }

    /// Numerator and denominator.
    #[must_use]
    pub(crate) const fn parts(self) -> (u32, u32) {
        (self.numerator, self.denominator)
    }

    /// Whether `part` is this share of `whole`, or more; exactly.
    #[must_use]
    pub(crate) fn is_reached(self, part: u32, whole: u32) -> bool {
        u64::from(part) * u64::from(self.denominator) >= u64::from(self.numerator) * u64::from(whole)
    }

    /// This share of `whole`, rounded down; at most `u64::MAX`.
    #[must_use]
    #[allow(clippy::cast_lossless, reason = "`u64::from` is not const")]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    pub const fn of(self, whole: u64) -> u64 {
        if self.denominator == 1 {
            return scaled(whole, self.numerator as u64);
        }
        // In two parts, so that nothing overflows that doesn't have to.
        let denominator = self.denominator as u64;
        let Some((quotient, rest)) = divided(whole, denominator) else { return 0 };
        let Some((of_rest, _)) = divided(rest * self.numerator as u64, denominator) else { return 0 };
        scaled(quotient, self.numerator as u64).saturating_add(of_rest)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.denominator == 1 { self.numerator.fmt(f) } else { write!(f, "{}/{}", self.numerator, self.denominator) }
    }
}

/// So many hundredths.
#[must_use]
pub const fn percent(hundredths: u32) -> Ratio {
    Ratio::new(hundredths, 100)
}
