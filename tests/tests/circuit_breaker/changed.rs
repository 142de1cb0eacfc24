//! Waiting for a change of state.

use std::rc::Rc;

use aplomb::backoff::{Exponential, Jitter};
use aplomb::circuit_breaker::{Consecutive, State};
use aplomb::time::{ms, secs};
use aplomb::{BreakerError, CircuitBreaker, Inline, Ratio};
use aplomb_sim::{Sim, SimClock};

fn breaker() -> Rc<CircuitBreaker<Sim>> {
    Rc::new(CircuitBreaker::with_clock(SimClock, Consecutive::new(1)).open_for(secs(5)).half_open_for(secs(2)))
}

/// All who wait are told, each once, and by the time too; whoever comes later is told of what comes then.
#[test]
fn everybody_is_told() {
    aplomb_sim::block_on(async {
        let breaker = breaker();
        let told: Vec<_> = (0..3)
            .map(|_| {
                let breaker = Rc::clone(&breaker);
                aplomb_sim::spawn("watcher", async move {
                    let (mut states, mut state) = (Vec::new(), State::Closed);
                    while states.len() < 6 {
                        state = breaker.changed_from(state).await.unwrap();
                        states.push((aplomb_sim::now().as_nanos() / 1_000_000_000, state));
                    }
                    states
                })
            })
            .collect();
        aplomb_sim::sleep(secs(1)).await;
        breaker.permit().unwrap().failure();
        aplomb_sim::sleep(secs(7)).await;
        let _hangs = breaker.permit().unwrap();
        // It is half-open for two seconds, and then open for five.
        aplomb_sim::sleep(secs(8)).await;
        breaker.permit().unwrap().success();
        aplomb_sim::sleep(secs(1)).await;
        breaker.force_open();
        let expected = [
            (1, State::Open),
            (6, State::HalfOpen),
            (10, State::Open),
            (15, State::HalfOpen),
            (16, State::Closed),
            (17, State::ForcedOpen),
        ];
        for states in told {
            assert_eq!(states.await.unwrap(), expected);
        }
    });
}

/// A change that leaves the state as it was tells nobody, and one that is over before anybody looks is not told.
#[test]
fn only_another_state_is_told() {
    aplomb_sim::block_on(async {
        let breaker = breaker();
        let shared = Rc::clone(&breaker);
        let waits = aplomb_sim::spawn("watcher", async move { shared.changed().await.unwrap() });
        aplomb_sim::sleep(ms(1)).await;
        breaker.force_closed();
        breaker.reset();
        aplomb_sim::sleep(ms(1)).await;
        breaker.force_open();
        breaker.force_closed();
        aplomb_sim::sleep(ms(1)).await;
        assert!(!waits.is_finished());
        breaker.disable();
        assert_eq!(waits.await.unwrap(), State::Disabled);
    });
}

/// Whoever leaves makes room at once.
#[test]
fn there_is_room_for_so_many() {
    type Small = CircuitBreaker<Sim, Consecutive, aplomb::backoff::Constant, aplomb::circuit_breaker::AnyError, Inline<1>>;
    aplomb_sim::block_on(async {
        let breaker: Small = CircuitBreaker::with_clock(SimClock, Consecutive::new(1));
        let mut first = Box::pin(breaker.changed());
        assert!(futures_lite::future::poll_once(first.as_mut()).await.is_none());
        assert_eq!(breaker.changed().await, Err(BreakerError::QueueFull { waiting: 1 }));
        breaker.force_open();
        assert_eq!(breaker.changed().await, Err(BreakerError::QueueFull { waiting: 1 }), "it has been woken, and not polled");
        drop(first);
        assert!(futures_lite::future::poll_once(breaker.changed()).await.is_none());
    });
}

/// Of a breaker whose probes' time is over, what it tells is what the next call finds, though how long it is open then is drawn.
#[test]
fn what_is_drawn_is_told_before_a_call_comes() {
    let report = aplomb_sim::Explore::new().seeds(0..50).run(|_sim| async {
        let open = Exponential::from(ms(100)).factor(Ratio::new(3, 1)).jitter(Jitter::Equal);
        let breaker = CircuitBreaker::<Sim>::consecutive(1).open_backoff(open).half_open_for(ms(10));
        breaker.permit().unwrap().failure();
        assert_eq!(breaker.changed().await.unwrap(), State::HalfOpen);
        let _hangs = breaker.permit().unwrap();
        assert_eq!(breaker.changed().await.unwrap(), State::Open, "its time is watched too");
        let told = breaker.snapshot().retry_after;
        assert_eq!(breaker.permit().unwrap_err().retry_after(), told);
    });
    assert_eq!(report.worlds, 50);
}
