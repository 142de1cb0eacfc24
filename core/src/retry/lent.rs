//! The forms of a call whose operation lends. The compiler keeps such a future beside what it borrows, and so these futures have no names.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use super::call::Nothing;
use super::error::RetryError;
use super::policy::AsPolicy;
use super::rules::Rules;
use super::session::{DeadlinePassed, Session, Step};
use crate::alarm::Alarm;
use crate::attempts::Pause;
use crate::operation::Lending;
use crate::time::{Clock, Instant};

/// Whether an operation can be repeated, which only its caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repetition {
    Allowed,
    Forbidden,
}

/// What is attempted, and what runs between two attempts. Both borrow from it.
pub(crate) trait Lend<T, E> {
    fn attempt(&mut self) -> impl Future<Output = Result<T, E>>;

    fn between(&mut self) -> impl Future<Output = ()>;
}

/// A context, and what borrows it.
pub(super) struct With<'c, C: ?Sized, F, K> {
    pub(super) context: &'c mut C,
    pub(super) operation: F,
    pub(super) between: K,
}

impl<C, F, K, T, E> Lend<T, E> for With<'_, C, F, K>
where
    C: ?Sized,
    F: for<'a> Lending<&'a mut C, Result<T, E>>,
    K: for<'a> Lending<&'a mut C, ()>,
{
    fn attempt(&mut self) -> impl Future<Output = Result<T, E>> {
        (self.operation)(&mut *self.context)
    }

    fn between(&mut self) -> impl Future<Output = ()> {
        (self.between)(&mut *self.context)
    }
}

/// What lends from what it has captured.
pub(super) struct Captured<F>(pub(super) F);

impl<F: AsyncFnMut() -> Result<T, E>, T, E> Lend<T, E> for Captured<F> {
    fn attempt(&mut self) -> impl Future<Output = Result<T, E>> {
        (self.0)()
    }

    fn between(&mut self) -> impl Future<Output = ()> {
        Nothing
    }
}

/// What lives across one `await` only lies where others lie meanwhile; all else has a place of its own.
#[expect(clippy::manual_async_fn, reason = "an `async fn` keeps twice what it is given: as it came, and where it is used")]
pub(super) fn run<Q, R, L, T, E>(
    mut session: Session<Q, R, E>,
    mut lend: L,
    repetition: Repetition,
) -> impl Future<Output = Result<T, RetryError<E>>>
where
    Q: AsPolicy,
    R: Rules<T, E>,
    L: Lend<T, E>,
{
    async move {
        session.check().map_err(RetryError::Config)?;
        let mut alarm = pin!(Alarm::new());
        loop {
            session.start();
            let outcome = {
                let mut attempt = pin!(lend.attempt());
                poll_fn(|cx| match attempt.as_mut().poll(cx) {
                    Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                    Poll::Pending => session.poll_cut_off(alarm.as_mut(), cx).map(|()| None),
                })
                .await
            };
            let pause = match session.settle(outcome, repetition == Repetition::Allowed) {
                Step::Success(value) => return Ok(value),
                Step::Failure(error) => return Err(error),
                Step::Pause(pause) => pause,
            };
            {
                let mut rest = Rest::of(pause);
                poll_fn(|cx| rest.poll(session.clock(), alarm.as_mut(), cx)).await;
            }
            let mut reached = session.check_deadline();
            if reached.is_ok() {
                let mut between = pin!(lend.between());
                reached = poll_fn(|cx| session.poll_between(between.as_mut(), alarm.as_mut(), cx)).await;
            }
            if let Err(DeadlinePassed) = reached {
                return Err(session.past_deadline::<T>());
            }
        }
    }
}

/// The time between a failure and what follows it.
enum Rest {
    /// None; but the other tasks have their turn.
    Turn,
    /// Nobody has waited yet.
    Ahead(Instant),
    Until(Instant),
    Over,
}

impl Rest {
    fn of(pause: Pause) -> Self {
        if pause.is_none() { Self::Turn } else { Self::Ahead(pause.at) }
    }

    /// The other tasks have their turn also when the pause is over already.
    fn poll<C: Clock>(&mut self, clock: &C, mut alarm: Pin<&mut Alarm<C::Sleep>>, cx: &mut Context<'_>) -> Poll<()> {
        let mut poll_until = |at| alarm.as_mut().poll_until(clock, at, cx);
        *self = match *self {
            Self::Over => return Poll::Ready(()),
            Self::Until(at) => return poll_until(at),
            Self::Ahead(at) if poll_until(at).is_pending() => Self::Until(at),
            Self::Ahead(_) | Self::Turn => {
                cx.waker().wake_by_ref();
                Self::Over
            }
        };
        Poll::Pending
    }
}
