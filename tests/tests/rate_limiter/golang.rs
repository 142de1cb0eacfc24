//! The behaviours that the tests of Go's `golang.org/x/time/rate` fix, in numbers of our own: ten permits a second, instants in steps of a permit.

use aplomb::rate_limiter::{Rate, RateLimiter};
use aplomb::time::ms;
use aplomb::{Inline, Instant, ParentWaker, Platform};
use aplomb_sim::ManualClock;

struct ByHand;

impl Platform for ByHand {
    type Clock = &'static ManualClock<1>;
    type RawMutex = aplomb::sync::LocalRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Inline<4>;
    type Children = ParentWaker;

    fn random() -> u64 {
        0
    }
}

struct Table {
    clock: &'static ManualClock<1>,
    limiter: &'static RateLimiter<ByHand>,
}

type Reservation = aplomb::rate_limiter::Reservation<&'static RateLimiter<ByHand>>;

/// Where the steps begin.
fn step(at: u64) -> Instant {
    Instant::ORIGIN + ms(60_000 + 100 * at)
}

impl Table {
    fn new(burst: u32) -> Self {
        let clock: &'static ManualClock<1> = Box::leak(Box::new(ManualClock::new()));
        let bucket = aplomb::rate_limiter::TokenBucket::new(Rate::per_second(10)).burst(burst);
        clock.set(step(0));
        Self { clock, limiter: Box::leak(Box::new(RateLimiter::with_clock(clock, bucket))) }
    }

    /// Each row: at that step, so many are there or not.
    fn allows(&self, rows: &[(u64, u32, bool)]) {
        for (row, &(at, n, expected)) in rows.iter().enumerate() {
            self.clock.set(step(at));
            assert_eq!(self.limiter.try_acquire(n).is_ok(), expected, "row {row}: {n} at {at}");
        }
    }

    /// At that step, so many are reserved, for that step.
    fn reserve(&self, at: u64, n: u32, expected: u64) -> Reservation {
        self.clock.set(step(at));
        let reservation = self.limiter.reserve(n).unwrap();
        let expected = step(expected).max(step(at));
        assert_eq!(reservation.at(), expected, "{n} at {at}");
        reservation
    }

    /// As [`reserve`](Table::reserve), and kept until it is over.
    fn keep(&self, at: u64, n: u32, expected: u64) {
        std::mem::forget(self.reserve(at, n, expected));
    }

    fn cancel(&self, at: u64, reservation: Reservation) {
        self.clock.set(step(at));
        drop(reservation);
    }
}

#[test]
fn a_burst_of_one() {
    Table::new(1).allows(&[
        (0, 1, true),
        (0, 1, false),
        (0, 0, true),
        (1, 1, true),
        (1, 1, false),
        (2, 2, false),
        (2, 1, true),
        (2, 1, false),
        (9, 1, true),
        (9, 1, false),
    ]);
}

#[test]
fn a_burst_of_four() {
    Table::new(4).allows(&[
        (0, 3, true),
        (0, 2, false),
        (0, 1, true),
        (0, 1, false),
        (1, 5, false),
        (1, 1, true),
        (3, 2, true),
        (4, 1, true),
        (4, 1, false),
        (8, 4, true),
        (8, 0, true),
        (30, 4, true),
        (30, 1, false),
    ]);
}

/// As there, time that is run through twice fills the bucket twice.
#[test]
fn a_clock_that_jumps_back() {
    Table::new(3).allows(&[
        (1, 1, true),
        (0, 1, true),
        (0, 1, true),
        (0, 1, false),
        (1, 1, true),
        (1, 1, false),
        (2, 1, true),
        (2, 1, false),
    ]);
}

#[test]
fn reservations_follow_each_other() {
    let table = Table::new(3);
    table.keep(0, 3, 0);
    table.keep(0, 3, 3);
    table.keep(5, 3, 6);
    assert!(table.limiter.reserve(4).is_err(), "more than the burst");
    table.keep(20, 3, 20);
    table.keep(20, 1, 21);
}

#[test]
fn tries_and_reservations_share_the_bucket() {
    let table = Table::new(2);
    table.allows(&[(0, 1, true)]);
    table.keep(0, 2, 1);
    table.allows(&[(1, 1, false), (2, 1, true)]);
    table.keep(2, 2, 4);
}

#[test]
fn the_last_one_is_given_back_whole() {
    let table = Table::new(3);
    table.keep(0, 3, 0);
    let last = table.reserve(0, 3, 3);
    table.cancel(1, last);
    table.keep(1, 3, 3);
}

#[test]
fn what_has_come_is_not_given_back() {
    let table = Table::new(3);
    table.keep(0, 3, 0);
    let last = table.reserve(0, 2, 2);
    table.cancel(2, last);
    table.keep(2, 1, 3);
}

#[test]
fn less_what_later_ones_rest_on() {
    let table = Table::new(5);
    table.keep(0, 5, 0);
    let large = table.reserve(0, 4, 4);
    table.keep(0, 1, 5);
    table.cancel(1, large);
    // Three of the four.
    table.keep(1, 1, 3);
    table.keep(1, 2, 5);
}

#[test]
fn given_back_in_any_order() {
    let table = Table::new(3);
    table.keep(0, 3, 0);
    let [first, second, third] = [1, 2, 3].map(|n| table.reserve(0, 1, n));
    // Others of its size rest on the first; nothing on the last.
    table.cancel(0, first);
    table.cancel(0, third);
    table.cancel(0, second);
    table.keep(0, 1, 2);
}

#[test]
fn a_new_rate_keeps_what_is_there() {
    let table = Table::new(3);
    table.keep(0, 3, 0);
    let fast = aplomb::rate_limiter::TokenBucket::new(Rate::per_second(20)).burst(3);
    table.clock.set(step(1));
    table.limiter.set_rate(fast).unwrap();
    // One has dripped in, and two come in a step from now on.
    table.allows(&[(1, 1, true), (1, 1, false), (2, 2, true), (2, 1, false)]);
    table.clock.set(step(3));
    let larger = aplomb::rate_limiter::TokenBucket::new(Rate::per_second(20)).burst(9);
    table.limiter.set_rate(larger).unwrap();
    table.allows(&[(3, 3, false), (3, 2, true), (8, 9, true), (8, 1, false)]);
}
