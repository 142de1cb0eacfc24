use std::io::{self, Write};

use conformance::millis::Millis;
use conformance::scenario::{Action, Order};
use console::{measure_text_width, truncate_str};

use super::glyphs::Glyphs;
use super::items::TRIGGER;
use super::lane::{Lane, Then, lanes};
use super::scene::Scene;

/// How many times the usual a gap may be wide, however long it lasts.
const LONGEST_GAP: u64 = 8;

/// The columns for words on how it ended.
const OUTCOME: usize = 28;

const INDENT: &str = "      ";

/// Draws a scenario: what is done to the clock and the pattern, in words; then the rows, under an axis of time.
pub(super) fn print(out: &mut dyn Write, scene: &Scene<'_>, width: usize) -> io::Result<()> {
    let Scene { scenario, glyphs, .. } = scene;
    let lanes = lanes(scene);
    for line in &scenario.script {
        match line.action() {
            Ok(Action::Jump { .. }) => {
                writeln!(out, "{INDENT}at {} ms the clock jumps by {} ms", line.at, line.jump.unwrap_or(0.0))?;
            }
            Ok(Action::Do(Order { verb, value, .. })) if verb != TRIGGER => {
                let value = value.map_or_else(String::new, |value| format!(" {value}"));
                writeln!(out, "{INDENT}at {} ms {}{value}", line.at, verb.replace('_', " "))?;
            }
            _ => {}
        }
    }
    let names = lanes.iter().map(|lane| measure_text_width(&lane.name)).max().unwrap_or(0).clamp(2, 12);
    let room = width.saturating_sub(INDENT.len() + names + 2 + 2 + OUTCOME);
    let scale = Scale::of(&lanes, scenario.until, room);
    writeln!(out, "{INDENT}{:names$}  {}", "", scale.axis())?;
    for lane in &lanes {
        let (name, outcome) = (truncate_str(&lane.name, names, "~"), truncate_str(&lane.outcome, OUTCOME, "~"));
        let row = format!("{:room$}", scale.row(lane, glyphs), room = scale.width);
        writeln!(out, "{INDENT}{name:names$}  {}  {outcome}", glyphs.paint(&row))?;
    }
    Ok(())
}

/// Which instant stands in which column. Every instant has room for what happens there; what room is left follows time.
struct Scale {
    places: Vec<(u64, usize)>,
    width: usize,
    /// There is more than could be drawn.
    cut: bool,
}

impl Scale {
    fn of(lanes: &[Lane], until: Option<Millis>, room: usize) -> Self {
        let mut instants: Vec<u64> = lanes.iter().flat_map(|lane| lane.moments.keys().copied()).collect();
        instants.extend(until.map(|until| until.0).filter(|until| *until != u64::MAX));
        instants.sort_unstable();
        instants.dedup();
        let widths = instants.iter().map(|at| {
            let marks = lanes.iter().filter_map(|lane| lane.moments.get(at)).map(|moment| moment.marks.chars().count());
            // One more for what it does until the next.
            marks.max().unwrap_or(0).max(1) + 1
        });
        let widths: Vec<usize> = widths.collect();
        let spare = room.saturating_sub(widths.iter().sum());

        let mut gaps: Vec<u64> = instants.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mut sorted = gaps.clone();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(1);
        for gap in &mut gaps {
            *gap = (*gap).min(usual.saturating_mul(LONGEST_GAP));
        }
        let total = gaps.iter().map(|gap| u128::from(*gap)).sum::<u128>().max(1);

        let (mut places, mut taken, mut passed) = (Vec::new(), 0, 0_u128);
        for (index, (at, width)) in instants.iter().zip(&widths).enumerate() {
            let stretch = usize::try_from(spare as u128 * passed / total).unwrap_or(0);
            if taken + stretch + width > room {
                break;
            }
            places.push((*at, taken + stretch));
            taken += width;
            passed += gaps.get(index).map_or(0, |gap| u128::from(*gap));
        }
        let width = places.last().map_or(0, |(at, column)| {
            column + instants.iter().position(|instant| instant == at).and_then(|index| widths.get(index)).unwrap_or(&1)
        });
        Self { cut: places.len() < instants.len(), places, width }
    }

    /// The instants in milliseconds, as many as have room, each above its column.
    fn axis(&self) -> String {
        let (mut axis, mut end) = (String::new(), 0);
        for (at, column) in &self.places {
            if *column >= end {
                let label = Millis(*at).to_string();
                axis.push_str(&" ".repeat(column - axis.len()));
                axis.push_str(&label);
                end = axis.len() + 1;
            }
        }
        axis
    }

    /// A lane as a row.
    fn row(&self, lane: &Lane, glyphs: &Glyphs) -> String {
        let stretch = |row: &mut String, to: usize, then: Then| {
            let glyph = match then {
                Then::Runs => glyphs.attempt,
                Then::Waits => glyphs.pause,
                Then::Rests => ' ',
            };
            row.extend(std::iter::repeat_n(glyph, to.saturating_sub(row.chars().count())));
        };
        let (mut row, mut then) = (String::new(), Then::Rests);
        for (at, column) in &self.places {
            if let Some(moment) = lane.moments.get(at) {
                stretch(&mut row, *column, then);
                row.push_str(&moment.marks);
                then = moment.then;
            }
        }
        stretch(&mut row, self.width, then);
        if self.cut {
            row.push(glyphs.more);
        }
        row
    }
}
