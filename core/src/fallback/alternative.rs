use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

/// What takes the place of an operation that has failed: every `FnOnce(E) -> impl Future`, a [`Value`], and both [for some errors only](OnlyIf).
///
/// A reference to a closure that is `Fn`, or to a value that is `Clone`, is one as well: so a [pipeline](crate::pipeline::Pipeline::fallback) has one for all calls.
pub trait Alternative<T, E>: Sized {
    /// One run of it.
    type Future: Future<Output = Result<T, E>>;

    /// Starts it.
    ///
    /// # Errors
    ///
    /// The error, if it does not take the place of that one.
    fn begin(self, error: E) -> Result<Self::Future, E>;
}

impl<F, Fut, T, E> Alternative<T, E> for F
where
    F: FnOnce(E) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Future = Fut;

    #[inline]
    fn begin(self, error: E) -> Result<Fut, E> {
        Ok(self(error))
    }
}

/// A value that is there already; made by [`fallback_value`](super::fallback_value).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Value<T>(pub(crate) T);

impl<T, E> Alternative<T, E> for Value<T> {
    type Future = Ready<Result<T, E>>;

    #[inline]
    fn begin(self, _error: E) -> Result<Self::Future, E> {
        Ok(Ready(Some(Ok(self.0))))
    }
}

impl<T: Clone, E> Alternative<T, E> for &Value<T> {
    type Future = Ready<Result<T, E>>;

    #[inline]
    fn begin(self, _error: E) -> Result<Self::Future, E> {
        Ok(Ready(Some(Ok(self.0.clone()))))
    }
}

/// Is ready at once; the future of a [`Value`]. Other than `core`'s, it does not panic when it is polled after its end, but is pending.
///
/// # Cancel safety
///
/// Dropping it drops what it would have ended with.
///
/// # Examples
///
/// ```
/// use aplomb::fallback::{Fallback, Ready, Value, fallback_value};
/// use std::future::{Pending, pending};
///
/// type Asked = Pending<Result<u32, &'static str>>;
///
/// let call: Fallback<Asked, Value<u32>, Ready<Result<u32, &'static str>>> = fallback_value(pending(), 7);
/// ```
#[derive(Debug, Clone)]
#[must_use = "futures do nothing unless polled"]
pub struct Ready<R>(Option<R>);

// What it holds is never pinned.
impl<R> Unpin for Ready<R> {}

impl<R> Future for Ready<R> {
    type Output = R;

    #[inline]
    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<R> {
        self.get_mut().0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// An alternative for some errors only; made by [`fallback_if`](super::Fallback::fallback_if).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OnlyIf<A, C> {
    pub(crate) alternative: A,
    pub(crate) predicate: C,
}

impl<A, C, T, E> Alternative<T, E> for OnlyIf<A, C>
where
    A: Alternative<T, E>,
    C: FnOnce(&E) -> bool,
{
    type Future = A::Future;

    #[inline]
    fn begin(self, error: E) -> Result<A::Future, E> {
        if (self.predicate)(&error) { self.alternative.begin(error) } else { Err(error) }
    }
}

impl<'a, A, C, T, E> Alternative<T, E> for &'a OnlyIf<A, C>
where
    &'a A: Alternative<T, E>,
    C: Fn(&E) -> bool,
{
    type Future = <&'a A as Alternative<T, E>>::Future;

    #[inline]
    fn begin(self, error: E) -> Result<Self::Future, E> {
        if (self.predicate)(&error) { self.alternative.begin(error) } else { Err(error) }
    }
}
