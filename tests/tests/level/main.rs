//! Contacts and buttons at pins: beside their machine sampled each millisecond, dropped at any point, and at pins that behave badly.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

/// Levels are all that a contact waits for.
macro_rules! no_edges {
    () => {
        async fn wait_for_rising_edge(&mut self) -> Result<(), Self::Error> {
            unreachable!("a contact waits for levels")
        }

        async fn wait_for_falling_edge(&mut self) -> Result<(), Self::Error> {
            unreachable!("a contact waits for levels")
        }

        async fn wait_for_any_edge(&mut self) -> Result<(), Self::Error> {
            unreachable!("a contact waits for levels")
        }
    };
}

mod cases;
mod sampled;
mod wire;

/// How long a future lives.
#[derive(Clone, Copy)]
pub(crate) struct Life {
    pub(crate) polls: u64,
    /// It is dropped when it has been woken again, and never gets to know; else at once.
    pub(crate) woken: bool,
}

impl Life {
    pub(crate) const WHOLE: Self = Self { polls: u64::MAX, woken: false };
}

/// Drops a future before its end; `None` says so.
pub(crate) async fn dropped_after<F: Future>(life: Life, future: F) -> Option<F::Output> {
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
