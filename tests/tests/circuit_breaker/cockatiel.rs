//! Beside cockatiel 3.2.1, as `originals/` recorded it: a port of it does what it did; and with the rules by which ours differ, what ours do.

use std::fs;
use std::path::Path;

use aplomb::CircuitBreaker;
use aplomb::backoff::Constant;
use aplomb::circuit_breaker::{Consecutive, LastCalls, LastTime, State, Trip};
use aplomb::ratio::percent;
use aplomb::time::ms;

use crate::clock::{PermitOf, at, clock, leak};

/// A script, with its settings and what cockatiel did.
struct Recorded {
    line: String,
    rule: Kind,
    open_for: u64,
    calls: Vec<Call>,
    /// Which of them ran.
    ran: Vec<bool>,
    states: Vec<(u64, char)>,
}

#[derive(Clone, Copy)]
enum Kind {
    Consecutive { failures: u32 },
    Count { percent: u32, min_calls: u32, calls: u32 },
    Sampling { percent: u32, calls: u32, duration: u64 },
}

#[derive(Clone, Copy)]
struct Call {
    at: u64,
    takes: u64,
    fails: bool,
}

fn recorded() -> Vec<Recorded> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("originals/cockatiel.txt");
    let text = fs::read_to_string(file).unwrap();
    let all: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(parse).collect();
    assert_eq!(all.len(), 1_300);
    all
}

fn parse(line: &str) -> Recorded {
    let mut parts = line.split('|').map(str::trim);
    let mut settings = parts.next().unwrap().split(' ');
    let kind = settings.next().unwrap();
    let mut number = || settings.next().unwrap().parse::<u64>().unwrap();
    let mut small = || u32::try_from(number()).unwrap();
    let rule = match kind {
        "consecutive" => Kind::Consecutive { failures: small() },
        "count" => Kind::Count { percent: small(), min_calls: small(), calls: small() },
        _ => Kind::Sampling { percent: small(), calls: small(), duration: u64::from(small()) },
    };
    let open_for = number();
    let calls = parts.next().unwrap().split_whitespace().map(|call| {
        let (at, rest) = call.split_once(':').unwrap();
        let (takes, end) = rest.split_at(rest.len() - 1);
        Call { at: at.parse().unwrap(), takes: takes.parse().unwrap(), fails: end == "f" }
    });
    Recorded {
        line: line.to_owned(),
        rule,
        open_for,
        calls: calls.collect(),
        ran: parts.next().unwrap().chars().map(|ran| ran == '.').collect(),
        states: parts
            .next()
            .unwrap()
            .split_whitespace()
            .map(|state| state.split_at(state.len() - 1))
            .map(|(at, to)| (at.parse().unwrap(), to.chars().next().unwrap()))
            .collect(),
    }
}

/// What happens, in order: of an instant, ends come before calls, but that of a call that takes no time comes right after it.
enum Step {
    Begin(usize),
    End(usize),
}

fn steps(calls: &[Call]) -> Vec<(u64, Step)> {
    let mut steps: Vec<(u64, u8, Step)> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        steps.push((call.at, 1, Step::Begin(index)));
        if call.takes > 0 {
            steps.push((call.at + call.takes, 0, Step::End(index)));
        }
    }
    steps.sort_by_key(|(at, order, _)| (*at, *order));
    steps.into_iter().map(|(at, _, step)| (at, step)).collect()
}

type Outcome = (Vec<bool>, Vec<(u64, char)>);

/// What ours do.
fn ours(script: &Recorded) -> Outcome {
    let clock = clock();
    match script.rule {
        Kind::Consecutive { failures } => play(script, CircuitBreaker::with_clock(clock, Consecutive::new(failures)), clock),
        Kind::Count { percent: share, min_calls, calls } => {
            let breaker = CircuitBreaker::with_clock(clock, LastCalls::<1>::new(calls));
            play(script, breaker.failure_rate(percent(share)).min_calls(min_calls), clock)
        }
        Kind::Sampling { percent: share, calls, duration } => {
            let breaker = CircuitBreaker::with_clock(clock, LastTime::<5>::new(ms(duration)));
            play(script, breaker.failure_rate(percent(share)).min_calls(calls), clock)
        }
    }
}

fn play<T: Trip + 'static>(
    script: &Recorded,
    breaker: CircuitBreaker<crate::clock::Hands, T>,
    clock: &'static aplomb_sim::ManualClock<1>,
) -> Outcome {
    let breaker = leak(breaker.open_for(ms(script.open_for)).check().unwrap());
    let (mut ran, mut states) = (Vec::new(), Vec::new());
    let mut permits: Vec<Option<PermitOf<T, Constant>>> = Vec::new();
    let mut state = State::Closed;
    let mut look = |now: u64, entered: State| {
        if entered != state {
            state = entered;
            let letter = match entered {
                State::Closed => 'c',
                State::Open | State::ForcedOpen => 'o',
                State::HalfOpen | State::Disabled => 'h',
            };
            states.push((now, letter));
        }
    };
    let end = |permit: Option<PermitOf<T, Constant>>, fails: bool| {
        if let Some(permit) = permit {
            if fails { permit.failure() } else { permit.success() }
        }
    };
    for (now, step) in steps(&script.calls) {
        clock.set(at(now));
        match step {
            Step::Begin(index) => {
                let permit = breaker.permit().ok();
                ran.push(permit.is_some());
                // A breaker that is open still is half-open only for those who look.
                if permit.is_some() {
                    look(now, breaker.state());
                }
                permits.push(permit);
                let Call { takes, fails, .. } = script.calls[index];
                if takes == 0 {
                    end(permits[index].take(), fails);
                    look_after(breaker.state(), now, &mut look);
                }
            }
            Step::End(index) => {
                end(permits[index].take(), script.calls[index].fails);
                look_after(breaker.state(), now, &mut look);
            }
        }
    }
    (ran, states)
}

/// A call that ends makes no breaker half-open; its time may be over all the same.
fn look_after(entered: State, now: u64, look: &mut impl FnMut(u64, State)) {
    if entered != State::HalfOpen {
        look(now, entered);
    }
}

/// By what ours differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// A call that began before the last change of state counts as nothing.
    OldResultsDontCount,
    /// Whoever comes while a probe is under way is rejected, and does not wait for it.
    ProbesAreAlone,
    /// A share that equals its threshold trips.
    EqualTrips,
    /// It may trip when a success makes the minimum of calls.
    SuccessesAreLookedAt,
    /// A probe's success closes it, and is not on record.
    RecordBeginsEmpty,
    /// Buckets follow the time, however long nobody called.
    BucketsFollowTime,
}

const RULES: [Rule; 6] = [
    Rule::OldResultsDontCount,
    Rule::ProbesAreAlone,
    Rule::EqualTrips,
    Rule::SuccessesAreLookedAt,
    Rule::RecordBeginsEmpty,
    Rule::BucketsFollowTime,
];

/// cockatiel, as its source has it, or with rules of ours.
struct Cockatiel<'r> {
    script: &'r Recorded,
    rules: &'r [Rule],
    state: char,
    opened_at: u64,
    changes: u32,
    row: u32,
    /// Of the last calls, whether they failed.
    samples: Vec<Option<bool>>,
    sample: usize,
    /// When buckets began, with failures and successes.
    buckets: [(u64, u32, u32); 5],
    bucket: usize,
    states: Vec<(u64, char)>,
}

/// It counts from 1970: everything has been long ago at first.
const BEGIN: u64 = 1_000_000_000_000;

impl<'r> Cockatiel<'r> {
    fn play(script: &'r Recorded, rules: &'r [Rule]) -> Outcome {
        let size = if let Kind::Count { calls, .. } = script.rule { calls as usize } else { 0 };
        let mut cockatiel = Self {
            script,
            rules,
            state: 'c',
            opened_at: 0,
            changes: 0,
            row: 0,
            samples: vec![None; size],
            sample: 0,
            buckets: [(0, 0, 0); 5],
            bucket: 0,
            states: Vec::new(),
        };
        let mut ran = Vec::new();
        // In which state each began, and after how many changes.
        let mut began: Vec<Option<(char, u32)>> = Vec::new();
        for (now, step) in steps(&script.calls) {
            let now = BEGIN + now;
            match step {
                Step::Begin(index) => {
                    let goes = cockatiel.begin(now);
                    ran.push(goes);
                    began.push(goes.then_some((cockatiel.state, cockatiel.changes)));
                    let Call { takes, fails, .. } = script.calls[index];
                    if let (Some(stamp), 0) = (began[index], takes) {
                        cockatiel.end(now, stamp, fails);
                    }
                }
                Step::End(index) => {
                    if let Some(stamp) = began[index] {
                        cockatiel.end(now, stamp, script.calls[index].fails);
                    }
                }
            }
        }
        (ran, cockatiel.states)
    }

    fn follows(&self, rule: Rule) -> bool {
        self.rules.contains(&rule)
    }

    fn go_to(&mut self, now: u64, state: char) {
        self.state = state;
        self.changes += 1;
        self.states.push((now - BEGIN, state));
    }

    fn begin(&mut self, now: u64) -> bool {
        match self.state {
            'c' => true,
            'o' if now - self.opened_at >= self.script.open_for => {
                self.go_to(now, 'h');
                true
            }
            'o' => false,
            _ => {
                assert!(self.follows(Rule::ProbesAreAlone), "such calls were not recorded");
                false
            }
        }
    }

    fn end(&mut self, now: u64, (state, changes): (char, u32), fails: bool) {
        if self.follows(Rule::OldResultsDontCount) && changes != self.changes {
            return;
        }
        if fails {
            self.push(now, true);
            if state == 'h' || self.trips() {
                self.open(now);
            }
        } else {
            if state == 'h' {
                self.forget();
                if self.follows(Rule::RecordBeginsEmpty) {
                    self.go_to(now, 'c');
                    return;
                }
            }
            self.push(now, false);
            if state == 'h' {
                if self.state == 'h' {
                    self.go_to(now, 'c');
                }
            } else if self.follows(Rule::SuccessesAreLookedAt) && self.trips() {
                self.open(now);
            }
        }
    }

    fn open(&mut self, now: u64) {
        if self.state != 'o' {
            self.opened_at = now;
            self.go_to(now, 'o');
        }
    }

    fn forget(&mut self) {
        self.row = 0;
        self.samples.fill(None);
        self.buckets = [(0, 0, 0); 5];
    }

    fn push(&mut self, now: u64, fails: bool) {
        self.row = if fails { self.row + 1 } else { 0 };
        if let Some(sample) = self.samples.get_mut(self.sample) {
            *sample = Some(fails);
            self.sample = (self.sample + 1) % self.samples.len();
        }
        if let Kind::Sampling { duration, .. } = self.script.rule {
            let width = duration / 5;
            let (began, ..) = self.buckets[self.bucket];
            let since = now - began;
            if since >= width {
                // One for a call, which begins with it; or as many as there is time for, each where the one before ended.
                let by_time = self.follows(Rule::BucketsFollowTime) && began != 0;
                let steps = if by_time { since / width } else { 1 };
                for step in 1..=steps {
                    self.bucket = (self.bucket + 1) % 5;
                    self.buckets[self.bucket] = (if by_time { began + step * width } else { now }, 0, 0);
                }
            }
            let (_, failures, successes) = &mut self.buckets[self.bucket];
            *(if fails { failures } else { successes }) += 1;
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "as the original does")]
    fn trips(&self) -> bool {
        let reaches = |failures: u32, share: u32, total: u32| {
            let most = f64::from(share) / 100.0 * f64::from(total);
            f64::from(failures) > most || (self.follows(Rule::EqualTrips) && failures * 100 == share * total)
        };
        match self.script.rule {
            Kind::Consecutive { failures } => self.row >= failures,
            Kind::Count { percent, min_calls, .. } => {
                let failures = u32::try_from(self.samples.iter().filter(|sample| **sample == Some(true)).count()).unwrap();
                let total = u32::try_from(self.samples.iter().flatten().count()).unwrap();
                total >= min_calls && reaches(failures, percent, total)
            }
            Kind::Sampling { percent, calls, duration } => {
                let failures = self.buckets.iter().map(|bucket| bucket.1).sum();
                let total = failures + self.buckets.iter().map(|bucket| bucket.2).sum::<u32>();
                let rate = f64::from(calls) / duration as f64 * 1000.0 / 1000.0;
                f64::from(total) >= duration as f64 * rate && reaches(failures, percent, total)
            }
        }
    }
}

#[test]
fn the_port_does_what_cockatiel_did() {
    for script in recorded() {
        let (ran, states) = Cockatiel::play(&script, &[]);
        assert_eq!((ran, states), (script.ran.clone(), script.states.clone()), "{}", script.line);
    }
}

#[test]
fn with_the_rules_that_the_docs_name_it_does_what_ours_do() {
    for script in recorded() {
        assert_eq!(Cockatiel::play(&script, &RULES), ours(&script), "{}", script.line);
    }
}

#[test]
fn each_rule_makes_a_difference_and_most_scripts_need_none() {
    let recorded = recorded();
    for rule in RULES {
        let others: Vec<Rule> = RULES.into_iter().filter(|other| *other != rule).collect();
        // Without it, cockatiel would let callers wait.
        let differs = rule == Rule::ProbesAreAlone
            || recorded.iter().any(|script| Cockatiel::play(script, &others) != Cockatiel::play(script, &RULES));
        assert!(differs, "{rule:?}");
    }
    let same = recorded.iter().filter(|script| ours(script) == (script.ran.clone(), script.states.clone())).count();
    assert!(same >= 1_000, "ours do the same with {same} scripts");
}
