use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::alternative::{Alternative, OnlyIf, Ready, Value};
use crate::operation::Fallible;
use crate::panicking::clear_at_panic;

/// What an operation succeeds with.
type ValueOf<F> = <<F as Future>::Output as Fallible>::Value;
/// What it fails with.
type ErrorOf<F> = <<F as Future>::Output as Fallible>::Error;
/// Either.
type ResultOf<F> = Result<ValueOf<F>, ErrorOf<F>>;

/// Runs the operation, and if it fails, what `alternative` makes of its error. The module [`fallback`](mod@crate::fallback) tells what it promises.
///
/// # Errors
///
/// The alternative's; or the operation's own, if the alternative is for [other errors only](Fallback::fallback_if).
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// async fn fetch_price(_: u32) -> Result<u32, std::io::Error> { Err(std::io::ErrorKind::TimedOut.into()) }
/// async fn last_known_price(_: u32) -> Result<u32, std::io::Error> { Ok(999) }
///
/// # let id = 7;
/// # aplomb_sim::block_on(async {
/// let price = fallback(fetch_price(id), |error| {
///     eprintln!("the price of {id} may be old: {error}");
///     last_known_price(id)
/// })
/// .await?;
/// # assert_eq!(price, 999);
/// # Ok::<_, std::io::Error>(()) }).unwrap();
/// ```
pub const fn fallback<F, A, Fut>(operation: F, alternative: A) -> Fallback<F, A, Fut>
where
    F: Future<Output: Fallible>,
    A: FnOnce(ErrorOf<F>) -> Fut,
    Fut: Future<Output = ResultOf<F>>,
{
    Fallback::of_run(operation, alternative)
}

/// Runs the operation, and if it fails, ends with `value`. One that has to be made first is made by the closure of [`fallback`], and only where it is needed.
///
/// # Errors
///
/// The operation's own, if the value is for [other errors only](Fallback::fallback_if); else there is none.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
///
/// async fn fetch_recommendations() -> Result<Vec<u32>, std::io::Error> { Err(std::io::ErrorKind::TimedOut.into()) }
///
/// # aplomb_sim::block_on(async {
/// let shown = fallback_value(fetch_recommendations(), vec![1, 2, 3]).await?;
/// assert_eq!(shown, [1, 2, 3]);
/// # Ok::<_, std::io::Error>(()) }).unwrap();
/// ```
pub const fn fallback_value<F>(operation: F, value: ValueOf<F>) -> Fallback<F, Value<ValueOf<F>>, Ready<ResultOf<F>>>
where
    F: Future<Output: Fallible>,
{
    Fallback::of_run(operation, Value(value))
}

pin_project! {
    /// An operation with an alternative for when it fails; made by [`fallback`] and [`fallback_value`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops what runs, be it the operation or the alternative. If that panics, it is dropped at once. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Fallback<F, A, Fut> {
        #[pin]
        stage: Stage<F, Fut>,
        // None once it has been used, or is not needed any more.
        alternative: Option<A>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F, Fut> {
        Operation { #[pin] run: F },
        Alternative { #[pin] run: Fut },
        Ended,
    }
}

impl<F: Future<Output: Fallible>, A, Fut> Fallback<F, A, Fut> {
    /// Only for errors of which `predicate` is true; all others are handed on as they are. Default: for all.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// async fn fetch_user(id: u32) -> Result<String, std::io::Error> { Err(std::io::ErrorKind::NotFound.into()) }
    ///
    /// let user = timeout(secs(2), fetch_user(7));
    /// let user = fallback_value(user, "somebody".into()).fallback_if(|error| error.is_timeout());
    /// let missing = aplomb_sim::block_on(user).unwrap_err();
    /// assert!(!missing.is_timeout(), "that there is none is worth knowing");
    /// ```
    pub fn fallback_if<C>(self, predicate: C) -> Fallback<F, OnlyIf<A, C>, Fut>
    where
        C: FnOnce(&ErrorOf<F>) -> bool,
    {
        let alternative = self.alternative.map(|alternative| OnlyIf { alternative, predicate });
        Fallback { stage: self.stage, alternative }
    }
}

impl<F, A, Fut> Future for Fallback<F, A, Fut>
where
    F: Future<Output: Fallible>,
    A: Alternative<ValueOf<F>, ErrorOf<F>, Future = Fut>,
    Fut: Future<Output = ResultOf<F>>,
{
    type Output = ResultOf<F>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_by(|operation, cx| operation.poll(cx).map(Fallible::into_result), |_| true, cx)
    }
}

impl<F, A, Fut> Fallback<F, A, Fut> {
    /// What has been started already, with its alternative; for [`poll_by`](Fallback::poll_by).
    pub(crate) const fn of_run(run: F, alternative: A) -> Self {
        Self { stage: Stage::Operation { run }, alternative: Some(alternative) }
    }

    /// Polls what may fail in the way that is given, and then the alternative.
    #[inline]
    pub(crate) fn poll_by<T, E>(
        self: Pin<&mut Self>,
        poll: impl FnOnce(Pin<&mut F>, &mut Context<'_>) -> Poll<Result<T, E>>,
        is_for: impl FnOnce(&E) -> bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, E>>
    where
        A: Alternative<T, E, Future = Fut>,
        Fut: Future<Output = Result<T, E>>,
    {
        clear_at_panic(self, Self::end, |mut fallback| {
            let mut this = fallback.as_mut().project();
            if let StageProjection::Operation { run } = this.stage.as_mut().project() {
                let outcome = ready!(poll(run, cx));
                // What it held is free before the alternative starts.
                this.stage.set(Stage::Ended);
                match (outcome, this.alternative.take()) {
                    (Err(error), Some(alternative)) if is_for(&error) => {
                        this.stage.set(Stage::Alternative { run: alternative.begin(error)? });
                    }
                    (outcome, _) => return Poll::Ready(outcome),
                }
            }
            let StageProjection::Alternative { run } = this.stage.as_mut().project() else { return Poll::Pending };
            let outcome = ready!(run.poll(cx));
            this.stage.set(Stage::Ended);
            Poll::Ready(outcome)
        })
    }

    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.stage.set(Stage::Ended);
        *this.alternative = None;
    }
}

impl<F, A, Fut> fmt::Debug for Fallback<F, A, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Operation { .. } => "operation",
            Stage::Alternative { .. } => "alternative",
            Stage::Ended => "ended",
        };
        f.debug_struct("Fallback").field("stage", &stage).finish_non_exhaustive()
    }
}
