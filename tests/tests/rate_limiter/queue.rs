//! The queue in random worlds: who comes first is served first, who leaves spends nothing, and the full rate is kept.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use aplomb::rate_limiter::{
    Algorithm, FixedWindow, Rate, RateLimitError, RateLimiter, SlidingCounter, SlidingWindow, TokenBucket,
};
use aplomb::time::duration;
use aplomb::{Deadline, Heap};
use aplomb_sim::{Explore, Sim, SimClock, sleep};

use super::decisions::{OfFixedWindow, OfSlidingCounter, OfSlidingWindow, OfTokenBucket, Subject};
use super::models::{Model, Terms};

/// What became of a caller.
#[derive(Debug, Clone, Copy)]
struct Caller {
    n: u32,
    joined: u64,
    served: Option<u64>,
    /// Whether it waited to the end, or was dropped.
    left: Option<u64>,
}

type Callers = Rc<RefCell<Vec<Caller>>>;

/// Notes when a caller is gone, however that comes.
struct Gone(Callers, usize);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.borrow_mut()[self.1].left = Some(aplomb_sim::now().as_nanos());
    }
}

async fn call<S: Subject>(sim: Sim, limiter: Rc<RateLimiter<Sim, S::Rule>>, callers: Callers, most: u32, per: Duration) {
    sleep(sim.latency(Duration::ZERO..=per * 2)).await;
    for _ in 0..2 {
        let n = u32::try_from(sim.choose(u64::from(most) + 1)).unwrap();
        let joined = aplomb_sim::now().as_nanos();
        callers.borrow_mut().push(Caller { n, joined, served: None, left: None });
        let gone = Gone(Rc::clone(&callers), callers.borrow().len() - 1);
        let index = gone.1;
        // Noted before the first poll, and in the same turn.
        let admitted = if sim.chance(1, 4) {
            let deadline = Deadline::after(aplomb_sim::now(), sim.latency(Duration::ZERO..=per * 3));
            let admitted = limiter.acquire_by(n, deadline).await;
            assert!(aplomb_sim::now() <= deadline.instant());
            if matches!(admitted, Err(RateLimitError::Deadline { .. })) {
                continue;
            }
            admitted
        } else {
            limiter.acquire(n).await
        };
        // By a rule that held for no time it was too much.
        let permit = match admitted {
            Err(RateLimitError::TooManyPermits { .. }) => continue,
            admitted => admitted.unwrap(),
        };
        callers.borrow_mut()[index].served = Some(aplomb_sim::now().as_nanos());
        sleep(sim.latency(Duration::ZERO..=per)).await;
        drop(permit);
        drop(gone);
    }
}

/// Each one served came as soon as all before it were served or gone, as a place was free, and as the model had its permits, of which only they have taken.
fn check<S: Subject>(callers: &[Caller], terms: Terms, max_concurrent: u32) {
    let mut model = S::Model::new(terms);
    // Since when nobody stands before the next one.
    let mut free = 0;
    for (index, caller) in callers.iter().enumerate() {
        let (before, &Caller { n, joined, served, left }) = (&callers[..index], caller);
        let Some(served) = served else {
            free = free.max(left.unwrap());
            continue;
        };
        let mut due = free.max(joined);
        let running = |at| before.iter().filter(|other| other.served.is_some() && other.left.unwrap() > at).count();
        while running(due) >= usize::try_from(max_concurrent).unwrap() {
            due = before.iter().filter_map(|other| other.left.filter(|left| *left > due)).min().unwrap();
        }
        due = model.earliest(due, n);
        assert_eq!(served, due, "the {index}th of {callers:#?}");
        model.put(due, due, n);
        free = served;
    }
}

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Fewer permits for no time at all, now and then: whoever waits for more than those is turned away, and for all others it is as if nothing had been.
async fn flap<S: Subject>(sim: Sim, limiter: Rc<RateLimiter<Sim, S::Rule>>, terms: Terms) {
    let most = S::Model::new(terms).most();
    for _ in 0..4 {
        sleep(sim.latency(Duration::ZERO..=duration(terms.per))).await;
        let fewer = 1 + u32::try_from(sim.choose(u64::from(most))).unwrap();
        limiter.set_rate(S::rule(Terms { permits: fewer, ..terms })).unwrap();
        limiter.set_rate(S::rule(terms)).unwrap();
    }
}

fn explore<S: Subject>(flaps: bool) {
    Explore::new().seeds(0..if flaps { 300 } else { 1_000 }).run(|sim| async move {
        let permits = 1 + u32::try_from(sim.choose(4)).unwrap();
        let per = [100, 997, 1_000_000_000][usize::try_from(sim.choose(3)).unwrap()];
        let burst = 1 + u32::try_from(sim.choose(8)).unwrap();
        let terms = Terms { permits, per, burst };
        let max_concurrent = [u32::MAX, 1, 2, 3][usize::try_from(sim.choose(4)).unwrap()];
        let limiter = RateLimiter::<Sim, S::Rule>::with_clock(SimClock, S::rule(terms)).max_concurrent(max_concurrent);
        let (limiter, callers, per) = (Rc::new(limiter), Callers::default(), duration(per));
        let most = S::Model::new(terms).most();
        for name in NAMES {
            sim.spawn(name, call::<S>(sim, Rc::clone(&limiter), Rc::clone(&callers), most, per));
        }
        if flaps {
            sim.spawn("rule", flap::<S>(sim, Rc::clone(&limiter), terms));
        }
        for name in &NAMES[..4] {
            sim.drop_at_random(name);
        }
        let running = Rc::clone(&limiter);
        sim.always(move || running.snapshot().running.is_none_or(|running| running <= max_concurrent));
        sim.run_until_idle().await;
        let snapshot = limiter.snapshot();
        assert_eq!((snapshot.waiting, snapshot.running.unwrap_or(0)), (0, 0));
        check::<S>(&callers.borrow(), terms, max_concurrent);
    });
}

#[test]
fn of_a_token_bucket() {
    explore::<OfTokenBucket>(false);
}

#[test]
fn of_a_fixed_window() {
    explore::<OfFixedWindow>(false);
}

#[test]
fn of_a_sliding_window() {
    explore::<OfSlidingWindow<Heap>>(false);
}

#[test]
fn of_a_sliding_counter() {
    explore::<OfSlidingCounter>(false);
}

#[test]
fn of_windows_whose_permits_become_fewer_and_as_many_again() {
    explore::<OfFixedWindow>(true);
    explore::<OfSlidingWindow<Heap>>(true);
    explore::<OfSlidingCounter>(true);
}

/// Waits, holds, gives back, and reserves, as it comes.
async fn mingle<A: Algorithm>(sim: Sim, limiter: Rc<RateLimiter<Sim, A>>, most: u32) {
    let nap = |most| sleep(duration(sim.choose(most)));
    for _ in 0..4 {
        nap(2_000).await;
        let n = 1 + u32::try_from(sim.choose(u64::from(most))).unwrap();
        match sim.choose(5) {
            0 | 1 => match limiter.acquire(n).await {
                Ok(permit) => {
                    nap(500).await;
                    if sim.chance(1, 2) {
                        permit.give_back();
                    }
                }
                Err(error) => assert!(matches!(error, RateLimitError::TooManyPermits { .. }), "{error}"),
            },
            2 => drop(limiter.acquire_by(n, Deadline::after(aplomb_sim::now(), duration(sim.choose(3_000)))).await),
            3 => {
                if let Ok(reserved) = limiter.reserve(n) {
                    reserved.await;
                }
            }
            _ => {
                let reserved = limiter.reserve(n);
                nap(3_000).await;
                drop(reserved);
            }
        }
    }
}

/// Callers mingle with reservations, and leave, while the rule changes: each has its turn, and all is there again in the end.
fn nobody_waits_for_ever<A: Algorithm + Copy + 'static>(rules: [A; 3]) {
    Explore::new().seeds(0..600).run(move |sim| async move {
        let max_concurrent = [u32::MAX, 1, 2][usize::try_from(sim.choose(3)).unwrap()];
        let limiter = RateLimiter::<Sim, A>::with_clock(SimClock, rules[0]).max_concurrent(max_concurrent);
        let (limiter, most) = (Rc::new(limiter), rules[0].most());
        let ended = Rc::new(RefCell::new(0));
        for name in NAMES {
            let (limiter, ended) = (Rc::clone(&limiter), Rc::clone(&ended));
            sim.spawn(name, async move {
                mingle(sim, limiter, most).await;
                *ended.borrow_mut() += 1;
            });
        }
        for name in &NAMES[..2] {
            sim.drop_at_random(name);
        }
        if sim.chance(1, 2) {
            let limiter = Rc::clone(&limiter);
            sim.spawn("rule", async move {
                for _ in 0..4 {
                    sleep(duration(sim.choose(1_500))).await;
                    limiter.set_rate(rules[usize::try_from(sim.choose(3)).unwrap()]).unwrap();
                }
                limiter.set_rate(rules[0]).unwrap();
            });
        }
        sim.run_until_idle().await;
        assert!(*ended.borrow() >= NAMES.len() - 2, "somebody waits for ever");
        let snapshot = limiter.snapshot();
        assert_eq!((snapshot.waiting, snapshot.running.unwrap_or(0)), (0, 0));
        sleep(duration(1_000_000)).await;
        assert_eq!(limiter.snapshot().available, most);
    });
}

#[test]
fn among_reservations_and_changes_nobody_waits_for_ever() {
    let rate = |permits| Rate::new(permits, duration(1_000));
    nobody_waits_for_ever([(3, 5), (1, 2), (7, 9)].map(|(permits, burst)| TokenBucket::new(rate(permits)).burst(burst)));
    nobody_waits_for_ever([5, 2, 9].map(|permits| FixedWindow::new(rate(permits))));
    nobody_waits_for_ever([5, 2, 9].map(|permits| SlidingWindow::<Heap>::new(rate(permits))));
    nobody_waits_for_ever([5, 2, 9].map(|permits| SlidingCounter::new(rate(permits))));
}
