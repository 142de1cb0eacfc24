use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::Deref;

use super::KeyedRateLimiter;
use crate::key::KeyHash;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::rate_limiter::algorithm::Algorithm;
use crate::rate_limiter::event::Event;
use crate::rate_limiter::lines::wake;
use crate::rate_limiter::permit::Permit;
use crate::storage::Storage;
use crate::time::Clock;

impl<P, K, A, S, H, O, const SHARDS: usize> KeyedRateLimiter<P, K, A, S, H, SHARDS, O>
where
    P: Platform,
    A: Algorithm + Copy,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    /// Gives a permit of that key back, for a call that is not made after all. See [`Permit::give_back`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static USERS: KeyedRateLimiter<u32> = checked!(KeyedRateLimiter::new(Rate::per_day(1)));
    ///
    /// # aplomb_sim::block_on(async {
    /// let permit = USERS.try_acquire(&7, 1).unwrap();
    /// aplomb_sim::sleep(secs(5)).await; // nobody answers
    /// KeyedRateLimiter::give_back(permit, &7);
    /// assert_eq!(USERS.snapshot(&7).available, 1);
    /// # });
    /// ```
    pub fn give_back<B, Q>(permit: Permit<B>, key: &Q)
    where
        B: Deref<Target = Self>,
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (lines, hash) = (&**permit.lines(), Self::hash(key));
        let (read, house) = (lines.clock.now(), lines.house());
        // Of a key that somebody runs for, nothing is forgotten.
        let holds_key = lines.limits.counts_calls();
        let first = lines.shard(hash).and_then(|home| {
            home.shard.with(|shard| {
                if !holds_key && permit.taken() < shard.kept_from {
                    return None;
                }
                let index = shard.table.find(hash, |known| known.borrow() == key)?;
                let now = shard.steady.advance(read, &lines.clock);
                let served = shard.with(house, index, now, |desk| desk.take_back(permit.count(), permit.taken()))?;
                shard.is_renewed_sooner(house, index);
                served.result
            })
        });
        wake(first);
        drop(permit);
    }
}
