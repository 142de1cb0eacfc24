//! Contacts and buttons at pins: beside their machine sampled each millisecond, dropped at any point, and at pins that behave badly.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::iter;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use aplomb::level::{Button, Contact, Edge, Gesture, GestureError, Gestures, LevelDebouncer};
use aplomb::time::ms;
use aplomb::{Clock, ConfigError, Instant};
use aplomb_embassy::EmbassyClock;
use aplomb_sim::{Explore, Sim, SimClock, SimSleep, block_on, now, sleep, spawn};
use aplomb_tokio::TokioClock;
use embedded_hal::digital::{ErrorKind, ErrorType, InputPin};
use embedded_hal_async::digital::Wait;
use futures_lite::future::or;

/// How long a played pin is listened to, in milliseconds.
const LENGTH: u64 = 400;

/// A pin whose level follows from the time: it is low, and changes at these milliseconds.
#[derive(Clone)]
struct Played<C> {
    clock: C,
    origin: Instant,
    changes: Arc<[u64]>,
}

impl<C: Clock> Played<C> {
    fn new(clock: C, changes: Arc<[u64]>) -> Self {
        let origin = clock.now();
        Self { clock, origin, changes }
    }

    fn passed(&self) -> usize {
        let now = self.clock.now();
        self.changes.partition_point(|change| self.origin + ms(*change) <= now)
    }

    async fn wait_for(&self, level: bool) -> Result<(), Infallible> {
        let passed = self.passed();
        if is_odd(passed) != level {
            match self.changes.get(passed) {
                Some(change) => self.clock.sleep_until(self.origin + ms(*change)).await,
                None => std::future::pending().await,
            }
        }
        Ok(())
    }
}

fn is_odd(number: usize) -> bool {
    number % 2 == 1
}

impl<C> ErrorType for Played<C> {
    type Error = Infallible;
}

impl<C: Clock> InputPin for Played<C> {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(is_odd(self.passed()))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!is_odd(self.passed()))
    }
}

/// Levels are all that a contact waits for.
macro_rules! no_edges {
    () => {
        async fn wait_for_rising_edge(&mut self) -> Result<(), Self::Error> {
            unimplemented!()
        }

        async fn wait_for_falling_edge(&mut self) -> Result<(), Self::Error> {
            unimplemented!()
        }

        async fn wait_for_any_edge(&mut self) -> Result<(), Self::Error> {
            unimplemented!()
        }
    };
}

impl<C: Clock> Wait for Played<C> {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        self.wait_for(true).await
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        self.wait_for(false).await
    }

    no_edges!();
}

/// A button that bounces, and is pressed in all ways.
fn drawn(random: &mut fastrand::Rng) -> (Gestures, Arc<[u64]>) {
    let mut duration = |below| ms(random.u64(0..below));
    let gestures = Gestures::new(LevelDebouncer::new(duration(8)).fall(duration(8)))
        .long_press(duration(40))
        .multi_press_gap(duration(30))
        .repeat_after(duration(50))
        .repeat_every(duration(12) + ms(1));
    let mut at = 0;
    let changes = iter::from_fn(|| {
        at += if random.bool() { random.u64(1..4) } else { random.u64(4..60) };
        (at < LENGTH).then_some(at)
    });
    (gestures, changes.collect())
}

/// The machine, told the level each millisecond.
fn sampled(mut machine: Gestures, changes: &[u64]) -> Vec<(u64, Gesture)> {
    let mut all = Vec::new();
    for at in 0..LENGTH {
        let level = is_odd(changes.partition_point(|change| *change <= at));
        while let Some(gesture) = machine.sample(Instant::ORIGIN + ms(at), level).unwrap() {
            all.push((at, gesture));
        }
    }
    all
}

/// How long a future lives.
#[derive(Clone, Copy)]
struct Life {
    polls: u64,
    /// It is dropped when it has been woken again, and never gets to know; else at once.
    woken: bool,
}

impl Life {
    const WHOLE: Self = Self { polls: u64::MAX, woken: false };
}

/// Drops a future before its end; `None` says so.
async fn dropped_after<F: Future>(life: Life, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|cx| {
        if polls == life.polls {
            return Poll::Ready(None);
        }
        polls += 1;
        match future.as_mut().poll(cx) {
            Poll::Pending if polls == life.polls && !life.woken => Poll::Ready(None),
            poll => poll.map(Some),
        }
    })
    .await
}

/// What a button at a played pin tells, if its futures live so long.
async fn told<C: Clock>(clock: C, machine: Gestures, changes: Arc<[u64]>, mut life: impl FnMut() -> Life) -> Vec<(u64, Gesture)> {
    let pin = Played::new(clock.clone(), changes);
    let origin = pin.origin;
    let mut button = Button::with_clock(clock.clone(), pin, machine);
    let mut all = Vec::new();
    let listening = async {
        loop {
            if let Some(gesture) = dropped_after(life(), button.gesture()).await {
                let at = u64::try_from((clock.now() - origin).as_millis()).unwrap();
                all.push((at, gesture.unwrap()));
            }
        }
    };
    or(clock.sleep_until(origin + ms(LENGTH)), listening).await;
    all
}

fn agrees(told: impl Fn(Gestures, Arc<[u64]>) -> Vec<(u64, Gesture)>) {
    let mut kinds = [0; 5];
    for seed in 0..200 {
        let (machine, changes) = drawn(&mut fastrand::Rng::with_seed(seed));
        let expected = sampled(machine, &changes);
        for (_, gesture) in &expected {
            kinds[match gesture {
                Gesture::Press => 0,
                Gesture::Release => 1,
                Gesture::LongPress => 2,
                Gesture::Repeat => 3,
                _ => 4,
            }] += 1;
        }
        assert_eq!(
            told(machine, Arc::clone(&changes)),
            expected,
            "seed {seed}: {machine:?} at a pin that changes at {changes:?}"
        );
    }
    assert!(kinds.iter().all(|times| *times > 100), "{kinds:?}");
}

#[test]
fn tells_what_a_sample_each_millisecond_tells() {
    agrees(|machine, changes| block_on(told(SimClock, machine, changes, || Life::WHOLE)));
}

#[test]
fn on_tokio() {
    agrees(|machine, changes| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(told(TokioClock, machine, changes, || Life::WHOLE))
    });
}

#[test]
fn on_embassy() {
    agrees(|machine, changes| embassy_host::block_on(told(EmbassyClock, machine, changes, || Life::WHOLE)));
}

#[test]
fn futures_that_are_dropped_at_any_point_lose_nothing_and_tell_nothing_twice() {
    Explore::new().seeds(0..1_000).run(|sim| async move {
        let (machine, changes) = drawn(&mut fastrand::Rng::with_seed(sim.choose(1_000_000)));
        let life = || match sim.choose(6) {
            0 => Life::WHOLE,
            polls => Life { polls: polls - 1, woken: sim.choose(2) == 1 },
        };
        let told = told(SimClock, machine, Arc::clone(&changes), life).await;
        assert_eq!(told, sampled(machine, &changes), "{machine:?} at a pin that changes at {changes:?}");
    });
}

#[test]
fn a_task_that_is_spawned_waits_for_a_button() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let first = runtime.block_on(async {
        let pin = Played::new(TokioClock, Arc::from([1]));
        let mut button = aplomb_tokio::level::Button::new(pin, Gestures::new(LevelDebouncer::new(ms(1))));
        tokio::spawn(async move { button.gesture().await }).await.unwrap()
    });
    assert_eq!(first, Ok(Gesture::Press));
}

/// A pin that is moved by hand. Who waits for a level is told that it was there, even if it is gone again.
#[derive(Clone, Default)]
struct Wire(Rc<Inner>);

#[derive(Default)]
struct Inner {
    level: Cell<bool>,
    waiter: RefCell<Option<Waiter>>,
    reads: Cell<u32>,
    fails: Cell<bool>,
    /// Says of every level that it is there.
    lies: Cell<bool>,
}

struct Waiter {
    level: bool,
    met: bool,
    waker: Waker,
}

impl Wire {
    fn set(&self, level: bool) {
        self.0.level.set(level);
        if let Some(waiter) = self.0.waiter.borrow_mut().as_mut().filter(|waiter| waiter.level == level) {
            waiter.met = true;
            waiter.waker.wake_by_ref();
        }
    }

    fn fail(&self, fails: bool) {
        self.0.fails.set(fails);
        if let Some(waiter) = self.0.waiter.borrow().as_ref() {
            waiter.waker.wake_by_ref();
        }
    }
}

impl ErrorType for Wire {
    type Error = ErrorKind;
}

impl InputPin for Wire {
    fn is_high(&mut self) -> Result<bool, ErrorKind> {
        self.0.reads.set(self.0.reads.get() + 1);
        if self.0.fails.get() { Err(ErrorKind::Other) } else { Ok(self.0.level.get()) }
    }

    fn is_low(&mut self) -> Result<bool, ErrorKind> {
        self.is_high().map(|high| !high)
    }
}

struct Waiting<'a> {
    wire: &'a Inner,
    level: bool,
}

impl Future for Waiting<'_> {
    type Output = Result<(), ErrorKind>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.wire.fails.get() {
            return Poll::Ready(Err(ErrorKind::Other));
        }
        let mut waiter = self.wire.waiter.borrow_mut();
        let met = waiter.as_ref().is_some_and(|waiter| waiter.met);
        if met || self.wire.lies.get() || self.wire.level.get() == self.level {
            return Poll::Ready(Ok(()));
        }
        *waiter = Some(Waiter { level: self.level, met, waker: cx.waker().clone() });
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.wire.waiter.take();
    }
}

impl Wait for Wire {
    async fn wait_for_high(&mut self) -> Result<(), ErrorKind> {
        Waiting { wire: &self.0, level: true }.await
    }

    async fn wait_for_low(&mut self) -> Result<(), ErrorKind> {
        Waiting { wire: &self.0, level: false }.await
    }

    no_edges!();
}

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
