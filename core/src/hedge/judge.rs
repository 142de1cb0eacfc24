/// Which errors end a call at once.
///
/// It is asked when a start has failed, outside the lock. [`NoneFatal`] is the default; [`fatal_if`](super::Hedge::fatal_if) takes a closure; a hedge that is a constant, whose closures have no name to write down, takes a type of its own by
/// [`judged_by`](super::Hedge::judged_by).
///
/// # Examples
///
/// ```
/// use aplomb::hedge::{After, Judge};
/// use aplomb_sim::prelude::*;
///
/// enum HttpError { Status(u16), Reset }
///
/// #[derive(Clone, Copy)]
/// struct ByStatus;
///
/// impl Judge<HttpError> for ByStatus {
///     fn is_fatal(&self, error: &HttpError) -> bool {
///         matches!(error, HttpError::Status(400..500)) // any other replica would say the same
///     }
/// }
///
/// static HEDGE: Hedge<After, Inline<1>, ByStatus> = checked!(Hedge::after(ms(50)).judged_by(ByStatus));
/// ```
pub trait Judge<E> {
    /// Whether it does.
    fn is_fatal(&self, error: &E) -> bool;
}

/// None does: as long as there is another start, it may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoneFatal;

impl<E> Judge<E> for NoneFatal {
    #[inline]
    fn is_fatal(&self, _error: &E) -> bool {
        false
    }
}

/// Made by [`Hedge::fatal_if`](super::Hedge::fatal_if).
#[derive(Debug, Clone, Copy)]
pub struct FatalIf<F> {
    pub(super) predicate: F,
}

impl<E, F: Fn(&E) -> bool> Judge<E> for FatalIf<F> {
    fn is_fatal(&self, error: &E) -> bool {
        (self.predicate)(error)
    }
}
