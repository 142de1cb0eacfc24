use aplomb::rate_limiter::Rate;

/// What clients are told of a rate: a name, and a quota in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) name: &'static str,
    pub(super) rate: Rate,
    /// How many permits there are at most.
    pub(super) burst: u32,
}

/// The largest integer of structured fields (RFC 9651, 3.3.1).
const MOST: u128 = 999_999_999_999_999;
/// In so many times the rate's, a window of whole seconds is looked for.
const TIMES: u32 = 60;

impl Policy {
    /// The quota, and the window in whole seconds.
    ///
    /// The quota is a full bucket, and the window the time in which it fills: so there never is more left than the quota. Where no small number of such windows has whole seconds, it is rounded up, and the quota down.
    pub(super) fn quota(&self) -> (u64, u64) {
        let (permits, per) = (u128::from(self.rate.permits().max(1)), self.rate.per().as_nanos());
        let quota = u128::from(self.burst);
        // In nanoseconds times permits, so that nothing is rounded yet.
        let window = per.saturating_mul(quota);
        let second = permits * 1_000_000_000;
        let exact = (1..=TIMES).map(u128::from).find(|times| window.saturating_mul(*times) % second == 0);
        let (quota, window) = exact.map_or_else(
            || {
                let rounded = window.div_ceil(second);
                (rounded.saturating_mul(second).saturating_mul(quota) / window.max(1), rounded)
            },
            |times| (quota.saturating_mul(times), window.saturating_mul(times) / second),
        );
        [quota, window].map(|number| u64::try_from(number.min(MOST)).unwrap_or(u64::MAX)).into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aplomb::rate_limiter::Rate;
    use aplomb::time::{ms, secs};

    use super::Policy;

    #[test]
    fn a_window_has_whole_seconds_and_the_quota_is_that_of_the_rate() {
        let per = |permits, per| Rate::new(permits, per);
        for (rate, burst, expected) in [
            (Rate::per_minute(100), None, (100, 60)),
            (per(5, ms(100)), None, (50, 1)),
            (per(1, ms(1_500)), None, (2, 3)),
            (per(7, ms(999)), None, (7, 1)), // 7.007 a second
            (per(10, Duration::from_nanos(3)), None, (3_333_333_333, 1)),
            (Rate::per_minute(1), Some(10), (10, 600)),
            (Rate::per_minute(100), Some(10), (10, 6)),
            (Rate::per_second(100), Some(10), (100, 1)),
            (Rate::per_second(3), Some(1), (3, 1)),
            (Rate::per_day(1), Some(u32::MAX), (4_294_967_295, 371_085_174_288_000)),
            (per(u32::MAX, Duration::from_nanos(1)), None, (999_999_999_999_999, 1)),
            (per(1, Duration::MAX), None, (1, 999_999_999_999_999)),
            (per(0, secs(0)), Some(0), (0, 0)), // which no limiter takes
        ] {
            assert_eq!(Policy { name: "", rate, burst: burst.unwrap_or(rate.permits()) }.quota(), expected, "{rate} {burst:?}");
        }
    }
}
