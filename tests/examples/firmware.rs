//! Plays all scenarios that need no allocator on an emulated board, and compares what it tells with what should have happened.
//!
//!     firmware BOARD IMAGE [SCENARIOS]
//!
//! The board is one of the emulator's, `lm3s6965evb` or `microbit`; the image is the player of tests/firmware, built for it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use conformance::firmware::{Encoded, TOLERANCE, encode};
use conformance::scenario::{self, Scenario};
use conformance::{Form, trace};

/// A scenario in one form of its call.
struct Task<'s> {
    file: &'s Path,
    scenario: &'s Scenario,
    form: Form,
    encoded: Encoded,
}

/// What the scenarios of a pattern came to.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: BTreeMap<String, usize>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let (board, image, folder) = match &arguments[..] {
        [board, image] => (board, image, default),
        [board, image, folder] => (board, image, PathBuf::from(folder)),
        _ => {
            eprintln!("firmware BOARD IMAGE [SCENARIOS]");
            return ExitCode::FAILURE;
        }
    };
    match run(board, image, &folder) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("firmware: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(board: &str, image: &str, folder: &Path) -> Result<bool, String> {
    let mut files = Vec::new();
    find(folder, &mut files).map_err(|error| format!("{}: {error}", folder.display()))?;
    files.sort();
    let mut scenarios: Vec<(&Path, Scenario)> = Vec::new();
    for file in &files {
        let read = scenario::read(file).map_err(|malformed| malformed.to_string())?;
        scenarios.extend(read.into_iter().map(|scenario| (&**file, scenario)));
    }
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut tasks = Vec::new();
    for (file, scenario) in &scenarios {
        let tally = tallies.entry(scenario.pattern.name()).or_default();
        for &form in Form::of(&scenario.pattern) {
            match encode(scenario, form) {
                Ok(Ok(encoded)) => tasks.push(Task { file, scenario, form, encoded }),
                Ok(Err(reason)) => {
                    *tally.skipped.entry(reason.to_string()).or_default() += 1;
                    break;
                }
                Err(error) => {
                    println!("FAILED {}: {:?}: {error}", file.display(), scenario.name);
                    tally.failed += 1;
                    break;
                }
            }
        }
    }
    let mut rest = &tasks[..];
    while !rest.is_empty() {
        let told = emulate(board, image, rest).map_err(|error| format!("the emulator: {error}"))?;
        let (mut lines, mut played) = (Vec::new(), 0);
        for line in told.lines() {
            let Some(task) = rest.get(played) else { break };
            if line == "done" {
                judge(task, &lines, &mut tallies);
                (lines, played) = (Vec::new(), played + 1);
            } else {
                lines.push(line);
            }
        }
        rest = &rest[played..];
        // The board has stopped within a scenario: it has failed, and the others are played nonetheless.
        if let Some((stuck, others)) = rest.split_first() {
            lines.push("stopped");
            judge(stuck, &lines, &mut tallies);
            rest = others;
        } else if let Some(memory) = told.lines().find_map(|line| line.strip_prefix("memory ")) {
            println!("{board}: {memory} bytes placed at most");
        }
    }
    print(board, &tallies);
    Ok(tallies.values().all(|tally| tally.failed == 0))
}

/// The files in a folder, and in the folders in it.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Runs the image in the emulator, in a folder with the scenarios; what it has told.
fn emulate(board: &str, image: &str, tasks: &[Task<'_>]) -> io::Result<String> {
    let folder = std::env::temp_dir().join(format!("aplomb-firmware-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut bytes = Vec::new();
    for task in tasks {
        let length = u16::try_from(task.encoded.bytes.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&task.encoded.bytes);
    }
    fs::write(folder.join("scenarios"), bytes)?;
    let image = fs::canonicalize(image)?;
    let mut emulator = Command::new("qemu-system-arm");
    emulator.args(["-M", board, "-nographic", "-semihosting-config", "enable=on,target=native"]);
    emulator.args(["-icount", "shift=0,sleep=off", "-kernel"]).arg(image).current_dir(&folder);
    let output = emulator.stdin(std::process::Stdio::null()).output()?;
    fs::remove_dir_all(&folder)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn judge(task: &Task<'_>, lines: &[&str], tallies: &mut BTreeMap<&str, Tally>) {
    if lines.contains(&"no room") {
        if let Some(tally) = tallies.get_mut(task.scenario.pattern.name()) {
            *tally.skipped.entry("needs more memory than the board has".to_owned()).or_default() += 1;
        }
        return;
    }
    let trace: Result<Vec<trace::Entry>, String> = lines.iter().map(|line| task.encoded.entry(line)).collect();
    let verdict = trace.and_then(|trace| trace::compare(task.scenario, &trace, &TOLERANCE));
    let Some(tally) = tallies.get_mut(task.scenario.pattern.name()) else { return };
    match verdict {
        Ok(()) => tally.passed += 1,
        Err(difference) => {
            tally.failed += 1;
            let file = task.file.file_name().unwrap_or_default().display();
            println!("FAILED {} {file}: {:?} ({:?}): {difference}", task.scenario.pattern.name(), task.scenario.name, task.form);
        }
    }
}

fn print(board: &str, tallies: &BTreeMap<&str, Tally>) {
    for (pattern, Tally { passed, failed, skipped }) in tallies {
        print!("{board:<12} {pattern:<16} {passed:>4} passed {failed:>4} failed");
        for (reason, count) in skipped {
            print!("; {count} left out: {reason}");
        }
        println!();
    }
    let total = |of: fn(&Tally) -> usize| tallies.values().map(of).sum::<usize>();
    let skipped = total(|tally| tally.skipped.values().sum());
    println!("{board}: {} passed, {} failed, {skipped} left out", total(|tally| tally.passed), total(|tally| tally.failed));
}
