//! Counts instructions: the program runs itself under callgrind, with one member only, for so many calls and for twice as many; the difference is theirs.

use std::env;
use std::process::Command;

/// How many things are done, in one call or in many.
const TIMES: u32 = 20_000;

pub(crate) enum Mode {
    /// Measure time.
    Time,
    /// Count instructions.
    Count,
    /// Only run one member: callgrind counts.
    Row { group: String, member: String, times: u32 },
}

impl Mode {
    pub(crate) fn from_args() -> Self {
        let args: Vec<String> = env::args().collect();
        match args.iter().position(|arg| arg == "--row") {
            Some(at) => Self::Row {
                group: args.get(at + 1).cloned().unwrap_or_default(),
                member: args.get(at + 2).cloned().unwrap_or_default(),
                times: args.get(at + 3).and_then(|times| times.parse().ok()).unwrap_or(0),
            },
            None if args.iter().any(|arg| arg == "--instructions") => Self::Count,
            None => Self::Time,
        }
    }
}

/// Instructions for each of the things of which one call does so many; `None` without callgrind.
pub(crate) fn each(group: &str, member: &str, per_call: u32) -> Option<f64> {
    let calls = TIMES.div_ceil(per_call);
    let count = |times: u32| -> Option<f64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().ok()?)
            .args(["--row", group, member, &times.to_string()])
            .output()
            .ok()?;
        let log = String::from_utf8_lossy(&output.stderr);
        log.lines().find_map(|line| line.split("Collected :").nth(1))?.trim().parse().ok()
    };
    Some((count(2 * calls)? - count(calls)?) / (f64::from(calls) * f64::from(per_call)))
}
