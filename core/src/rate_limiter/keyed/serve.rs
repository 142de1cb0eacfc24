//! How the line of a key is found, or made.

use core::borrow::Borrow;
use core::hash::Hash;

use super::KeyedRateLimiter;
use super::crowds::Place;
use super::shard::{Crowded, House, Served, Shard};
use crate::key::{KeyHash, ToKey, hash, shard_of};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::rate_limiter::algorithm::Algorithm;
use crate::rate_limiter::error::RateLimitError;
use crate::rate_limiter::event::Event;
use crate::rate_limiter::line::{Crowd, Desk, lateness};
use crate::rate_limiter::lines::{Find, Lines};
use crate::storage::Storage;
use crate::sync::Shared;
use crate::time::{Clock, Instant};

/// How often a new key is brought that is not found: others may have displaced it at once, or it may not be equal to itself.
const TRIES: usize = 8;

/// Where a key belongs.
pub(super) struct Home<'l, P: Platform, K, A: Algorithm, S: Storage> {
    index: usize,
    pub(super) shard: &'l Shared<P::RawMutex, Shard<K, A, S>>,
}

impl<P: Platform, K, A: Algorithm, S: Storage> Home<'_, P, K, A, S> {
    /// Of a key that nobody waits for or uses.
    pub(super) const fn spot(&self) -> Spot<S::Link> {
        Spot { shard: self.index, crowd: None }
    }
}

impl<P, K, A, S, H, O, const SHARDS: usize> KeyedRateLimiter<P, K, A, S, H, SHARDS, O>
where
    P: Platform,
    A: Algorithm + Copy,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    #[inline]
    pub(super) fn hash<Q: Hash + ?Sized>(key: &Q) -> u64 {
        hash::<H, Q>(P::hash_seed(), key)
    }

    /// The shard of a hash: by bits of it that its table looks at last.
    #[inline]
    pub(super) fn shard(&self, hash: u64) -> Option<Home<'_, P, K, A, S>> {
        let index = shard_of(hash, SHARDS);
        self.shards.get(index).map(|shard| Home { index, shard })
    }

    #[inline]
    pub(super) fn house(&self) -> House<'_, A> {
        House {
            algorithm: &self.algorithm,
            limits: self.limits,
            lateness: const { lateness(<P::Clock as Clock>::RESOLUTION) },
            capacity: self.keys().div_ceil(SHARDS).min(S::CAPACITY),
        }
    }
}

impl<P, K, A, S, H, O, const SHARDS: usize> Lines for KeyedRateLimiter<P, K, A, S, H, SHARDS, O>
where
    P: Platform,
    A: Algorithm + Copy,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    type Platform = P;
    type Algorithm = A;
    type Storage = S;
    type Observer = O;
    type Spot = Spot<S::Link>;

    fn observer(&self) -> &O {
        &self.observer
    }

    fn clock(&self) -> &P::Clock {
        &self.clock
    }

    #[inline]
    fn counts_calls(&self) -> bool {
        self.limits.counts_calls()
    }

    fn with<R>(&self, spot: Spot<S::Link>, read: Instant, act: impl FnOnce(&mut Desk<'_, A, S>) -> R) -> Option<R> {
        let (house, place) = (self.house(), spot.crowd?);
        self.shards.get(spot.shard)?.with(|shard| {
            let index = shard.crowds.index(place)?;
            let now = shard.steady.advance(read, &self.clock);
            shard.with(house, index, now, act).map(|served| served.result)
        })
    }

    fn with_crowd<R>(&self, spot: Spot<S::Link>, act: impl FnOnce(&mut Crowd<S::Link>) -> R) -> Option<R> {
        let (house, place) = (self.house(), spot.crowd?);
        self.shards.get(spot.shard)?.with(|shard| shard.with_crowd(house, place, act))
    }
}

/// Where the callers of a key are, as long as one runs, waits, or has reserved.
#[derive(Debug, Clone, Copy)]
pub struct Spot<L> {
    shard: usize,
    crowd: Option<Place<L>>,
}

impl<P, K, A, S, H, Q, O, const SHARDS: usize> Find<KeyedRateLimiter<P, K, A, S, H, SHARDS, O>> for &Q
where
    P: Platform,
    K: Borrow<Q>,
    A: Algorithm + Copy,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
    Q: Hash + Eq + ToKey<K> + ?Sized,
{
    #[inline]
    fn find<R>(
        &self,
        lines: &KeyedRateLimiter<P, K, A, S, H, SHARDS, O>,
        read: Instant,
        act: impl FnOnce(&mut Desk<'_, A, S>) -> R,
    ) -> Result<(Spot<S::Link>, R), RateLimitError> {
        let (hash, house) = (KeyedRateLimiter::<P, K, A, S, H, SHARDS, O>::hash(*self), lines.house());
        let mut act = Some(act);
        for _ in 0..TRIES {
            if let Some(Home { index, shard }) = lines.shard(hash) {
                // It stays here if the key is new: nothing of a caller's is dropped under the lock.
                let served = shard.with(|shard| {
                    let place = shard.table.find(hash, |known| known.borrow() == *self)?;
                    let now = shard.steady.advance(read, &lines.clock);
                    shard.with(house, place, now, act.take()?)
                });
                if let Some(Served { result, crowd }) = served {
                    return Ok((Spot { shard: index, crowd }, result));
                }
            }
            lines.admit(*self, hash, read)?;
        }
        Err(lines.full())
    }
}

/// A key that whoever waits has itself.
#[derive(Debug)]
pub struct Own<K>(pub(super) K);

impl<P, K, A, S, H, O, const SHARDS: usize> Find<KeyedRateLimiter<P, K, A, S, H, SHARDS, O>> for Own<K>
where
    P: Platform,
    K: Hash + Eq + Clone,
    A: Algorithm + Copy,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    #[inline]
    fn find<R>(
        &self,
        lines: &KeyedRateLimiter<P, K, A, S, H, SHARDS, O>,
        read: Instant,
        act: impl FnOnce(&mut Desk<'_, A, S>) -> R,
    ) -> Result<(Spot<S::Link>, R), RateLimitError> {
        (&self.0).find(lines, read, act)
    }
}

impl<P, K, A, S, H, O, const SHARDS: usize> KeyedRateLimiter<P, K, A, S, H, SHARDS, O>
where
    P: Platform,
    A: Algorithm + Copy,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    /// Makes a line for the first caller of a key, for which there may be no room. What is forgotten for it is dropped before anything is taken: it may panic.
    #[cold]
    fn admit<Q>(&self, key: &Q, hash: u64, read: Instant) -> Result<(), RateLimitError>
    where
        K: Borrow<Q>,
        Q: Eq + ToKey<K> + ?Sized,
    {
        if let Some(error) = self.table_error() {
            return Err(RateLimitError::Config(error));
        }
        let Some(Home { shard, .. }) = self.shard(hash) else { return Err(self.full()) };
        let (mut new, house) = (Some(key.to_key()), self.house());
        let added = shard.with(|shard| {
            let now = shard.steady.advance(read, &self.clock);
            // Another caller may have brought it meanwhile.
            if shard.table.find(hash, |known| known.borrow() == key).is_some() {
                return Ok(None);
            }
            let Some(key) = new.take() else { return Ok(None) };
            shard.add(house, hash, key, now).map_err(|Crowded { key, until }| {
                new = Some(key);
                let retry_after = until.map(|at| at.saturating_duration_since(now));
                RateLimitError::TableFull { capacity: self.keys(), retry_after }
            })
        });
        added.map(drop)
    }

    #[cold]
    fn full(&self) -> RateLimitError {
        RateLimitError::TableFull { capacity: self.keys(), retry_after: None }
    }
}
