//! The lab from the outside: what it prints, and how it exits.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/scenarios");

fn lab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab")).args(args).output().unwrap()
}

/// For tests that load the machine, or whose outcome hangs on its being no busier than usual: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What a timeline shows of a scenario.
fn timeline(name: &str, scenario: &str) -> Vec<String> {
    let file = file(name, scenario);
    let run = lab(&["replay", file.to_str().unwrap(), "--show", "--ascii"]);
    let out = told(&run.stdout);
    assert!(run.status.success(), "{out}");
    out.lines().skip_while(|line| !line.contains(" pass ")).skip(1).map(|line| line.trim().to_owned()).collect()
}

/// The rows, without what time is drawn to scale with.
fn rows(timeline: &[String]) -> Vec<String> {
    let brief = |row: &String| {
        let mut row = row.clone();
        row.retain(|glyph| !"=. ".contains(glyph));
        row
    };
    timeline.iter().map(brief).filter(|row| row.starts_with(|first: char| first.is_ascii_lowercase())).collect()
}

#[test]
fn a_timeline_has_a_row_for_each_operation_that_a_call_has_under_way() {
    let shown = timeline(
        "at-once.json",
        r#"{ "name": "an error drops the rest", "pattern": "parallel", "config": { "limit": 2 },
             "operation": [ { "takes": 30 }, { "takes": 10, "ok": 2 }, { "takes": 15, "err": "down" } ],
             "script": [ { "at": 5, "call": "a", "items": ["x", "y", "z"] } ],
             "expect": [ { "at": 30, "end": "a", "err": "operation" } ], "compare": ["end"] }"#,
    );
    assert_eq!(rows(&shown), ["a|!operation:\"down\"", "a/11/", "a/22+3!"], "{shown:#?}");
}

#[test]
fn a_timeline_has_those_who_only_try_and_what_is_done_to_the_pattern() {
    let shown = timeline(
        "tries.json",
        r#"{ "name": "closed", "pattern": "bulkhead", "config": { "max_concurrent": 1 },
             "operation": [ { "takes": 30, "ok": 1 } ],
             "script": [ { "at": 0, "call": "a" }, { "at": 10, "try": "b" }, { "at": 20, "do": "close" }, { "at": 20, "call": "c" } ],
             "expect": [ { "at": 10, "end": "b", "err": "queue_full" }, { "at": 20, "end": "c", "err": "closed" },
                         { "at": 30, "end": "a", "ok": 1 } ], "compare": ["end"] }"#,
    );
    assert_eq!(rows(&shown), ["at20msclose", "a|1+1", "b|!queue_full", "c|!closed"], "{shown:#?}");
}

#[test]
fn a_timeline_of_a_stream_has_what_goes_in_and_what_comes_out() {
    let shown = timeline(
        "stream.json",
        r#"{ "name": "in order", "pattern": "parallel_stream", "config": { "limit": 2 },
             "operation": { "x": { "takes": 30, "ok": "=arg" }, "y": { "takes": 10, "ok": "=arg" } },
             "script": [ { "at": 0, "item": "x" }, { "at": 5, "item": "y" }, { "at": 20, "do": "end" } ],
             "expect": [ { "at": 30, "item": { "ok": "x" } }, { "at": 30, "item": { "ok": "y" } }, { "at": 30, "end": "stream" } ],
             "compare": ["item", "end"] }"#,
    );
    assert_eq!(rows(&shown), ["at20msend", "inxy", "driver/11+", "driver/22+", "outxy+ends"], "{shown:#?}");
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

/// The columns of the first row that begins so.
fn row<'o>(out: &'o str, name: &str) -> Vec<&'o str> {
    out.lines().find_map(|line| line.strip_prefix(name)).map_or_else(Vec::new, |row| row.split_whitespace().collect())
}

/// All of it is what the service has counted. How much of the quota is used hangs on the machine too, if that is much too busy: there the clients that ask at will fall behind as well.
#[test]
fn a_shared_limiter_keeps_to_the_quota_and_parallel_to_its_limit() {
    let _alone = alone();
    let run = lab(&["--requests", "10", "--seconds", "2"]);
    let out = told(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{out}\n{}", told(&run.stderr));
    let number = |word: &str| -> f64 { word.parse().unwrap() };

    let [bare, limited] = ["bare      ", "limited "].map(|name| {
        let quota = out.split_once("A quota").unwrap().1;
        row(quota, name)
    });
    assert!(number(bare[2]) > 0.0, "without a limiter they are refused: {out}");
    assert_eq!((limited[0], limited[2]), (limited[1], "0"), "no request is refused: {out}");
    assert!(number(limited[3]) > 0.9 * number(bare[3]), "{out}");

    for (limit, name) in [(1.0, "1 at once "), (10.0, "10 at once ")] {
        let [.., peak, in_order] = row(&out, name)[..] else { panic!("{out}") };
        assert!(number(peak) <= limit && in_order == "1000", "{out}");
    }
}

/// The stampede, and the outage beneath a cache; what its tables say is what the service has counted, and its callers.
#[test]
fn a_shared_fetch_spares_the_service_and_a_stale_value_its_callers() {
    let _alone = alone();
    let run = lab(&["cache", "--ascii"]);
    let out = told(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{out}\n{}", told(&run.stderr));
    assert!(out.is_ascii(), "{out}");

    let (stampede, outage) = out.split_once("An outage").unwrap();
    for (name, first, second) in
        [("bare ", "1000", "1000"), ("single flight ", "1", "1"), ("cache ", "1", "0"), ("memoize ", "1", "0")]
    {
        let columns = row(stampede, name);
        assert_eq!(columns[..2], [first, "1000"], "{out}");
        assert_eq!(columns[6], second, "{out}");
    }

    // Of each customer: the share of the callers who got an answer, the share served from the cache, and the requests a second.
    let phase = |name: &str| -> Vec<[f64; 3]> {
        let rows = outage.lines().skip_while(|line| !line.starts_with(&format!("{name} "))).take(4);
        let last = |cells: &str| cells.split_whitespace().last().and_then(|cell| cell.parse().ok()).unwrap_or(0.0);
        rows.map(|row| {
            let shares: Vec<&str> = row.split('%').collect();
            [last(shares[0]), if shares.len() > 2 { last(shares[1]) } else { 0.0 }, last(row)]
        })
        .collect()
    };
    let [[.., bare], cached @ ..] = &phase("before")[..] else { panic!("{out}") };
    assert!(cached.len() == 3 && cached.iter().all(|[.., requests]| *requests < 0.7 * bare), "{out}");
    let [[bare, ..], [cached, ..], [if_error, waited, _], [revalidated, at_once, _]] = phase("outage")[..] else {
        panic!("{out}")
    };
    assert!(bare < cached && cached < if_error && cached < revalidated, "{out}");
    assert!(at_once > waited, "what is out of date is served at once where it is refreshed: {out}");
}
