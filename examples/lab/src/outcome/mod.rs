//! What came of a policy, in one run or in many, and how it is shown.

mod page;
mod plot;
mod table;

use std::cmp::Ordering;
use std::ops::Range;
use std::time::Duration;

pub(crate) use page::write as write_page;
pub(crate) use table::{print, tell};

use crate::backend::Trouble;
use crate::tally::{Figures, Recovered, Step, Tally};

/// What was called, and how: the same for all policies.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// In words, a line each.
    pub(crate) told: Vec<String>,
    /// Calls a second.
    pub(crate) rate: f64,
    /// Requests a second that the service is able to serve.
    pub(crate) capacity: f64,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) time: Duration,
}

impl Scene {
    /// From the first trouble to the end of the last.
    pub(crate) fn trouble(&self) -> Range<Duration> {
        let start = self.troubles.first().map_or(Duration::ZERO, |trouble| trouble.when.start);
        start..self.troubles.last().map_or(Duration::ZERO, |trouble| trouble.when.end)
    }
}

/// What came of a policy: a tally for each run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    tallies: Vec<Tally>,
    figures: Vec<Figures>,
}

/// The median of several runs, and the range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread<T> {
    pub(crate) low: T,
    pub(crate) median: T,
    pub(crate) high: T,
}

impl<T: Copy> Spread<T> {
    fn map<U>(self, map: impl Fn(T) -> U) -> Spread<U> {
        Spread { low: map(self.low), median: map(self.median), high: map(self.high) }
    }

    /// Of at least one value. Between the two in the middle lies the median.
    fn of(mut values: Vec<T>, compare: impl Fn(&T, &T) -> Ordering, between: impl Fn(T, T) -> T) -> Option<Self> {
        values.sort_by(compare);
        let (low, high) = (*values.first()?, *values.last()?);
        let [lower, upper] = [(values.len() - 1) / 2, values.len() / 2];
        let median = if lower == upper { values[lower] } else { between(values[lower], values[upper]) };
        Some(Self { low, median, high })
    }
}

impl Outcome {
    /// Of at least one run.
    pub(crate) fn new(name: impl Into<String>, tallies: Vec<Tally>, scene: &Scene) -> Self {
        let figures = tallies.iter().map(|tally| tally.figures(&scene.trouble())).collect();
        Self { name: name.into(), tallies, figures }
    }

    /// A figure, over all runs that have it.
    pub(crate) fn figure(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Option<Spread<f64>> {
        Spread::of(self.figures.iter().filter_map(figure).collect(), f64::total_cmp, f64::midpoint)
    }

    /// When it was normal again, over all runs that tell.
    pub(crate) fn recovered(&self) -> Option<Spread<Recovered>> {
        let between = |sooner, later| match (sooner, later) {
            (Recovered::After(sooner), Recovered::After(later)) => Recovered::After((sooner + later) / 2),
            _ => Recovered::Never,
        };
        Spread::of(self.figures.iter().filter_map(|figures| figures.recovered).collect(), Ord::cmp, between)
    }

    /// Something over time, over all runs: for each step its middle, and the spread where there is one.
    pub(crate) fn series(&self, value: impl Fn(&Tally, &Step) -> Option<f64>) -> Vec<(Duration, Option<Spread<f64>>)> {
        let steps = self.tallies.first().map_or(0, |tally| tally.steps().len());
        let spread = |index: usize| {
            let values = self.tallies.iter().filter_map(|tally| value(tally, tally.steps().get(index)?));
            Spread::of(values.collect(), f64::total_cmp, f64::midpoint)
        };
        let step = self.tallies.first().map_or(Duration::ZERO, Tally::step);
        (0..).zip(0..steps).map(|(number, index): (u32, usize)| (step * number + step / 2, spread(index))).collect()
    }

    /// The calls of all runs.
    pub(crate) fn calls(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.whole().calls()).sum()
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "they are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_between_the_two_in_the_middle() {
        let median = |values: &[f64]| Spread::of(values.to_vec(), f64::total_cmp, f64::midpoint).map(|spread| spread.median);
        assert_eq!(median(&[]), None);
        assert_eq!([median(&[3.0]), median(&[3.0, 1.0, 2.0])], [Some(3.0), Some(2.0)]);
        assert_eq!([median(&[4.0, 2.0]), median(&[9.0, 1.0, 2.0, 4.0])], [Some(3.0); 2]);
    }
}
