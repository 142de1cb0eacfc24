//! Waiting for a permit, and no longer than that.

use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use super::acquire::Acquire;
use super::counting::Lender;
use super::error::AcquireError;
use crate::alarm::Alarm;
use crate::platform::Platform;
use crate::time::Clock;

/// A pattern whose callers want one permit each, and wait for it for so long.
pub(crate) trait Patient: Lender {
    /// Why a caller has none.
    type Error;

    /// Whether anybody wants to know who waits, and for how long.
    const LISTENS: bool;

    fn clock(&self) -> &<Self::Platform as Platform>::Clock;

    /// How long a caller may wait.
    fn patience(&self) -> Duration;

    /// Why nobody is ever admitted, if it is set so.
    #[inline]
    fn closed_to_all(&self) -> Option<Self::Error> {
        None
    }

    /// Whether there were no permits only because nobody had asked yet. There are now, and it is to be asked again.
    fn opens(&self, _refused: AcquireError) -> bool {
        false
    }

    /// A caller gets no place in the queue.
    fn refusal(&self, refused: AcquireError) -> Self::Error;

    /// A caller has waited for as long as it may.
    fn timed_out(&self, after: Duration) -> Self::Error;

    /// A caller has begun to wait.
    fn waits(&self);
}

/// The timer of the platform of what `B` points to.
pub(crate) type SleepOf<B> = <<<<B as Deref>::Target as Lender>::Platform as Platform>::Clock as Clock>::Sleep;

/// Waits until a permit is taken, and hands on of whom it is. Who has made one of it disarms the alarm: should a waker panic that goes with the timer, the permit goes back.
///
/// If somebody listens, the alarm is set to when it began to wait, if it did.
#[inline]
pub(crate) fn poll_patiently<B: Deref<Target: Patient>>(
    permit: &mut Acquire<B>,
    alarm: Pin<&mut Alarm<SleepOf<B>>>,
    cx: &mut Context<'_>,
) -> Poll<Result<B, <B::Target as Patient>::Error>> {
    if let Some(error) = permit.lender().and_then(|lender| lender.closed_to_all()) {
        permit.end();
        return Poll::Ready(Err(error));
    }
    let mut taken = permit.poll_taken(cx);
    if let Poll::Ready(Err(refused)) = taken
        && permit.lender().is_some_and(|lender| lender.opens(refused))
    {
        taken = permit.poll_taken(cx);
    }
    let Poll::Ready(outcome) = taken else { return poll_time(permit, alarm, cx).map(Err) };
    let Some(lender) = permit.end() else { return Poll::Pending };
    Poll::Ready(match outcome {
        Ok(()) => Ok(lender),
        Err(refused) => {
            alarm.disarm();
            Err(lender.refusal(refused))
        }
    })
}

/// Whether one who waits has done so for long enough: it leaves then.
#[inline(never)]
fn poll_time<B: Deref<Target: Patient>>(
    permit: &mut Acquire<B>,
    mut alarm: Pin<&mut Alarm<SleepOf<B>>>,
    cx: &mut Context<'_>,
) -> Poll<<B::Target as Patient>::Error> {
    let Some(lender) = permit.lender() else { return Poll::Pending };
    let after = lender.patience();
    if !after.is_zero() {
        if <B::Target as Patient>::LISTENS && alarm.at().is_never() {
            // The alarm does not need to know since when it waits. Whoever listens does.
            alarm.set(Alarm::set_to(lender.clock().now()));
            lender.waits();
        }
        ready!(alarm.poll_for(lender.clock(), after, cx));
    }
    match permit.give_up() {
        Some(lender) => Poll::Ready(lender.timed_out(after)),
        None => Poll::Pending,
    }
}
