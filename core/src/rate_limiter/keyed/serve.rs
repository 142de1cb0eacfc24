//! How the line of a key is found, or made.

use core::borrow::Borrow;
use core::hash::Hash;
use core::mem::needs_drop;

use super::KeyedRateLimiter;
use super::crowds::Place;
use super::shard::{Crowded, House, Known, Served, Shard};
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
        let Some(Home { index, shard }) = lines.shard(hash) else { return lines.admit(self, hash, read, Some(act)) };
        // It stays here if the key is new: nothing of a caller's is dropped under the lock.
        let mut act = Some(act);
        let served = shard.with(|shard| {
            let place = shard.table.find(hash, |known| known.borrow() == *self)?;
            let now = shard.steady.advance(read, &lines.clock);
            shard.with(house, place, now, act.take()?)
        });
        match served {
            Some(Served { result, crowd }) => Ok((Spot { shard: index, crowd }, result)),
            None => lines.admit(self, hash, read, act),
        }
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
    /// Serves the first caller of a key, for which there may be no room.
    #[cold]
    fn admit<Q, F, R>(&self, key: &Q, hash: u64, read: Instant, act: Option<F>) -> Result<(Spot<S::Link>, R), RateLimitError>
    where
        K: Borrow<Q>,
        Q: Eq + ToKey<K> + ?Sized,
        F: FnOnce(&mut Desk<'_, A, S>) -> R,
    {
        if let Some(error) = self.table_error() {
            return Err(RateLimitError::Config(error));
        }
        let house = self.house();
        let full = RateLimitError::TableFull { capacity: self.keys(), retry_after: None };
        let Some(Home { index, shard }) = self.shard(hash) else { return Err(full) };
        let (mut new, mut act) = (Some(key.to_key()), act);
        loop {
            let (brings, mut served) = (new.is_some(), None);
            // What is forgotten for it is dropped outside the lock, and before anything is taken: it may panic.
            drop(shard.with(|shard| {
                let now = shard.steady.advance(read, &self.clock);
                // Another caller may have brought it meanwhile.
                let known = shard.table.find(hash, |known| known.borrow() == key);
                let (place, forgotten) = match (known, new.take()) {
                    (Some(place), unused) => {
                        new = unused;
                        (place, None)
                    }
                    (None, None) => return None,
                    (None, Some(key)) => match shard.add(house, hash, key, now) {
                        Ok(added) => added,
                        Err(Crowded { key, until }) => {
                            new = Some(key);
                            let retry_after = until.map(|at| at.saturating_duration_since(now));
                            served = Some(Err(RateLimitError::TableFull { capacity: self.keys(), retry_after }));
                            return None;
                        }
                    },
                };
                if const { needs_drop::<Known<A, S::Link>>() || needs_drop::<K>() } && (forgotten.is_some() || new.is_some()) {
                    return forgotten;
                }
                let of_key = act.take().and_then(|act| shard.with(house, place, now, act));
                let of_key = of_key.map(|Served { result, crowd }| (Spot { shard: index, crowd }, result));
                served = Some(of_key.ok_or(full));
                forgotten
            }));
            match served {
                Some(served) => return served,
                None if brings => new = None,
                // It has been forgotten meanwhile.
                None => new = Some(key.to_key()),
            }
        }
    }
}
