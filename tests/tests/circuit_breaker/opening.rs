//! How long it opens is the user's to say, whose code runs outside the lock.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aplomb::backoff::Backoff;
use aplomb::circuit_breaker::{Consecutive, State};
use aplomb::time::secs;
use aplomb::{CircuitBreaker, ConfigError, KeyedCircuitBreaker};
use aplomb_sim::Sim;

/// A second longer each time that a breaker has opened, as that one tells.
#[derive(Clone, Copy)]
struct AsOften(fn() -> u32);

impl Backoff for AsOften {
    type State = ();

    fn start(&self) {
        (self.0)();
    }

    fn delay(&self, (): &mut (), _random: impl FnOnce() -> u64) -> Option<Duration> {
        Some(secs(u64::from((self.0)()) + 1))
    }

    fn check(&self) -> Result<(), ConfigError> {
        (self.0)();
        Ok(())
    }

    fn has_delay(&self) -> bool {
        (self.0)() < u32::MAX
    }
}

#[test]
fn a_backoff_may_look_at_its_breaker() {
    static BREAKER: CircuitBreaker<Sim, Consecutive, AsOften> =
        CircuitBreaker::<Sim>::consecutive(1).open_backoff(AsOften(|| BREAKER.snapshot().opened));
    aplomb_sim::block_on(async {
        for opened in 1..4 {
            BREAKER.permit().unwrap().failure();
            assert_eq!(BREAKER.permit().unwrap_err().retry_after(), Some(secs(opened)));
            aplomb_sim::sleep(secs(opened)).await;
        }
        BREAKER.reset();
        assert_eq!(BREAKER.state(), State::Closed);
    });
}

#[test]
fn a_backoff_may_look_at_the_breaker_of_a_key() {
    static BREAKERS: KeyedCircuitBreaker<Sim, u8, Consecutive, AsOften> =
        KeyedCircuitBreaker::new(CircuitBreaker::<Sim>::consecutive(1).open_backoff(AsOften(|| BREAKERS.snapshot(&7).opened)));
    aplomb_sim::block_on(async {
        for opened in 1..4 {
            BREAKERS.permit(&7).unwrap().failure();
            assert_eq!(BREAKERS.permit(&7).unwrap_err().retry_after(), Some(secs(opened)));
            aplomb_sim::sleep(secs(opened)).await;
        }
    });
}

/// A second each time, and panics when it is asked for the first time and for the third.
#[derive(Clone, Copy)]
struct Stumbles<'a>(&'a AtomicU32);

impl Backoff for Stumbles<'_> {
    type State = ();

    fn start(&self) {}

    fn delay(&self, (): &mut (), _random: impl FnOnce() -> u64) -> Option<Duration> {
        assert_eq!(self.0.fetch_add(1, Ordering::Relaxed) % 2, 1, "on purpose");
        Some(secs(1))
    }
}

/// What it was asked for is done the next time.
#[test]
fn a_backoff_that_panics_leaves_a_breaker_usable() {
    aplomb_sim::block_on(async {
        let asked = AtomicU32::new(0);
        let breaker = CircuitBreaker::<Sim>::consecutive(1).open_backoff(Stumbles(&asked));
        let keyed = KeyedCircuitBreaker::<Sim, u8, _, _>::new(breaker);
        let breaker = CircuitBreaker::<Sim>::consecutive(1).open_backoff(Stumbles(&asked));
        let panics = |act: &dyn Fn()| assert!(catch_unwind(AssertUnwindSafe(act)).is_err());
        panics(&|| breaker.permit().unwrap().failure());
        breaker.permit().unwrap().failure();
        aplomb_sim::sleep(secs(1)).await;
        panics(&|| drop(breaker.permit()));
        breaker.permit().unwrap().success();
        assert_eq!((breaker.state(), breaker.snapshot().probes), (State::Closed, 0));

        panics(&|| keyed.permit(&7).unwrap().failure());
        keyed.permit(&7).unwrap().failure();
        aplomb_sim::sleep(secs(1)).await;
        panics(&|| drop(keyed.permit(&7)));
        keyed.permit(&7).unwrap().success();
        assert!(keyed.state(&7) == State::Closed && keyed.forget(&7), "no call is under way");
    });
}

/// Something else happens while it draws.
#[derive(Clone, Copy)]
struct Meanwhile(fn());

impl Backoff for Meanwhile {
    type State = ();

    fn start(&self) {}

    fn delay(&self, (): &mut (), _random: impl FnOnce() -> u64) -> Option<Duration> {
        (self.0)();
        Some(secs(1))
    }
}

#[test]
fn who_draws_for_what_is_over_changes_nothing() {
    static BREAKER: CircuitBreaker<Sim, Consecutive, Meanwhile> =
        CircuitBreaker::<Sim>::consecutive(1).open_backoff(Meanwhile(|| BREAKER.disable()));
    aplomb_sim::block_on(async {
        BREAKER.permit().unwrap().failure();
        assert_eq!((BREAKER.state(), BREAKER.snapshot().opened), (State::Disabled, 0));
    });
}
