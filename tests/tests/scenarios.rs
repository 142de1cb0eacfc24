//! Every scenario, on every runtime that can play it, in every form of its call.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use conformance::scenario::{self, Scenario};
use conformance::{Runtime, Verdict, play_all};

/// The files of a pattern, each with its scenarios.
fn scenarios() -> Vec<(PathBuf, Scenario)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in root.read_dir().expect("the folder of scenarios").flatten() {
        files.extend(folder.path().read_dir().expect("a folder of a pattern").flatten().map(|file| file.path()));
    }
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            scenario::read(file).unwrap_or_else(|malformed| panic!("{malformed}")).into_iter().map(move |one| (file.clone(), one))
        })
        .collect()
}

/// Plays all, of which so many can be played there, and panics with what differed.
fn play_on(runtime: Runtime, at_least: usize) {
    let scenarios = scenarios();
    let (played, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    play_all(runtime, &scenarios.iter().map(|(_, scenario)| scenario).collect::<Vec<_>>(), |index, verdict| {
        let (file, scenario) = &scenarios[index];
        match verdict {
            Verdict::Passed { .. } => _ = played.fetch_add(1, Ordering::Relaxed),
            Verdict::Failed { form, difference, .. } => {
                let file = file.file_name().unwrap_or_default().display();
                failures.lock().unwrap().push(format!("{file}: {:?} ({form:?}): {difference}", scenario.name));
            }
            Verdict::Skipped(_) => {}
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failed on {runtime}:\n{}", failures.len(), failures.join("\n"));
    let played = played.into_inner();
    assert!(played >= at_least, "only {played} could be played on {runtime}");
}

#[test]
fn on_sim() {
    play_on(Runtime::Sim, 817);
}

#[test]
fn on_tokio_with_time_paused() {
    play_on(Runtime::Tokio, 786);
}

#[test]
fn on_embassy_with_a_virtual_driver() {
    play_on(Runtime::Embassy, 797);
}

/// In real time, where a busy machine may be late.
#[test]
fn on_smol_in_real_time() {
    play_on(Runtime::Smol, 558);
}
