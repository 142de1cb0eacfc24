//! `lab replay`: plays scenario files, and says what came out.

mod at_once;
mod caller;
mod files;
mod glyphs;
mod items;
mod json;
mod lane;
mod report;
mod scene;
mod sides;
mod timeline;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use clap::{Args, ValueEnum};
use conformance::scenario::{self, Scenario};
use conformance::{Runtime, Verdict, play_all};
use indicatif::{ProgressBar, ProgressStyle};

use report::Report;

/// Plays scenario files, and compares what happens with what they expect.
///
/// A scenario has passed when what it expects came out in every form of the call. Exits with 0 if all have passed or could not be played on the runtime, with 1 if some have failed, with 2 if a file is
/// malformed; all files are read before anything is played.
#[derive(Args)]
pub(crate) struct Options {
    /// Files, folders (with all `*.json` below them), or glob patterns
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Where to play them; may be given several times
    #[arg(long, value_enum, value_name = "RUNTIME", default_value = "sim")]
    runtime: Vec<Where>,
    /// Draw a timeline of each scenario
    #[arg(long, conflicts_with = "json")]
    show: bool,
    /// Draw with plain ASCII
    #[arg(long, requires = "show")]
    ascii: bool,
    /// Print one JSON document with all traces, in the format of the scenarios
    ///
    /// `{"runs": [{"file", "name", "pattern", "runtime", "status", "reason", "expect", "trace"}], "passed", "failed", "skipped", "seconds"}`, where `status` is `"passed"`, `"failed"` or `"skipped"`, and `reason` is
    /// null for what has passed.
    #[arg(long)]
    json: bool,
}

/// A runtime, or all of them.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    /// aplomb's deterministic executor, in virtual time
    Sim,
    /// tokio, with its clock paused
    Tokio,
    /// smol, in real time: only what is short, and apart enough
    Smol,
    /// embassy, on a driver with virtual time
    Embassy,
    /// Each of them
    All,
}

impl Where {
    fn includes(self, runtime: Runtime) -> bool {
        match self {
            Self::Sim => runtime == Runtime::Sim,
            Self::Tokio => runtime == Runtime::Tokio,
            Self::Smol => runtime == Runtime::Smol,
            Self::Embassy => runtime == Runtime::Embassy,
            Self::All => true,
        }
    }
}

/// A scenario, and the file that it is in.
struct Case {
    file: PathBuf,
    scenario: Scenario,
}

/// A scenario that was played.
struct Run<'c> {
    case: &'c Case,
    runtime: Runtime,
    verdict: Verdict,
}

/// The exit code if a file is malformed, or not there.
const MALFORMED: u8 = 2;

/// Plays what the options say.
pub(crate) fn run(options: &Options) -> ExitCode {
    let began = Instant::now();
    let cases = match read(&options.files) {
        Ok(cases) => cases,
        Err(complaints) => {
            for complaint in complaints {
                eprintln!("lab: {complaint}");
            }
            return ExitCode::from(MALFORMED);
        }
    };
    let runtimes: Vec<Runtime> =
        Runtime::ALL.into_iter().filter(|runtime| options.runtime.iter().any(|choice| choice.includes(*runtime))).collect();
    let runs = play(&cases, &runtimes);
    let failed = runs.iter().any(|run| matches!(run.verdict, Verdict::Failed { .. }));

    let mut out = BufWriter::new(io::stdout().lock());
    let printed = if options.json {
        json::print(&mut out, &runs, began.elapsed())
    } else {
        Report::new(options.show, options.ascii).print(&mut out, &runs, began.elapsed())
    };
    match printed.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("lab: cannot print: {error}");
            ExitCode::FAILURE
        }
        // Whoever closed the pipe has seen enough.
        _ => ExitCode::from(u8::from(failed)),
    }
}

/// Reads all files, or says what is wrong with each that is not a scenario file.
fn read(patterns: &[String]) -> Result<Vec<Case>, Vec<String>> {
    let mut cases = Vec::new();
    let (files, mut complaints) = files::find(patterns);
    for file in files {
        match scenario::read(&file) {
            Ok(scenarios) => cases.extend(scenarios.into_iter().map(|scenario| Case { file: file.clone(), scenario })),
            Err(malformed) => complaints.push(malformed.to_string()),
        }
    }
    if complaints.is_empty() { Ok(cases) } else { Err(complaints) }
}

/// Plays every case on every runtime. They come back in the order of the files, whatever was ready first.
fn play<'c>(cases: &'c [Case], runtimes: &[Runtime]) -> Vec<Run<'c>> {
    let scenarios: Vec<&Scenario> = cases.iter().map(|case| &case.scenario).collect();
    let bar = ProgressBar::new((cases.len() * runtimes.len()) as u64).with_style(style());
    let verdicts = Mutex::new(Vec::new());
    for &runtime in runtimes {
        bar.set_message(runtime.name());
        play_all(runtime, &scenarios, |index, verdict| {
            bar.inc(1);
            verdicts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, runtime, verdict));
        });
    }
    bar.finish_and_clear();
    let mut verdicts = verdicts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    // The sort is stable: of a case, the runtimes stay in their order.
    verdicts.sort_by_key(|(index, ..)| *index);
    let runs = verdicts.into_iter();
    runs.filter_map(|(index, runtime, verdict)| cases.get(index).map(|case| Run { case, runtime, verdict })).collect()
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:8} [{bar:40}] {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
