//! What the device does, on whatever board: its patterns, and the tasks that use them.
//!
//! Every pattern lies in a `static` or in the task that uses it, and none allocates.

use core::convert::Infallible;
use core::mem::forget;
use core::sync::atomic::{AtomicI32, Ordering};

use aplomb_embassy::circuit_breaker::AnyError;
use aplomb_embassy::level::{Button, Gesture, Gestures, LevelDebouncer};
use aplomb_embassy::prelude::*;
use embassy_executor::Spawner;
use embassy_time::Timer;

use crate::button::ButtonPin;
use crate::console::tell;
use crate::modem::signal;
use crate::uart::Uart;
use crate::watch::Watch;

/// Each command has three attempts of 200 ms.
static RETRY: Retry<Exponential, Watch> = checked!(
    Retry::new()
        .backoff(Exponential::from(ms(50)).max(ms(400)).jitter(Jitter::Equal))
        .attempt_timeout(ms(200))
        .rules(Watch("retry"))
);

/// A modem that is gone is left alone for 1.5 s, after two commands that came to nothing.
static MODEM: CircuitBreaker<Consecutive, Constant, AnyError, Inline<0>, Watch> =
    checked!(CircuitBreaker::consecutive(2).storage().open_for(ms(1_500)).observed_by(Watch("breaker")));

/// A sensor that is stuck is not listened to for a while.
static SENSOR: CircuitBreaker<Consecutive, Constant, AnyError, Inline<0>, Watch> =
    checked!(CircuitBreaker::consecutive(3).storage().open_for(ms(80)).observed_by(Watch("sensor")));

/// No such temperature can be.
struct Stuck;

/// What the sensor has measured. A throttle drops what a newer value takes the place of, and so it is counted, just then.
struct Reading(i32);

impl Reading {
    /// It is used, and no newer one can take its place.
    fn raw(self) -> i32 {
        let Self(raw) = self;
        forget(self);
        raw
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        SUPERSEDED.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the sensor measures, triggered by its interrupt; taken at most every 100 ms, and the newest value then.
static READINGS: Throttle<Trigger<Reading>> = checked!(Throttle::triggered(ms(100)));

/// Three reports at once, and then two a second: the air is shared.
static AIRTIME: RateLimiter<TokenBucket, Inline<16>, Watch> =
    checked!(RateLimiter::with_burst(Rate::per_second(2), 3).observed_by(Watch("airtime")));

/// The sensor's offset, which lies in a slow memory, and drifts.
static OFFSET: Cache<u8, i32, Infallible, Inline<1>, FoldHash, Inline<1>, 1, Watch> =
    checked!(Cache::new().storage().flight_storage().ttl(secs(2)).observed_by(Watch("offset")));

static GESTURES: Gestures = checked!(Gestures::new(LevelDebouncer::new(ms(20))).long_press(ms(600)));

/// How many values a newer one has taken the place of.
static SUPERSEDED: AtomicI32 = AtomicI32::new(0);

/// How often the button was pressed.
static PRESSES: AtomicI32 = AtomicI32::new(0);

/// Starts it, at that port and that pin.
pub fn start(spawner: Spawner, uart: Uart, pin: ButtonPin) {
    // Each has a place for itself, and is started once.
    if let (Ok(talk), Ok(count), Ok(report)) = (talk(uart), count(pin), report()) {
        spawner.spawn(talk);
        spawner.spawn(count);
        spawner.spawn(report);
    }
}

/// What the sensor has measured, from its interrupt: patterns are told by one as by anybody else, since behind their lock is a critical section.
pub fn measured(raw: i32) {
    let Ok(permit) = SENSOR.permit() else { return };
    let measured = if (2_030..2_033).contains(&raw) { Err(Stuck) } else { Ok(raw) };
    permit.record(&measured);
    if let Ok(raw) = measured {
        READINGS.trigger(Reading(raw));
    }
}

/// Asks the modem how well it hears.
#[embassy_executor::task]
async fn talk(mut uart: Uart) {
    loop {
        let command = async || RETRY.run_mut(async || signal(&mut uart).await).await;
        match MODEM.run(command).await {
            Ok(Some(signal)) => tell("signal", signal),
            Ok(None) => tell("signal", "not known"),
            Err(error) => tell("signal", format_args!("no answer: {error}")),
        }
        Timer::after_millis(250).await;
    }
}

/// Counts presses; a long one begins anew.
#[embassy_executor::task]
async fn count(pin: ButtonPin) {
    // By then the pull-up has charged the line.
    Timer::after_millis(200).await;
    tell("button", "ready");
    let mut button = Button::new(pin, GESTURES).active_low();
    loop {
        match button.gesture().await {
            Ok(Gesture::Press) => tell("button", format_args!("pressed, {}", PRESSES.fetch_add(1, Ordering::Relaxed) + 1)),
            Ok(Gesture::LongPress) => {
                PRESSES.store(0, Ordering::Relaxed);
                tell("button", "held, 0");
            }
            Ok(Gesture::Release) => tell("button", "released"),
            _ => {}
        }
    }
}

/// Reports the newest measurement as often as it may.
#[embassy_executor::task]
async fn report() {
    while let Ok(reading) = READINGS.next().await {
        let raw = reading.raw();
        tell("readings", format_args!("{} superseded", SUPERSEDED.swap(0, Ordering::Relaxed)));
        let report = async || {
            let offset = OFFSET.get(&0, read_offset).await.unwrap_or_default();
            tell("report", format_args!("{} mK, {} presses", raw - offset, PRESSES.load(Ordering::Relaxed)));
            Ok::<_, Infallible>(())
        };
        if let Err(error) = AIRTIME.run(report).await {
            tell("report", error);
        }
    }
}

async fn read_offset() -> Result<i32, Infallible> {
    Timer::after_millis(30).await;
    Ok(150)
}
