//! Each algorithm beside its model, through thousands of random scripts: the same decisions, the same instants, and never more than its docs allow.

use std::fmt::Debug;

use aplomb::rate_limiter::{Algorithm, FixedWindow, Rate, Refused, SlidingCounter, SlidingWindow, TokenBucket};
use aplomb::storage::Storage;
use aplomb::time::duration;
use aplomb::{Heap, Inline, Instant};
use fastrand::Rng;

use super::models::{self, Model, Terms};
use super::seeds;

const SCRIPTS: u64 = 10_000;

/// Permits that were used, and when.
type Used = Vec<(u64, u32)>;

/// An algorithm, and the model that it is held to.
pub(crate) trait Subject: 'static {
    type Rule: Algorithm<State: Debug> + Debug;
    type Model: Model;

    fn rule(terms: Terms) -> Self::Rule;

    /// The most that may be used from one instant to another, both included.
    fn bound(terms: Terms, time: u64) -> u64;
}

fn rate(terms: Terms) -> Rate {
    Rate::new(terms.permits, duration(terms.per))
}

pub(crate) struct OfTokenBucket;
impl Subject for OfTokenBucket {
    type Rule = TokenBucket;
    type Model = models::TokenBucket;

    fn rule(terms: Terms) -> TokenBucket {
        TokenBucket::new(rate(terms)).burst(terms.burst)
    }

    /// A nanosecond more: the instant of a reservation is rounded up.
    fn bound(terms: Terms, time: u64) -> u64 {
        let drips = u128::from(time + 1) * u128::from(terms.permits) / u128::from(terms.per);
        u64::from(terms.burst) + u64::try_from(drips).unwrap()
    }
}

/// What holds in each window of `per`, over any time.
fn windows(terms: Terms, time: u64) -> u64 {
    u64::from(terms.permits) * (time / terms.per + 1)
}

pub(crate) struct OfFixedWindow;
impl Subject for OfFixedWindow {
    type Rule = FixedWindow;
    type Model = models::FixedWindow;

    fn rule(terms: Terms) -> FixedWindow {
        FixedWindow::new(rate(terms))
    }

    /// One window more, for the one that ends.
    fn bound(terms: Terms, time: u64) -> u64 {
        windows(terms, time) + u64::from(terms.permits)
    }
}

pub(crate) struct OfSlidingWindow<S>(S);
impl<S: Storage + 'static> Subject for OfSlidingWindow<S> {
    type Rule = SlidingWindow<S>;
    type Model = models::SlidingWindow;

    fn rule(terms: Terms) -> SlidingWindow<S> {
        SlidingWindow::new(rate(terms))
    }

    fn bound(terms: Terms, time: u64) -> u64 {
        windows(terms, time)
    }
}

pub(crate) struct OfSlidingCounter;
impl Subject for OfSlidingCounter {
    type Rule = SlidingCounter;
    type Model = models::SlidingCounter;

    fn rule(terms: Terms) -> SlidingCounter {
        SlidingCounter::new(rate(terms))
    }

    fn bound(terms: Terms, time: u64) -> u64 {
        windows(terms, time) + u64::from(terms.permits)
    }
}

fn terms(rng: &mut Rng) -> Terms {
    let permits = *rng.choice(&[1, 1, 2, 3, 5, 7, 10]).unwrap();
    // From one nanosecond a permit to a day.
    let per = *rng.choice(&[10, 11, 100, 997, 1_000_000_000, 3_000_000_000, 86_399_000_000_000]).unwrap();
    Terms { permits, per, burst: rng.u32(1..=2 * permits) }
}

/// A gap to the next action: none, tiny, some permits long, or idleness.
fn gap(rng: &mut Rng, terms: Terms, due: Option<u64>, now: u64) -> u64 {
    let each = terms.per / u64::from(terms.permits);
    match (rng.u32(0..12), due) {
        (0..=2, _) => 0,
        (3, _) => 1,
        (4..=6, Some(due)) => (due + rng.u64(0..=2)).saturating_sub(now + 1),
        (7, _) => terms.per * rng.u64(0..=3),
        (8, _) => terms.per * 1_000 + rng.u64(0..terms.per),
        _ => rng.u64(0..=2 * each),
    }
}

/// Does the same to a rule and to its model, as a seed says.
#[derive(Debug)]
struct Script<S: Subject> {
    seed: u64,
    terms: Terms,
    rule: S::Rule,
    state: <S::Rule as Algorithm>::State,
    model: S::Model,
    now: u64,
    /// When the last refusal said to come again.
    due: Option<u64>,
    reserved: Used,
    used: Used,
    /// The rate has been changed: no bound holds over that.
    changed: bool,
}

impl<S: Subject> Script<S> {
    fn new(seed: u64, rng: &mut Rng) -> Self {
        let terms = terms(rng);
        let (rule, model) = (S::rule(terms), S::Model::new(terms));
        let state = S::Rule::START;
        Self { seed, terms, rule, state, model, now: 1_000, due: None, reserved: vec![], used: vec![], changed: false }
    }

    fn play(seed: u64) {
        let mut rng = Rng::with_seed(seed);
        let mut script = Self::new(seed, &mut rng);
        // In one script in two, most is reserved and given back, and much at one instant.
        let (takes, at_once) = *rng.choice(&[(0, 1), (20, 6)]).unwrap();
        for step in 0..40 {
            if rng.u32(0..at_once) == 0 {
                script.now += gap(&mut rng, script.terms, script.due, script.now);
            }
            let beyond = u32::from(rng.u8(0..20) == 0);
            let n = rng.u32(0..=script.model.most() + beyond);
            match rng.u32(takes..40) {
                0..=23 => script.take(n),
                24..=31 => script.reserve(n),
                32..=38 => script.give_back(&mut rng),
                _ => script.change(&mut rng),
            }
            script.compare(step);
            script.check_queue(&mut rng);
        }
        script.check_bound();
    }

    fn at(&self) -> Instant {
        Instant::from_nanos(self.now)
    }

    fn take(&mut self, n: u32) {
        let now = self.at();
        let result = self.rule.try_take(&mut self.state, now, n);
        if n > self.model.most() {
            assert_eq!(result, Err(Refused::Never), "seed {}", self.seed);
            return;
        }
        let due = self.model.earliest(self.now, n);
        if due == self.now {
            assert_eq!(result, Ok(()), "seed {}: {n} at {}", self.seed, self.now);
            self.model.put(self.now, self.now, n);
            self.used.push((self.now, n));
        } else {
            assert_eq!(result, Err(Refused::Until(Instant::from_nanos(due))), "seed {}: {n} at {}", self.seed, self.now);
            self.due = Some(due);
            self.check_instant(due, n);
        }
    }

    /// At that instant it is given, and a nanosecond before it isn't.
    fn check_instant(&self, due: u64, n: u32) {
        let due = Instant::from_nanos(due);
        let before = Instant::from_nanos(due.as_nanos() - 1);
        assert_eq!(self.rule.try_take(&mut self.state.clone(), before, n), Err(Refused::Until(due)), "seed {}", self.seed);
        assert_eq!(self.rule.try_take(&mut self.state.clone(), due, n), Ok(()), "seed {}", self.seed);
        assert_eq!(self.rule.not_before(&self.state, self.at(), 0, n), due, "seed {}", self.seed);
    }

    /// Whoever comes behind others is not told too late an instant.
    fn check_queue(&self, rng: &mut Rng) {
        let (mut state, mut ahead) = (self.state.clone(), 0);
        for _ in 0..rng.u32(1..6) {
            let n = rng.u32(0..=self.model.most());
            let at = self.rule.reserve(&mut state, self.at(), Instant::ORIGIN, n).unwrap();
            let not_before = self.rule.not_before(&self.state, self.at(), ahead, n);
            assert!(not_before <= at, "seed {}: {n} behind {ahead}: {not_before:?}, but {at:?}", self.seed);
            ahead += u64::from(n);
        }
    }

    fn reserve(&mut self, n: u32) {
        let now = self.at();
        let result = self.rule.reserve(&mut self.state, now, now, n);
        if n > self.model.most() {
            assert_eq!(result, None, "seed {}", self.seed);
            return;
        }
        let due = self.model.earliest(self.now, n);
        assert_eq!(result, Some(Instant::from_nanos(due)), "seed {}: {n} at {}", self.seed, self.now);
        self.model.put(self.now, due, n);
        self.reserved.push((due, n));
    }

    fn give_back(&mut self, rng: &mut Rng) {
        let now = self.now;
        self.used.extend(self.reserved.extract_if(.., |(at, _)| *at <= now));
        if self.reserved.is_empty() {
            return;
        }
        let index = if rng.bool() { self.reserved.len() - 1 } else { rng.usize(0..self.reserved.len()) };
        let (at, n) = self.reserved.remove(index);
        self.rule.give_back(&mut self.state, Instant::from_nanos(now), n, Instant::from_nanos(at));
        self.model.give_back(self.now, at, n);
    }

    fn change(&mut self, rng: &mut Rng) {
        let new = terms(rng);
        let rule = S::rule(new);
        let now = self.at();
        rule.take_over(&mut self.state, &self.rule, now);
        self.model.change(self.now, new);
        (self.rule, self.terms, self.changed) = (rule, new, true);
        self.reserved.clear();
    }

    fn compare(&self, step: u32) {
        let available = self.rule.available(&self.state, self.at());
        assert_eq!(available, self.model.available(self.now), "seed {}, step {step}, at {}", self.seed, self.now);
        let renewed_at = self.rule.renewed_at(&self.state).as_nanos();
        assert_eq!(renewed_at.max(self.now), self.model.renewed_at().max(self.now), "seed {}, step {step}", self.seed);
    }

    fn check_bound(&mut self) {
        if self.changed {
            return;
        }
        self.used.append(&mut self.reserved);
        self.used.sort_unstable();
        for (first, &(from, _)) in self.used.iter().enumerate() {
            let mut sum = 0;
            for &(to, n) in self.used.iter().skip(first) {
                sum += u64::from(n);
                let most = S::bound(self.terms, to - from);
                assert!(sum <= most, "seed {}: {sum} from {from} to {to}, and {most} are allowed", self.seed);
            }
        }
    }
}

fn play_all<S: Subject>() {
    seeds(SCRIPTS).for_each(Script::<S>::play);
}

#[test]
fn a_token_bucket_does_what_its_model_does() {
    play_all::<OfTokenBucket>();
}

#[test]
fn a_fixed_window_does_what_its_model_does() {
    play_all::<OfFixedWindow>();
}

#[test]
fn a_sliding_window_does_what_its_model_does() {
    play_all::<OfSlidingWindow<Heap>>();
}

#[test]
fn a_sliding_window_in_place_does_what_its_model_does() {
    play_all::<OfSlidingWindow<Inline<10>>>();
}

#[test]
fn a_sliding_counter_does_what_its_model_does() {
    play_all::<OfSlidingCounter>();
}
