//! Pins that bounce, fail or contradict themselves, and calls that are dropped.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use aplomb::level::{Button, Contact, Edge, Gesture, GestureError, Gestures, LevelDebouncer};
use aplomb::time::ms;
use aplomb::{Clock, ConfigError, Instant};
use aplomb_embassy::EmbassyClock;
use aplomb_sim::{Sim, SimClock, SimSleep, block_on, now, sleep, spawn};
use embedded_hal::digital::ErrorKind;
use embedded_hal_async::digital::Wait;
use futures_lite::future::or;

use crate::wire::Wire;
use crate::{Life, dropped_after};

fn contact(wire: &Wire, hold: u64) -> Contact<SimClock, Wire> {
    Contact::with_clock(SimClock, wire.clone(), LevelDebouncer::new(ms(hold)))
}

/// Sets a wire at these milliseconds, from another task: several times within one poll of whoever waits for it.
fn play(wire: &Wire, script: &'static [(u64, &'static [bool])]) {
    let wire = wire.clone();
    spawn("wire", async move {
        for (at, levels) in script {
            aplomb_sim::sleep_until(Instant::ORIGIN + ms(*at)).await;
            levels.iter().for_each(|level| wire.set(*level));
        }
    });
}

#[track_caller]
fn assert_at(millis: u64) {
    assert_eq!(now(), Instant::ORIGIN + ms(millis));
}

#[test]
fn a_level_that_is_back_when_its_task_runs_has_bounced() {
    block_on(async {
        let wire = Wire::default();
        play(&wire, &[(0, &[true]), (10, &[false, true]), (50, &[false, true])]);
        let mut contact = contact(&wire, 20);
        assert_eq!(contact.edge().await, Ok(Edge::Rise));
        assert_at(30);
        let quiet = async { sleep(ms(500)).await };
        or(async { panic!("{:?}", contact.edge().await) }, quiet).await;
        assert!(contact.level());
    });
}

#[test]
fn after_its_end_it_is_pending_for_ever() {
    async fn check(future: impl Future<Output: std::fmt::Debug>) {
        let mut future = pin!(future);
        future.as_mut().await;
        poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    block_on(async {
        let wire = Wire::default();
        wire.set(true);
        check(contact(&wire, 0).edge()).await;
        check(Button::with_clock(SimClock, wire, Gestures::new(LevelDebouncer::new(ms(0)))).gesture()).await;
    });
}

#[test]
fn without_a_hold_time_a_pulse_has_both_its_edges() {
    block_on(async {
        let wire = Wire::default();
        play(&wire, &[(10, &[true, false])]);
        let mut contact = contact(&wire, 0);
        assert_eq!(contact.edge().await, Ok(Edge::Rise));
        assert_eq!(contact.edge().await, Ok(Edge::Fall));
        assert_at(10);
    });
}

#[test]
fn a_level_that_changed_between_two_calls_is_found_by_the_second() {
    block_on(async {
        let wire = Wire::default();
        wire.set(true);
        let mut contact = contact(&wire, 20);
        assert_eq!(contact.edge().await, Ok(Edge::Rise));
        wire.set(false);
        sleep(ms(100)).await;
        assert!(contact.level());
        assert_eq!(contact.edge().await, Ok(Edge::Fall));
        assert_at(140);
    });
}

#[test]
fn a_hold_that_began_in_a_call_that_was_dropped_goes_on() {
    block_on(async {
        let wire = Wire::default();
        wire.set(true);
        let mut contact = contact(&wire, 20);
        assert_eq!(dropped_after(Life { polls: 1, woken: false }, contact.edge()).await, None);
        sleep(ms(15)).await;
        assert_eq!(contact.edge().await, Ok(Edge::Rise));
        assert_at(20);
    });
}

#[test]
fn a_pin_that_changed_comes_before_a_hold_that_is_over_at_the_same_poll() {
    block_on(async {
        let wire = Wire::default();
        wire.set(true);
        let mut contact = contact(&wire, 20);
        let mut edge = pin!(contact.edge());
        assert!(poll_fn(|cx| Poll::Ready(edge.as_mut().poll(cx).is_pending())).await);
        sleep(ms(20)).await;
        wire.set(false);
        wire.set(true);
        assert_eq!(edge.await, Ok(Edge::Rise));
        assert_at(40);
    });
}

/// A clock that is coarser than its timers.
#[derive(Clone)]
struct Coarse;

impl Clock for Coarse {
    type Sleep = SimSleep;

    fn now(&self) -> Instant {
        Instant::from_nanos(now().as_nanos() / 10_000_000 * 10_000_000)
    }

    fn sleep_until(&self, at: Instant) -> SimSleep {
        SimClock.sleep_until(at)
    }
}

#[test]
fn a_hold_is_over_with_its_timer_whatever_the_clock_says() {
    block_on(async {
        let wire = Wire::default();
        wire.set(true);
        let mut contact = Contact::with_clock(Coarse, wire, LevelDebouncer::new(ms(15)));
        assert_eq!(contact.edge().await, Ok(Edge::Rise));
        assert_at(15);
    });
}

#[test]
fn what_was_due_with_a_gesture_is_told_though_the_pin_has_changed_since() {
    block_on(async {
        let wire = Wire::default();
        let gestures = Gestures::new(LevelDebouncer::new(ms(0))).long_press(ms(30));
        let mut button = Button::with_clock(SimClock, wire.clone(), gestures);
        play(&wire, &[(10, &[true]), (20, &[false]), (270, &[true])]);
        for gesture in [Gesture::Press, Gesture::Release, Gesture::Presses { count: 1 }] {
            assert_eq!(button.gesture().await, Ok(gesture));
        }
        assert_at(270);
        wire.set(false);
        sleep(ms(100)).await;
        for gesture in [Gesture::Press, Gesture::LongPress, Gesture::Release] {
            assert_eq!(button.gesture().await, Ok(gesture));
        }
        assert_at(370);
    });
}

#[test]
fn low_may_be_active() {
    block_on(async {
        let wire = Wire::default();
        wire.set(true);
        play(&wire, &[(10, &[false]), (40, &[true])]);
        let mut button = Button::with_clock(SimClock, wire, Gestures::new(LevelDebouncer::new(ms(5)))).active_low();
        assert_eq!(button.gesture().await, Ok(Gesture::Press));
        assert!(button.is_pressed());
        assert_at(15);
        assert_eq!(button.gesture().await, Ok(Gesture::Release));
        assert!(!button.is_pressed());
        assert_at(45);
        assert!(button.release().0.level.get());
    });
}

#[test]
fn errors_of_the_pin_are_handed_on_and_it_can_be_asked_again() {
    block_on(async {
        let wire = Wire::default();
        wire.fail(true);
        let mut contact = contact(&wire, 20);
        assert_eq!(contact.edge().await, Err(ErrorKind::Other));
        wire.fail(false);
        play(&wire, &[(10, &[true])]);
        let failing = wire.clone();
        spawn("cable", async move {
            sleep(ms(15)).await;
            failing.fail(true);
        });
        assert_eq!(contact.edge().await, Err(ErrorKind::Other));
        assert_at(15);
        wire.fail(false);
        assert_eq!(contact.edge().await, Ok(Edge::Rise));
        assert_at(30);

        wire.fail(true);
        let mut button = Button::with_clock(SimClock, wire, Gestures::new(LevelDebouncer::new(ms(5))));
        assert_eq!(button.gesture().await, Err(GestureError::Pin(ErrorKind::Other)));
    });
}

#[test]
fn gestures_that_make_no_sense_are_refused_before_the_pin_is_read() {
    let wire = Wire::default();
    let gestures = Gestures::new(LevelDebouncer::new(ms(5))).repeat_every(ms(0));
    let mut button = Button::with_clock(SimClock, wire.clone(), gestures);
    let refused = block_on(button.gesture()).unwrap_err();
    assert_eq!(refused, GestureError::Config(ConfigError::RepeatEvery { value: ms(0) }));
    assert_eq!(refused.to_string(), "repeat_every is 0ns, must be longer than zero");
    assert_eq!(wire.0.reads.get(), 0);
}

#[test]
fn a_pin_that_contradicts_itself_lets_others_have_their_turn() {
    block_on(async {
        let wire = Wire::default();
        wire.0.lies.set(true);
        let honest = wire.clone();
        spawn("repair", async move {
            for _ in 0..10 {
                Sim.yield_now().await;
            }
            honest.0.lies.set(false);
            honest.set(true);
        });
        assert_eq!(contact(&wire, 20).edge().await, Ok(Edge::Rise));
        assert_at(20);
    });
}

#[test]
fn sizes() {
    let contact = Contact::with_clock(EmbassyClock, (), LevelDebouncer::new(ms(20)));
    let button = Button::with_clock(EmbassyClock, (), Gestures::new(LevelDebouncer::new(ms(20))));
    assert_eq!((size_of_val(&contact), size_of_val(&button)), (56, 112));

    let mut button = Button::with_clock(EmbassyClock, Wire::default(), Gestures::new(LevelDebouncer::new(ms(20))));
    let (gesture, pin) = (size_of_val(&button.gesture()), size_of_val(&Wire::default().wait_for_high()));
    println!("a gesture on embassy: {gesture} bytes, {pin} of them the pin's");
    assert!(gesture <= pin + 192, "{gesture} bytes, {pin} of them the pin's");
}
