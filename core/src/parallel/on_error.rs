use core::convert::Infallible;

/// What an error does to the other items.
pub trait OnError {
    /// What is gathered of each item.
    type Gathered<T, E>;
    /// An error that ends all.
    type Fatal<E>;

    /// Whether an error ends all.
    const FAILS_FAST: bool;

    /// What becomes of an item's outcome.
    ///
    /// # Errors
    ///
    /// The outcome's own, where it ends all.
    fn judge<T, E>(outcome: Result<T, E>) -> Result<Self::Gathered<T, E>, Self::Fatal<E>>;
}

/// The first error drops all that are under way, and is the result: the default.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FailFast;

impl OnError for FailFast {
    type Gathered<T, E> = T;
    type Fatal<E> = E;

    const FAILS_FAST: bool = true;

    fn judge<T, E>(outcome: Result<T, E>) -> Result<T, E> {
        outcome
    }
}

/// Errors are gathered as values are: [`keep_going`](super::Parallel::keep_going).
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeepGoing;

impl OnError for KeepGoing {
    type Gathered<T, E> = Result<T, E>;
    type Fatal<E> = Infallible;

    const FAILS_FAST: bool = false;

    fn judge<T, E>(outcome: Result<T, E>) -> Result<Result<T, E>, Infallible> {
        Ok(outcome)
    }
}
