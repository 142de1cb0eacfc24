//! The lab from the outside: what it prints, and how it exits.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::Value;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scenarios");

fn lab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab")).args(args).output().unwrap()
}

fn told(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file with that content, for one test.
fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).unwrap();
    path
}

fn scenario(expected_at: u32, key: &str) -> String {
    format!(
        r#"{{ "name": "too late", "pattern": "timeout", "{key}": {{ "after": 50 }}, "operation": [{{ "takes": "never" }}],
             "script": [{{ "at": 0, "call": "a" }}], "expect": [{{ "at": {expected_at}, "end": "a", "err": "timeout" }}],
             "compare": ["end"] }}"#
    )
}

#[test]
fn all_scenarios_pass_in_virtual_time() {
    let began = Instant::now();
    let run = lab(&["replay", SCENARIOS, "--runtime", "sim", "--runtime", "tokio", "--runtime", "embassy"]);
    let out = told(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{out}");
    assert!(out.lines().last().is_some_and(|line| line.contains(" passed, 0 failed, ")), "{out}");
    assert!(began.elapsed().as_secs() < 60, "hundreds of files take seconds");
}

#[test]
fn a_scenario_that_fails_shows_both_traces_and_exits_with_1() {
    let file = file("fails.json", &scenario(51, "config"));
    let run = lab(&["replay", file.to_str().unwrap()]);
    let out = told(&run.stdout);
    assert_eq!(run.status.code(), Some(1), "{out}");
    assert!(out.contains("too late") && out.contains("51") && out.contains("50"), "{out}");
    assert!(out.contains("0 passed, 1 failed"), "{out}");
}

#[test]
fn a_malformed_file_is_told_with_scenario_and_key_and_exits_with_2() {
    let good = file("good.json", &scenario(50, "config"));
    let bad = file("bad.json", &scenario(50, "konfig"));
    let run = lab(&["replay", good.to_str().unwrap(), bad.to_str().unwrap()]);
    let error = told(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{error}");
    assert!(error.contains("bad.json") && error.contains("too late") && error.contains("konfig"), "{error}");
    assert!(run.stdout.is_empty(), "nothing is played before all is read");
    assert_eq!(lab(&["replay", "no-such-file.json"]).status.code(), Some(2));
}

#[test]
fn json_holds_the_traces_in_the_format_of_the_scenarios() {
    let file = file("json.json", &scenario(50, "config"));
    let run = lab(&["replay", file.to_str().unwrap(), "--json", "--runtime", "embassy"]);
    let document: Value = serde_json::from_slice(&run.stdout).unwrap();
    let run = &document["runs"][0];
    assert_eq!((&run["status"], &run["runtime"]), (&"passed".into(), &"embassy".into()));
    let trace = run["trace"].as_array().unwrap();
    assert_eq!(trace[0], serde_json::json!({ "at": 0, "start": 1, "by": "a" }));
    assert_eq!(trace.last().unwrap(), &serde_json::json!({ "at": 50, "end": "a", "err": "timeout" }));
}

#[test]
fn a_timeline_can_be_drawn_in_plain_ascii() {
    let file = file("show.json", &scenario(50, "config"));
    let run = lab(&["replay", file.to_str().unwrap(), "--show", "--ascii"]);
    let out = told(&run.stdout);
    assert!(run.status.success() && out.is_ascii() && out.contains("timeout"), "{out}");
}

/// The main job, with fewer calls; what its table says is what it measured.
#[test]
fn guarding_lets_more_calls_succeed() {
    let run = lab(&["--requests", "120", "--seconds", "1"]);
    let out = told(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{out}\n{}", told(&run.stderr));
    assert!(!out.contains('\u{1b}'), "piped output is plain");
    let successes: Vec<f64> = out
        .lines()
        .filter(|line| line.starts_with("tokio ") || line.starts_with("smol "))
        .filter_map(|line| line.split(" %").next()?.split_whitespace().last()?.parse().ok())
        .collect();
    let [tokio_bare, tokio_guarded, smol_bare, smol_guarded] = successes[..] else { panic!("{out}") };
    assert!(tokio_guarded > tokio_bare && smol_guarded > smol_bare, "{out}");
}

/// What the errands after the main job print is what they measured too.
#[test]
fn debouncing_sends_fewer_requests_and_a_job_is_polled_until_done() {
    let run = lab(&["--requests", "10", "--seconds", "0.5"]);
    let out = told(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{out}\n{}", told(&run.stderr));
    // Keystrokes, requests, stale results.
    let figures = |name: &str| -> Vec<u32> {
        let line = out.lines().find(|line| line.starts_with(name) && !line.contains('%'));
        line.into_iter().flat_map(str::split_whitespace).filter_map(|word| word.parse().ok()).take(3).collect()
    };
    let (bare, debounced) = (figures("bare "), figures("debounced "));
    assert_eq!(bare[..2], [22, 22], "{out}");
    assert!(debounced[1] < 22 && debounced[2] <= bare[2], "{out}");
    assert!(out.contains("A job that takes 650 ms") && out.contains("done after"), "{out}");
}
