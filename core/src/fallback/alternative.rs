use core::future::{Future, Ready, ready};

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
pub struct Value<T>(pub(crate) T);

impl<T, E> Alternative<T, E> for Value<T> {
    type Future = Ready<Result<T, E>>;

    #[inline]
    fn begin(self, _error: E) -> Result<Self::Future, E> {
        Ok(ready(Ok(self.0)))
    }
}

impl<T: Clone, E> Alternative<T, E> for &Value<T> {
    type Future = Ready<Result<T, E>>;

    #[inline]
    fn begin(self, _error: E) -> Result<Self::Future, E> {
        Ok(ready(Ok(self.0.clone())))
    }
}

/// An alternative for some errors only; made by [`fallback_if`](super::Fallback::fallback_if).
#[derive(Debug, Clone, Copy)]
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
