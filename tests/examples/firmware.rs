//! Plays all scenarios that need no allocator on an emulated board, and compares what it tells with what should have happened.
//!
//!     firmware BOARD SCENARIOS IMAGE...
//!
//! The board is one of the emulator's, `lm3s6965evb` or `microbit`; the images are the players of tests/firmware, built for it. What one of them does not know is played by the next.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use conformance::firmware::{Encoded, Reason, TOLERANCE, encode};
use conformance::scenario::{self, Scenario};
use conformance::{Form, Unplayable, trace};

/// A scenario in one form of its call.
struct Task<'s> {
    file: &'s Path,
    scenario: &'s Scenario,
    form: Form,
    encoded: Encoded,
}

/// How long a scenario takes at most, of the host's time. Most take some milliseconds.
const LONGEST: Duration = Duration::from_secs(30);

/// What a board tells when a scenario is over.
const DONE: &str = "done";

/// What a board tells of a scenario whose pattern its image lacks.
const NOT_HERE: &str = "not here";

/// What it tells when a scenario takes more memory than it has.
const NO_ROOM: &str = "no room";

/// How many scenarios are left out on each board, and why. Any other number is a failure.
const LEFT_OUT: [(Reason, usize); 5] = [
    (Reason::Unplayable(Unplayable::Resolution), 24),
    (Reason::Unplayable(Unplayable::Jump), 8),
    (Reason::Unplayable(Unplayable::Order), 9),
    (Reason::Allocator, 17),
    (Reason::Panics, 20),
];

/// What became of a scenario.
#[derive(Clone, Copy)]
enum End {
    Done,
    /// The firmware stopped before.
    Exited,
    /// It was stopped, since it was not done.
    Hung,
    /// No image knows its pattern.
    NotHere,
}

/// By pattern.
type Tallies<'s> = BTreeMap<&'s str, Tally>;

/// What the scenarios of a pattern came to.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: Vec<Reason>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [board, folder, images @ ..] = &arguments[..] else {
        eprintln!("firmware BOARD SCENARIOS IMAGE...");
        return ExitCode::FAILURE;
    };
    match run(board, Path::new(folder), images) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("firmware: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(board: &str, folder: &Path, images: &[String]) -> Result<bool, String> {
    let mut files = Vec::new();
    find(folder, &mut files).map_err(|error| format!("{}: {error}", folder.display()))?;
    files.sort();
    let mut scenarios: Vec<(&Path, Scenario)> = Vec::new();
    for file in &files {
        let read = scenario::read(file).map_err(|malformed| malformed.to_string())?;
        scenarios.extend(read.into_iter().map(|scenario| (&**file, scenario)));
    }
    let mut tallies = Tallies::new();
    let mut tasks = Vec::new();
    for (file, scenario) in &scenarios {
        let tally = tallies.entry(scenario.pattern.name()).or_default();
        for &form in Form::of(&scenario.pattern) {
            match encode(scenario, form) {
                Ok(Ok(encoded)) => tasks.push(Task { file, scenario, form, encoded }),
                Ok(Err(reason)) => {
                    tally.skipped.push(reason);
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
    for image in images {
        tasks = play(board, image, tasks, &mut tallies).map_err(|error| format!("{board}, {image}: {error}"))?;
    }
    for unknown in &tasks {
        judge(unknown, &[], End::NotHere, &mut tallies);
    }
    print(board, &tallies);
    Ok(are_left_out(&tallies) & tallies.values().all(|tally| tally.failed == 0))
}

/// Plays what an image knows, and gives back the rest.
fn play<'s>(board: &str, image: &str, tasks: Vec<Task<'s>>, tallies: &mut Tallies<'s>) -> io::Result<Vec<Task<'s>>> {
    let mut rest = VecDeque::from(tasks);
    let mut unknown = Vec::new();
    while !rest.is_empty() {
        let mut lines: Vec<String> = Vec::new();
        let end = emulate(board, image, &written(&rest), |line| {
            if line != DONE {
                lines.push(line);
            } else if let Some(task) = rest.pop_front() {
                if lines == [NOT_HERE] {
                    unknown.push(task);
                } else {
                    judge(&task, &lines, End::Done, tallies);
                }
                lines.clear();
            }
        })?;
        // The board has stopped within a scenario: it has failed, and the others are played nonetheless.
        if let Some(stuck) = rest.pop_front() {
            judge(&stuck, &lines, end, tallies);
        } else if let Some(memory) = lines.iter().find_map(|line| line.strip_prefix("memory ")) {
            println!("{board}: {memory} bytes placed at most");
        }
    }
    Ok(unknown)
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

/// As an image reads them: each behind its length.
fn written(tasks: &VecDeque<Task<'_>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for task in tasks {
        let length = u16::try_from(task.encoded.bytes.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&task.encoded.bytes);
    }
    bytes
}

/// Runs the image in the emulator, in a folder with the scenarios, and hands on what it tells.
fn emulate(board: &str, image: &str, scenarios: &[u8], mut tell: impl FnMut(String)) -> io::Result<End> {
    let folder = std::env::temp_dir().join(format!("aplomb-firmware-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("scenarios"), scenarios)?;
    let image = fs::canonicalize(image)?;
    let mut emulator = Command::new("qemu-system-arm");
    emulator.args(["-M", board, "-nographic", "-semihosting-config", "enable=on,target=native"]);
    emulator.args(["-icount", "shift=0,sleep=off", "-kernel"]).arg(image).current_dir(&folder);
    let mut emulator = emulator.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let told = emulator.stdout.take().map(BufReader::new);
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        // What is no text is told as what it is not.
        for line in told.into_iter().flat_map(|told| told.split(b'\n')).map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    let mut began = Instant::now();
    let end = loop {
        match receiver.recv_timeout(LONGEST.saturating_sub(began.elapsed())) {
            Ok(line) => {
                if line == DONE {
                    began = Instant::now();
                }
                tell(line);
            }
            Err(RecvTimeoutError::Timeout) => break End::Hung,
            Err(RecvTimeoutError::Disconnected) => break End::Exited,
        }
    };
    emulator.kill()?;
    emulator.wait()?;
    drop(receiver);
    // It ends with what it reads.
    let _ended = reader.join();
    fs::remove_dir_all(&folder)?;
    Ok(end)
}

fn judge(task: &Task<'_>, lines: &[String], end: End, tallies: &mut Tallies<'_>) {
    let Some(tally) = tallies.get_mut(task.scenario.pattern.name()) else { return };
    let file = task.file.file_name().unwrap_or_default().display();
    let name = format!("{} {file}: {:?} ({:?})", task.scenario.pattern.name(), task.scenario.name, task.form);
    let trace: Result<Vec<trace::Entry>, String> = lines.iter().map(|line| task.encoded.entry(line)).collect();
    let verdict = match end {
        End::Done => trace.and_then(|trace| trace::compare(task.scenario, &trace, &TOLERANCE)),
        End::Exited if lines.iter().any(|line| line == NO_ROOM) => Err("the board has no room for it".to_owned()),
        End::Exited => Err(format!("the board stopped, after {lines:?}")),
        End::Hung => Err(format!("the board hung: it was not done after {} s, but told {lines:?}", LONGEST.as_secs())),
        End::NotHere => Err("no image knows its pattern".to_owned()),
    };
    match verdict {
        Ok(()) => tally.passed += 1,
        Err(difference) => {
            tally.failed += 1;
            println!("FAILED {name}: {difference}");
        }
    }
}

fn print(board: &str, tallies: &Tallies<'_>) {
    for (pattern, Tally { passed, failed, skipped }) in tallies {
        print!("{board:<12} {pattern:<16} {passed:>4} passed {failed:>4} failed");
        match &skipped[..] {
            [] => println!(),
            reasons => println!("; {} left out", reasons.len()),
        }
    }
    let total = |of: fn(&Tally) -> usize| tallies.values().map(of).sum::<usize>();
    let skipped = total(|tally| tally.skipped.len());
    println!("{board}: {} passed, {} failed, {skipped} left out", total(|tally| tally.passed), total(|tally| tally.failed));
}

/// Whether as many are left out as should be, for each reason.
fn are_left_out(tallies: &Tallies<'_>) -> bool {
    let skipped = || tallies.values().flat_map(|tally| &tally.skipped);
    let mut as_expected = skipped().all(|reason| LEFT_OUT.iter().any(|(known, _)| known == reason));
    for (reason, expected) in LEFT_OUT {
        let count = skipped().filter(|skipped| **skipped == reason).count();
        println!("left out, {reason}: {count}");
        if count != expected {
            println!("FAILED: {expected} should be");
            as_expected = false;
        }
    }
    as_expected
}
