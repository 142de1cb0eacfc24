//! A page that needs nothing else: a table, and plots with bands.

use std::fmt::Write;

use super::plot::Plot;
use super::table::{HEADS, cells};
use super::{Outcome, Scene};

/// Colours for so many policies on light and on dark ground; then they begin anew, dashed.
const LIGHT: [&str; 8] = ["#5b6470", "#d1495b", "#1f77b4", "#2a8c4a", "#b7791f", "#7b4fb5", "#0f8b8d", "#a0522d"];
const DARK: [&str; 8] = ["#a9b4c2", "#ff7b8a", "#6db7f2", "#6fd08c", "#e8b04a", "#b995f0", "#4fd0d2", "#d99a72"];

const STYLE: &str = "
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c2128; --faint: #d8dee4; --trouble: #d1495b22; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --ink: #e6e9ed; --faint: #343b44; --trouble: #ff7b8a2e; } }
body { background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1600px; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1rem; margin: 0 0 .25rem; } h2 small { font-weight: normal; opacity: .7; }
pre { font: inherit; white-space: pre-wrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { border-bottom: 1px solid var(--faint); padding: .3rem .8rem; text-align: right; white-space: nowrap; }
th:last-child, td:last-child { text-align: left; } td:last-child { font-family: ui-monospace, monospace; font-size: .9em; }
label { cursor: pointer; } input { accent-color: var(--own); }
.plots { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 600px), 1fr)); margin-top: 2rem; }
figure { margin: 0; } svg { display: block; width: 100%; } text { fill: var(--ink); font-size: 12px; opacity: .8; }
text.mark { paint-order: stroke; stroke: var(--ground); stroke-width: 3px; opacity: 1; } .y, text.mark { text-anchor: end; } .x { text-anchor: middle; }
.grid { stroke: var(--faint); } path.mark { stroke: var(--ink); stroke-dasharray: 4 4; opacity: .6; } .trouble { fill: var(--trouble); }
.line { fill: none; stroke: var(--own); stroke-linejoin: round; stroke-width: 2; } .band { fill: var(--own); opacity: .18; }
";

/// The page, as HTML.
pub(crate) fn write(title: &str, scene: &Scene, outcomes: &[Outcome]) -> String {
    let mut page = String::new();
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}{}</style>\n<h1>{}</h1>\n<pre>{}</pre>\n{}\n<div class=\"plots\">\n",
        escape(title),
        colours(outcomes.len()),
        escape(title),
        escape(&scene.told.join("\n")),
        table(scene, outcomes),
    );
    for plot in plots(scene, outcomes) {
        let (title, unit) = (plot.title, plot.unit);
        let _ = writeln!(page, "<figure><h2>{title} <small>{unit}</small></h2>{}</figure>", plot.draw(scene));
    }
    page.push_str("</div>\n</html>\n");
    page
}

fn plots<'p>(scene: &Scene, outcomes: &[Outcome]) -> [Plot<'p>; 4] {
    let peak = scene.rate.max(scene.capacity);
    [
        Plot {
            title: "Goodput",
            unit: "calls that end with success, a second",
            least: scene.rate,
            mark: Some((scene.rate, "calls a second")),
            lines: outcomes.iter().map(|it| it.series(|tally, step| Some(tally.rate(step.served())))).collect(),
        },
        Plot {
            title: "Load on the service",
            unit: "requests a second",
            least: peak,
            mark: Some((scene.capacity, "capacity")),
            lines: outcomes.iter().map(|it| it.series(|tally, step| Some(tally.rate(step.requests())))).collect(),
        },
        Plot {
            title: "Success",
            unit: "% of the calls that begin then",
            least: 100.0,
            mark: None,
            lines: outcomes.iter().map(|it| it.series(|_, step| Some(step.success()? * 100.0))).collect(),
        },
        Plot {
            title: "Latency",
            unit: "ms, p99 of the calls that begin then and succeed",
            least: 10.0,
            mark: None,
            lines: outcomes.iter().map(|it| it.series(|_, step| Some(step.percentile(99)?.as_secs_f64() * 1e3))).collect(),
        },
    ]
}

fn table(scene: &Scene, outcomes: &[Outcome]) -> String {
    let mut table = String::from("<div class=\"wide\"><table><thead><tr>");
    for head in HEADS {
        let _ = write!(table, "<th>{}</th>", head.join(" "));
    }
    table.push_str("<th>policy</th></tr></thead><tbody>\n");
    for (index, outcome) in outcomes.iter().enumerate() {
        table.push_str("<tr>");
        for cell in cells(outcome, scene) {
            let _ = write!(table, "<td>{cell}</td>");
        }
        let name = escape(&outcome.name);
        let _ = writeln!(
            table,
            "<td><label class=\"p{index}\"><input type=\"checkbox\" id=\"p{index}\" checked> <span style=\"color: var(--own)\">■</span> {name}</label></td></tr>"
        );
    }
    table + "</tbody></table></div>"
}

/// A colour for each policy; and none of what is not checked.
fn colours(policies: usize) -> String {
    let mut style = String::new();
    for index in 0..policies {
        let [light, dark] = [LIGHT, DARK].map(|colours| colours[index % colours.len()]);
        let _ = writeln!(
            style,
            ".p{index} {{ --own: {light}; }} @media (prefers-color-scheme: dark) {{ .p{index} {{ --own: {dark}; }} }} body:has(#p{index}:not(:checked)) g.p{index} {{ display: none; }}"
        );
        if index >= LIGHT.len() {
            let _ = writeln!(style, ".p{index} .line {{ stroke-dasharray: 6 3; }}");
        }
    }
    style
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
