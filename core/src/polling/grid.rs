use crate::time::Instant;
use crate::wide::divided;

/// Ticks at a fixed distance, from the first on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Nanoseconds.
    pub(super) interval: u64,
    /// The tick that the present attempt belongs to; never, before the first.
    tick: Instant,
}

impl Grid {
    pub(super) const fn new(interval: u64) -> Self {
        Self { interval, tick: Instant::MAX }
    }

    /// An attempt starts. The first one is where the grid begins.
    pub(super) fn start(&mut self, now: impl FnOnce() -> Instant) {
        if self.tick.is_never() {
            self.tick = now();
        }
    }

    /// The attempt has ended: the next tick that is not over.
    pub(super) fn next(&mut self, now: Instant) -> Instant {
        let late = now.as_nanos().saturating_sub(self.tick.as_nanos());
        self.tick = if late < self.interval { self.tick.saturating_add_nanos(self.interval) } else { self.skip(late) };
        self.tick
    }

    /// Likewise, where ticks may have been missed.
    #[cold]
    fn skip(&self, late: u64) -> Instant {
        let (_, over) = divided(late, self.interval).unwrap_or((0, 0));
        let to_next = if over == 0 { 0 } else { self.interval };
        self.tick.saturating_add_nanos(late - over).saturating_add_nanos(to_next)
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
        assert_eq!(grid.next(at(30)), at(130));
        grid.start(|| unreachable!("it has begun"));
        assert_eq!(grid.next(at(131)), at(230));
    }

    #[test]
    fn a_tick_is_not_over_at_its_own_instant() {
        assert_eq!(begun().next(at(130)), at(130));
        assert_eq!(begun().next(at(131)), at(230));
    }

    #[test]
    fn missed_ticks_are_skipped() {
        assert_eq!(begun().next(at(1_000_000)), at(1_000_030));
    }

    #[test]
    fn time_that_runs_backwards_is_no_time() {
        assert_eq!(begun().next(at(0)), at(130));
    }

    #[test]
    fn an_endless_interval_has_no_next_tick() {
        let mut grid = Grid::new(u64::MAX);
        grid.start(|| at(30));
        assert!(grid.next(at(50)).is_never());
    }
}
