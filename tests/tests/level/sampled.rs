//! What a button tells is what its machine tells that is sampled each millisecond.

use std::convert::Infallible;
use std::iter;
use std::sync::Arc;

use aplomb::level::{Button, Gesture, Gestures, LevelDebouncer};
use aplomb::time::ms;
use aplomb::{Clock, Instant};
use aplomb_embassy::EmbassyClock;
use aplomb_sim::{Explore, SimClock, block_on};
use aplomb_tokio::TokioClock;
use embedded_hal::digital::{ErrorType, InputPin};
use embedded_hal_async::digital::Wait;
use futures_lite::future::or;

use crate::{Life, dropped_after};

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

/// Without `ties` only what happens at instants of its own: a timer that is a tick late does not meet another.
fn agrees(ties: bool, told: impl Fn(Gestures, Arc<[u64]>) -> Vec<(u64, Gesture)>) {
    let mut kinds = [0; 5];
    for seed in 0..600 {
        let (machine, changes) = drawn(&mut fastrand::Rng::with_seed(seed));
        let expected = sampled(machine, &changes);
        if !ties && expected.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            continue;
        }
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
    agrees(true, |machine, changes| block_on(told(SimClock, machine, changes, || Life::WHOLE)));
}

#[test]
fn on_tokio() {
    agrees(true, |machine, changes| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(told(TokioClock, machine, changes, || Life::WHOLE))
    });
}

#[test]
fn on_embassy() {
    agrees(false, |machine, changes| embassy_host::block_on(told(EmbassyClock, machine, changes, || Life::WHOLE)));
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
