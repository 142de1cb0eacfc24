use core::borrow::Borrow;
use core::hash::Hash;
use core::ops::Deref;

use super::KeyedRateLimiter;
use crate::key::{KeyHash, ToKey};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::rate_limiter::algorithm::Algorithm;
use crate::rate_limiter::error::RateLimitError;
use crate::rate_limiter::event::Event;
use crate::rate_limiter::line::Desk;
use crate::rate_limiter::lines::Find;
use crate::rate_limiter::reservation::Reservation;
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
    /// Takes `n` permits for that key in advance, behind all who wait, and says from when on they may be used.
    ///
    /// # Errors
    ///
    /// As [`RateLimiter::reserve`](crate::RateLimiter::reserve), and [`RateLimitError::TableFull`].
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// let users: KeyedRateLimiter<u32> = KeyedRateLimiter::with_burst(Rate::per_second(10), 1);
    /// # aplomb_sim::block_on(async {
    /// users.reserve(&7, 1).unwrap().await;
    /// assert_eq!(users.reserve(&7, 1).unwrap().delay(), ms(100));
    /// # });
    /// ```
    pub fn reserve<Q>(&self, key: &Q, n: u32) -> Result<Reservation<&Self>, RateLimitError>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        Self::reserve_owned(self, key, n)
    }

    /// As [`reserve`](KeyedRateLimiter::reserve), of a limiter that `this` points to.
    ///
    /// # Errors
    ///
    /// As [`reserve`](KeyedRateLimiter::reserve).
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    /// use std::sync::Arc;
    ///
    /// # aplomb_sim::block_on(async {
    /// let users: Arc<KeyedRateLimiter<u32>> = Arc::new(KeyedRateLimiter::with_burst(Rate::per_second(10), 1));
    /// let turn = KeyedRateLimiter::reserve_owned(Arc::clone(&users), &7, 1).unwrap();
    /// aplomb_sim::spawn("call", async move { turn.await }).await.unwrap();
    /// assert_eq!(users.snapshot(&7).available, 0);
    /// # });
    /// ```
    pub fn reserve_owned<B, Q>(this: B, key: &Q, n: u32) -> Result<Reservation<B>, RateLimitError>
    where
        B: Deref<Target = Self>,
        K: Borrow<Q>,
        Q: Hash + Eq + ToKey<K> + ?Sized,
    {
        let reserve = |desk: &mut Desk<'_, A, S>| desk.reserve(n).map(|made| (desk.steady.on_clock(made.at), made));
        let reserved = key.find(&*this, this.clock.now(), reserve).and_then(|(spot, made)| Ok((spot, made?)));
        match reserved {
            Ok((spot, (at, made))) => Ok(Reservation::new(this, spot, n, at, made)),
            Err(error) => Err(this.rejected(error)),
        }
    }
}
