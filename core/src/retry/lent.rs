//! The forms of a call whose operation lends. The compiler keeps such a future beside what it borrows, and so these futures have no names.

use core::future::{Future, poll_fn};
use core::pin::pin;

use super::error::RetryError;
use super::policy::AsPolicy;
use super::rules::Rules;
use super::session::{DeadlinePassed, Session, Step};
use crate::alarm::Alarm;
use crate::operation::Lending;
use crate::yielding::yield_now;

/// Whether an operation can be repeated, which only its caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repetition {
    Allowed,
    Forbidden,
}

pub(super) async fn run<Q, R, C, F, K, T, E>(
    mut session: Session<Q, R, E>,
    context: &mut C,
    mut operation: F,
    mut between: K,
    repetition: Repetition,
) -> Result<T, RetryError<E>>
where
    Q: AsPolicy,
    R: Rules<T, E>,
    C: ?Sized,
    F: for<'a> Lending<&'a mut C, Result<T, E>>,
    K: for<'a> Lending<&'a mut C, ()>,
{
    session.check().map_err(RetryError::Config)?;
    let mut alarm = pin!(Alarm::new());
    loop {
        session.start();
        let outcome = {
            let mut attempt = pin!(operation(&mut *context));
            poll_fn(|cx| session.poll_attempt(|cx| attempt.as_mut().poll(cx), alarm.as_mut(), cx)).await
        };
        match session.settle(outcome, repetition == Repetition::Allowed) {
            Step::End(result) => return result,
            Step::Pause(pause) if pause.is_none() => yield_now().await,
            Step::Pause(pause) => {
                let mut waited = false;
                poll_fn(|cx| {
                    let over = alarm.as_mut().poll_until(session.clock(), pause.at, cx);
                    waited |= over.is_pending();
                    over
                })
                .await;
                if !waited {
                    yield_now().await;
                }
            }
        }
        let mut reached = session.check_deadline();
        if reached.is_ok() {
            let mut between = pin!(between(&mut *context));
            reached = poll_fn(|cx| session.poll_between(between.as_mut(), alarm.as_mut(), cx)).await;
        }
        if let Err(DeadlinePassed) = reached {
            return Err(session.past_deadline::<T>());
        }
    }
}
