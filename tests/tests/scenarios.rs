//! Every scenario, on every runtime, in every form of a call.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use conformance::scenario::{self, Scenario};
use conformance::{Form, Pattern, Runtime, play};

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

fn forms(scenario: &Scenario) -> &'static [Form] {
    match scenario.pattern {
        Pattern::Timeout(_) => &[Form::Call],
        Pattern::Retry(_) => &Form::ALL,
    }
}

/// Plays all, on so many threads, and panics with what differed.
fn play_all(runtime: Runtime, threads: usize, tries: usize, at_least: usize) {
    let scenarios = scenarios();
    let (next, played, failures) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((file, scenario)) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for &form in forms(scenario) {
                        let difference = (0..tries).find_map(|_| match play(runtime, scenario, form) {
                            Ok(outcome) => {
                                played.fetch_add(1, Ordering::Relaxed);
                                outcome.difference.map_or(Some(None), |difference| (tries == 1).then_some(Some(difference)))
                            }
                            Err(_) => Some(None),
                        });
                        if let Some(difference) = difference.unwrap_or(Some("differs at every try".into())) {
                            let file = file.file_name().unwrap_or_default().display();
                            failures.lock().unwrap().push(format!("{file}: {:?} ({form:?}): {difference}", scenario.name));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failed on {runtime}:\n{}", failures.len(), failures.join("\n"));
    let played = played.into_inner();
    assert!(played >= at_least, "only {played} could be played on {runtime}");
}

#[test]
fn on_sim() {
    play_all(Runtime::Sim, 1, 1, 900);
}

#[test]
fn on_tokio_with_time_paused() {
    play_all(Runtime::Tokio, 2, 1, 700);
}

#[test]
fn on_embassy_with_a_virtual_driver() {
    play_all(Runtime::Embassy, 1, 1, 850);
}

/// In real time, where a busy machine may be late: what fails is played again.
#[test]
fn on_smol_in_real_time() {
    play_all(Runtime::Smol, 48, 3, 100);
}
