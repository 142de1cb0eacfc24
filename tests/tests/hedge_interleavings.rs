//! Hedges on several threads: few of them in every interleaving (loom), and more of them in many (shuttle). What they share are the budget and what was seen.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod checkers;

use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use aplomb::hedge::{After, Delay, Percentile};
use aplomb::ratio::percent;
use aplomb::{Hedge, Inline, Platform};
use checkers::{Loom, Shuttle, Still, forgets, is_found_by};

type Shared<P, D> = &'static Hedge<P, D, Inline<3>>;

fn hedge<P: Platform<Clock = Still>, D: Delay>(delay: D, hedges: u32, burst: u32) -> Shared<P, D> {
    // The checkers' locks are not unwound, so that nothing has to be.
    Box::leak(Box::new(Hedge::with_clock(Still, delay).max_hedges(hedges).burst(burst)))
}

/// A call whose first starts fail; how often it was started. Or, as the bug that all this is about, it looks at how many hedges there were, and starts its own later.
fn call<P: Platform<Clock = Still>, D: Delay>(hedge: Shared<P, D>, failures: u32) -> u32 {
    let may_hedge = !forgets() || hedge.snapshot().hedges == 0;
    let mut starts = 0;
    let operation = |start| {
        starts = start;
        ready(if start > failures || !may_hedge { Ok(()) } else { Err(()) })
    };
    let ended = pin!(hedge.run_numbered(operation)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(ended.is_ready());
    starts
}

/// Two want the one hedge that there is: one has it, and the other has none.
#[test]
fn the_budget_is_spent_once() {
    loom::model(|| {
        // Whoever looks itself needs no budget.
        let burst = if forgets() { 2 } else { 1 };
        let hedge = hedge::<Loom<Still>, _>(After::new(Duration::MAX), 1, burst);
        let other = loom::thread::spawn(move || call(hedge, 1));
        let mut starts = [call(hedge, 1), other.join().unwrap()];
        starts.sort_unstable();
        assert_eq!(starts, [1, 2]);
        let now = hedge.snapshot();
        assert_eq!((now.calls, now.hedges, now.won, now.denied), (2, 1, 1, u64::from(!forgets())));
    });
}

#[test]
fn loom_finds_a_budget_that_is_looked_at_before_it_is_spent() {
    is_found_by("the_budget_is_spent_once");
}

/// What is put in while it is taken out is not lost.
#[test]
fn what_a_call_puts_in_is_there_for_the_next() {
    loom::model(|| {
        let hedge: Shared<Loom<Still>, After> =
            Box::leak(Box::new(Hedge::with_clock(Still, After::new(Duration::MAX)).budget(percent(50)).burst(1)));
        let other = loom::thread::spawn(move || call(hedge, 0));
        assert_eq!(call(hedge, 1), 2);
        assert_eq!(other.join().unwrap(), 1);
        // The hedge was taken from a full budget; the other call has put half of one in, before or after.
        let before_or_after = [call(hedge, 0), call(hedge, 1)];
        assert_eq!(before_or_after, [1, 2]);
    });
}

#[test]
fn many_threads_hedge() {
    let world = || {
        let hedge = hedge::<Shuttle<Still>, _>(Percentile::new(percent(90)).min_samples(1), 3, 4);
        let calls = |failures: [u32; 4]| move || failures.map(|failures| call(hedge, failures) - 1).iter().sum::<u32>();
        let threads = [[0, 1, 2, 0], [3, 0, 1, 1], [0, 0, 2, 4]].map(|failures| shuttle::thread::spawn(calls(failures)));
        let hedges: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        let now = hedge.snapshot();
        assert_eq!((now.calls, now.hedges), (12, u64::from(hedges)));
        // A tenth of twelve calls is one more at most.
        assert!((4..=5).contains(&hedges), "{hedges}");
    };
    shuttle::check_random(world, 500);
}
