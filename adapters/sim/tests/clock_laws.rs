//! The laws of `Clock` and `Sleep`, on both clocks.
#![cfg(feature = "std")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use aplomb::{Clock, Instant, Sleep};
use aplomb_sim::{ManualClock, SimClock, World};

#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn taken(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

fn waker() -> (Arc<Wakes>, Waker) {
    let count = Arc::new(Wakes::default());
    (Arc::clone(&count), Waker::from(count))
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

fn is_ready<S: Sleep>(sleep: Pin<&mut S>, waker: &Waker) -> bool {
    sleep.poll(&mut Context::from_waker(waker)) == Poll::Ready(())
}

/// Plays all laws on a clock that `set` moves; due sleeps are woken by it.
fn laws<C: Clock>(clock: &C, set: impl Fn(Instant)) {
    let (count, waker) = waker();

    // Never early, and woken once.
    set(at(100));
    let mut sleep = pin!(clock.sleep_until(at(200)));
    assert!(!is_ready(sleep.as_mut(), &waker));
    set(at(199));
    assert_eq!(count.taken(), 0);
    assert!(!is_ready(sleep.as_mut(), &waker));
    set(at(200));
    assert_eq!(count.taken(), 1);
    assert!(is_ready(sleep.as_mut(), &waker));

    // Reset after it was ready: later, to the past, to the same.
    sleep.as_mut().reset(at(300));
    assert!(!is_ready(sleep.as_mut(), &waker));
    sleep.as_mut().reset(at(150));
    assert!(is_ready(sleep.as_mut(), &waker));
    sleep.as_mut().reset(at(150));
    assert!(is_ready(sleep.as_mut(), &waker));
    set(at(300));
    assert_eq!(count.taken(), 0, "the timer for 300 was given up");

    // Reset while pending: earlier, later, the same; before the first poll.
    let mut sleep = pin!(clock.sleep_until(at(400)));
    sleep.as_mut().reset(at(500));
    assert!(!is_ready(sleep.as_mut(), &waker));
    sleep.as_mut().reset(at(450));
    assert!(!is_ready(sleep.as_mut(), &waker));
    sleep.as_mut().reset(at(450));
    set(at(450));
    assert_eq!(count.taken(), 1);
    assert!(is_ready(sleep.as_mut(), &waker));

    // The waker of the last poll counts.
    let (others, other) = self::waker();
    sleep.as_mut().reset(at(600));
    assert!(!is_ready(sleep.as_mut(), &waker));
    assert!(!is_ready(sleep.as_mut(), &other));
    set(at(600));
    assert_eq!((count.taken(), others.taken()), (0, 1));

    // Woken, not polled, and the clock set back: it waits again.
    set(at(550));
    assert!(!is_ready(sleep.as_mut(), &waker));
    set(at(600));
    assert_eq!(count.taken(), 1);
    assert!(is_ready(sleep.as_mut(), &waker));

    // The past and the present are ready at once, never is never.
    assert!(is_ready(pin!(clock.sleep_until(at(1))), &waker));
    assert!(is_ready(pin!(clock.sleep_until(at(600))), &waker));
    let mut never = pin!(clock.sleep_until(at(700)));
    never.as_mut().reset(Instant::MAX);
    assert!(!is_ready(never.as_mut(), &waker));
    set(Instant::MAX);
    assert!(!is_ready(never.as_mut(), &waker));
    assert_eq!(count.taken(), 0);

    // Dropped: cancelled.
    set(at(700));
    {
        let mut sleep = pin!(clock.sleep_until(at(800)));
        assert!(!is_ready(sleep.as_mut(), &waker));
    }
    set(at(800));
    assert_eq!(count.taken(), 0);
}

#[test]
fn the_manual_clock_keeps_the_laws() {
    let clock = ManualClock::<4>::new();
    laws(&&clock, |at| clock.set(at));
    assert_eq!((clock.pending(), clock.overflows()), (0, 0));
}

#[test]
fn the_simulated_clock_keeps_the_laws() {
    let world = World::new();
    world.enter(|| {
        laws(&SimClock, |at| {
            world.set_clock(at);
            world.settle().unwrap();
        });
    });
    assert_eq!(world.next_timer(), None);
}

#[test]
fn sleeps_beyond_the_capacity_are_not_lost() {
    let clock = ManualClock::<2>::new();
    let (count, waker) = waker();
    let mut sleeps: Vec<_> = [30, 20, 10].into_iter().map(|nanos| Box::pin((&clock).sleep_until(at(nanos)))).collect();
    assert!(!is_ready(sleeps[0].as_mut(), &waker));
    assert!(!is_ready(sleeps[1].as_mut(), &waker));
    assert_eq!(count.taken(), 0);

    // The earliest take the places; who has lost one is woken at once, and again when it asks.
    assert!(!is_ready(sleeps[2].as_mut(), &waker));
    assert_eq!((count.taken(), clock.overflows()), (1, 1));
    assert!(!is_ready(sleeps[0].as_mut(), &waker));
    assert_eq!((count.taken(), clock.overflows()), (1, 2));
    assert_eq!(clock.next_deadline(), Some(at(10)));

    assert_eq!(clock.advance_to_next(), Some(at(10)));
    assert!(is_ready(sleeps[2].as_mut(), &waker));
    count.taken();
    assert!(!is_ready(sleeps[0].as_mut(), &waker));
    assert_eq!((count.taken(), clock.pending()), (0, 2), "there is room now");
    assert_eq!(clock.advance_to_next(), Some(at(20)));
    assert_eq!(clock.advance_to_next(), Some(at(30)));
    assert_eq!(clock.advance_to_next(), None);
    assert_eq!(count.taken(), 2);
}

#[test]
fn a_manual_clock_without_places_still_works() {
    let clock = ManualClock::<0>::new();
    let (count, waker) = waker();
    let mut sleep = pin!((&clock).sleep_until(at(10)));
    assert!(!is_ready(sleep.as_mut(), &waker));
    assert_eq!(count.taken(), 1);
    clock.advance(Duration::from_nanos(10));
    assert!(is_ready(sleep.as_mut(), &waker));
}

#[test]
fn a_manual_clock_wakes_in_order_of_instant_and_registration() {
    struct Named(&'static str, std::sync::Mutex<std::sync::mpsc::Sender<&'static str>>);
    impl Wake for Named {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().send(self.0).unwrap();
        }
    }

    let clock = ManualClock::<4>::new();
    let (sender, order) = std::sync::mpsc::channel();
    let mut sleeps = Vec::new();
    for (name, nanos) in [("late", 9), ("first", 5), ("second", 5), ("later", 10)] {
        let waker = Waker::from(Arc::new(Named(name, sender.clone().into())));
        let mut sleep = Box::pin((&clock).sleep_until(at(nanos)));
        assert!(!is_ready(sleep.as_mut(), &waker));
        sleeps.push(sleep);
    }
    clock.advance(Duration::from_nanos(9));
    drop(sleeps);
    assert_eq!(order.try_iter().collect::<Vec<_>>(), ["first", "second", "late"]);
}

#[test]
fn a_place_costs_what_its_docs_say() {
    let clock = |places: usize| match places {
        0 => size_of::<ManualClock<0>>(),
        _ => size_of::<ManualClock<1>>(),
    };
    assert_eq!(clock(1) - clock(0), if cfg!(target_pointer_width = "64") { 32 } else { 24 });
}
