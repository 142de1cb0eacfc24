//! The edge machine beside those that set its semantics: lodash and `RxJS`, as `originals/` recorded them.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::Path;

use aplomb::edge::{Decision, Starting, Terms, Window};
use aplomb::time::ms;
use aplomb::{ConfigError, Instant};

/// What is done at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Call,
    Cancel,
    Flush,
    End,
}

/// A script, with its settings and what the original did.
#[derive(Debug, Clone)]
struct Recorded {
    line: String,
    wait: u64,
    leading: bool,
    trailing: bool,
    max_wait: Option<u64>,
    script: Vec<(u64, Verb)>,
    /// When which call started.
    starts: Vec<(u64, u32)>,
    ended: Option<u64>,
}

fn recorded(name: &str) -> Vec<Recorded> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("originals").join(name);
    let text = fs::read_to_string(file).unwrap();
    let all: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(parse).collect();
    assert_eq!(all.len(), 2_500);
    all
}

fn parse(line: &str) -> Recorded {
    let mut parts = line.split('|');
    let mut settings = parts.next().unwrap().split_whitespace();
    let mut setting = || settings.next().unwrap();
    let (wait, leading, trailing, max_wait) = (setting(), setting(), setting(), setting());
    let script = parts.next().unwrap().split_whitespace().map(|action| {
        let (at, verb) = action.split_at(action.len() - 1);
        let verb = match verb {
            "c" => Verb::Call,
            "x" => Verb::Cancel,
            "f" => Verb::Flush,
            "e" => Verb::End,
            _ => panic!("{line}"),
        };
        (at.parse().unwrap(), verb)
    });
    let out: Vec<(u64, &str)> = parts
        .next()
        .unwrap()
        .split_whitespace()
        .map(|start| start.split_once(':').unwrap())
        .map(|(at, what)| (at.parse().unwrap(), what))
        .collect();
    Recorded {
        line: line.to_owned(),
        wait: wait.parse().unwrap(),
        leading: leading == "1",
        trailing: trailing == "1",
        max_wait: max_wait.parse().ok(),
        script: script.collect(),
        starts: out.iter().filter(|(_, what)| *what != "end").map(|(at, what)| (*at, what.parse().unwrap())).collect(),
        ended: out.iter().find(|(_, what)| *what == "end").map(|(at, _)| *at),
    }
}

impl Recorded {
    fn terms(&self, terms: Terms) -> Result<Terms, ConfigError> {
        let terms = terms.leading(self.leading).trailing(self.trailing);
        self.max_wait.map_or(terms, |max_wait| terms.max_wait(ms(max_wait))).check()
    }

    /// What the edge machine does. At the end of the source, a debounce lets go of what is pending, and others when its window is over.
    fn play(&self, terms: Terms, lets_go: bool) -> (Vec<(u64, u32)>, Option<u64>) {
        // The clock of this machine is not at its origin at first: that means "at once".
        const BEGIN: u64 = 1_000;
        let terms = self.terms(terms).unwrap();
        let at = |millis: u64| Instant::from_nanos((BEGIN + millis) * 1_000_000);
        let millis = |at: Instant| at.as_nanos() / 1_000_000 - BEGIN;
        let (mut window, mut calls, mut starts, mut ended) = (Window::new(), 0, Vec::new(), None);
        let run_to = |window: &mut Window, until: Instant, calls: u32, starts: &mut Vec<(u64, u32)>| {
            let due = window.next_deadline();
            if due <= until {
                assert_eq!(window.tick(&terms, due), Some(Starting::Newest), "what is due starts");
                starts.push((millis(due), calls));
            }
        };
        for &(time, verb) in &self.script {
            run_to(&mut window, at(time), calls, &mut starts);
            match verb {
                Verb::Call => {
                    calls += 1;
                    if window.call(&terms, at(time)) == Decision::Start {
                        starts.push((time, calls));
                    }
                }
                Verb::Cancel => _ = window.cancel(&terms),
                Verb::Flush => {
                    if window.flush(&terms) {
                        assert_eq!(window.tick(&terms, at(time)), Some(Starting::Flushed));
                        starts.push((time, calls));
                    }
                }
                Verb::End if lets_go || !window.is_pending() => {
                    if window.abandon() {
                        starts.push((time, calls));
                    }
                    ended = Some(time);
                }
                Verb::End => ended = Some(millis(window.next_deadline())),
            }
        }
        run_to(&mut window, Instant::from_nanos(u64::MAX - 1), calls, &mut starts);
        (starts, ended)
    }
}

/// By what ours differ from lodash: the rules that the docs of debounce and throttle name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Also by the first call after a start that it forced.
    MaxWaitIsKept,
    FlushStopsTheTimer,
    /// Whether a call starts at once hangs on the last start, and not on the last call.
    StartsAreNeverCloser,
    /// A call that has to wait does so until the interval is over that began there.
    IntervalCountsFromTheLastStart,
    /// A cancel forgets what is pending, and not the last start.
    DistanceIsKeptAfterACancel,
}

const DEBOUNCE: [Rule; 2] = [Rule::MaxWaitIsKept, Rule::FlushStopsTheTimer];
const THROTTLE: [Rule; 3] = [Rule::StartsAreNeverCloser, Rule::IntervalCountsFromTheLastStart, Rule::DistanceIsKeptAfterACancel];

/// lodash's debounce, as its source has it, or with rules of ours. Its throttle is a debounce whose `maxWait` is its `wait`.
struct Lodash<'r> {
    terms: &'r Recorded,
    max_wait: Option<u64>,
    rules: &'r [Rule],
    last_call: Option<u64>,
    /// When the last call started, or a window began without one.
    last_start: u64,
    /// When the last call started.
    started: u64,
    timer: Option<u64>,
    /// A flush forgets the timer, and does not stop it.
    forgotten: Vec<u64>,
    newest: Option<u32>,
    starts: Vec<(u64, u32)>,
}

impl<'r> Lodash<'r> {
    /// lodash counts from 1970: everything has been long ago at first.
    const BEGIN: u64 = 1_000_000_000_000;

    fn debounce(terms: &'r Recorded, rules: &'r [Rule]) -> Vec<(u64, u32)> {
        Self::play(terms, terms.max_wait, rules)
    }

    fn throttle(terms: &'r Recorded, rules: &'r [Rule]) -> Vec<(u64, u32)> {
        Self::play(terms, Some(terms.wait), rules)
    }

    fn play(terms: &'r Recorded, max_wait: Option<u64>, rules: &'r [Rule]) -> Vec<(u64, u32)> {
        let mut lodash = Self {
            terms,
            max_wait,
            rules,
            last_call: None,
            last_start: 0,
            started: 0,
            timer: None,
            forgotten: vec![],
            newest: None,
            starts: vec![],
        };
        let mut calls = 0;
        for &(time, verb) in &terms.script {
            let now = Self::BEGIN + time;
            lodash.run_to(now);
            match verb {
                Verb::Call => {
                    calls += 1;
                    lodash.call(now, calls);
                }
                Verb::Cancel => {
                    let last_start = if rules.contains(&Rule::DistanceIsKeptAfterACancel) { lodash.started } else { 0 };
                    (lodash.last_call, lodash.last_start, lodash.timer, lodash.newest) = (None, last_start, None, None);
                }
                Verb::Flush if lodash.timer.is_some() => lodash.trailing_edge(now),
                Verb::Flush | Verb::End => {}
            }
        }
        lodash.run_to(u64::MAX);
        lodash.starts
    }

    fn follows(&self, rule: Rule) -> bool {
        self.rules.contains(&rule)
    }

    fn run_to(&mut self, now: u64) {
        while let Some(due) = self.forgotten.iter().copied().chain(self.timer).min().filter(|due| *due <= now) {
            match self.forgotten.iter().position(|forgotten| *forgotten == due) {
                Some(index) => _ = self.forgotten.remove(index),
                None => self.timer = None,
            }
            if self.should_start(due) {
                self.trailing_edge(due);
            } else {
                let quiet = self.last_call.unwrap_or(due) + self.terms.wait;
                let next = self.max_wait.map_or(quiet, |max_wait| quiet.min(self.last_start + max_wait));
                self.forget_timer();
                // No delay is less than a millisecond, not even one that is no number, because a cancel forgot the last call.
                self.timer = Some(next.max(due + 1));
            }
        }
    }

    fn forget_timer(&mut self) {
        let timer = self.timer.take();
        self.forgotten.extend(timer.filter(|_| !self.follows(Rule::FlushStopsTheTimer)));
    }

    fn should_start(&self, now: u64) -> bool {
        let quiet = self.last_call.is_none_or(|last| now - last >= self.terms.wait);
        (quiet && !self.follows(Rule::StartsAreNeverCloser))
            || self.max_wait.is_some_and(|max_wait| now - self.last_start >= max_wait)
    }

    fn call(&mut self, now: u64, number: u32) {
        let starts = self.should_start(now);
        (self.newest, self.last_call) = (Some(number), Some(now));
        if starts && self.timer.is_none() {
            (self.last_start, self.timer) = (now, Some(now + self.terms.wait));
            if self.terms.leading {
                self.start(now);
            }
        } else if starts && self.max_wait.is_some() {
            self.timer = Some(now + self.terms.wait);
            self.start(now);
        } else if self.timer.is_none() {
            let latest = self.max_wait.map(|max_wait| self.last_start + max_wait);
            let quiet = now + self.terms.wait;
            let keeps = self.follows(Rule::MaxWaitIsKept) || self.follows(Rule::IntervalCountsFromTheLastStart);
            self.timer = Some(latest.filter(|_| keeps).map_or(quiet, |latest| latest.min(quiet)));
        }
    }

    fn trailing_edge(&mut self, now: u64) {
        self.forget_timer();
        if self.terms.trailing && self.newest.is_some() {
            self.start(now);
        }
        self.newest = None;
    }

    fn start(&mut self, now: u64) {
        (self.last_start, self.started) = (now, now);
        self.starts.extend(self.newest.take().map(|number| (now - Self::BEGIN, number)));
    }
}

#[test]
fn debounce_does_what_lodash_does_but_keeps_max_wait() {
    let mut agreed = 0;
    for script in recorded("lodash-debounce.txt") {
        assert_eq!(Lodash::debounce(&script, &[]), script.starts, "lodash: {}", script.line);
        let (ours, _) = script.play(Terms::debounce(ms(script.wait)), false);
        assert_eq!(ours, Lodash::debounce(&script, &DEBOUNCE), "{}", script.line);
        agreed += u32::from(ours == script.starts);
    }
    assert!(agreed >= 2_000, "only {agreed} agree");
}

#[test]
fn debounce_is_debounce_time() {
    for script in recorded("rxjs-debounce-time.txt") {
        let ours = script.play(Terms::debounce(ms(script.wait)), true);
        assert_eq!(ours, (script.starts, script.ended), "{}", script.line);
    }
}

#[test]
fn audit_is_audit_time() {
    for script in recorded("rxjs-audit-time.txt") {
        let ours = script.play(Terms::audit(ms(script.wait)), false);
        assert_eq!(ours, (script.starts, script.ended), "{}", script.line);
    }
}

#[test]
fn throttle_is_throttle_time() {
    for script in recorded("rxjs-throttle-time.txt") {
        let ours = script.play(Terms::throttle(ms(script.wait)), false);
        assert_eq!(ours, (script.starts, script.ended), "{}", script.line);
    }
}

#[test]
fn throttle_does_what_lodash_does_by_its_own_rules() {
    let all = recorded("lodash-throttle.txt");
    let mut agreed = 0;
    for script in &all {
        assert_eq!(Lodash::throttle(script, &[]), script.starts, "lodash: {}", script.line);
        let (ours, _) = script.play(Terms::throttle(ms(script.wait)), false);
        assert_eq!(ours, Lodash::throttle(script, &THROTTLE), "{}", script.line);
        agreed += usize::from(ours == script.starts);
    }
    println!("{agreed} of {} agree as they are, all of them by these rules", all.len());
    for rule in THROTTLE {
        let others: Vec<Rule> = THROTTLE.into_iter().filter(|other| *other != rule).collect();
        let hang = all.iter().filter(|script| Lodash::throttle(script, &others) != Lodash::throttle(script, &THROTTLE)).count();
        println!("{hang} hang on {rule:?}");
        assert!(hang > 0, "{rule:?} explains nothing");
    }
}
