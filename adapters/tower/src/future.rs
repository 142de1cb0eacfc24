//! The futures that all layers are made of.

use core::fmt;
use core::future::Future;
use core::mem::forget;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use aplomb::adaptive_limit::{self, Settle};
use aplomb::bulkhead::Bulkhead;
use aplomb::circuit_breaker::{self, Circuit};
use aplomb::rate_limiter::{self, Lines};
use aplomb::sync;
use aplomb::{BreakerError, BulkheadError, Judge, LimitError, RateLimitError};
use pin_project_lite::pin_project;

use crate::mode::Mode;
use crate::refusal::Refusal;

/// What a call holds while it runs, and gives back when it has ended. It is implemented for the patterns' permits.
pub trait Guard<T, E> {
    /// The pattern's error.
    type Error: Refusal<Inner = E>;

    /// The call has ended.
    ///
    /// # Errors
    ///
    /// That of the call.
    fn settle(self, outcome: Result<T, E>) -> Result<T, Self::Error>;
}

impl<T, E, B> Guard<T, E> for rate_limiter::Permit<B>
where
    B: core::ops::Deref<Target: Lines>,
{
    type Error = RateLimitError<E>;

    fn settle(self, outcome: Result<T, E>) -> Result<T, RateLimitError<E>> {
        outcome.map_err(RateLimitError::Failed)
    }
}

impl<T, E, P, S, O, B> Guard<T, E> for sync::Permit<B>
where
    P: aplomb::Platform,
    S: aplomb::Storage,
    B: core::ops::Deref<Target = Bulkhead<P, S, O>>,
{
    type Error = BulkheadError<E>;

    fn settle(self, outcome: Result<T, E>) -> Result<T, BulkheadError<E>> {
        outcome.map_err(BulkheadError::Failed)
    }
}

impl<T, E, B> Guard<T, E> for adaptive_limit::Permit<B>
where
    B: core::ops::Deref<Target: Settle<Judge: Judge<T, E, adaptive_limit::Verdict>>>,
{
    type Error = LimitError<E>;

    fn settle(self, outcome: Result<T, E>) -> Result<T, LimitError<E>> {
        self.record(&outcome);
        outcome.map_err(LimitError::Failed)
    }
}

impl<T, E, C> Guard<T, E> for circuit_breaker::Permit<C>
where
    C: Circuit<Judge: Judge<T, E, circuit_breaker::Verdict>>,
{
    type Error = BreakerError<E>;

    fn settle(self, outcome: Result<T, E>) -> Result<T, BreakerError<E>> {
        self.record(&outcome);
        outcome.map_err(BreakerError::Failed)
    }
}

pin_project! {
    /// A call that holds a permit while it runs, or was refused.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call, and then gives its permit back; so does a panic in the call, at once. A place is free then, and for a breaker or an adaptive limit the call counts as nothing. What was taken from a rate is spent.
    /// Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Guarded<F, G, X, M> {
        #[pin]
        stage: Stage<F, G, X>,
        mode: M,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, G, X> {
        // Dropped in this order: the place is free when what had it is gone.
        Running { #[pin] call: F, guard: Option<G> },
        Refused { error: Option<X> },
        Ended,
    }
}

impl<F, G, X, M> Guarded<F, G, X, M> {
    pub(crate) const fn running(call: F, guard: G, mode: M) -> Self {
        Self { stage: Stage::Running { call, guard: Some(guard) }, mode }
    }

    pub(crate) const fn refused(error: X, mode: M) -> Self {
        Self { stage: Stage::Refused { error: Some(error) }, mode }
    }

    /// What a call that runs holds, if it is such.
    pub(crate) fn guard_if(self: Pin<&mut Self>, is_such: impl FnOnce(&F) -> bool) -> Option<&mut G> {
        match self.project().stage.project() {
            StageProjection::Running { call, guard } if is_such(&call) => guard.as_mut(),
            StageProjection::Running { .. } | StageProjection::Refused { .. } | StageProjection::Ended => None,
        }
    }
}

impl<F, G, X, M, T, E> Future for Guarded<F, G, X, M>
where
    F: Future<Output = Result<T, E>>,
    G: Guard<T, E, Error = X>,
    X: Refusal<Inner = E>,
    M: Mode<T, X>,
{
    type Output = Result<T, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut stage = this.stage;
        let ended = match stage.as_mut().project() {
            StageProjection::Ended => return Poll::Pending,
            StageProjection::Refused { error } => error.take().map(Err),
            StageProjection::Running { .. } => {
                let outcome = ready!(clear_at_panic(
                    stage.as_mut(),
                    |mut stage| stage.set(Stage::Ended),
                    |stage| match stage.project() {
                        StageProjection::Running { call, .. } => call.poll(cx),
                        StageProjection::Refused { .. } | StageProjection::Ended => Poll::Pending,
                    }
                ));
                let guard = match stage.as_mut().project() {
                    StageProjection::Running { guard, .. } => guard.take(),
                    StageProjection::Refused { .. } | StageProjection::Ended => None,
                };
                // The call is gone before its permit goes back.
                stage.set(Stage::Ended);
                guard.map(|guard| guard.settle(outcome))
            }
        };
        stage.set(Stage::Ended);
        ended.map_or(Poll::Pending, |outcome| Poll::Ready(this.mode.conclude(outcome)))
    }
}

impl<F, G, X, M> fmt::Debug for Guarded<F, G, X, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Running { .. } => "running",
            Stage::Refused { .. } => "refused",
            Stage::Ended => "ended",
        };
        f.debug_struct("Guarded").field("stage", &stage).finish_non_exhaustive()
    }
}

pin_project! {
    /// A call through a pattern whose outcome becomes what the layer's mode makes of it.
    ///
    /// # Cancel safety
    ///
    /// As of the call. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Concluded<F, M> {
        #[pin]
        call: F,
        mode: M,
    }
}

impl<F, M> Concluded<F, M> {
    pub(crate) const fn new(call: F, mode: M) -> Self {
        Self { call, mode }
    }
}

impl<F, M, T, X> Future for Concluded<F, M>
where
    F: Future<Output = Result<T, X>>,
    X: Refusal,
    M: Mode<T, X>,
{
    type Output = Result<T, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.call.poll(cx).map(|outcome| this.mode.conclude(outcome))
    }
}

impl<F, M> fmt::Debug for Concluded<F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concluded").finish_non_exhaustive()
    }
}

/// Does something with what may panic; if it does, that is cleared away, and not only when the future is dropped.
pub(crate) fn clear_at_panic<T, R>(
    holder: Pin<&mut T>,
    clear: impl FnOnce(Pin<&mut T>),
    act: impl FnOnce(Pin<&mut T>) -> R,
) -> R {
    struct AtPanic<'h, T, C: FnOnce(Pin<&mut T>)>(Pin<&'h mut T>, Option<C>);

    impl<T, C: FnOnce(Pin<&mut T>)> Drop for AtPanic<'_, T, C> {
        fn drop(&mut self) {
            if let Some(clear) = self.1.take() {
                clear(self.0.as_mut());
            }
        }
    }

    let mut at_panic = AtPanic(holder, Some(clear));
    let result = act(at_panic.0.as_mut());
    forget(at_panic);
    result
}
