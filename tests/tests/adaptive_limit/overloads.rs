//! Signs of overload: those that have nothing to do with load, on a service that has no queue at all however many call, and those of a service that turns away what is too much.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

use aplomb::adaptive_limit::{Aimd, Algorithm, Gradient, Vegas};
use aplomb::ratio::percent;
use aplomb::time::{ms, secs};
use aplomb::{AdaptiveLimit, Instant};
use aplomb_sim::{Sim, SimClock, block_on, now, sleep, spawn};

const CALLERS: u32 = 60;
const TIME: Duration = secs(20);

/// What came of it.
struct Played {
    /// How many calls have ended well.
    done: u32,
    /// The limit, every tenth of a second.
    limits: Vec<u32>,
}

impl Played {
    fn report(&self) -> String {
        let mut report = format!("{} calls, limits:", self.done);
        self.limits.iter().for_each(|limit| write!(report, " {limit}").unwrap());
        report
    }

    /// Hardly anybody is held up, and the limit is that of one whose calls all end well.
    fn check(&self, takes: Duration, what: &str) {
        let all = f64::from(CALLERS) * TIME.div_duration_f64(takes);
        assert!(f64::from(self.done) >= 0.9 * all, "{what}: of {all}, {}", self.report());
    }
}

/// Each calls again as soon as a call has ended. `is_overload` says of which it is a sign, told how many are under way.
fn play<A>(limit: AdaptiveLimit<Sim, A>, takes: Duration, is_overload: impl FnMut(u32) -> bool + 'static) -> Played
where
    A: Algorithm + 'static,
{
    block_on(async {
        let (limit, done) = (Rc::new(limit), Rc::new(Cell::new(0)));
        let is_overload = Rc::new(RefCell::new(is_overload));
        for caller in 0..CALLERS {
            let (limit, done, is_overload) = (Rc::clone(&limit), Rc::clone(&done), Rc::clone(&is_overload));
            spawn("caller", async move {
                sleep(takes * caller / CALLERS).await;
                loop {
                    let permit = limit.acquire().await.unwrap();
                    sleep(takes).await;
                    if is_overload.borrow_mut()(limit.snapshot().in_flight) {
                        permit.overload();
                    } else {
                        permit.success();
                        done.set(done.get() + 1);
                    }
                }
            });
        }
        let mut limits = Vec::new();
        while now() < Instant::ORIGIN + TIME {
            sleep(ms(100)).await;
            limits.push(limit.limit());
        }
        Played { done: done.get(), limits }
    })
}

/// So many of a hundred calls, at random.
fn share(of_hundred: u32) -> impl FnMut(u32) -> bool {
    let mut random = fastrand::Rng::with_seed(3);
    move |_| random.u32(..100) < of_hundred
}

fn limit<A: Algorithm>(algorithm: A) -> AdaptiveLimit<Sim, A> {
    AdaptiveLimit::with_clock(SimClock, algorithm).initial_limit(40)
}

#[test]
fn a_small_share_that_has_nothing_to_do_with_load_strangles_nothing() {
    fn check<A: Algorithm + Copy + 'static>(algorithm: A) {
        for takes in [ms(20), ms(100)] {
            for of_hundred in [1, 3] {
                play(limit(algorithm), takes, share(of_hundred)).check(takes, &format!("{of_hundred} % of {takes:?}"));
            }
        }
        let tolerant = limit(algorithm).overload_tolerance(percent(20));
        play(tolerant, ms(20), share(10)).check(ms(24), "10 % are tolerated");
    }
    check(Gradient::new());
    check(Vegas::new());
    check(Aimd::new(secs(1)));
}

/// The service turns away what is more than it can do.
#[test]
fn who_is_turned_away_makes_it_give_way_at_once() {
    fn check<A: Algorithm + 'static>(algorithm: A) {
        let played = play(limit(algorithm).initial_limit(60), ms(20), |in_flight| in_flight > 20);
        let (first, settled) = played.limits.split_at(30);
        assert!(first.iter().any(|limit| *limit <= 24), "within three seconds: {}", played.report());
        assert!(settled.iter().all(|limit| (8..=30).contains(limit)), "{}", played.report());
    }
    check(Gradient::new());
    check(Vegas::new());
    check(Aimd::new(secs(1)));
}

/// Again and again in the middle of a probe.
#[test]
fn an_overload_that_interrupts_a_probe_costs_hardly_more_than_without_one() {
    fn played<A: Algorithm + 'static>(algorithm: A, period: Duration) -> Played {
        let mut due = Instant::ORIGIN + period;
        let every = move |_| {
            let is_due = now() >= due;
            due = if is_due { due + period } else { due };
            is_due
        };
        play(limit(algorithm).overload_tolerance(percent(0)), ms(20), every)
    }
    for period in [200, 250, 300, 350, 400].map(ms) {
        let [never, gradient, vegas] =
            [played(Aimd::new(secs(1)), period), played(Gradient::new(), period), played(Vegas::new(), period)];
        for probes in [gradient, vegas] {
            assert!(probes.done >= never.done / 5 * 4, "every {period:?}: {}, and {}", probes.report(), never.report());
        }
    }
}
