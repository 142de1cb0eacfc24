use crate::time::Instant;
use crate::wide::divided;

/// Points at a fixed distance, from the first start on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Nanoseconds.
    pub(super) interval: u64,
    /// The one that the present attempt belongs to; never, before the first.
    point: Instant,
}

impl Grid {
    pub(super) const fn new(interval: u64) -> Self {
        Self { interval, point: Instant::MAX }
    }

    /// An attempt starts. The first one is where the grid begins.
    pub(super) fn start(&mut self, now: impl FnOnce() -> Instant) {
        if self.point.is_never() {
            self.point = now();
        }
    }

    /// The attempt has ended: the next point that is not over.
    ///
    /// By a clock with ticks of so many nanoseconds, a sleep ends a tick late. So a point is over when a sleep until then would be, and no earlier: what starts so late is in its time. Two points that such sleeps cannot tell apart are one.
    pub(super) fn next(&mut self, now: Instant, tick: u64) -> Instant {
        let past = now.nanos_since(self.point.saturating_add_nanos(tick));
        // Within a tick, nobody knows whether it is still the very instant.
        let least = if tick == 0 { past } else { past.saturating_add(1).max(tick) };
        self.point = if least <= self.interval { self.point.saturating_add_nanos(self.interval) } else { self.skip(least) };
        self.point
    }

    /// Likewise, where points may have been missed.
    #[cold]
    fn skip(&self, least: u64) -> Instant {
        let (_, over) = divided(least, self.interval).unwrap_or((0, 0));
        let to_next = if over == 0 { 0 } else { self.interval };
        self.point.saturating_add_nanos(least - over).saturating_add_nanos(to_next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn begun() -> Grid {
        let mut grid = Grid::new(100_000_000);
        grid.start(|| at(30));
        grid
    }

    #[test]
    fn the_grid_begins_with_the_first_start() {
        let mut grid = begun();
        assert_eq!(grid.next(at(30), 0), at(130));
        grid.start(|| unreachable!("it has begun"));
        assert_eq!(grid.next(at(131), 0), at(230));
    }

    #[test]
    fn a_point_is_not_over_at_its_own_instant() {
        assert_eq!(begun().next(at(130), 0), at(130));
        assert_eq!(begun().next(at(131), 0), at(230));
    }

    #[test]
    fn missed_points_are_skipped() {
        assert_eq!(begun().next(at(1_000_000), 0), at(1_000_030));
    }

    #[test]
    fn a_point_is_not_over_before_a_sleep_would_be() {
        const TICK: u64 = 10_000_000;
        assert_eq!(begun().next(at(139), TICK), at(130));
        assert_eq!(begun().next(at(140), TICK), at(230));
        assert_eq!(begun().next(at(239), TICK), at(230));
    }

    #[test]
    fn points_within_a_tick_are_one() {
        for (tick, next) in [(99, 130), (100, 130), (101, 230), (250, 330)] {
            assert_eq!(begun().next(at(30), tick * 1_000_000), at(next), "{tick} ms");
        }
    }

    #[test]
    fn time_that_runs_backwards_is_no_time() {
        assert_eq!(begun().next(at(0), 0), at(130));
    }

    #[test]
    fn an_endless_interval_has_no_next_point() {
        let mut grid = Grid::new(u64::MAX);
        grid.start(|| at(30));
        assert!(grid.next(at(50), 0).is_never());
    }
}
