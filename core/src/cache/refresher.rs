use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::event::Event;
use super::fetching::Fetching;
use super::serve::{Fetcher, Serve, ServeBy, WaitKey};
use super::settings::Cache;
use crate::key::KeyHash;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::single_flight::{AsIs, Converted, FlightError, Outcome};
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
    /// Fetches anew what is due, for ever: what was read [stale](Cache::stale_while_revalidate), [late](Cache::refresh_ahead) or [early](Cache::early_refresh). To be run in a task of its own; several of them fetch so many at once.
    ///
    /// A fetch that fails leaves the old value, and the next read that finds it due asks for another. Without a refresher, what is due is served until its end. As many keys are queued as the cache has [room](Cache::capacity) for, and its [flight storage](Cache::flight_storage); one that finds none is asked for by its next reader. A key that is stored or taken out while it is queued, and is due again, is queued twice, and fetched once.
    ///
    /// # Errors
    ///
    /// It ends only where it cannot wait for what is due: with [`FlightError::Config`]; or with [`FlightError::QueueFull`], at its first poll or after a fetch, if as many others wait as the [flight storage](Cache::flight_storage) has room for. Run no more of them than that.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::Sim;
    /// use aplomb_sim::prelude::*;
    ///
    /// static RATES: Cache<&str, u32> = checked!(Cache::new().ttl(secs(60)).refresh_ahead(secs(10)));
    ///
    /// async fn fetch(currency: &str) -> Result<u32, std::convert::Infallible> { Ok(109) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let refreshed = async {
    ///         RATES.insert("EUR", 108);
    ///         aplomb_sim::sleep(secs(55)).await;
    ///         assert_eq!(RATES.get(&"EUR", || fetch("EUR")).await, Ok(108), "at once");
    ///         aplomb_sim::sleep(secs(10)).await;
    ///         assert_eq!(RATES.get(&"EUR", || fetch("EUR")).await, Ok(109));
    ///     };
    ///     let refresher = async { RATES.run(fetch).await; };
    ///     futures_lite::future::or(refreshed, refresher).await;
    /// });
    /// ```
    pub const fn run<A, Fut>(&self, fetch: A) -> Refresher<'_, Self, A, Fut>
    where
        K: Hash + Eq + Clone,
        A: FnMut(K) -> Fut,
        Fut: Future<Output = Result<V, E>>,
        V: Clone,
        E: Clone,
    {
        Refresher::new(self, fetch)
    }

    /// As [`run`](Cache::run), and makes what is kept of what a fetch ends with, by [`Into`], as [`get_into`](Cache::get_into) does.
    ///
    /// # Errors
    ///
    /// As [`run`](Cache::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::io;
    /// use std::sync::Arc;
    ///
    /// static FILES: Cache<String, Arc<[u8]>, Arc<io::Error>> = checked!(Cache::new().ttl(secs(60)).refresh_ahead(secs(10)));
    ///
    /// async fn read(path: String) -> io::Result<Vec<u8>> { Ok(vec![1; 1_000]) }
    ///
    /// aplomb_sim::block_on(async {
    ///     let reads = async {
    ///         FILES.insert("app.toml".into(), Arc::default());
    ///         aplomb_sim::sleep(secs(55)).await;
    ///         assert_eq!(FILES.get_into("app.toml", || read("app.toml".into())).await.unwrap().len(), 0);
    ///         aplomb_sim::sleep(secs(10)).await;
    ///         assert_eq!(FILES.peek("app.toml").unwrap().len(), 1_000);
    ///     };
    ///     let refreshes = async { FILES.run_into(read).await; };
    ///     futures_lite::future::or(reads, refreshes).await;
    /// });
    /// ```
    pub const fn run_into<A, Fut, R, X>(&self, fetch: A) -> Refresher<'_, Self, A, Fut, Converted>
    where
        K: Hash + Eq + Clone,
        A: FnMut(K) -> Fut,
        Fut: Future<Output = Result<R, X>>,
        R: Into<V>,
        X: Into<E>,
        V: Clone,
        E: Clone,
    {
        Refresher::new(self, fetch)
    }
}

/// How many keys are looked at in one poll, before the task lets others run.
const FETCHES: usize = 32;

/// A place among the refreshers who wait, given up when this is dropped.
struct Place<'c, C: Serve> {
    cache: &'c C,
    waits: Option<WaitKey<C>>,
}

impl<C: Serve> Drop for Place<'_, C> {
    fn drop(&mut self) {
        if let Some(waits) = self.waits.take() {
            self.cache.leave(waits);
        }
    }
}

pin_project! {
    /// Fetches anew what is due; made by [`Cache::run`] and [`Cache::run_into`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the fetch that is under way, and its value stays due. What is queued stays for other refreshers. Polled after its end, it is pending for ever.
    #[must_use = "futures do nothing unless polled"]
    pub struct Refresher<'c, C: Serve, O, Fut, X = AsIs> {
        // None once it has ended.
        fetch: Option<O>,
        outcome: PhantomData<fn() -> X>,
        place: Place<'c, C>,
        #[pin]
        fetching: Fetching<'c, C, Fut>,
    }
}

impl<'c, C: Serve, O, Fut, X> Refresher<'c, C, O, Fut, X> {
    const fn new(cache: &'c C, fetch: O) -> Self {
        Self { fetch: Some(fetch), outcome: PhantomData, place: Place { cache, waits: None }, fetching: Fetching::new(cache) }
    }
}

impl<C, O, Fut, X> Future for Refresher<'_, C, O, Fut, X>
where
    C: ServeBy<<C as Flights>::Key> + Serve<Key: Clone>,
    O: FnMut(C::Key) -> Fut,
    Fut: Future,
    X: Outcome<Fut::Output, C::Value, C::Error>,
{
    type Output = FlightError;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (cache, Some(fetch)) = (this.place.cache, this.fetch.as_mut()) else { return Poll::Pending };
        for _ in 0..FETCHES {
            let mut next = None;
            if this.fetching.is_outside() {
                let taken = match cache.next_key(&mut this.place.waits, cx.waker()) {
                    Ok(Some(taken)) => taken,
                    Ok(None) => return Poll::Pending,
                    Err(error) => {
                        *this.fetch = None;
                        return Poll::Ready(error);
                    }
                };
                let due = taken.key().and_then(|key| cache.take_due(key));
                let (Some(key), Some(hash)) = (taken.into_key(), due) else { continue };
                // Made first: whatever of the caller's code panics, nobody leads yet.
                let kept = cache.asks_for_keys().then(|| key.clone());
                let Some(ticket) = cache.lead_due(hash, &key, true) else { continue };
                this.fetching.set(Fetching::leading(cache, hash, ticket, kept));
                next = Some(key);
            }
            let mut operation = next.map(|key| || fetch(key));
            // Who waits for it has it, and nobody else.
            let _arrival = ready!(this.fetching.as_mut().poll_fetch::<_, X>(&mut operation, Fetcher::Refresher, |_| None, cx));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: Serve, O, Fut, X> fmt::Debug for Refresher<'_, C, O, Fut, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = if self.place.waits.is_some() { "waiting" } else { self.fetching.stage() };
        f.debug_struct("Refresher").field("stage", &stage).finish_non_exhaustive()
    }
}
