use core::future::Future;
use core::mem::take;
use core::pin::Pin;
use core::task::{Context, Poll};

/// What a service knows of its permit between `poll_ready` and `call`.
///
/// Each clone has its own, and a clone of it has none yet: what one has been granted, no other spends.
#[derive(Default)]
pub(crate) enum Turn<A, G, X> {
    #[default]
    Unasked,
    /// In a box: what waits has to stay where it is, and a service may move. Most find their permit there, and need none.
    Waiting(Pin<Box<A>>),
    Granted(G),
    Refused(X),
}

impl<A: Future<Output = Result<T, X>>, T, G, X> Turn<A, G, X> {
    /// Waits for the permit; one that is there is kept. Who was refused asks again, and does not wait: it has said that it is ready, which holds until its call, by tower's contract.
    pub(crate) fn poll(
        &mut self,
        ask: impl FnOnce() -> A,
        at_once: impl FnOnce(A) -> Result<Result<T, X>, A>,
        keep: impl FnOnce(T) -> G,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let outcome = match self {
            Self::Granted(_) => return Poll::Ready(()),
            Self::Waiting(acquire) => acquire.as_mut().poll(cx),
            Self::Unasked | Self::Refused(_) => match at_once(ask()) {
                Ok(outcome) => Poll::Ready(outcome),
                Err(_) if self.is_refused() => return Poll::Ready(()),
                Err(acquire) => {
                    let mut acquire = Box::pin(acquire);
                    let outcome = acquire.as_mut().poll(cx);
                    *self = Self::Waiting(acquire);
                    outcome
                }
            },
        };
        outcome.map(|outcome| self.settle(outcome.map(keep)))
    }
}

impl<A, G, X> Turn<A, G, X> {
    pub(crate) fn settle(&mut self, outcome: Result<G, X>) {
        *self = outcome.map_or_else(Self::Refused, Self::Granted);
    }

    /// What has come of it, for the call that it was asked for.
    pub(crate) fn take(&mut self) -> Option<Result<G, X>> {
        match take(self) {
            Self::Granted(permit) => Some(Ok(permit)),
            Self::Refused(error) => Some(Err(error)),
            Self::Unasked | Self::Waiting(_) => None,
        }
    }

    pub(crate) const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    pub(crate) const fn refused(&self) -> Option<X>
    where
        X: Copy,
    {
        match self {
            Self::Refused(error) => Some(*error),
            Self::Unasked | Self::Waiting(_) | Self::Granted(_) => None,
        }
    }

    /// The service within is not ready. Whether that is nothing to wait for, since who asks was refused before: it goes on being so then, and a fresh clone of that service takes its place.
    pub(crate) fn stays_refused<S: Clone>(&mut self, before: Option<X>, inner: &mut S) -> bool {
        let Some(error) = before else { return false };
        *self = Self::Refused(error);
        *inner = inner.clone();
        true
    }
}
