/// How what an operation ends with becomes what is shared. It is implemented for [`AsIs`] and [`Converted`].
pub trait Outcome<R, T, E> {
    #[doc(hidden)]
    fn of(ended: R) -> Result<T, E>;
}

/// Results are shared as they are.
#[derive(Debug, Clone, Copy)]
pub struct AsIs;

impl<T, E> Outcome<Result<T, E>, T, E> for AsIs {
    #[inline]
    fn of(ended: Result<T, E>) -> Result<T, E> {
        ended
    }
}

/// Values and errors become what is shared by [`Into`]: by a conversion of the caller's, or put into an `Arc`.
#[derive(Debug, Clone, Copy)]
pub struct Converted;

impl<T, E, R, F> Outcome<Result<R, F>, T, E> for Converted
where
    R: Into<T>,
    F: Into<E>,
{
    #[inline]
    fn of(ended: Result<R, F>) -> Result<T, E> {
        ended.map(R::into).map_err(F::into)
    }
}
