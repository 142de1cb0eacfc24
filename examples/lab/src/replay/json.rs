use std::io::{self, Write};
use std::time::Duration;

use conformance::Verdict;
use conformance::trace::{Entry, Expected};
use serde::Serialize;
use serde_json::Value;

use super::Run;
use super::report::Count;

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'r> {
    runs: Vec<Row<'r>>,
    #[serde(flatten)]
    count: Count,
    seconds: f64,
}

/// A scenario on a runtime.
#[derive(Serialize)]
struct Row<'r> {
    file: String,
    name: &'r str,
    pattern: &'static str,
    runtime: &'static str,
    status: &'static str,
    reason: Option<String>,
    expect: &'r [Expected],
    trace: Vec<Value>,
}

/// Prints all runs as one JSON document.
pub(super) fn print(out: &mut dyn Write, runs: &[Run<'_>], took: Duration) -> io::Result<()> {
    let document = Document { runs: runs.iter().map(Row::of).collect(), count: Count::of(runs), seconds: took.as_secs_f64() };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

impl<'r> Row<'r> {
    fn of(run: &'r Run<'_>) -> Self {
        let (status, reason, trace): (_, _, &[Entry]) = match &run.verdict {
            Verdict::Passed { trace } => ("passed", None, trace),
            Verdict::Failed { trace, difference, .. } => ("failed", Some(difference.clone()), trace),
            Verdict::Skipped(unplayable) => ("skipped", Some(unplayable.to_string()), &[]),
        };
        let scenario = &run.case.scenario;
        Self {
            file: run.case.file.display().to_string(),
            name: &scenario.name,
            pattern: scenario.pattern.name(),
            runtime: run.runtime.name(),
            status,
            reason,
            expect: &scenario.expect,
            trace: trace.iter().map(Entry::to_json).collect(),
        }
    }
}
