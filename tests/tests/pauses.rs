//! Pauses of a retry that are over as soon as they begin.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb::backoff::Constant;
use aplomb::{Clock, Inline, Instant, ParentWaker, Platform, Retry, Sleep};
use aplomb_sim::{SimRawMutex, World};

/// A clock whose sleeps are over as soon as they are looked at.
#[derive(Clone, Copy)]
struct AtOnce;

impl Clock for AtOnce {
    type Sleep = OverAtOnce;

    fn now(&self) -> Instant {
        Instant::ORIGIN
    }

    fn sleep_until(&self, _at: Instant) -> OverAtOnce {
        OverAtOnce
    }
}

struct OverAtOnce;

impl Future for OverAtOnce {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl Sleep for OverAtOnce {
    fn reset(self: Pin<&mut Self>, _at: Instant) {}
}

struct AtOncePlatform;

impl Platform for AtOncePlatform {
    type Clock = AtOnce;
    type RawMutex = SimRawMutex;
    type Word = aplomb::sync::NoWord;
    type Storage = Inline<4>;
    type Children = ParentWaker;

    fn random() -> u64 {
        0
    }
}

#[test]
fn a_pause_that_is_over_at_once_lets_the_others_have_their_turn() {
    static RETRY: Retry<'static, AtOncePlatform, Constant> =
        Retry::<AtOncePlatform>::with_clock(AtOnce).max_attempts(100).backoff(Constant::every(Duration::from_nanos(1)));
    let world = World::new();
    let named = world.spawn("run", async { RETRY.run(|| ready(Err::<(), _>(()))).await.unwrap_err().attempts() });
    let lent = world.spawn("run_mut", async { RETRY.run_mut(async || Err::<(), _>(())).await.unwrap_err().attempts() });
    world.run().unwrap();
    assert_eq!((named.try_take().unwrap().unwrap(), lent.try_take().unwrap().unwrap()), (100, 100));
    assert_eq!(world.polls(), 200, "a poll for each attempt");
}
