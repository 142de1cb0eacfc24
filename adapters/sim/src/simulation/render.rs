//! A trace as text: for people, for scripts, for a viewer.

use std::fmt::{self, Write};

use aplomb::Instant;

use super::trace::{Trace, What};

impl fmt::Display for Trace {
    /// The timeline, one event a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_timeline(f, usize::MAX)
    }
}

impl Trace {
    /// The last `lines` lines of the timeline.
    pub(crate) fn write_timeline(&self, out: &mut impl Write, lines: usize) -> fmt::Result {
        let width = self.tasks().iter().map(|task| task.name.chars().count()).max().unwrap_or(0);
        let skipped = self.events().count().saturating_sub(lines);
        let before = self.forgotten() + skipped as u64;
        if before > 0 {
            writeln!(out, "  .. {before} earlier events")?;
        }
        for event in self.events().skip(skipped) {
            let at = format!("{:?}", event.at);
            let task = event.task.unwrap_or("");
            write!(out, "  {at:>14}  {task:<width$}  ")?;
            match event.what {
                What::Spawned => {
                    let spawned = event.number.and_then(|number| self.tasks().get(number as usize));
                    match spawned {
                        Some(task) => writeln!(out, "spawned at {}", task.spawned_at)?,
                        None => writeln!(out, "spawned")?,
                    }
                }
                What::Noted(note) => writeln!(out, "note: {note}")?,
                What::Drawn(choice) => writeln!(out, "drew {choice}")?,
                What::Woken { by: Some(by) } => writeln!(out, "woken by {by}")?,
                What::Advanced => writeln!(out, "-- time moves on")?,
                What::Jumped => writeln!(out, "-- clock set by hand")?,
                what => writeln!(out, "{}", verb(what))?,
            }
        }
        Ok(())
    }

    /// One JSON object a line: `{"at":5.0,"event":"noted","task":"a","number":0,"note":"awake"}`, with `at` in
    /// milliseconds.
    ///
    /// # Examples
    ///
    /// ```
    /// let world = aplomb_sim::World::new();
    /// world.spawn("a", async { aplomb_sim::Sim.note("done") });
    /// world.run()?;
    /// let lines = world.trace().to_json_lines();
    /// assert!(lines.contains(r#"{"at":0.000000,"event":"noted","task":"a","number":0,"note":"done"}"#));
    /// # Ok::<(), aplomb_sim::Failure>(())
    /// ```
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        let mut out = String::new();
        for event in self.events() {
            // Writing to a string cannot fail.
            let _ = write!(out, "{{\"at\":{},\"event\":\"{}\"", Scaled(event.at, 1_000_000), verb(event.what));
            if let (Some(task), Some(number)) = (event.task, event.number) {
                let _ = write!(out, ",\"task\":{},\"number\":{number}", Quoted(task));
            }
            let _ = match event.what {
                What::Noted(note) => write!(out, ",\"note\":{}", Quoted(note)),
                What::Drawn(choice) => write!(out, ",\"choice\":{choice}"),
                What::Woken { by: Some(by) } => write!(out, ",\"by\":{}", Quoted(by)),
                _ => Ok(()),
            };
            out.push_str("}\n");
        }
        out
    }

    /// Chrome trace events, for <https://ui.perfetto.dev> and `chrome://tracing`: a row for each task, on which the
    /// time between two polls is a bar named `waiting`, and all else a mark.
    ///
    /// # Examples
    ///
    /// ```
    /// let world = aplomb_sim::World::new();
    /// world.spawn("a", aplomb_sim::sleep(core::time::Duration::from_millis(3)));
    /// world.run()?;
    /// assert!(world.trace().to_chrome().contains(r#""name":"waiting","ph":"X","pid":1,"tid":0,"ts":0.000,"dur":3000.000"#));
    /// # Ok::<(), aplomb_sim::Failure>(())
    /// ```
    #[must_use]
    pub fn to_chrome(&self) -> String {
        let mut out = String::from("{\"traceEvents\":[\n");
        let mut polled: Vec<Option<Instant>> = vec![None; self.tasks().len()];
        for (number, task) in self.tasks().iter().enumerate() {
            let _ = writeln!(
                out,
                "{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":{number},\"args\":{{\"name\":{}}}}},",
                Quoted(&task.name)
            );
        }
        for event in self.events() {
            let row = event.number.map_or(self.tasks().len(), |number| number as usize);
            let before = match event.what {
                What::Polled => polled.get_mut(row).and_then(|last| last.replace(event.at)),
                What::Dropped => polled.get_mut(row).and_then(Option::take),
                _ => None,
            };
            if let Some(start) = before {
                let lasted = Scaled(Instant::from_nanos((event.at - start).as_nanos().try_into().unwrap_or(u64::MAX)), 1_000);
                let _ = writeln!(
                    out,
                    "{{\"name\":\"waiting\",\"ph\":\"X\",\"pid\":1,\"tid\":{row},\"ts\":{},\"dur\":{lasted}}},",
                    Scaled(start, 1_000)
                );
            }
            let name = if let What::Noted(note) = event.what { note } else { verb(event.what) };
            let _ = writeln!(
                out,
                "{{\"name\":{},\"ph\":\"i\",\"s\":\"t\",\"pid\":1,\"tid\":{row},\"ts\":{}}},",
                Quoted(name),
                Scaled(event.at, 1_000)
            );
        }
        // The format allows no comma after the last event.
        let rows = self.tasks().len();
        let _ = write!(
            out,
            "{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":{rows},\"args\":{{\"name\":\"world\"}}}}\n]}}\n"
        );
        out
    }
}

fn verb(what: What<'_>) -> &'static str {
    match what {
        What::Spawned => "spawned",
        What::Polled => "polled",
        What::Ended => "ended",
        What::Panicked => "panicked",
        What::Woken { .. } => "woken",
        What::Fired => "timer fired",
        What::Dropped => "dropped",
        What::Noted(_) => "noted",
        What::Drawn(_) => "drawn",
        What::Advanced => "advanced",
        What::Jumped => "jumped",
    }
}

/// Nanoseconds in a larger unit, with all decimals and without floating point.
struct Scaled(Instant, u64);

impl fmt::Display for Scaled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(at, unit) = self;
        let decimals = unit.ilog10() as usize;
        write!(f, "{}.{:0decimals$}", at.as_nanos() / unit, at.as_nanos() % unit)
    }
}

/// A JSON string.
struct Quoted<'t>(&'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                control if u32::from(control) < 0x20 => write!(f, "\\u{:04x}", u32::from(control))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}
