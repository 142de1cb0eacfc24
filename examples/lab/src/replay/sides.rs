use std::io::{self, Write};

use conformance::scenario::Scenario;
use conformance::trace::{Alignment, Entry, Tolerance, align};
use console::{measure_text_width, pad_str, style, truncate_str};
use serde_json::Value;

/// Prints the expected and the actual trace side by side, and marks the first line in which they differ.
pub(super) fn print(
    out: &mut dyn Write,
    scenario: &Scenario,
    trace: &[Entry],
    tolerance: &Tolerance,
    width: usize,
) -> io::Result<()> {
    let Alignment { agreed, expected, actual } = align(scenario, trace, tolerance);
    let left = |entry: &_| sentence(&serde_json::to_value(entry).unwrap_or_default());
    let mut rows: Vec<(String, String)> =
        agreed.iter().map(|(expected, entry)| (left(*expected), sentence(&entry.to_json()))).collect();
    let first_difference = rows.len();
    for index in 0..expected.len().max(actual.len()) {
        let expected = expected.get(index).map_or_else(String::new, |entry| left(*entry));
        let actual = actual.get(index).map_or_else(String::new, |entry| sentence(&entry.to_json()));
        rows.push((expected, actual));
    }

    let widest = rows.iter().map(|(left, _)| measure_text_width(left)).max().unwrap_or(0);
    let column = widest.clamp("expected".len(), width.saturating_sub(12) / 2);
    let cell = |text: &str| pad_str(&truncate_str(text, column, "~"), column, console::Alignment::Left, None).into_owned();
    writeln!(out, "        {}  {}", style(cell("expected")).underlined(), style("actual").underlined())?;
    for (index, (expected, actual)) in rows.iter().enumerate() {
        if index == first_difference {
            writeln!(out, "      {} {}  {}", style(">").red().bold(), style(cell(expected)).red(), style(actual).red())?;
        } else {
            writeln!(out, "        {}  {actual}", cell(expected))?;
        }
    }
    Ok(())
}

/// An entry of a trace, as one reads it.
fn sentence(entry: &Value) -> String {
    let at = match &entry["at"] {
        Value::Array(range) => range.iter().map(Value::to_string).collect::<Vec<_>>().join(".."),
        at => at.as_f64().map_or_else(|| at.to_string(), |millis| millis.to_string()),
    };
    let name = |key: &str| entry[key].as_str().unwrap_or("?").to_owned();
    let with = |keys: &[&str]| {
        let details = keys.iter().filter_map(|key| entry.get(key).map(|value| format!(", {} {value}", key.replace('_', " "))));
        details.collect::<String>()
    };
    let what = if entry.get("start").is_some() {
        let by = entry.get("by").map_or_else(String::new, |_| format!(" by {}", name("by")));
        format!("start {}{by}{}", entry["start"], with(&["arg"]))
    } else if entry.get("drop").is_some() {
        format!("drop {}", entry["drop"])
    } else if entry.get("state").is_some() {
        format!("it is {}", name("state").replace('_', "-"))
    } else if entry.get("err").is_some() {
        format!("end {}: {}{}", name("end"), name("err"), with(&["value", "last", "attempts", "retry_after"]))
    } else {
        format!("end {}: ok{}", name("end"), entry.get("ok").map_or_else(String::new, |value| format!(" {value}")))
    };
    format!("{at:>8}  {what}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::sentence;

    #[test]
    fn entries_read_well() {
        let cases = [
            (json!({"at": 0, "start": 1, "by": "a"}), "       0  start 1 by a"),
            (json!({"at": [10, 20.5], "start": 2}), "10..20.5  start 2"),
            (json!({"at": 1.5, "drop": 3}), "     1.5  drop 3"),
            (json!({"at": 4, "state": "half_open"}), "       4  it is half-open"),
            (json!({"at": 7, "end": "a", "ok": null}), "       7  end a: ok null"),
            (
                json!({"at": 7, "end": "a", "err": "exhausted", "attempts": 2, "value": "down"}),
                "       7  end a: exhausted, value \"down\", attempts 2",
            ),
        ];
        for (entry, text) in cases {
            assert_eq!(sentence(&entry), text);
        }
    }
}
