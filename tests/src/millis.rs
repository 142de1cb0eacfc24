//! Times of scenarios: milliseconds as numbers, down to a nanosecond, or never.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A time, in nanoseconds; `u64::MAX` is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// No time.
    pub const ZERO: Self = Self(0);
    /// Never.
    pub const NEVER: Self = Self(u64::MAX);

    /// The nearest to so many milliseconds; never, if there are too many.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    pub fn from_f64(millis: f64) -> Self {
        Self((millis * 1e6).round() as u64)
    }

    /// As a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        aplomb::time::duration(self.0)
    }

    /// As a number of milliseconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a day of nanoseconds is exact")]
    pub fn to_json(self) -> Value {
        if self.is_on(1_000_000) { (self.0 / 1_000_000).into() } else { (self.0 as f64 / 1e6).into() }
    }

    /// Whether it lies on a grid of so many nanoseconds.
    #[must_use]
    pub fn is_on(self, grid: u64) -> bool {
        self == Self::NEVER || self.0.is_multiple_of(grid)
    }
}

impl fmt::Display for Millis {
    #[allow(clippy::cast_precision_loss, reason = "it is for reading")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER { f.write_str("never") } else { write!(f, "{}", self.0 as f64 / 1e6) }
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Millis;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("milliseconds, zero or more, or null")
            }

            fn visit_f64<E: de::Error>(self, millis: f64) -> Result<Millis, E> {
                if millis >= 0.0 {
                    Ok(Millis::from_f64(millis))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(millis), &self))
                }
            }

            fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Millis, E> {
                Ok(Millis(millis.saturating_mul(1_000_000)))
            }

            fn visit_i64<E: de::Error>(self, millis: i64) -> Result<Millis, E> {
                Err(E::invalid_value(de::Unexpected::Signed(millis), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Millis, E> {
                if text == "never" { Ok(Millis::NEVER) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }

            fn visit_unit<E: de::Error>(self) -> Result<Millis, E> {
                Ok(Millis::NEVER)
            }
        }

        deserializer.deserialize_any(Number)
    }
}
