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
use super::serve::{Entered, Fetcher, LookedOf, Serve, ServeBy};
use super::settings::Cache;
use super::shard::Reading;
use crate::alarm::Alarm;
use crate::deadline::Deadline;
use crate::key::{KeyHash, ToKey};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::single_flight::{AsIs, Converted, FlightError, Late, MaybeShared, Outcome, Timed, WithDeadline, WithShared};
use crate::storage::Storage;
use crate::sync::flights::Flights;
use crate::time::{Clock, Instant};

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
    H: KeyHash,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
{
    /// The value of a key: the one that is there; or else what the operation brings, of one caller for all who ask at the same time.
    ///
    /// The operation is dropped unstarted where the value is there, or another one fetches it. What is served after its end, or is due, is put into the queue of the [refreshers](Cache::run); to fetch it oneself, take [`get_with_refresh`](Cache::get_with_refresh).
    ///
    /// A caller that fetches and is dropped, or panics, hands over to the one that has waited longest, which starts its own operation.
    ///
    /// # Errors
    ///
    /// A clone of the fetch's own, as [`FlightError::Failed`], unless a value was stored meanwhile; [`FlightError::Full`] and [`FlightError::QueueFull`], at once, if there is nothing to be served.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static AVATARS: Cache<String, Vec<u8>, &str> = checked!(Cache::new().capacity(500).ttl(secs(3_600)));
    ///
    /// async fn load(name: &str) -> Result<Vec<u8>, &'static str> { Ok(name.as_bytes().to_vec()) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let image = AVATARS.get("ann", || load("ann")).await?;
    /// # assert_eq!(image, b"ann");
    /// # Ok::<_, FlightError<&str>>(()) }).unwrap();
    /// ```
    pub const fn get<'q, Q, A, Fut>(&self, key: &'q Q, fetch: A) -> Get<'_, 'q, Self, Q, A, Fut>
    where
        K: Borrow<Q> + Hash + Eq,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        A: FnOnce() -> Fut,
        Fut: Future<Output = Result<V, E>>,
        V: Clone,
        E: Clone,
    {
        Get::new(self, key, fetch)
    }

    /// As [`get`](Cache::get), and makes what is kept of what the operation ends with, by [`Into`]: what cannot be cloned, or is costly to clone, is put into an `Arc` so.
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
    /// static FILES: Cache<String, Arc<[u8]>, Arc<io::Error>> = checked!(Cache::new().ttl(secs(5)));
    ///
    /// async fn read(path: &str) -> io::Result<Vec<u8>> { Ok(vec![1; 1_000]) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let bytes = FILES.get_into("app.toml", || read("app.toml")).await?;
    /// # assert_eq!(bytes.len(), 1_000);
    /// # Ok::<_, FlightError<Arc<io::Error>>>(()) }).unwrap();
    /// ```
    pub const fn get_into<'q, Q, A, Fut, R, X>(&self, key: &'q Q, fetch: A) -> Get<'_, 'q, Self, Q, A, Fut, Converted>
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
        Get::new(self, key, fetch)
    }
}

pin_project! {
    /// A value that is there, or is fetched; made by [`Cache::get`] and [`Cache::get_into`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it harms no other caller. If it fetches, its operation is dropped, and the caller that has waited longest starts its own. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Get<'c, 'q, C: Flights, Q: ?Sized, O, Fut, X = AsIs> {
        key: &'q Q,
        // None once it has started, or has ended.
        operation: Option<O>,
        is_shared: bool,
        outcome: PhantomData<fn() -> X>,
        #[pin]
        fetching: Fetching<'c, C, Fut>,
    }
}

impl<'c, 'q, C: Flights, Q: ?Sized, O, Fut, X> Get<'c, 'q, C, Q, O, Fut, X> {
    pub(super) const fn new(cache: &'c C, key: &'q Q, operation: O) -> Self {
        let fetching = Fetching::new(cache);
        Self { key, operation: Some(operation), is_shared: false, outcome: PhantomData, fetching }
    }

    /// Tells too whether the fetch was shared with others. What was there counts as not shared.
    pub const fn with_shared(self) -> WithShared<Self> {
        WithShared::new(self)
    }
}

impl<C, Q, O, Fut, X> Get<'_, '_, C, Q, O, Fut, X>
where
    C: ServeBy<Q> + Serve + Timed,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    X: Outcome<Fut::Output, C::Value, C::Error>,
{
    /// Waits no longer than until that deadline. Then it is answered by what [answers for a fetch that fails](Cache::stale_if_error), or else ends with [`FlightError::Deadline`]. It is this caller's alone: if it fetches, it hands over to the one that has waited longest, which starts its own operation.
    ///
    /// Who comes to fetch when its time is up starts nothing. A [`timeout`](crate::timeout) around the call knows only afterwards: of many callers that are late at the same instant, each would start its fetch.
    ///
    /// No fetch outlives the caller whose it is. Where all deadlines are shorter than a fetch, none ends, and nothing is ever kept: there, have the call in a task of its own, and wait for that no longer than you like.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static PRICES: Cache<&str, u32> = checked!(Cache::new().ttl(secs(10)).stale_if_error(secs(600)));
    ///
    /// async fn fetch() -> Result<u32, std::convert::Infallible> { std::future::pending().await }
    ///
    /// aplomb_sim::block_on(async {
    ///     PRICES.insert("EUR", 109);
    ///     aplomb_sim::sleep(secs(60)).await;
    ///     let price = |currency| PRICES.get(currency, fetch).deadline_at(deadline(ms(200)));
    ///     assert_eq!(price(&"EUR").await, Ok(109));
    ///     assert_eq!(price(&"USD").await, Err(FlightError::Deadline));
    /// });
    /// ```
    ///
    /// A fetch that goes on when its caller has gone:
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static PRICES: Cache<&str, u32> = checked!(Cache::new().ttl(secs(10)));
    ///
    /// async fn fetch() -> Result<u32, std::convert::Infallible> {
    ///     aplomb_sim::sleep(ms(300)).await;
    ///     Ok(109)
    /// }
    ///
    /// aplomb_sim::block_on(async {
    ///     let price = || timeout(ms(200), aplomb_sim::spawn("price", PRICES.get(&"EUR", fetch)));
    ///     assert!(price().await.is_err());
    ///     assert_eq!(price().await.unwrap(), Ok(109), "begun by the one before");
    /// });
    /// ```
    pub const fn deadline_at(self, deadline: Deadline) -> WithDeadline<Self, C::Sleep> {
        WithDeadline::new(self, deadline)
    }
}

impl<C, Q, O, Fut, X> Get<'_, '_, C, Q, O, Fut, X>
where
    C: ServeBy<Q> + Serve,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    X: Outcome<Fut::Output, C::Value, C::Error>,
{
    /// Goes on from a look; or, without one, from where it is: fetches, or waits for another one's fetch.
    // Kept out of line, so that the way of who finds a value is short.
    #[cfg_attr(target_pointer_width = "64", inline(never))]
    #[cfg_attr(not(target_pointer_width = "64"), inline)]
    fn poll_on(
        self: Pin<&mut Self>,
        looked: Option<&mut LookedOf<C>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<C::Outcome, FlightError>> {
        let (mut this, mut looked_at) = (self.project(), None);
        if let Some(looked) = looked {
            let at = looked.at;
            match this.fetching.as_mut().enter(looked, *this.key, cx.waker()) {
                Ok(Entered::Served(outcome)) => {
                    *this.operation = None;
                    return Poll::Ready(Ok(outcome));
                }
                Ok(Entered::Due { outcome, hash }) => {
                    *this.operation = None;
                    this.fetching.cache().queue(hash, *this.key);
                    return Poll::Ready(Ok(outcome));
                }
                Ok(Entered::Leads(_)) => looked_at = Some(at),
                Ok(Entered::Follows(_)) => {}
                Err(error) => {
                    *this.operation = None;
                    return Poll::Ready(Err(error));
                }
            }
        }
        if let Some(outcome) = ready!(this.fetching.as_mut().poll_news(cx)) {
            (*this.operation, *this.is_shared) = (None, true);
            return Poll::Ready(Ok(this.fetching.ended(*this.key, outcome)));
        }
        let (key, fetching, fetcher) = (*this.key, this.fetching.as_mut(), Fetcher::Caller { looked: looked_at });
        let arrival = ready!(fetching.poll_fetch::<_, X>(this.operation, fetcher, |cache| Some(cache.to_key(key)), cx));
        *this.is_shared = arrival.is_shared;
        Poll::Ready(Ok(this.fetching.ended(key, arrival.into_outcome())))
    }
}

impl<C, Q, O, Fut, X> Future for Get<'_, '_, C, Q, O, Fut, X>
where
    C: ServeBy<Q> + Serve,
    Q: ?Sized,
    O: FnOnce() -> Fut,
    Fut: Future,
    X: Outcome<Fut::Output, C::Value, C::Error>,
{
    type Output = Result<C::Value, FlightError<C::Error>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (this, mut looked) = (self.as_mut().project(), None);
        if this.fetching.is_outside()
            && this.operation.is_some()
            && let Some(outcome) = this.fetching.cache().hit(*this.key, Reading::Queues, &mut looked)
        {
            *this.operation = None;
            return Poll::Ready(outcome.map_err(FlightError::Failed));
        }
        self.poll_on(looked.as_mut(), cx).map(|on| match on {
            Ok(outcome) => outcome.map_err(FlightError::Failed),
            Err(error) => Err(error.of_operation()),
        })
    }
}

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Timed for Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
{
    type Sleep = <P::Clock as Clock>::Sleep;

    fn poll_until(&self, alarm: Pin<&mut Alarm<Self::Sleep>>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        alarm.poll_until(&self.clock, at, cx)
    }
}

impl<C, Q, O, Fut, X> Late for Get<'_, '_, C, Q, O, Fut, X>
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
        let left;
        (left, *this.is_shared) = this.fetching.leave(*this.key, || *this.operation = None);
        left
    }
}

impl<C: Flights, Q: ?Sized, O, Fut, X> MaybeShared for Get<'_, '_, C, Q, O, Fut, X> {
    fn is_shared(&self) -> bool {
        self.is_shared
    }
}

impl<C: Flights, Q: ?Sized, O, Fut, X> fmt::Debug for Get<'_, '_, C, Q, O, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get").field("stage", &self.fetching.stage()).finish_non_exhaustive()
    }
}
