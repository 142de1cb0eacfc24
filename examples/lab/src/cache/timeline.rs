use std::io::{self, Write};
use std::iter::successors;
use std::time::Duration;

use aplomb_tokio::prelude::*;
use console::style;

use super::customers::Measured;
use super::measured::Part;
use super::plan::{DEMAND, OUTAGE, TAKES};
use crate::levels::Levels;

/// How long a column lasts.
const STEP: Duration = ms(100);

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
