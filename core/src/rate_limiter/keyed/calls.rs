//! What is done with a key.

use core::borrow::Borrow;
use core::future::Future;
use core::hash::Hash;
use core::ops::Deref;

use super::KeyedRateLimiter;
use super::serve::{Own, Spot};
use crate::config::ConfigError;
use crate::deadline::Deadline;
use crate::key::{KeyHash, ToKey};
use crate::observe::SharedObserver;
use crate::panicking::wake_all;
use crate::platform::{Platform, SMALL};
use crate::rate_limiter::acquire::Acquire;
use crate::rate_limiter::algorithm::{Algorithm, Refused};
use crate::rate_limiter::error::RateLimitError;
use crate::rate_limiter::event::Event;
use crate::rate_limiter::line::Snapshot;
use crate::rate_limiter::lines::Find;
use crate::rate_limiter::permit::Permit;
use crate::rate_limiter::run::Run;
use crate::storage::Storage;
use crate::time::{Clock, Instant};

/// Where permits were taken, and as of when; or why they were not.
type Taken<L> = Result<(Spot<L>, Instant), RateLimitError>;

impl<P, K, A, S, H, O, const SHARDS: usize> KeyedRateLimiter<P, K, A, S, H, SHARDS, O>
where
    P: Platform,
    A: Algorithm + Copy,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    /// Runs the operation as soon as there is a permit for that key.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::run`](crate::RateLimiter::run), and [`RateLimitError::TableFull`] if the key is new and all others are in use.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static HOSTS: KeyedRateLimiter<String> = checked!(KeyedRateLimiter::new(Rate::per_second(10)).max_concurrent(2));
    ///
    /// async fn fetch(host: &str) -> Result<usize, std::io::Error> { Ok(host.len()) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let length = HOSTS.run("example.org", || fetch("example.org")).await?;
    /// # assert_eq!(length, 11);
    /// # Ok::<_, RateLimitError<std::io::Error>>(()) }).unwrap();
    /// ```
    pub fn run<'q, Q, F, Fut, T, E>(&self, key: &'q Q, operation: F) -> Run<&Self, &'q Q, F, Fut>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run_n(key, 1, operation)
    }

    /// As [`run`](KeyedRateLimiter::run), with an operation that costs `n` permits.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// static UPLOADS: KeyedRateLimiter<u32> = checked!(KeyedRateLimiter::new(Rate::per_second(1_000_000)));
    ///
    /// async fn upload(file: &[u8]) -> Result<(), std::io::Error> { Ok(()) }
    ///
    /// # aplomb_sim::block_on(async {
    /// let (user, file) = (7, [0; 4_096]);
    /// UPLOADS.run_n(&user, 4_096, || upload(&file)).await.unwrap();
    /// # assert_eq!(UPLOADS.snapshot(&7).available, 995_904); });
    /// ```
    pub fn run_n<'q, Q, F, Fut, T, E>(&self, key: &'q Q, n: u32, operation: F) -> Run<&Self, &'q Q, F, Fut>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        Run::new(self.acquire(key, n), operation)
    }

    /// Waits until there are `n` permits for that key, and takes them. Callers of one key are served in the order of their first poll.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::acquire`](crate::RateLimiter::acquire), and [`RateLimitError::TableFull`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let users: KeyedRateLimiter<u32> = KeyedRateLimiter::with_burst(Rate::per_second(2), 1);
    /// aplomb_sim::block_on(async {
    ///     users.acquire(&1, 1).await.unwrap();
    ///     users.acquire(&2, 1).await.unwrap();
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 0, "each has permits of its own");
    ///     users.acquire(&1, 1).await.unwrap();
    ///     assert_eq!(aplomb_sim::now().as_nanos(), 500_000_000);
    /// });
    /// ```
    pub const fn acquire<'q, Q>(&self, key: &'q Q, n: u32) -> Acquire<&Self, &'q Q>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        Acquire::new(self, key, n, Instant::MAX)
    }

    /// As [`acquire`](KeyedRateLimiter::acquire), of a limiter that `this` points to: an `Arc` or `Rc` of it, which the permit keeps, into whatever task it goes.
    ///
    /// # Errors
    ///
    /// As [`acquire`](KeyedRateLimiter::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::sync::Arc;
    ///
    /// aplomb_sim::block_on(async {
    ///     let users: Arc<KeyedRateLimiter<u32>> = Arc::new(KeyedRateLimiter::new(Rate::per_second(10)).max_concurrent(1));
    ///     let permit = KeyedRateLimiter::acquire_owned(Arc::clone(&users), &7, 1).await.unwrap();
    ///     aplomb_sim::spawn("call", async move { drop(permit) }).await.unwrap();
    ///     assert_eq!(users.snapshot(&7).running, Some(0));
    /// });
    /// ```
    pub const fn acquire_owned<B, Q>(this: B, key: &Q, n: u32) -> Acquire<B, &Q>
    where
        B: Deref<Target = Self>,
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        Acquire::new(this, key, n, Instant::MAX)
    }

    /// As [`acquire_owned`](KeyedRateLimiter::acquire_owned), with a key that whoever waits has itself, and until `deadline` at the longest: nothing is borrowed.
    ///
    /// # Errors
    ///
    /// As [`acquire_by`](KeyedRateLimiter::acquire_by).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static HOSTS: KeyedRateLimiter<String> = checked!(KeyedRateLimiter::new(Rate::per_second(10)));
    ///
    /// # aplomb_sim::block_on(async {
    /// let permits = KeyedRateLimiter::acquire_own(&HOSTS, String::from("example.org"), 4, Deadline::NEVER);
    /// aplomb_sim::spawn("call", async move { permits.await.unwrap(); }).await.unwrap();
    /// assert_eq!(HOSTS.snapshot("example.org").available, 6);
    /// # });
    /// ```
    pub const fn acquire_own<B: Deref<Target = Self>>(this: B, key: K, n: u32, deadline: Deadline) -> Acquire<B, Own<K>>
    where
        K: Hash + Eq + Clone,
    {
        Acquire::new(this, Own(key), n, deadline.instant())
    }

    /// As [`acquire`](KeyedRateLimiter::acquire), and waits no longer than until `deadline`. What can't be there by then is refused at once, as far as the rule can tell.
    ///
    /// # Errors
    ///
    /// [`RateLimitError::Deadline`], and those of [`acquire`](KeyedRateLimiter::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let users: KeyedRateLimiter<u32> = KeyedRateLimiter::with_burst(Rate::per_second(1), 1);
    /// aplomb_sim::block_on(async {
    ///     users.acquire_by(&7, 1, deadline(ms(10))).await.unwrap();
    ///     let late = users.acquire_by(&7, 1, deadline(ms(10))).await;
    ///     assert!(late.unwrap_err().is_timeout());
    /// });
    /// ```
    pub const fn acquire_by<'q, Q>(&self, key: &'q Q, n: u32, deadline: Deadline) -> Acquire<&Self, &'q Q>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        Acquire::new(self, key, n, deadline.instant())
    }

    /// Takes `n` permits for that key, if they are there and nobody waits.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::try_acquire`](crate::RateLimiter::try_acquire), and [`RateLimitError::TableFull`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let users: KeyedRateLimiter<u32> = KeyedRateLimiter::with_burst(Rate::per_second(10), 1);
    /// # aplomb_sim::block_on(async {
    /// assert!(users.try_acquire(&7, 1).is_ok());
    /// let refused = users.try_acquire(&7, 1).unwrap_err();
    /// assert_eq!(refused.retry_after(), Some(ms(100)));
    /// # });
    /// ```
    #[inline]
    pub fn try_acquire<Q>(&self, key: &Q, n: u32) -> Result<Permit<&Self>, RateLimitError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        Self::try_acquire_owned(self, key, n)
    }

    /// As [`try_acquire`](KeyedRateLimiter::try_acquire), of a limiter that `this` points to.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](KeyedRateLimiter::try_acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::sync::Arc;
    ///
    /// # aplomb_sim::block_on(async {
    /// let users: Arc<KeyedRateLimiter<u32>> = Arc::new(KeyedRateLimiter::new(Rate::per_second(10)).max_concurrent(1));
    /// let permit = KeyedRateLimiter::try_acquire_owned(Arc::clone(&users), &7, 1).unwrap();
    /// let call = aplomb_sim::spawn("call", async move { drop(permit) });
    /// assert_eq!(users.snapshot(&7).running, Some(1));
    /// call.await.unwrap();
    /// # assert_eq!(users.snapshot(&7).running, Some(0)); });
    /// ```
    #[inline]
    pub fn try_acquire_owned<B, Q>(this: B, key: &Q, n: u32) -> Result<Permit<B>, RateLimitError>
    where
        B: Deref<Target = Self>,
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        let read = this.clock.now();
        match this.take_alone(key, read, n) {
            Some(Ok((spot, taken))) => return Ok(Permit::new(this, spot, n, taken)),
            Some(Err(error)) => return Err(this.rejected(error)),
            None => {}
        }
        match this.take(key, read, n) {
            Ok((spot, taken)) => Ok(Permit::new(this, spot, n, taken)),
            Err(error) => Err(this.rejected(error)),
        }
    }

    #[inline]
    fn take<Q>(&self, key: &Q, read: Instant, n: u32) -> Taken<S::Link>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        let (spot, taken) = key.find(self, read, |desk| desk.take(n))?;
        match taken {
            Ok(taken) => Ok((spot, taken)),
            Err(denied) => Err(match denied.until() {
                Some(error) => error,
                None => key.find(self, read, |desk| desk.explain(n, &denied))?.1,
            }),
        }
    }

    /// Takes permits of a key that is known, and that nobody waits for or uses; `None` if that is not how it is, or if there is more to say.
    #[inline]
    fn take_alone<Q>(&self, key: &Q, read: Instant, n: u32) -> Option<Taken<S::Link>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        // On a small machine it would be more code.
        if SMALL || self.limits.counts_calls() {
            return None;
        }
        let (hash, house) = (Self::hash(key), self.house());
        let home = self.shard(hash)?;
        let (now, taken) = home.shard.with(|shard| {
            let now = shard.steady.advance(read, &self.clock);
            let place = shard.table.find(hash, |known| known.borrow() == key)?;
            shard.take_alone(house, place, now, n).map(|taken| (now, taken))
        })?;
        match taken {
            Ok(()) => Some(Ok((home.spot(), now))),
            Err(Refused::Until(at)) => {
                Some(Err(RateLimitError::Limited { retry_after: Some(at.saturating_duration_since(now)) }))
            }
            Err(Refused::Never) => None,
        }
    }

    #[inline]
    pub(super) fn rejected(&self, reason: RateLimitError) -> RateLimitError {
        self.observer.observe(&Event::Rejected { reason });
        reason
    }

    /// Changes the rule of all keys from now on, as [`RateLimiter::set_rate`](crate::RateLimiter::set_rate) does. It goes through all of them, a shard at a time. A key that is as good as new by one rule may be forgotten, and is new by the next: where bursts or periods become smaller and large again at once, it may have all of its permits anew.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], if the new rule makes no sense. Nothing changes then.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let users: KeyedRateLimiter<u32> = KeyedRateLimiter::new(Rate::per_second(10));
    /// users.set_rate(Rate::per_second(100))?;
    /// # aplomb_sim::block_on(async {
    /// assert_eq!(users.snapshot(&7).available, 100);
    /// # });
    /// # Ok::<_, ConfigError>(())
    /// ```
    pub fn set_rate(&self, rule: impl Into<A>) -> Result<(), ConfigError> {
        let (rule, read, house) = (rule.into(), self.clock.now(), self.house());
        let mut decided = None;
        for shard in &self.shards {
            let (rule, change) = shard.with(|shard| {
                let (rule, change) = decided.map_or_else(|| shard.next_change(house, rule), Ok)?;
                let now = shard.steady.advance(read, &self.clock);
                shard.take_over(house, rule, change, now);
                Ok((rule, change))
            })?;
            decided = Some((rule, change));
        }
        // Whoever is first in its queue looks anew, and not before all shards have the rule: a waker may panic.
        let (mut shards, mut looked_at) = (self.shards.as_slice(), 0);
        wake_all(&mut || {
            while let [shard, others @ ..] = shards {
                let first = shard.with(|shard| shard.next_to_look(house, &mut looked_at));
                if first.is_some() {
                    return first;
                }
                (shards, looked_at) = (others, 0);
            }
            None
        });
        Ok(())
    }

    /// How the line of that key stands; as a new one, if it is not known.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let users: KeyedRateLimiter<u32> = KeyedRateLimiter::new(Rate::per_second(10));
    /// # aplomb_sim::block_on(async {
    /// users.try_acquire(&7, 4).unwrap();
    /// assert_eq!((users.snapshot(&7).available, users.snapshot(&8).available), (6, 10));
    /// # });
    /// ```
    pub fn snapshot<Q>(&self, key: &Q) -> Snapshot
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, read, house) = (Self::hash(key), self.clock.now(), self.house());
        let new = |available| Snapshot { available, waiting: 0, running: self.limits.counts_calls().then_some(0) };
        let Some(home) = self.shard(hash) else { return new(self.algorithm.most()) };
        home.shard.with(|shard| {
            let now = shard.steady.advance(read, &self.clock);
            let known = shard.table.find(hash, |known| known.borrow() == key);
            let served = known.and_then(|index| shard.with(house, index, now, |desk| desk.snapshot()));
            served.map_or_else(|| new(shard.rule(house).available(&A::START, now)), |served| served.result)
        })
    }

    /// Forgets a key that nobody uses, and what was taken of its permits with it. Whether it was there, and is no more.
    ///
    /// Permits that were taken before, of any key in its shard, are not [given back](KeyedRateLimiter::give_back) any more: nobody knows which of them came back with the key. Those that hold theirs are, where calls are [counted](KeyedRateLimiter::max_concurrent), and reservations.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let users: KeyedRateLimiter<u32> = KeyedRateLimiter::new(Rate::per_second(10));
    /// # aplomb_sim::block_on(async {
    /// users.try_acquire(&7, 4).unwrap();
    /// assert!(users.forget(&7));
    /// assert_eq!((users.snapshot(&7).available, users.len()), (10, 0));
    /// # });
    /// ```
    pub fn forget<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = Self::hash(key);
        let forgotten = self.shard(hash).and_then(|home| {
            home.shard.with(|shard| {
                let place = shard.table.find(hash, |known| known.borrow() == key)?;
                shard.forget(place)
            })
        });
        forgotten.is_some()
    }

    /// How many keys are known.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.with(|shard| shard.table.len())).sum()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
