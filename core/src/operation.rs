//! What the patterns guard: asynchronous work that can be started, and ends with a value or an error.

use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::platform::SMALL;

/// Work that can be started, and started again: every `FnMut() -> impl Future` is one.
///
/// What has been started is a [`Run`](Operation::Run) that lies apart from the operation, and is lent it whenever it is polled. So a pattern that wraps an operation is an operation itself, however often it starts what it wraps: patterns nest
/// without a box, without a clone, and without a reference from a future into what it lies in.
///
/// # Examples
///
/// ```
/// use aplomb::Operation;
/// use std::{future::poll_fn, pin::pin};
///
/// async fn twice<O: Operation>(mut operation: O) -> (O::Output, O::Output) {
///     let mut first = pin!(operation.start());
///     let mut second = pin!(operation.start());
///     (
///         poll_fn(|cx| operation.poll_run(first.as_mut(), cx)).await,
///         poll_fn(|cx| operation.poll_run(second.as_mut(), cx)).await,
///     )
/// }
///
/// let mut count = 0;
/// let both = aplomb_sim::block_on(twice(|| { count += 1; let n = count; async move { n } }));
/// assert_eq!(both, (1, 2));
/// ```
pub trait Operation {
    /// What it ends with.
    type Output;

    /// One run of it, as far as it has come. Dropping it cancels it.
    type Run;

    /// Starts it.
    fn start(&mut self) -> Self::Run;

    /// Goes on with what has been started. After its end, a run is not polled again.
    fn poll_run(&mut self, run: Pin<&mut Self::Run>, cx: &mut Context<'_>) -> Poll<Self::Output>;

    /// Whether it may be started again: a closure may, a request that can be sent once only may not. A pattern that would start it again asks before it does; one that wraps an operation answers as that does.
    fn may_repeat(&self) -> bool;

    /// How often what is within has begun, where somebody counts: in a pipeline, the operation within all layers. So a run that only waits to be let in can be told from one that does something. One that wraps an operation answers as that does. Default: nobody counts.
    #[inline]
    fn begun(&self) -> Option<u32> {
        None
    }
}

impl<F, Fut> Operation for F
where
    F: FnMut() -> Fut,
    Fut: Future,
{
    type Output = Fut::Output;
    type Run = Fut;

    #[inline]
    fn start(&mut self) -> Fut {
        self()
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Fut>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        run.poll(cx)
    }

    #[inline]
    fn may_repeat(&self) -> bool {
        true
    }
}

/// Who starts what a pattern guards, once, and polls it: the future itself, or a pipeline, which has the operation elsewhere. `S` is what the pattern keeps until it starts.
pub(crate) trait Drive<S, R> {
    /// What it ends with.
    type Output;

    fn start(&mut self, seed: S) -> R;

    fn poll_run(&mut self, run: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<Self::Output>;

    /// Whether what has been started only waits to be let in, for all that is known: a layer within may have it wait. Default: no.
    #[inline]
    fn waits(&self, run: &R) -> bool {
        let _ = run;
        false
    }
}

/// The future has its operation itself, and makes a future of it.
pub(crate) struct Held;

impl<F, Fut> Drive<F, Fut> for Held
where
    F: FnOnce() -> Fut,
    Fut: Future,
{
    type Output = Fut::Output;

    #[inline]
    fn start(&mut self, operation: F) -> Fut {
        operation()
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut Fut>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        run.poll(cx)
    }
}

/// The operation is lent for each poll.
pub(crate) struct Lent<'o, O>(pub(crate) &'o mut O);

impl<O: Operation> Drive<(), O::Run> for Lent<'_, O> {
    type Output = O::Output;

    #[inline]
    fn start(&mut self, (): ()) -> O::Run {
        self.0.start()
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut O::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        self.0.poll_run(run, cx)
    }
}

impl<O: Operation> Operation for Lent<'_, O> {
    type Output = O::Output;
    type Run = O::Run;

    #[inline]
    fn start(&mut self) -> O::Run {
        self.0.start()
    }

    #[inline]
    fn poll_run(&mut self, run: Pin<&mut O::Run>, cx: &mut Context<'_>) -> Poll<O::Output> {
        self.0.poll_run(run, cx)
    }

    #[inline]
    fn may_repeat(&self) -> bool {
        self.0.may_repeat()
    }

    #[inline]
    fn begun(&self) -> Option<u32> {
        self.0.begun()
    }
}

/// If a call has ended, does what is to be done then, and makes its error that of a pattern. For a value that is done apart, whose way is straight then: it would carry the room of all errors along, through every layer.
#[inline]
pub(crate) fn end<T, E, F>(
    polled: Poll<Result<T, E>>,
    act: impl FnOnce(Result<&T, &E>),
    wrap: impl FnOnce(E) -> F,
) -> Poll<Result<T, F>> {
    if SMALL {
        return polled.map(|outcome| {
            act(outcome.as_ref());
            outcome.map_err(wrap)
        });
    }
    match polled {
        Poll::Ready(Ok(value)) => {
            act(Ok(&value));
            Poll::Ready(Ok(value))
        }
        Poll::Ready(Err(error)) => {
            act(Err(&error));
            Poll::Ready(Err(wrap(error)))
        }
        Poll::Pending => Poll::Pending,
    }
}

/// An asynchronous closure that borrows its argument, with a future that has a name.
///
/// Every `async |argument| ..` closure and every `async fn(argument)` is one. It exists for the sake of one bound, `for<'a> Lending<&'a mut C, R>`, under which such
/// closures work inside `tokio::spawn` too, where `AsyncFnMut` alone is "not general enough".
pub trait Lending<A, R>: AsyncFnMut(A) -> R + FnMut(A) -> <Self as Lending<A, R>>::Future {
    /// One run of it.
    type Future: Future<Output = R>;
}

impl<F, Fut, A, R> Lending<A, R> for F
where
    F: AsyncFnMut(A) -> R + FnMut(A) -> Fut,
    Fut: Future<Output = R>,
{
    type Future = Fut;
}

/// The outcome of an operation that can fail: `Result`, and nothing else.
///
/// The patterns add their own ways to fail to those of the operation, in one flat error, so that one `?` is enough. Work that cannot fail is wrapped in [`infallible`].
#[diagnostic::on_unimplemented(
    message = "the operation ends with `{Self}`, not with a `Result`",
    label = "this operation cannot fail",
    note = "wrap work that cannot fail: `timeout(after, infallible(work))`"
)]
pub trait Fallible {
    /// The value of success.
    type Value;
    /// The error.
    type Error;

    /// The outcome as what it is.
    ///
    /// # Errors
    ///
    /// Those of the operation.
    fn into_result(self) -> Result<Self::Value, Self::Error>;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
    type Error = E;

    fn into_result(self) -> Self {
        self
    }
}

/// Makes work that cannot fail into an operation: `recv()` on a channel, `wait_for_low()` on a pin.
///
/// # Examples
///
/// ```
/// use aplomb::infallible;
/// use aplomb_sim::prelude::*;
///
/// aplomb_sim::block_on(async {
///     let late = timeout(ms(10), infallible(std::future::pending::<u8>())).await;
///     assert!(late.unwrap_err().is_timeout());
/// });
/// ```
pub const fn infallible<F: Future>(future: F) -> InfallibleFuture<F> {
    InfallibleFuture { future }
}

pin_project! {
    /// Ends with `Ok` of what its future ends with; made by [`infallible`].
    ///
    /// # Cancel safety
    ///
    /// As of the future within.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InfallibleFuture<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for InfallibleFuture<F> {
    type Output = Result<F::Output, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map(Ok)
    }
}
