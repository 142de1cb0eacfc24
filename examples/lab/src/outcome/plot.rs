use std::fmt::Write;
use std::time::Duration;

use super::{Scene, Spread};

/// A line for each policy, over time.
pub(super) struct Plot<'p> {
    pub(super) title: &'p str,
    /// What the numbers are.
    pub(super) unit: &'p str,
    /// The number up to which it is drawn at least.
    pub(super) least: f64,
    /// A number to compare with, and what it is.
    pub(super) mark: Option<(f64, &'p str)>,
    /// One for each policy. Where there is no spread, the line is broken.
    pub(super) lines: Vec<Vec<(Duration, Option<Spread<f64>>)>>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 28.0;

impl Plot<'_> {
    /// As SVG, whose colours are classes of the page.
    pub(super) fn draw(&self, scene: &Scene) -> String {
        let highest = self.lines.iter().flatten().filter_map(|(_, spread)| *spread).map(|spread| spread.high);
        let axis = Axis::new(scene.time, highest.fold(self.least, f64::max));
        let mut svg = format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}, {}">"#, self.title, self.unit);
        axis.draw(&mut svg, scene);
        for (index, line) in self.lines.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = write!(svg, r#"<g class="p{index}">"#);
            for run in line.split(|(_, spread)| spread.is_none()) {
                let points: Vec<(f64, Spread<f64>)> =
                    run.iter().filter_map(|(at, spread)| Some((axis.x(*at), (*spread)?))).collect();
                if !points.is_empty() {
                    let _ = write!(svg, r#"<path class="band" d="{}"/>"#, axis.band(&points));
                    let _ =
                        write!(svg, r#"<path class="line" d="{}"/>"#, axis.path(points.iter().map(|(x, it)| (*x, it.median))));
                }
            }
            svg.push_str("</g>");
        }
        if let Some((number, name)) = self.mark {
            let y = axis.y(number);
            let _ = write!(svg, r#"<path class="mark" d="M{LEFT} {y:.1}H{:.1}"/>"#, WIDTH - RIGHT);
            let _ = write!(svg, r#"<text class="mark" x="{:.1}" y="{:.1}">{name}</text>"#, WIDTH - RIGHT - 4.0, y - 4.0);
        }
        svg.push_str("</svg>");
        svg
    }
}

/// Where what is drawn.
struct Axis {
    /// In seconds.
    time: f64,
    /// The number between two lines of the grid.
    step: f64,
    /// How many there are above the lowest.
    lines: u8,
}

impl Axis {
    fn new(time: Duration, highest: f64) -> Self {
        let step = step(highest);
        let lines = (1..10).find(|lines| step * f64::from(*lines) >= highest * 0.999_999).unwrap_or(10);
        Self { time: time.as_secs_f64(), step, lines }
    }

    fn x(&self, at: Duration) -> f64 {
        LEFT + at.as_secs_f64() / self.time * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, number: f64) -> f64 {
        HEIGHT - BOTTOM - number / (self.step * f64::from(self.lines)) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw(&self, svg: &mut String, scene: &Scene) {
        for trouble in &scene.troubles {
            let (from, to) = (self.x(trouble.when.start), self.x(trouble.when.end));
            let (width, height) = (to - from, HEIGHT - TOP - BOTTOM);
            let _ = write!(
                svg,
                r#"<rect class="trouble" x="{from:.1}" y="{TOP}" width="{width:.1}" height="{height}"><title>it {}</title></rect>"#,
                trouble.what
            );
        }
        for line in 0..=self.lines {
            let number = self.step * f64::from(line);
            let y = self.y(number);
            let _ = write!(svg, r#"<path class="grid" d="M{LEFT} {y:.1}H{:.1}"/>"#, WIDTH - RIGHT);
            let _ = write!(svg, r#"<text class="y" x="{:.1}" y="{:.1}">{}</text>"#, LEFT - 6.0, y + 4.0, decimal(number));
        }
        let between = step(self.time);
        let ticks = (0_u8..).map(|tick| between * f64::from(tick)).take_while(|at| *at <= self.time);
        for at in ticks {
            let x = self.x(Duration::from_secs_f64(at));
            let _ = write!(svg, r#"<text class="x" x="{x:.1}" y="{:.1}">{} s</text>"#, HEIGHT - 10.0, decimal(at));
        }
    }

    /// From the lowest to the highest.
    fn band(&self, points: &[(f64, Spread<f64>)]) -> String {
        let there = points.iter().map(|(x, spread)| (*x, spread.high));
        let back = points.iter().rev().map(|(x, spread)| (*x, spread.low));
        self.path(there.chain(back)) + "Z"
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for (x, number) in points {
            let command = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{command}{x:.1} {:.1}", self.y(number));
        }
        path
    }
}

/// A multiple of a round number, without what binary fractions make of it.
fn decimal(number: f64) -> f64 {
    (number * 1e9).round() / 1e9
}

/// A round number, five of which reach that high.
fn step(highest: f64) -> f64 {
    let step = (highest / 5.0).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(step.log10().floor());
    let rounded = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|factor| factor * power >= step * 0.999_999).unwrap_or(10.0);
    rounded * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "they are exact")]
    fn grids_have_round_numbers() {
        for (highest, step, lines) in
            [(1.0, 0.2, 5), (100.0, 20.0, 5), (400.0, 100.0, 4), (1_100.0, 250.0, 5), (1_001.0, 250.0, 5), (12.0, 2.5, 5)]
        {
            let axis = Axis::new(Duration::from_secs(1), highest);
            assert_eq!((axis.step, axis.lines), (step, lines), "up to {highest}");
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_meant() {
        let scene = Scene { told: vec![], rate: 1.0, capacity: 1.0, troubles: vec![], time: Duration::from_secs(1) };
        let mut svg = String::new();
        Axis::new(scene.time, 1.0).draw(&mut svg, &scene);
        for text in [">0<", ">0.6<", ">1<", ">0.6 s<", ">1 s<"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }
}
