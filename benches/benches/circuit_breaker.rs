//! Circuit breakers around operations that succeed, and around none, beside recloser, failsafe and tower-resilience.

use std::future::ready;
use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aplomb_tokio::circuit_breaker::Permit;
use aplomb_tokio::prelude::*;
use aplomb_tower::CircuitBreakerLayer;
use benches::{Group, YieldOnce, call, in_two_threads, poll_to_end, succeeds};
use failsafe::futures::CircuitBreaker as _;
use recloser::{AsyncRecloser, Recloser};
use tower::{Layer, service_fn};

type Outcome = Result<u32, u32>;

static CONSECUTIVE: CircuitBreaker = checked!(CircuitBreaker::consecutive(5));
static LAST_CALLS: CircuitBreaker<LastCalls> = checked!(CircuitBreaker::last_calls(100));
/// As `LAST_CALLS`, with a failure on record always: no success can be passed over.
static FAILED_ONCE: CircuitBreaker<LastCalls> = checked!(CircuitBreaker::last_calls(100));
static LAST_TIME: CircuitBreaker<LastTime> = checked!(CircuitBreaker::last_time(secs(10)));
static SLOW_CALLS: CircuitBreaker<LastCalls> = checked!(CircuitBreaker::last_calls(100).slow_calls(secs(1), percent(50)));
static KEYED: KeyedCircuitBreaker<u32> = checked!(KeyedCircuitBreaker::new(CircuitBreaker::consecutive(5)));
static OPEN: CircuitBreaker = checked!(CircuitBreaker::consecutive(1).open_for(secs(100_000)));
static FORCED: CircuitBreaker = checked!(CircuitBreaker::consecutive(1));
static RECLOSER: LazyLock<AsyncRecloser> = LazyLock::new(|| AsyncRecloser::from(Recloser::custom().closed_len(100).build()));
static RECLOSER_OPEN: LazyLock<AsyncRecloser> = LazyLock::new(|| {
    let recloser = Recloser::custom().closed_len(1).error_rate(0.1).open_wait(secs(100_000)).build();
    for _ in 0..3 {
        let _ = recloser.call(|| Err::<u32, u32>(1));
    }
    AsyncRecloser::from(recloser)
});

fn failsafe_consecutive() -> impl failsafe::futures::CircuitBreaker + Clone + Send + Sync {
    let backoff = failsafe::backoff::constant(Duration::from_secs(100_000));
    failsafe::Config::new().failure_policy(failsafe::failure_policy::consecutive_failures(5, backoff)).build()
}

fn failsafe_rate() -> impl failsafe::futures::CircuitBreaker + Clone + Send + Sync {
    let backoff = failsafe::backoff::constant(Duration::from_secs(100_000));
    let policy = failsafe::failure_policy::success_rate_over_time_window(0.5, 20, Duration::from_secs(10), backoff);
    failsafe::Config::new().failure_policy(policy).build()
}

/// That of tower-resilience, which trips by the last 100 calls.
fn resilience() -> tower_resilience_circuitbreaker::CircuitBreakerLayer {
    tower_resilience_circuitbreaker::CircuitBreakerLayer::builder().build().expect("defaults")
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    closed();
    windows();
    open();
    two_threads();
}

fn closed() {
    let (failsafe, other) = (failsafe_consecutive(), failsafe_consecutive());
    let service = service_fn(|()| succeeds!()());
    let mut tower = CircuitBreakerLayer::new(&LAST_CALLS).layer(service);
    let mut resilience = resilience().layer(service);
    Group::new("breaker, closed, an operation that is ready")
        .member("aplomb, consecutive", || CONSECUTIVE.run(succeeds!()))
        .member("bare operation", succeeds!())
        .member("aplomb, last 100 calls", || LAST_CALLS.run(succeeds!()))
        .member("aplomb, consecutive, by key", || KEYED.run(&7, succeeds!()))
        .member("recloser, last 100 calls", || RECLOSER.call(succeeds!()()))
        .member("failsafe, consecutive", move || failsafe.call(succeeds!()()))
        .member("aplomb-tower, last 100 calls", move || call(&mut tower))
        .member("tower-resilience, last 100 calls", move || call(&mut resilience))
        .run();
    Group::new("breaker, closed, an operation that yields once")
        .member("aplomb, consecutive", || CONSECUTIVE.run(YieldOnce::new))
        .member("bare operation", YieldOnce::new)
        .member("recloser, last 100 calls", || RECLOSER.call(YieldOnce::new()))
        .member("failsafe, consecutive", move || other.call(YieldOnce::new()))
        .run();
}

fn windows() {
    let failsafe = failsafe_rate();
    FAILED_ONCE.permit().expect("it is closed").failure();
    Group::new("breaker, closed, a success that is written down")
        .member("aplomb, last 100 calls, a failure among them", || {
            if FAILED_ONCE.snapshot().tally.failures == 0 {
                FAILED_ONCE.permit().expect("it is closed").failure();
            }
            FAILED_ONCE.run(succeeds!())
        })
        .member("the looking above alone", || {
            black_box(FAILED_ONCE.snapshot());
            succeeds!()()
        })
        .member("aplomb, last 10 s", || LAST_TIME.run(succeeds!()))
        .member("aplomb, last 100 calls, slow ones too", || SLOW_CALLS.run(succeeds!()))
        .member("tokio's clock", || ready(black_box(tokio::time::Instant::now())))
        .member("recloser, last 100 calls", || RECLOSER.call(succeeds!()()))
        .member("failsafe, last 10 s", move || failsafe.call(succeeds!()()))
        .run();
}

fn open() {
    OPEN.permit().expect("it is closed").failure();
    FORCED.force_open();
    for _ in 0..5 {
        KEYED.permit(&8).expect("it is closed").failure();
    }
    let failsafe = failsafe_consecutive();
    for _ in 0..5 {
        let _ = poll_to_end(failsafe.call(ready(Err::<u32, u32>(1))));
    }
    let mut tower = CircuitBreakerLayer::new(&OPEN).layer(service_fn(|()| succeeds!()()));
    Group::new("breaker, open")
        .member("aplomb", || OPEN.run(succeeds!()))
        .member("aplomb, a permit by hand", || ready(black_box(OPEN.permit().is_err())))
        .member("aplomb, forced open", || FORCED.run(succeeds!()))
        .member("aplomb, by key", || KEYED.run(&8, succeeds!()))
        .member("aplomb-tower", move || call(&mut tower))
        .member("aplomb's clock on tokio", || ready(black_box(aplomb_tokio::Clock::now(&aplomb_tokio::TokioClock))))
        .member("the system's clock", || ready(black_box(Instant::now())))
        .member("recloser", || RECLOSER_OPEN.call(succeeds!()()))
        .member("failsafe", move || failsafe.call(succeeds!()()))
        .run();
}

async fn answers() -> Outcome {
    succeeds!()().await
}

fn two_threads() {
    let (failsafe, service) = (failsafe_consecutive(), service_fn(|()| answers()));
    let (tower, resilience) = (CircuitBreakerLayer::new(&LAST_CALLS).layer(service), resilience().layer(service));
    in_two_threads(
        "breaker, open, called by two threads",
        &[("aplomb", &|| _ = OPEN.permit().is_err()), ("recloser", &|| drop(poll_to_end(RECLOSER_OPEN.call(answers()))))],
    );
    in_two_threads(
        "breaker, closed, called by two threads",
        &[
            ("aplomb, consecutive", &|| _ = poll_to_end(CONSECUTIVE.run(answers))),
            ("aplomb, last 100 calls", &|| _ = poll_to_end(LAST_CALLS.run(answers))),
            ("aplomb, last 100 calls, written down", &|| _ = FAILED_ONCE.permit().map(Permit::success)),
            ("aplomb, consecutive, by one key", &|| _ = poll_to_end(KEYED.run(&7, answers))),
            ("recloser, last 100 calls", &|| drop(poll_to_end(RECLOSER.call(answers())))),
            ("failsafe, consecutive", &|| drop(poll_to_end(failsafe.call(answers())))),
            ("aplomb-tower, a clone each call", &|| _ = poll_to_end(call(&mut tower.clone()))),
            ("tower-resilience, a clone each call", &|| drop(poll_to_end(call(&mut resilience.clone())))),
        ],
    );
}
