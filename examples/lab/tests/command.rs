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
    let run = lab(&["replay", file.to_str().unwrap(), "--json", "--runtime", "tokio"]);
    let document: Value = serde_json::from_slice(&run.stdout).unwrap();
    let run = &document["runs"][0];
    assert_eq!((&run["status"], &run["runtime"]), (&"passed".into(), &"tokio".into()));
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

/// The main job, in less time; what its table says is what the service has counted, and its callers.
#[test]
fn a_budget_and_a_breaker_spare_a_service_in_trouble() {
    let _alone = alone();
    let run = lab(&["--time", "6s"]);
    let out = told(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{out}\n{}", told(&run.stderr));
    assert!(!out.contains('\u{1b}'), "piped output is plain");
    assert!(out.contains("the service answers with errors") && out.contains("the service is well again"), "{out}");
    let rows = policies(&out);
    assert!(rows.len() >= 4, "{out}");
    let requests_per_call = |policy: &str| -> f64 {
        rows.iter().find(|row| row.policy == policy).unwrap_or_else(|| panic!("no {policy} in {out}")).requests_per_call
    };
    let storm = requests_per_call("retry(4, exp 25ms..250ms, full)");
    assert!(requests_per_call("none") < 1.01, "{out}");
    for spared in
        ["retry(4, exp 25ms..250ms, full) | budget(10%, 20)", "retry(4, exp 25ms..250ms, full) | breaker(5, open 500ms)"]
    {
        assert!(requests_per_call(spared) < storm, "{out}");
    }
}

/// A row of a table of policies.
struct Row {
    /// The share of calls that succeeded, in hundredths.
    success: f64,
    requests_per_call: f64,
    /// As it is printed.
    normal_again: String,
    policy: String,
}

/// The medians of all policies.
fn policies(out: &str) -> Vec<Row> {
    // Between columns are at least three blanks, within one at most one.
    let rows = out.lines().map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>());
    let number = |cell: &str| cell.split_whitespace().next()?.parse::<f64>().ok();
    rows.filter_map(|cells| {
        let [success, requests, .., normal_again, policy] = cells[..] else { return None };
        let (success, requests_per_call) = (number(success)?, number(requests)?);
        Some(Row { success, requests_per_call, normal_again: normal_again.into(), policy: policy.into() })
    })
    .collect()
}

/// The point of it all. It is what the patterns do in virtual time, the same at every run.
#[test]
fn retries_alone_keep_a_service_down_and_a_budget_or_a_breaker_lets_it_recover() {
    let run = lab(&["whatif", "--seeds", "2", "--time", "40s", "--rps", "250", "--capacity", "400", "--outage", "10s..15s"]);
    let out = told(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{out}\n{}", told(&run.stderr));
    let [none, retry, budget, breaker, hedge, adaptive] = &policies(&out)[..] else { panic!("{out}") };
    assert!(none.policy == "none" && none.requests_per_call < 1.01 && none.normal_again.contains(" s"), "{out}");
    assert!(retry.success < 50.0 && retry.normal_again == "never", "{out}");
    for better in [budget, breaker] {
        assert!(better.policy.contains(&retry.policy) && better.success > retry.success + 20.0, "{out}");
        assert!(better.requests_per_call < 1.2 && !better.normal_again.contains("never"), "{out}");
    }
    assert!(hedge.policy == "hedge(p95)" && hedge.requests_per_call > 1.0 && hedge.requests_per_call < 1.15, "{out}");
    assert!(adaptive.success > none.success && !adaptive.normal_again.contains("never"), "{out}");
}

#[test]
fn jitter_does_not_help_and_a_closed_loop_of_few_clients_does() {
    let policy = ["--policy", "retry(4, every 100ms, full)"];
    let open = lab(&[&["whatif", "--seeds", "1", "--time", "40s"], &policy[..]].concat());
    let closed = lab(&[&["whatif", "--seeds", "1", "--time", "40s", "--clients", "50"], &policy[..]].concat());
    let [open, closed] = [open, closed].map(|run| policies(&told(&run.stdout)).remove(0));
    assert_eq!(open.normal_again, "never");
    assert!(
        closed.normal_again.ends_with(" s") && closed.success > open.success,
        "fifty clients have no more than fifty requests"
    );
}

#[test]
fn the_same_seeds_give_the_same_table_and_the_same_page() {
    let page = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("whatif.html");
    let arguments =
        ["whatif", "--seeds", "2", "--time", "20s", "--outage", "5s..7s", "--outage", "8s..9s:fail", "--ascii", "--html"];
    let run = |seed: &str| {
        let run = lab(&[&arguments[..], &[page.to_str().unwrap(), "--seed", seed]].concat());
        assert_eq!(run.status.code(), Some(0), "{}", told(&run.stderr));
        (told(&run.stdout), fs::read_to_string(&page).unwrap())
    };
    let first = run("1");
    assert_eq!(first, run("1"));
    assert_ne!(first.0, run("2").0);
    assert!(first.0.is_ascii(), "{}", first.0);
    assert_eq!(first.1.matches("<svg").count(), 4);
    assert!(!first.1.contains("http") && !first.1.contains("<script"), "it needs nothing else");
}

#[test]
fn a_policy_that_makes_no_sense_is_told_with_its_place() {
    for (policy, complaint, column) in [
        ("retry(3, exp 100..1s)", "expected a time such as 250ms, 1.5s or 2m, found \"100..1s\"", 14),
        ("retry(3 full)", "how many attempts, the first included", 7),
        ("retry(3) breaker(5)", "expected \"|\" or the end, found \"breaker\"", 10),
        ("retry(3", "expected \",\" or \")\", but the policy ends here", 8),
        ("retries(3)", "expected one of deadline, timeout, retry, hedge", 1),
        ("retry(3) |", "expected one of deadline", 11),
        ("budget(10%)", "a budget stands behind the retry or hedge that it is for", 1),
        ("retry(3) | budget(110%)", "expected a share such as 10%", 19),
        ("retry(0)", "max_attempts is 0, must be at least 1", 1),
        ("timeout(1s) | breaker(0)", "consecutive is 0, must be at least 1", 15),
        ("breaker(50% of 1000)", "last_calls is 1000, must be from 1 to 128", 1),
        ("breaker", "expected breaker(how many failures in a row", 8),
        ("bulkhead(10, queue many)", "expected a whole number, found \"many\"", 20),
        ("none | retry(3)", "\"none\" stands alone", 1),
    ] {
        let run = lab(&["whatif", "--policy", policy]);
        let error = told(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{policy}: {error}");
        assert!(error.contains(complaint) && error.contains(&format!("column {column}:")), "{policy}: {error}");
        assert!(run.stdout.is_empty());
    }
}

/// What the errands print is what they measured.
#[test]
fn debouncing_sends_fewer_requests_and_a_job_is_polled_until_done() {
    let run = lab(&["errands"]);
    let out = told(&run.stdout);
    assert_eq!(run.status.code(), Some(0), "{out}\n{}", told(&run.stderr));
    // Keystrokes, requests, stale results.
    let figures = |name: &str| -> Vec<u32> { row(&out, name).into_iter().filter_map(|word| word.parse().ok()).take(3).collect() };
    let (bare, debounced) = (figures("bare "), figures("debounced "));
    assert_eq!(bare[..2], [22, 22], "{out}");
    assert!(debounced[1] < 22 && debounced[2] <= bare[2], "{out}");
    assert!(out.contains("A job that takes 650 ms") && out.contains("done after"), "{out}");
    for (limit, name) in [(1, "1 at once "), (10, "10 at once ")] {
        let [.., peak, in_order] = row(&out, name)[..] else { panic!("{out}") };
        assert!(peak.parse::<u32>().unwrap() <= limit && in_order == "1000", "{out}");
    }
}

/// The columns of the first row that begins so.
fn row<'o>(out: &'o str, name: &str) -> Vec<&'o str> {
    out.lines().find_map(|line| line.strip_prefix(name)).map_or_else(Vec::new, |row| row.split_whitespace().collect())
}

/// All of it is what the service has counted. A machine that stands still for longer than the clients catch up on uses less of the quota, so that one run of a few has to show it; in virtual time, each does.
#[test]
fn a_shared_limiter_keeps_to_the_quota() {
    let _alone = alone();
    let shown = (0..10).any(|_| {
        let run = lab(&["quota", "--time", "2s"]);
        let out = told(&run.stdout);
        assert_eq!(run.status.code(), Some(0), "{out}\n{}", told(&run.stderr));
        let number = |word: &str| -> f64 { word.parse().unwrap() };
        let [bare, limited] = ["bare      ", "limited "].map(|name| row(&out, name));
        assert_eq!((limited[0], limited[2]), (limited[1], "0"), "no request is refused: {out}");
        println!("{out}");
        // Without a limiter they are refused.
        number(bare[2]) > 0.0 && (98.0..=102.0).contains(&number(limited[3]))
    });
    assert!(shown, "within 2 % of the quota");
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
