use std::io::{self, Write};
use std::time::Duration;

use console::{measure_text_width, style};

use super::{Outcome, Scene, Spread};
use crate::figures::ratio;
use crate::levels::Levels;
use crate::tally::Recovered;
use crate::words::time;

/// The figures' names.
pub(super) const HEADS: [[&str; 2]; 6] = [
    ["calls that", "succeeded"],
    ["requests", "per call"],
    ["peak", "load"],
    ["latency p99", "before"],
    ["latency p99", "overall"],
    ["normal again", "after"],
];

/// How many glyphs draw the time.
const GLYPHS: u32 = 60;

/// The figures of a policy as text: the median, and the range where it shows.
pub(super) fn cells(outcome: &Outcome, scene: &Scene) -> [String; 6] {
    let cell = |figure: Option<Spread<f64>>, show: &dyn Fn(f64) -> String, unit: &str| {
        figure.map_or_else(|| UNKNOWN.into(), |figure| spread(figure.map(show), unit))
    };
    let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    let after = |recovered| match recovered {
        Recovered::After(time) => format!("{:.1}", time.as_secs_f64()),
        Recovered::Never => NEVER.into(),
    };
    [
        cell(outcome.figure(|it| Some(it.success * 100.0)), &|percent| format!("{percent:.1}"), " %"),
        cell(outcome.figure(|it| Some(it.requests_per_call)), &|number| format!("{number:.2}"), ""),
        cell(outcome.figure(|it| Some(it.peak)), &|peak| format!("{:.1}", peak / scene.rate), " x"),
        cell(outcome.figure(|it| millis(it.p99_before)), &|millis| format!("{millis:.0}"), " ms"),
        cell(outcome.figure(|it| millis(it.p99)), &|millis| format!("{millis:.0}"), " ms"),
        outcome.recovered().map_or_else(|| UNKNOWN.into(), |recovered| spread(recovered.map(after), " s")),
    ]
}

const NEVER: &str = "never";
/// Nobody can tell.
const UNKNOWN: &str = "-";

fn spread(Spread { low, median, high }: Spread<String>, unit: &str) -> String {
    let unit = if median == NEVER { "" } else { unit };
    if low == high { format!("{median}{unit}") } else { format!("{median}{unit} ({low}..{high})") }
}

/// Says what is called, and how.
pub(crate) fn tell(out: &mut dyn Write, title: &str, scene: &Scene) -> io::Result<()> {
    writeln!(out, "{}\n", style(title).bold())?;
    scene.told.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    writeln!(out)
}

/// Prints a row for each policy, and what was served over time.
pub(crate) fn print(out: &mut dyn Write, scene: &Scene, outcomes: &[Outcome], ascii: bool) -> io::Result<()> {
    let rows: Vec<[String; 6]> = outcomes.iter().map(|outcome| cells(outcome, scene)).collect();
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| {
            let head = HEADS[column].iter().map(|head| head.len());
            head.chain(rows.iter().map(|row| measure_text_width(&row[column]))).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: [&str; 6]| -> String {
        cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}   ")).collect::<Vec<_>>().concat()
    };
    for index in 0..2 {
        writeln!(out, "{}", style(line(HEADS.map(|head| head[index])).trim_end()).bold())?;
    }
    for (row, outcome) in rows.iter().zip(outcomes) {
        writeln!(out, "{}{}", line(row.each_ref().map(String::as_str)), style(&outcome.name).cyan())?;
    }
    over_time(out, scene, outcomes, Levels::new(ascii))
}

/// What was served, as a share of the calls; below the troubles.
fn over_time(out: &mut dyn Write, scene: &Scene, outcomes: &[Outcome], levels: &Levels) -> io::Result<()> {
    let troubled = |index| {
        let at = scene.time * (2 * index + 1) / (2 * GLYPHS);
        if scene.troubles.iter().any(|trouble| trouble.when.contains(&at)) { 'x' } else { ' ' }
    };
    writeln!(out, "\nWhat was served, over {}; x marks the trouble", time(scene.time))?;
    writeln!(out, "{}", style((0..GLYPHS).map(troubled).collect::<String>().trim_end()).red())?;
    for outcome in outcomes {
        let served = outcome.series(|tally, step| Some(tally.rate(step.served()) / scene.rate));
        let shares: Vec<f64> = served.iter().map(|(_, spread)| spread.map_or(0.0, |spread| spread.median)).collect();
        let drawn: String = (0..GLYPHS).map(|index| levels.nearest(mean(&shares, index))).collect();
        writeln!(out, "{}  {}", style(drawn).green(), outcome.name)?;
    }
    Ok(())
}

/// The mean of the shares that a glyph stands for: of one at least.
fn mean(shares: &[f64], glyph: u32) -> f64 {
    let [from, to] = [glyph, glyph + 1].map(|index| shares.len() * index as usize / GLYPHS as usize);
    let shares = shares.get(from..to.max(from + 1)).unwrap_or_default();
    shares.iter().sum::<f64>() / ratio(shares.len().max(1) as u64, 1)
}
