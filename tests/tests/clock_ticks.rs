//! A clock that tells whole ticks, beside the time itself: what is to last, lasts, however far into a tick it began.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, IntoFuture, pending, poll_fn, ready};
use std::ops::Range;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aplomb::backoff::Constant;
use aplomb::edge::{EdgeStream, PaceStream, Stream, Trigger};
use aplomb::level::{Button, Contact, Edge, Gesture, Gestures, LevelDebouncer};
use aplomb::polling::Polling;
use aplomb::rate_limiter::{Rate, TokenBucket};
use aplomb::sync::LocalRawMutex;
use aplomb::time::ms;
use aplomb::{
    Ambient, Clock, Deadline, Debounce, Heap, Instant, ParentWaker, Platform, RateLimiter, Retry, Sleep, Throttle, Timeout,
};
use embedded_hal::digital::{ErrorType, InputPin};
use embedded_hal_async::digital::Wait;

const TICK: u64 = 10;

thread_local! {
    /// The time, in milliseconds.
    static TIME: Cell<u64> = const { Cell::new(0) };
}

#[derive(Clone, Copy)]
struct Ticking;

impl Ambient for Ticking {
    const CLOCK: Self = Self;
}

impl Clock for Ticking {
    type Sleep = Ticks;

    const RESOLUTION: Duration = ms(TICK);
    const TICK: Duration = ms(TICK);

    fn now(&self) -> Instant {
        Instant::ORIGIN + ms(TIME.get() / TICK * TICK)
    }

    fn sleep_until(&self, at: Instant) -> Ticks {
        Ticks(at)
    }
}

/// Over with the first tick that begins a tick after its instant.
struct Ticks(Instant);

impl Future for Ticks {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if Ticking.now() >= self.0 + Ticking::TICK { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Sleep for Ticks {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0 = at;
    }
}

struct Own;

impl Platform for Own {
    type Clock = Ticking;
    type RawMutex = LocalRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Heap;
    type Children = ParentWaker;

    fn random() -> u64 {
        4
    }
}

/// Polls at each millisecond from that one on, as nobody asked for; says when it ended.
fn ends<F: Future>(began: u64, future: F) -> u64 {
    TIME.set(began);
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        TIME.set(TIME.get() + 1);
        assert!(TIME.get() < began + 1_000, "it never ends");
    }
    TIME.get()
}

/// Not early by a millisecond, and no more than two ticks late.
fn check(what: &str, began: u64, lasts: u64, ended: u64) {
    assert!(ended >= began + lasts, "{what} that began at {began} ms was early, after {} ms", ended - began);
    assert!(ended <= began + lasts + 2 * TICK, "{what} that began at {began} ms was late, after {} ms", ended - began);
}

/// From each millisecond of a tick, times that are a whole number of ticks, and others.
fn everywhere(mut act: impl FnMut(u64, u64)) {
    for began in 100..100 + TICK {
        for lasts in [1, 9, 10, 11, 25, 30] {
            act(began, lasts);
        }
    }
}

#[test]
fn no_timeout_and_no_pause_is_early() {
    everywhere(|began, lasts| {
        let timeout = Timeout::with_clock(Ticking, ms(lasts), pending::<Result<(), ()>>());
        check("a timeout", began, lasts, ends(began, timeout.into_future()));
        let retry = Retry::<Own>::with_clock(Ticking).max_attempts(2).backoff(Constant::every(ms(lasts)));
        check("a pause", began, lasts, ends(began, retry.run(|| ready(Err::<(), _>(())))));
    });
}

/// Ready so many milliseconds after it was made.
fn work(takes: u64) -> impl Future<Output = Result<(), ()>> {
    let until = TIME.get() + takes;
    poll_fn(move |_| if TIME.get() >= until { Poll::Ready(Ok(())) } else { Poll::Pending })
}

/// When attempts start that take so long.
fn starts(began: u64, interval: u64, takes: u64) -> Vec<u64> {
    let mut starts = Vec::new();
    let attempt = || {
        starts.push(TIME.get());
        work(takes)
    };
    let polling = Polling::<Own, _, _>::with_clock(Ticking, attempt, |()| false).at_rate(ms(interval)).max_attempts(8);
    ends(began, polling.into_future());
    starts
}

#[test]
fn starts_at_a_rate_are_on_its_grid_and_not_too_late() {
    everywhere(|began, interval| {
        let starts = starts(began, interval, 0);
        for (index, start) in (1..).zip(&starts[1..]) {
            let late = start - began / TICK * TICK;
            // Of several points within a tick, one is started at.
            let point = if interval < TICK { late - late % interval } else { index * interval };
            assert!(late >= point && late <= point + 2 * TICK, "every {interval} ms: {starts:?}");
        }
        for pair in starts.windows(2) {
            let distance = pair[1] - pair[0];
            let is_whole = interval % TICK == 0;
            assert!(distance > interval.saturating_sub(if is_whole { 1 } else { TICK }), "every {interval} ms: {starts:?}");
            assert!(distance > 0, "two at once, every {interval} ms: {starts:?}");
        }
        if interval % TICK == 0 {
            assert!(starts[1..].windows(2).all(|pair| pair[1] - pair[0] == interval), "every {interval} ms: {starts:?}");
        }
    });
}

#[test]
fn an_attempt_that_takes_longer_skips_what_it_misses() {
    assert_eq!(starts(100, 10, 25), [100, 130, 160, 190, 220, 250, 280, 310]);
    assert_eq!(starts(109, 20, 25), [109, 150, 190, 230, 270, 310, 350, 390]);
    everywhere(|began, interval| {
        for takes in 1..35 {
            let starts = starts(began, interval, takes);
            // Two ticks may lie between a start and its point, and between the end of an attempt and what it is read as.
            let latest = interval.max(takes) + interval + 2 * TICK;
            for pair in starts.windows(2) {
                assert!(
                    pair[1] - pair[0] >= takes && pair[1] - pair[0] <= latest,
                    "every {interval} ms, taking {takes}: {starts:?}"
                );
            }
        }
    });
}

#[test]
fn nobody_waits_for_permits_for_less_than_he_is_ready_to() {
    everywhere(|began, lasts| {
        let limiter = RateLimiter::<Own>::with_clock(Ticking, TokenBucket::new(Rate::new(9, ms(1)))).max_concurrent(1);
        TIME.set(began);
        let held = limiter.try_acquire(1).unwrap();
        let waits = limiter.acquire_by(1, Deadline::after(Ticking.now(), ms(lasts)));
        check("a wait for permits", began, lasts, ends(began, waits));
        drop(held);
    });
}

#[test]
fn starts_of_a_throttle_are_never_closer_than_its_interval() {
    everywhere(|began, interval| {
        let throttle = Throttle::<Own>::with_clock(Ticking, ms(interval));
        let call = || throttle.call(|| ready(Ok::<_, ()>(())));
        let first = ends(began, call());
        assert_eq!(first, began, "idle, it starts at once");
        check("an interval", first, interval, ends(first, call()));

        // Whoever comes then starts at once, or not at all.
        let leading = Throttle::<Own>::with_clock(Ticking, ms(interval)).trailing(false);
        let mut last = None;
        for millis in began..began + 200 {
            TIME.set(millis);
            let mut call = pin!(leading.call(|| ready(Ok::<_, ()>(()))));
            if let Poll::Ready(Ok(())) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                last.inspect(|last| check("an interval between leading starts", *last, interval, millis));
                last = Some(millis);
            }
        }
    });
}

#[test]
fn an_interval_of_zero_keeps_nobody() {
    let throttle = Throttle::<Own>::with_clock(Ticking, Duration::ZERO);
    for _ in 0..3 {
        assert_eq!(ends(105, throttle.call(|| ready(Ok::<_, ()>(())))), 105);
    }
}

#[test]
fn a_debounce_waits_for_as_long_as_it_says() {
    everywhere(|began, wait| {
        let called = Debounce::<Own>::with_clock(Ticking, ms(wait));
        check("a call", began, wait, ends(began, called.call(|| ready(Ok::<_, ()>(())))));
        let triggered = Debounce::<Own, Trigger<u8>>::with_clock(Ticking, ms(wait));
        TIME.set(began);
        triggered.trigger(1);
        check("a value", began, wait, ends(began, triggered.next()));
    });
}

/// An item at each of those times.
struct Items(Vec<u64>);

impl Stream for Items {
    type Item = u64;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u64>> {
        if self.0.first().is_some_and(|at| TIME.get() >= *at) { Poll::Ready(Some(self.0.remove(0))) } else { Poll::Pending }
    }
}

/// When items come out.
fn items(from: u64, stream: impl Stream) -> Vec<u64> {
    let mut stream = pin!(stream);
    let mut came = Vec::new();
    for millis in from..from + 300 {
        TIME.set(millis);
        while stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop())).is_ready() {
            came.push(millis);
        }
    }
    came
}

#[test]
fn streams_keep_their_distance() {
    everywhere(|began, lasts| {
        let all = || Items((began..began + 100).collect());
        let apart = |what: &str, came: Vec<u64>| {
            assert!(came.len() > 2, "{what}: {came:?}");
            came.windows(2).for_each(|pair| check(what, pair[0], lasts, pair[1]));
        };
        apart("throttled", items(began, EdgeStream::throttle_latest(Ticking, ms(lasts), all())));
        apart("throttled to the first", items(began, EdgeStream::throttle_first(Ticking, ms(lasts), all())));
        let paced = items(began, PaceStream::with_clock(Ticking, ms(lasts), all()));
        apart("paced", paced);
        let quiet = items(began, EdgeStream::debounce(Ticking, ms(lasts), Items(vec![began])));
        check("debounced", began, lasts, quiet[0]);
    });
}

/// High within that time. Nobody is woken for it.
struct Pin5(Range<u64>);

impl ErrorType for Pin5 {
    type Error = Infallible;
}

impl InputPin for Pin5 {
    fn is_high(&mut self) -> Result<bool, Infallible> {
        Ok(self.0.contains(&TIME.get()))
    }

    fn is_low(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.contains(&TIME.get()))
    }
}

impl Wait for Pin5 {
    async fn wait_for_high(&mut self) -> Result<(), Infallible> {
        poll_fn(|_| if self.0.contains(&TIME.get()) { Poll::Ready(Ok(())) } else { Poll::Pending }).await
    }

    async fn wait_for_low(&mut self) -> Result<(), Infallible> {
        poll_fn(|_| if self.0.contains(&TIME.get()) { Poll::Pending } else { Poll::Ready(Ok(())) }).await
    }

    async fn wait_for_rising_edge(&mut self) -> Result<(), Infallible> {
        pending().await
    }

    async fn wait_for_falling_edge(&mut self) -> Result<(), Infallible> {
        pending().await
    }

    async fn wait_for_any_edge(&mut self) -> Result<(), Infallible> {
        pending().await
    }
}

#[test]
fn a_contact_holds_for_as_long_as_it_must_whoever_asks_anew() {
    everywhere(|rises, hold| {
        let contact = || Contact::with_clock(Ticking, Pin5(rises..u64::MAX), LevelDebouncer::new(ms(hold)));
        let mut patient = contact();
        check("a level", rises, hold, ends(rises - 5, patient.edge()));

        let mut restless = contact();
        let told = (rises - 5..rises + 100).find(|millis| {
            TIME.set(*millis);
            let mut edge = pin!(restless.edge());
            edge.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(Ok(Edge::Rise))
        });
        let told = told.unwrap();
        assert!(told >= rises + hold, "a level that rose at {rises} ms was told at {told} ms");
    });
}

#[test]
fn a_long_press_is_as_long_as_it_says_whoever_asks_for_it() {
    everywhere(|rises, long| {
        for hold in [0, 5, 20] {
            let gestures = Gestures::new(LevelDebouncer::new(ms(hold))).long_press(ms(long));
            let mut button = Button::with_clock(Ticking, Pin5(rises..u64::MAX), gestures);
            let pressed = ends(rises, button.gesture());
            check("a press", rises, hold, pressed);
            assert!(hold > 0 || pressed == rises, "without a hold time it is told at once");
            // From there on it is asked at each poll, or was asked long ago.
            let told = ends(pressed, button.gesture());
            check("a long press", rises, hold + long, told);

            let mut restless = Button::with_clock(Ticking, Pin5(rises..u64::MAX), gestures);
            let told: Vec<_> = (rises..rises + 200)
                .filter(|millis| {
                    TIME.set(*millis);
                    pin!(restless.gesture()).as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
                })
                .collect();
            assert!(told[0] >= rises + hold && told[1] >= rises + hold + long, "held for {hold} and {long} ms: {told:?}");
        }
    });
}

#[test]
fn a_button_that_is_let_go_of_before_was_not_held_for_long() {
    everywhere(|rises, long| {
        for (held, fall) in (1..long + 2 * TICK).flat_map(|held| [(held, 0), (held, 5)]) {
            let gestures = Gestures::new(LevelDebouncer::new(ms(0)).fall(ms(fall))).long_press(ms(long));
            let mut button = Button::with_clock(Ticking, Pin5(rises..rises + held), gestures);
            assert_eq!(ends(rises, async { assert_eq!(button.gesture().await, Ok(Gesture::Press)) }), rises);
            let mut told = None;
            let ended = ends(rises, async { told = button.gesture().await.ok() });
            if told == Some(Gesture::LongPress) {
                // Which came first is known to a tick.
                assert!(
                    held >= long || fall > 0 && held + fall + TICK > long,
                    "held for {held} ms, told after {} ms",
                    ended - rises
                );
                check("a long press", rises, long, ended);
                told = None;
                let released = ends(ended, async { told = button.gesture().await.ok() });
                check("a release after it", rises + held, fall, released);
            } else {
                check("a release", rises + held, fall, ended);
            }
            assert_eq!(told, Some(Gesture::Release));
        }
    });
}
