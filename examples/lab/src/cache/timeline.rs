use std::io::{self, Write};
use std::iter::successors;
use std::time::Duration;

use aplomb_tokio::prelude::*;
use console::style;

use super::customers::Measured;
use super::measured::Part;
use super::plan::{DEMAND, OUTAGE, TAKES};

/// How long a column lasts.
const STEP: Duration = ms(100);

/// What a share is drawn with, from none to all.
pub(super) struct Levels([char; 9]);

impl Levels {
    /// For most terminals.
    pub(super) const UNICODE: Self = Self([' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']);

    /// For all.
    pub(super) const ASCII: Self = Self([' ', '.', ':', '-', '=', '+', '*', '%', '#']);

    /// Something is never drawn as nothing, and only all of it as all.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 8")]
    fn of(&self, share: f64) -> char {
        let level = (share.clamp(0.0, 1.0) * 8.0) as usize;
        self.0[if share > 0.0 { level.max(1) } else { 0 }]
    }
}

/// Draws what each customer's callers got, and what the service had from them, over time.
pub(super) fn print(out: &mut dyn Write, measured: &[Measured], levels: &Levels) -> io::Result<()> {
    let axis: Vec<String> = (0..TAKES.as_secs()).map(|second| format!("{:10}", format!("{second} s"))).collect();
    let steps: Vec<Duration> = successors(Some(Duration::ZERO), |at| Some(*at + STEP).filter(|at| *at < TAKES)).collect();
    let down: String = steps.iter().map(|at| if OUTAGE.contains(at) { 'x' } else { ' ' }).collect();
    writeln!(out, "{:24}{}", "", axis.concat().trim_end())?;
    writeln!(out, "{:24}{}", "the service is down", style(down.trim_end()).red())?;
    for customer in measured {
        let parts: Vec<Part<'_>> = steps.iter().map(|at| customer.within(*at..*at + STEP)).collect();
        let answered: String = parts.iter().map(|part| levels.of(part.answered())).collect();
        let requests: String = parts.iter().map(|part| levels.of(part.requests_per_second() / f64::from(DEMAND))).collect();
        writeln!(out, "{:12}{:12}{}", customer.manner.name(), "answered", style(answered.trim_end()).green())?;
        writeln!(out, "{:12}{:12}{}", "", "requests", style(requests.trim_end()).yellow())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_seen_and_less_than_all_too() {
        let drawn = [0.0, 0.001, 0.5, 0.999, 1.0, 2.0].map(|share| Levels::ASCII.of(share));
        assert_eq!(drawn, [' ', '.', '=', '%', '#', '#']);
    }
}
