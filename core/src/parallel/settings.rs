use core::fmt;
use core::future::{Future, IntoFuture};
use core::marker::PhantomData;

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::engine::{Engine, Outcome};
use super::items::Items;
use super::on_error::{FailFast, KeepGoing, OnError};
use super::results::{Array, Results};
use super::run::Run;
use super::window::Window;
use super::{Order, Progress};
use crate::children::PinnedStorage;
use crate::config::ConfigError;
use crate::observe::{Observer, Silent};
use crate::operation::Fallible;
use crate::platform::Platform;

pin_project! {
    /// Items that go through an operation, so many at once. It is told more before it is awaited, for all results together; or it is polled as a stream, for one after another.
    ///
    /// | setting | default |
    /// | --- | --- |
    /// | [`completion_order`](Parallel::completion_order) | results come in the order of the items |
    /// | [`keep_going`](Parallel::keep_going) | the first error drops the rest |
    /// | [`on_progress`](Parallel::on_progress) | nobody is told |
    /// | [`stored_in`](Parallel::stored_in) | operations lie in the platform's storage |
    ///
    /// All is said before the first item is started: told more, or awaited, after that or after its end, it drops what is under way and ends with [`ConfigError::Begun`].
    ///
    /// # As a stream
    ///
    /// Its items are `Result<T, ParallelError<E>>`. In the order of the items, at most `limit` are started and not handed on yet: when the first of them takes long, the others wait. In completion order, none waits. Whoever doesn't poll it stops it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops all operations that are under way, the outcomes that were not handed on, and the items that were not started. After its end, the stream is over for ever.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use futures_lite::StreamExt;
    ///
    /// async fn fetch(url: &str) -> Result<usize, std::io::Error> { Ok(url.len()) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let urls = ["a.example", "bc.example", "def.example"];
    /// let pages: Vec<usize> = parallel(urls, 10, |url| fetch(url)).await?;
    /// assert_eq!(pages, [9, 10, 11]);
    ///
    /// // Every result, in the order of the items.
    /// let all = parallel(urls, 10, |url| fetch(url)).keep_going().await.unwrap();
    /// assert!(all.iter().all(Result::is_ok));
    ///
    /// // One after another, as they come.
    /// let mut pages = parallel(urls, 2, |url| fetch(url)).completion_order();
    /// while let Some(page) = pages.next().await {
    ///     assert!(page? > 8);
    /// }
    /// # Ok::<_, ParallelError<std::io::Error>>(()) }).unwrap();
    /// ```
    #[must_use = "nothing is started unless it is awaited, or polled as a stream"]
    pub struct Parallel<P, Src, F, Fut, M = FailFast, N = Silent, S = <P as Platform>::Storage, R = <P as Platform>::Storage>
    where
        P: Platform,
        Fut: Future,
        Fut::Output: Fallible,
        S: PinnedStorage,
    {
        #[pin]
        pub(super) engine: Engine<Src, F, Fut, N, P::Children, S>,
        pub(super) order: Order,
        // The index of the next item to be handed on, and what came before its turn. Used by the stream.
        pub(super) next: usize,
        pub(super) early: Window<Outcome<Fut>, S>,
        pub(super) modes: PhantomData<fn() -> (M, R)>,
    }
}

impl<P: Platform, I: Iterator, F, Fut> Parallel<P, Items<I>, F, Fut>
where
    F: FnMut(I::Item) -> Fut,
    Fut: Future<Output: Fallible>,
{
    /// The items of an iterator. The adapters' `parallel` fills the platform in.
    pub fn of_items(items: impl IntoIterator<IntoIter = I>, limit: usize, operation: F) -> Self {
        Self::of_stream(Items::new(items.into_iter()), limit, operation)
    }
}

impl<P: Platform, I, F, Fut, const N: usize>
    Parallel<P, Items<core::array::IntoIter<I, N>>, F, Fut, FailFast, Silent, P::Storage, Array<N>>
where
    F: FnMut(I) -> Fut,
    Fut: Future<Output: Fallible>,
{
    /// The items of an array, whose results make an array too. The adapters' `parallel_array` fills the platform in.
    pub fn of_array(items: [I; N], limit: usize, operation: F) -> Self {
        Self::of(Engine::new(Items::new(items.into_iter()), limit, operation, Silent), Order::Input)
    }
}

impl<P: Platform, Src: Stream, F, Fut> Parallel<P, Src, F, Fut>
where
    F: FnMut(Src::Item) -> Fut,
    Fut: Future<Output: Fallible>,
{
    /// The items of a stream. The adapters' `ParallelStreamExt` fills the platform in.
    pub fn of_stream(items: Src, limit: usize, operation: F) -> Self {
        Self::of(Engine::new(items, limit, operation, Silent), Order::Input)
    }
}

impl<P, Src, F, Fut, M, N, S, R> Parallel<P, Src, F, Fut, M, N, S, R>
where
    P: Platform,
    Fut: Future<Output: Fallible>,
    S: PinnedStorage,
{
    fn of(engine: Engine<Src, F, Fut, N, P::Children, S>, order: Order) -> Self {
        Self { engine, order, next: 0, early: Window::EMPTY, modes: PhantomData }
    }

    /// Hands results on in the order in which the operations end. Default: in the order of the items.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let nap = async |time: u64| { aplomb_sim::sleep(ms(time)).await; Ok::<_, std::io::Error>(time) };
    /// let naps: Vec<u64> = aplomb_sim::block_on(async { parallel([30, 10, 20], 3, nap).completion_order().await.unwrap() });
    /// assert_eq!(naps, [10, 20, 30]);
    /// ```
    pub fn completion_order(mut self) -> Self {
        self.engine = self.engine.not_begun();
        self.order = Order::Completion;
        self
    }

    /// Lets no error end the others: awaited, it ends with a `Result<T, E>` for each item; as a stream, it goes on after an error. Default: the first error drops all that is under way, and no item is started after it.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let odd = |n: u32| async move { if n % 2 == 1 { Ok(n) } else { Err("even") } };
    /// let all = aplomb_sim::block_on(async { parallel(1..=4, 2, odd).keep_going().await });
    /// assert_eq!(all.unwrap(), [Ok(1), Err("even"), Ok(3), Err("even")]);
    /// ```
    pub fn keep_going(self) -> Parallel<P, Src, F, Fut, KeepGoing, N, S, R> {
        Parallel::of(self.engine.not_begun(), self.order)
    }

    /// Tells `progress` of each item that starts, and of each that ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// # aplomb_sim::block_on(async {
    /// # let urls = ["a.example", "b.example"];
    /// # async fn fetch(url: &str) -> Result<usize, std::io::Error> { Ok(url.len()) }
    /// let mut percent = 0;
    /// parallel(urls, 10, |url| fetch(url))
    ///     .on_progress(|progress| percent = 100 * progress.done() / progress.total.unwrap_or(1))
    ///     .await?;
    /// assert_eq!(percent, 100);
    /// # Ok::<_, ParallelError<std::io::Error>>(()) }).unwrap();
    /// ```
    pub fn on_progress<G: FnMut(&Progress)>(self, progress: G) -> Parallel<P, Src, F, Fut, M, G, S, R> {
        self.observed_by(progress)
    }

    /// As [`on_progress`](Parallel::on_progress), with an observer that is no closure.
    pub fn observed_by<V: Observer<Progress>>(self, observer: V) -> Parallel<P, Src, F, Fut, M, V, S, R> {
        Parallel::of(self.engine.rebuilt(|_| observer), self.order)
    }

    /// Keeps the operations that are under way in `T`: with `Inline<N>`, in itself, at most `N` of them. The wakers of its slots are allocated all the same, where the platform has [wakers of its own](crate::children); on embassy nothing is. Default: in the platform's storage.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb::Inline;
    /// use aplomb_sim::prelude::*;
    ///
    /// async fn sample(channel: u8) -> Result<u16, &'static str> { Ok(100 * u16::from(channel)) }
    ///
    /// let samples = aplomb_sim::block_on(async { parallel_array([1, 2, 3, 4], 2, |channel| sample(channel)).stored_in::<Inline<2>>().await });
    /// assert_eq!(samples, Ok([100, 200, 300, 400]));
    /// ```
    pub fn stored_in<T: PinnedStorage>(self) -> Parallel<P, Src, F, Fut, M, N, T, R> {
        Parallel::of(self.engine.rebuilt(|observer| observer), self.order)
    }

    /// Whether the limit makes sense.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Limit`] if it is 0, or more than there are places in the storage. What is awaited or polled all the same ends with it, and starts nothing.
    pub fn check(self) -> Result<Self, ConfigError> {
        self.engine.check().map(|()| self)
    }
}

impl<P, Src, F, Fut, M, N, S, R> IntoFuture for Parallel<P, Src, F, Fut, M, N, S, R>
where
    P: Platform,
    Src: Stream,
    F: FnMut(Src::Item) -> Fut,
    Fut: Future<Output: Fallible>,
    M: OnError,
    N: Observer<Progress>,
    S: PinnedStorage,
    R: Results,
{
    type Output = <Self::IntoFuture as Future>::Output;
    type IntoFuture = Run<P, Src, F, Fut, M, N, S, R>;

    fn into_future(self) -> Self::IntoFuture {
        Run::new(self.engine.not_begun(), self.order)
    }
}

impl<P, Src, F, Fut, M, N, S, R> fmt::Debug for Parallel<P, Src, F, Fut, M, N, S, R>
where
    P: Platform,
    Fut: Future<Output: Fallible>,
    S: PinnedStorage,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, started) = (self.engine.limit, self.engine.started());
        f.debug_struct("Parallel")
            .field("limit", &limit)
            .field("order", &self.order)
            .field("started", &started)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "defmt")]
impl<P, Src, F, Fut, M, N, S, R> defmt::Format for Parallel<P, Src, F, Fut, M, N, S, R>
where
    P: Platform,
    Fut: Future<Output: Fallible>,
    S: PinnedStorage,
{
    fn format(&self, f: defmt::Formatter<'_>) {
        let (limit, started) = (self.engine.limit, self.engine.started());
        defmt::write!(f, "Parallel {{ limit: {}, order: {}, started: {}, .. }}", limit, self.order, started);
    }
}
