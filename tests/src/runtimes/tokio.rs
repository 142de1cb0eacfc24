use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use aplomb_tokio::Tokio;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::{Instant, advance, sleep_until};

use super::{Played, Unplayable, playable, verdict};
use crate::interpreter;
use crate::patterns::Form;
use crate::scenario::Scenario;
use crate::stage::{Jumps, Stage, Task};
use crate::trace::Tolerance;

const MILLISECOND: u64 = 1_000_000;

pub(super) struct TokioStage {
    began: Instant,
    /// How many tasks have been polled: when that stands still, they have settled.
    polls: Rc<Cell<u64>>,
}

impl Stage for TokioStage {
    type Platform = Tokio;

    const TOLERANCE: Tolerance = Tolerance { grid: MILLISECOND, lateness: 0 };
    const JUMPS: Jumps = Jumps::Forward;

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn spawn(&self, mut task: Task) {
        let polls = Rc::clone(&self.polls);
        spawn_local(poll_fn(move |cx: &mut Context<'_>| {
            polls.set(polls.get() + 1);
            task.as_mut().poll(cx)
        }));
    }

    async fn settle(&self) {
        let mut quiet = 0;
        while quiet < 4 {
            let polls = self.polls.get();
            yield_now().await;
            quiet = if self.polls.get() == polls { quiet + 1 } else { 0 };
        }
    }

    async fn advance_to(&self, at: u64) {
        if at > self.now() {
            // The paused clock moves by itself, from timer to timer, when nothing else can run.
            sleep_until(self.began + Duration::from_nanos(at)).await;
        }
        self.settle().await;
    }

    async fn advance_before(&self, at: u64) {
        self.advance_to(at.saturating_sub(MILLISECOND)).await;
    }

    async fn set_clock(&self, at: u64) {
        let ahead = Duration::from_nanos(at.saturating_sub(self.now()));
        let mut advance = pin!(advance(ahead));
        // Polled once, it has moved the clock; polled again, it would let the timers fire.
        poll_fn(|cx| {
            let _ = advance.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
    }
}

pub(super) fn play(scenario: &Scenario, form: Form) -> Result<Played, Unplayable> {
    playable::<TokioStage>(scenario)?;
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("tokio: {error}"));
    let trace = LocalSet::new().block_on(&runtime, async {
        let stage = TokioStage { began: Instant::now(), polls: Rc::default() };
        interpreter::play(stage, scenario, form).await
    });
    Ok(verdict(scenario, trace, &TokioStage::TOLERANCE))
}
