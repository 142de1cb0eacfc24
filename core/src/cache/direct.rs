//! What is done with entries at once.

use core::borrow::Borrow;
use core::hash::Hash;
use core::time::Duration;

use super::event::{Event, Removal};
use super::settings::Cache;
use super::shard::{Gone, Shard, Terms};
use super::store::{Entry, Sought};
use crate::key::KeyHash;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::sync::{ScopedRawMutex, Shared};

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
    H: KeyHash,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
{
    /// The value that is there, and would be served by [`get`](Cache::get). Nothing is learnt from it: it counts neither as a hit nor as a use.
    pub fn peek<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let (hash, read, rules) = (Self::hash(key), self.read(), &self.settings.rules);
        self.with_shard(hash, |shard| {
            let now = self.now(shard, read);
            shard.peek(rules, hash, |known| known.borrow() == key, now)
        })?
    }

    /// Keeps a value, in the place of what is there. A fetch that is under way still answers its callers; what it brings is not kept.
    ///
    /// # Errors
    ///
    /// A cache whose configuration makes no sense keeps nothing. Nor does any keep what is heavier than [`max_weight`](Cache::max_weight), or over at once; it is no error, and what was there is gone all the same.
    pub fn insert(&self, key: K, value: V)
    where
        K: Hash + Eq,
    {
        self.store(key, value, None);
    }

    /// As [`insert`](Cache::insert), with a TTL of its own, also in a cache of which nothing else gets old: from then on its reads look at the clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let sessions: Cache<u64, &str> = Cache::new().ttl(secs(3_600));
    /// aplomb_sim::block_on(async {
    ///     sessions.insert_with_ttl(7, "guest", secs(60));
    ///     aplomb_sim::sleep(secs(60)).await;
    ///     assert_eq!(sessions.peek(&7), None);
    /// });
    /// ```
    pub fn insert_with_ttl(&self, key: K, value: V, ttl: Duration)
    where
        K: Hash + Eq,
    {
        self.store(key, value, Some(ttl));
    }

    fn store(&self, key: K, value: V, ttl: Option<Duration>)
    where
        K: Hash + Eq,
    {
        if self.checked().is_err() {
            return;
        }
        let (hash, read, rules, limits) = (Self::hash(&key), self.read(), &self.settings.rules, self.limits());
        let Some(new) = self.new_entry(Some(&key), Ok(value), ttl) else { return };
        let (mut entry, mut gone) = (Some((key, new)), Gone::NOTHING);
        let mut put = |shard: &mut Shard<K, V, E, S, F>, gone: &mut Gone<K, V, E>| {
            shard.has_own_ttls |= ttl.is_some();
            let terms = Terms { rules, limits, now: self.now(shard, read) };
            let (key, new) = entry.take_if(|(key, new)| {
                shard.make_room(terms, hash, key, new, gone);
                gone.displaced.is_none()
            })?;
            Some(shard.put(terms, hash, key, new, gone))
        };
        // What makes room is dropped outside the lock, one by one.
        while let Some(None) = self.with_shard(hash, |shard| put(shard, &mut gone)) {
            self.tell_displaced(&mut gone);
        }
        self.tell_displaced(&mut gone);
    }

    /// Takes a value out; it comes back, whether it had ended or not. A fetch that is under way still answers its callers; what it brings is not kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let users: Cache<u64, &str> = Cache::new();
    /// users.insert(7, "ann");
    /// assert_eq!(users.invalidate(&7), Some("ann"));
    /// assert_eq!(users.peek(&7), None);
    /// ```
    pub fn invalidate<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = Self::hash(key);
        let invalidated = self.with_shard(hash, |shard| shard.invalidate(hash, |known| known.borrow() == key))?;
        let Entry { key, value, .. } = invalidated.entry?;
        self.tell_removed(&key, &value, Removal::Invalidated);
        value.ok()
    }
}

impl<P, K, V, E, S, H, F, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O>
where
    P: Platform,
    S: Storage,
    F: Storage,
    O: for<'e> SharedObserver<Event<'e, K, V>>,
{
    /// Takes all values out of which the predicate is true, and has all fetches that are under way answer their callers only. How many. Errors that are kept stay: for them there is [`invalidate_errors_if`](Cache::invalidate_errors_if).
    ///
    /// The predicate is called outside the lock, with clones. What is stored meanwhile may be passed over; or be taken out by what was said of the value before it, where others store all the time.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let pages: Cache<String, u32> = Cache::new();
    /// pages.insert("/a/1".into(), 1);
    /// pages.insert("/b/1".into(), 2);
    /// assert_eq!(pages.invalidate_if(|path, _| path.starts_with("/a/")), 1);
    /// assert_eq!(pages.len(), 1);
    /// ```
    pub fn invalidate_if(&self, predicate: impl FnMut(&K, &V) -> bool) -> usize
    where
        K: Clone + Hash + Eq,
        V: Clone,
    {
        self.take_if(|outcome| outcome.as_ref().ok().cloned(), predicate)
    }

    /// Takes all [errors that are kept](Cache::error_ttl) out of which the predicate is true, and has all fetches that are under way answer their callers only. How many.
    ///
    /// The predicate is called as that of [`invalidate_if`](Cache::invalidate_if) is.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let users: Cache<u64, &str, u16> = Cache::new().error_ttl(secs(60));
    /// aplomb_sim::block_on(async {
    ///     let _ = users.get(&7, || async { Err(404) }).await;
    ///     let _ = users.get(&8, || async { Err(503) }).await;
    ///     assert_eq!(users.invalidate_errors_if(|_, status| *status == 503), 1);
    ///     assert_eq!(users.get(&8, || async { Ok("ann") }).await, Ok("ann"));
    /// });
    /// ```
    pub fn invalidate_errors_if(&self, predicate: impl FnMut(&K, &E) -> bool) -> usize
    where
        K: Clone + Hash + Eq,
        E: Clone,
    {
        self.take_if(|outcome| outcome.as_ref().err().cloned(), predicate)
    }

    /// Takes all entries out of which there is something to be asked, and the predicate is true of that.
    fn take_if<T>(&self, copy: fn(&Result<V, E>) -> Option<T>, mut predicate: impl FnMut(&K, &T) -> bool) -> usize
    where
        K: Clone + Eq,
    {
        let mut count = 0;
        for shard in &self.shards {
            forget_fetches(shard);
            let (mut slot, mut asked) = (usize::MAX, 0);
            loop {
                let mut copied = match shard.with(|shard| shard.last_before(&mut slot, copy)) {
                    Sought::Found(copied) => copied,
                    Sought::Unsure => continue,
                    Sought::Nothing => break,
                };
                asked += 1;
                if copied.asked.take().is_some_and(|asked| predicate(&copied.key, &asked)) {
                    match shard.with(|shard| shard.take_copied(&copied, asked > TRIES)) {
                        Some(taken) => {
                            count += 1;
                            self.tell_removed(&taken.key, &taken.value, Removal::Invalidated);
                        }
                        // It may be another value by now, which is asked for again.
                        None if asked <= TRIES => continue,
                        None => {}
                    }
                }
                (slot, asked) = (copied.next, 0);
            }
        }
        count
    }

    /// Takes all entries out, and has all fetches that are under way answer their callers only.
    pub fn clear(&self) {
        for shard in &self.shards {
            forget_fetches(shard);
            let mut slot = usize::MAX;
            // One by one: they are dropped outside the lock.
            loop {
                match shard.with(|shard| shard.take_before(&mut slot)) {
                    Sought::Found(entry) => self.tell_removed(&entry.key, &entry.value, Removal::Invalidated),
                    Sought::Unsure => {}
                    Sought::Nothing => break,
                }
            }
        }
    }

    /// Takes all entries out that have ended and may not be served any more. How many. There is no need to: they go first when room is wanted. It is for who would rather have their memory, or hear of them, sooner; it looks only where some may have ended, by bounds that reads leave behind, and so at worst through all, 128 at a time.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// let sessions: Cache<u64, Vec<u8>> = Cache::new().ttl(secs(60));
    /// aplomb_sim::block_on(async {
    ///     sessions.insert(1, vec![0; 1_000]);
    ///     aplomb_sim::sleep(secs(30)).await;
    ///     sessions.insert(2, vec![0; 1_000]);
    ///     aplomb_sim::sleep(secs(30)).await;
    ///     assert_eq!((sessions.purge_expired(), sessions.len()), (1, 1));
    /// });
    /// ```
    pub fn purge_expired(&self) -> usize {
        let (read, rules, mut count) = (self.read(), &self.settings.rules, 0);
        for shard in &self.shards {
            let take = || {
                shard.with(|shard| {
                    let now = self.now(shard, read);
                    shard.take_ended(rules, now)
                })
            };
            // One by one: they are dropped outside the lock.
            loop {
                match take() {
                    Sought::Found(entry) => {
                        count += 1;
                        self.tell_removed(&entry.key, &entry.value, Removal::Expired);
                    }
                    Sought::Unsure => {}
                    Sought::Nothing => break,
                }
            }
        }
        count
    }
}

impl<P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O> {
    /// How many entries there are, those included that have ended and not yet been taken out.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.with(|shard| shard.len())).sum()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How often a predicate is asked anew where others store at the same time.
const TRIES: u32 = 3;

/// Has all fetches of a shard answer their callers only. Keys are dropped outside the lock, one by one.
fn forget_fetches<R: ScopedRawMutex, K, V, E, S: Storage, F: Storage>(shard: &Shared<R, Shard<K, V, E, S, F>>) {
    let mut place = 0;
    while let Some((_key, next)) = shard.with(|shard| shard.flights.forget_from(place)) {
        place = next;
    }
}
