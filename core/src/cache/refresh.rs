use core::borrow::Borrow;
use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::event::Event;
use super::fetching::Fetching;
use super::serve::{Entered, Fetcher, Serve, ServeBy};
use super::settings::Cache;
use super::shard::Reading;
use crate::deadline::Deadline;
use crate::key::{KeyHash, ToKey};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::single_flight::{AsIs, Converted, FlightError, Late, Outcome, Timed, WithDeadline};
use crate::storage::Storage;
use crate::sync::flights::Flights;

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
    H: KeyHash,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
{
    /// As [`get`](Cache::get); and if the value that is served has ended or is due, it comes with the fetch of the next one, to be awaited or spawned. No refresher is needed.
    ///
    /// # Errors
    ///
    /// As [`get`](Cache::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static NEWS: Cache<u8, u32> = checked!(Cache::new().ttl(secs(10)).stale_while_revalidate(secs(60)));
    ///
    /// aplomb_sim::block_on(async {
    ///     NEWS.insert(1, 100);
    ///     aplomb_sim::sleep(secs(30)).await;
    ///     let read = NEWS.get_with_refresh(&1, || async { Ok(101) }).await.unwrap();
    ///     assert_eq!(read.value, 100);
    ///     if let Some(refresh) = read.refresh {
    ///         refresh.await.unwrap(); // or spawn it
    ///     }
    ///     assert_eq!(NEWS.peek(&1), Some(101));
    /// });
    /// ```
    pub const fn get_with_refresh<'q, Q, A, Fut>(&self, key: &'q Q, fetch: A) -> GetWithRefresh<'_, 'q, Self, Q, A, Fut>
    where
        K: Borrow<Q> + Hash + Eq,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        A: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
        V: Clone,
        E: Clone,
    {
        GetWithRefresh::new(self, key, fetch)
    }

    /// As [`get_with_refresh`](Cache::get_with_refresh), and makes what is kept of what the operation ends with, by [`Into`], as [`get_into`](Cache::get_into) does.
    ///
    /// # Errors
    ///
    /// As [`get`](Cache::get).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::io;
    /// use std::sync::Arc;
    ///
    /// static FILES: Cache<String, Arc<[u8]>, Arc<io::Error>> = checked!(Cache::new().ttl(secs(5)).stale_while_revalidate(secs(60)));
    ///
    /// async fn read(path: &str) -> io::Result<Vec<u8>> { Ok(vec![1; 1_000]) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let read = FILES.get_with_refresh_into("app.toml", || read("app.toml")).await?;
    /// assert_eq!(read.value.len(), 1_000);
    /// # Ok::<_, FlightError<Arc<io::Error>>>(()) }).unwrap();
    /// ```
    pub const fn get_with_refresh_into<'q, Q, A, Fut, R, X>(
        &self,
        key: &'q Q,
        fetch: A,
    ) -> GetWithRefresh<'_, 'q, Self, Q, A, Fut, Converted>
    where
        K: Borrow<Q> + Hash + Eq,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        A: FnOnce() -> Fut,
        Fut: Future<Output = Result<R, X>>,
        R: Into<V>,
        X: Into<E>,
        V: Clone,
        E: Clone,
    {
        GetWithRefresh::new(self, key, fetch)
    }
}

/// A value, and the fetch of the next one.
pub struct Read<'c, C: Serve, O, Fut, X = AsIs> {
    /// What is there, or has been fetched.
    pub value: C::Value,
    /// To be awaited or spawned, if the value has ended or is due, and nobody fetches it yet.
    pub refresh: Option<Refresh<'c, C, O, Fut, X>>,
}

impl<C: Serve, O, Fut, X> fmt::Debug for Read<'_, C, O, Fut, X>
where
    C::Value: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("value", &self.value).field("refresh", &self.refresh).finish()
    }
}

pin_project! {
    /// As [`Get`](super::Get), with a refresh; made by [`Cache::get_with_refresh`] and [`Cache::get_with_refresh_into`].
    ///
    /// # Cancel safety
    ///
    /// As of [`Get`](super::Get).
    #[must_use = "futures do nothing unless polled"]
    pub struct GetWithRefresh<'c, 'q, C: Flights, Q: ?Sized, O, Fut, X = AsIs> {
        key: &'q Q,
        // None once it has started, or has ended.
        operation: Option<O>,
        outcome: PhantomData<fn() -> X>,
        #[pin]
        fetching: Fetching<'c, C, Fut>,
    }
}

impl<'c, 'q, C: Flights, Q: ?Sized, O, Fut, X> GetWithRefresh<'c, 'q, C, Q, O, Fut, X> {
    const fn new(cache: &'c C, key: &'q Q, operation: O) -> Self {
        Self { key, operation: Some(operation), outcome: PhantomData, fetching: Fetching::new(cache) }
    }
}

impl<C, Q, O, Fut, X> GetWithRefresh<'_, '_, C, Q, O, Fut, X>
where
    C: ServeBy<Q> + Serve + Timed,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    X: Outcome<Fut::Output, C::Value, C::Error>,
{
    /// As [`Get::deadline_at`](super::Get::deadline_at). What is refreshed is not bound by it.
    pub const fn deadline_at(self, deadline: Deadline) -> WithDeadline<Self, C::Sleep> {
        WithDeadline::new(self, deadline)
    }
}

impl<'c, C, Q, O, Fut, X> Future for GetWithRefresh<'c, '_, C, Q, O, Fut, X>
where
    C: ServeBy<Q> + Serve,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    X: Outcome<Fut::Output, C::Value, C::Error>,
{
    type Output = Result<Read<'c, C, O, Fut, X>, FlightError<C::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (mut this, mut looked_at) = (self.project(), None);
        let alone = |value| Read { value, refresh: None };
        if this.fetching.is_outside() {
            if this.operation.is_none() {
                return Poll::Pending;
            }
            let cache = this.fetching.cache();
            let mut looked = None;
            if let Some(outcome) = cache.hit(*this.key, Reading::Fetches, &mut looked) {
                *this.operation = None;
                return Poll::Ready(outcome.map(alone).map_err(FlightError::Failed));
            }
            let Some(looked) = &mut looked else { return Poll::Pending };
            let at = looked.at;
            match this.fetching.as_mut().enter(looked, *this.key, cx.waker()) {
                Ok(Entered::Served(outcome)) => {
                    *this.operation = None;
                    return Poll::Ready(outcome.map(alone).map_err(FlightError::Failed));
                }
                Ok(Entered::Due { outcome, hash }) => {
                    let operation = this.operation.take();
                    // Made first: whatever of the caller's code panics, nobody leads yet.
                    let key = cache.asks_for_keys().then(|| cache.to_key(*this.key));
                    let ticket = cache.lead_due(hash, *this.key, false);
                    let refresh = ticket.map(|ticket| Refresh {
                        operation,
                        outcome: PhantomData,
                        fetching: Fetching::leading(cache, hash, ticket, key),
                    });
                    return Poll::Ready(outcome.map(|value| Read { value, refresh }).map_err(FlightError::Failed));
                }
                Ok(Entered::Leads(_)) => looked_at = Some(at),
                Ok(Entered::Follows(_)) => {}
                Err(error) => {
                    *this.operation = None;
                    return Poll::Ready(Err(error.of_operation()));
                }
            }
        }
        if let Some(outcome) = ready!(this.fetching.as_mut().poll_news(cx)) {
            *this.operation = None;
            return Poll::Ready(this.fetching.ended(*this.key, outcome).map(alone).map_err(FlightError::Failed));
        }
        let (key, fetching, fetcher) = (*this.key, this.fetching.as_mut(), Fetcher::Caller { looked: looked_at });
        let arrival = ready!(fetching.poll_fetch::<_, X>(this.operation, fetcher, |cache| Some(cache.to_key(key)), cx));
        Poll::Ready(this.fetching.ended(key, arrival.into_outcome()).map(alone).map_err(FlightError::Failed))
    }
}

impl<C, Q, O, Fut, X> Late for GetWithRefresh<'_, '_, C, Q, O, Fut, X>
where
    C: ServeBy<Q> + Serve + Timed,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    X: Outcome<Fut::Output, C::Value, C::Error>,
{
    type Timed = C;

    fn timed(&self) -> &C {
        self.fetching.cache()
    }

    fn follows(&self) -> bool {
        self.fetching.follows()
    }

    fn leave(self: Pin<&mut Self>) -> Self::Output {
        let this = self.project();
        let (left, _) = this.fetching.leave(*this.key, || *this.operation = None);
        left.map(|value| Read { value, refresh: None })
    }
}

impl<C: Flights, Q: ?Sized, O, Fut, X> fmt::Debug for GetWithRefresh<'_, '_, C, Q, O, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GetWithRefresh").field("stage", &self.fetching.stage()).finish_non_exhaustive()
    }
}

pin_project! {
    /// The fetch of a value that has ended or is due, while the old one is served. Made by [`Cache::get_with_refresh`].
    ///
    /// It ends with what the fetch ends with. If that fails, the old value stays for as long as it may.
    ///
    /// Nobody waits for it before it is polled: whoever needs the value then fetches by himself, in its place among [those that are fetched at once](super::Cache::max_fetches), and what this one brings is its caller's alone. It has no such place any more, either, once the key is stored or invalidated.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the fetch; the next read that finds the value due has another one.
    #[must_use = "futures do nothing unless polled"]
    pub struct Refresh<'c, C: Flights, O, Fut, X = AsIs> {
        operation: Option<O>,
        outcome: PhantomData<fn() -> X>,
        #[pin]
        fetching: Fetching<'c, C, Fut>,
    }
}

impl<C, O, Fut, X> Future for Refresh<'_, C, O, Fut, X>
where
    C: Serve,
    O: FnOnce() -> Fut,
    Fut: Future,
    X: Outcome<Fut::Output, C::Value, C::Error>,
{
    type Output = Result<C::Value, C::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.operation.is_some() {
            this.fetching.as_mut().begin();
        }
        let arrival = ready!(this.fetching.poll_fetch::<_, X>(this.operation, Fetcher::Refresher, |_| None, cx));
        Poll::Ready(arrival.outcome)
    }
}

impl<C: Flights, O, Fut, X> fmt::Debug for Refresh<'_, C, O, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("has_started", &self.operation.is_none()).finish_non_exhaustive()
    }
}
