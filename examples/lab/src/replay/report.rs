use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use conformance::{Form, Verdict};
use console::{Term, style};
use serde::Serialize;

use super::Run;
use super::glyphs::Glyphs;
use super::scene::Scene;
use super::{sides, timeline};

/// How wide it is where the terminal doesn't say.
const WIDTH: usize = 100;

/// How many runs ended how.
#[derive(Default, Clone, Copy, Serialize)]
pub(super) struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Count {
    pub(super) fn of(runs: &[Run<'_>]) -> Self {
        let mut count = Self::default();
        for run in runs {
            match run.verdict {
                Verdict::Passed { .. } => count.passed += 1,
                Verdict::Failed { .. } => count.failed += 1,
                Verdict::Skipped(_) => count.skipped += 1,
            }
        }
        count
    }
}

/// The report for readers: a line a run, by file; of each failure both traces; a summary.
pub(super) struct Report {
    timelines: bool,
    glyphs: &'static Glyphs,
    width: usize,
}

impl Report {
    pub(super) fn new(timelines: bool, ascii: bool) -> Self {
        let width = Term::stdout().size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns).clamp(60, 160));
        Self { timelines, glyphs: if ascii { &Glyphs::ASCII } else { &Glyphs::UNICODE }, width }
    }

    pub(super) fn print(&self, out: &mut dyn Write, runs: &[Run<'_>], took: Duration) -> io::Result<()> {
        if self.timelines {
            writeln!(out, "{}\n", self.glyphs.legend())?;
        }
        let mut file: Option<&Path> = None;
        for run in runs {
            if file != Some(&run.case.file) {
                file = Some(&run.case.file);
                writeln!(out, "{}", style(run.case.file.display()).bold())?;
            }
            self.print_run(out, run)?;
        }
        let Count { passed, failed, skipped } = Count::of(runs);
        let failed = if failed == 0 { style("0 failed".into()) } else { style(format!("{failed} failed")).red().bold() };
        writeln!(out, "{passed} passed, {failed}, {skipped} skipped, in {:.1} s", took.as_secs_f64())
    }

    fn print_run(&self, out: &mut dyn Write, run: &Run<'_>) -> io::Result<()> {
        let (runtime, scenario) = (run.runtime.name(), &run.case.scenario);
        match &run.verdict {
            Verdict::Passed { .. } => writeln!(out, "  {} {runtime:7} {}", style("pass").green(), scenario.name)?,
            Verdict::Skipped(reason) => writeln!(out, "  {} {runtime:7} {} ({reason})", style("skip").yellow(), scenario.name)?,
            Verdict::Failed { form, difference, .. } => {
                writeln!(out, "  {} {runtime:7} {}", style("FAIL").red().bold(), scenario.name)?;
                let form = match form {
                    Form::Call => "",
                    Form::Numbered => " (by `call_numbered`)",
                    Form::With => " (by `run_with_between`)",
                };
                writeln!(out, "      {difference}{form}")?;
            }
        }
        if let Verdict::Failed { trace, .. } = &run.verdict {
            sides::print(out, scenario, trace, &run.runtime.tolerance(), self.width)?;
        }
        if let (true, Verdict::Passed { trace } | Verdict::Failed { trace, .. }) = (self.timelines, &run.verdict) {
            timeline::print(out, &Scene::new(scenario, trace, run.runtime, self.glyphs), self.width)?;
            writeln!(out)?;
        }
        Ok(())
    }
}
