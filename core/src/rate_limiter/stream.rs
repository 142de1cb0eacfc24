use core::fmt;
use core::future::Future;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::acquire::{Acquire, SleepOf};
use super::error::RateLimitError;
use super::lines::{Find, Lines};
use crate::alarm::Alarm;
use crate::time::{Clock, Instant};
use crate::yielding::{YieldNow, yield_now};

pin_project! {
    /// Hands on the items of a stream, each at the cost of a permit of the limiter that `B` points to: a reference, or an `Arc`, `Rc` or the like, with which the stream goes wherever that goes.
    ///
    /// An item is taken from the stream first, and then waits for its permit, so that a stream without items costs none. If there can be no permit, it ends with the reason in place of the item, which is lost. Where there is only no room to wait
    /// ([`QueueFull`](RateLimitError::QueueFull)), it says so and keeps the item, which asks again when the permits may be there, as it said; or, where nobody knows when that is, after the other tasks have had their turn. So who polls on and on gets an error now and then, and nobody is kept from anything.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the stream, and the item that waits. No permit is spent for that.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::rate_limiter::RateLimitStream;
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::{StreamExt, stream};
    ///
    /// let limiter: RateLimiter = RateLimiter::with_burst(Rate::per_second(10), 1);
    /// aplomb_sim::block_on(async {
    ///     let items = RateLimitStream::new(&limiter, stream::iter(['a', 'b', 'c']));
    ///     let items: Vec<char> = items.try_collect().await?;
    ///     assert_eq!(items, ['a', 'b', 'c']);
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 200_000_000);
    ///     Ok::<_, RateLimitError>(())
    /// })?;
    /// # Ok::<_, RateLimitError>(())
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct RateLimitStream<B, S: Stream>
    where
        B: Deref,
        B::Target: Lines,
    {
        limiter: B,
        #[pin]
        items: S,
        // An item that waits for its permit.
        item: Option<S::Item>,
        #[pin]
        stage: Stage<B>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<B>
    where
        B: Deref,
        B::Target: Lines,
    {
        // There is no item yet.
        Takes,
        // It waits for its permit.
        Acquires { #[pin] acquire: Acquire<B, ()> },
        // It has said that there is no room to wait, and asks again then.
        Pauses { #[pin] alarm: Alarm<SleepOf<B>>, until: Instant },
        // The same, when nobody knows when.
        Yields { #[pin] others: YieldNow },
        Ended,
    }
}

impl<B: Deref<Target: Lines>> Stage<B> {
    /// After an error.
    fn after(limiter: &B, error: RateLimitError) -> Self {
        match error {
            RateLimitError::QueueFull { retry_after: Some(time), .. } => {
                Self::Pauses { alarm: Alarm::new(), until: limiter.clock().now() + time }
            }
            RateLimitError::QueueFull { retry_after: None, .. } => Self::Yields { others: yield_now() },
            _ => Self::Ended,
        }
    }
}

impl<B: Deref<Target: Lines>, S: Stream> RateLimitStream<B, S> {
    /// The items of that stream.
    pub const fn new(limiter: B, items: S) -> Self {
        Self { limiter, items, item: None, stage: Stage::Takes }
    }
}

/// A rate limit as a method of every stream.
///
/// # Examples
///
/// ```
/// use aplomb_sim::prelude::*;
/// use futures_lite::{StreamExt, stream};
/// use std::pin::pin;
///
/// static MAILS: RateLimiter = checked!(RateLimiter::with_burst(Rate::per_second(2), 1));
///
/// aplomb_sim::block_on(async {
///     let mut mails = pin!(stream::iter(["ann", "bob", "cleo"]).rate_limited(&MAILS));
///     while let Some(to) = mails.try_next().await? {
///         println!("a mail to {to}");
///     }
///     assert_eq!(aplomb_sim::now().as_nanos(), 1_000_000_000);
///     Ok::<_, RateLimitError>(())
/// })?;
/// # Ok::<_, RateLimitError>(())
/// ```
pub trait RateLimitStreamExt: Stream + Sized {
    /// Its items, each at the cost of a permit. `limiter` points to the limiter that it is of.
    ///
    /// # Examples
    ///
    /// In a task of its own:
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::{StreamExt, stream};
    /// use std::sync::Arc;
    ///
    /// aplomb_sim::block_on(async {
    ///     let api: Arc<RateLimiter> = Arc::new(RateLimiter::with_burst(Rate::per_second(2), 1));
    ///     let calls = stream::iter(1..=3).rate_limited(api);
    ///     let calls = aplomb_sim::spawn("calls", async { calls.count().await });
    ///     assert_eq!(calls.await.unwrap(), 3);
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 1_000_000_000);
    /// });
    /// ```
    fn rate_limited<B: Deref<Target: Lines> + Clone>(self, limiter: B) -> RateLimitStream<B, Self> {
        RateLimitStream::new(limiter, self)
    }
}

impl<S: Stream> RateLimitStreamExt for S {}

impl<B, S: Stream> Stream for RateLimitStream<B, S>
where
    B: Deref<Target: Lines> + Clone,
    (): Find<B::Target>,
{
    type Item = Result<S::Item, RateLimitError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProjection::Takes => {
                    *this.item = ready!(this.items.as_mut().poll_next(cx));
                    if this.item.is_none() {
                        this.stage.set(Stage::Ended);
                        return Poll::Ready(None);
                    }
                }
                StageProjection::Acquires { acquire } => match ready!(acquire.poll(cx)) {
                    // It runs no longer than it takes to hand it on.
                    Ok(_permit) => {
                        this.stage.set(Stage::Takes);
                        return Poll::Ready(this.item.take().map(Ok));
                    }
                    Err(error) => {
                        this.stage.set(Stage::after(this.limiter, error));
                        if matches!(*this.stage, Stage::Ended) {
                            *this.item = None;
                        }
                        return Poll::Ready(Some(Err(error)));
                    }
                },
                StageProjection::Pauses { alarm, until } => ready!(alarm.poll_until(this.limiter.clock(), *until, cx)),
                StageProjection::Yields { others } => ready!(others.poll(cx)),
                StageProjection::Ended => return Poll::Ready(None),
            }
            this.stage.set(Stage::Acquires { acquire: Acquire::new(this.limiter.clone(), (), 1, Instant::MAX) });
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if matches!(self.stage, Stage::Ended) {
            return (0, Some(0));
        }
        // It may say any number of times that there is no room.
        (usize::from(self.item.is_some() || self.items.size_hint().0 > 0), None)
    }
}

impl<B: Deref<Target: Lines>, S: Stream> fmt::Debug for RateLimitStream<B, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitStream").field("waits", &self.item.is_some()).finish_non_exhaustive()
    }
}
