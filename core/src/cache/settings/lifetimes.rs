//! For how long entries are good, and what for.

use core::time::Duration;

use super::Cache;
use crate::cache::rules::{Idle, is_early, shortened};
use crate::platform::Platform;
use crate::ratio::Ratio;
use crate::storage::Storage;
use crate::time::nanos;

impl<P: Platform, K, V, E, S: Storage, H, F: Storage, const SHARDS: usize, O> Cache<P, K, V, E, S, H, F, SHARDS, O> {
    /// How long a value is good after it was stored: it is fresh while `now < stored + ttl`. A fetch counts as stored when it has ended, and one that is [ready at once](crate::cache#what-it-promises), when it was asked for. Zero is legal: then only those who ask at the same time share a value. What is longer than 31 years is for ever.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.rules.ttl = nanos(ttl);
        self.note();
        self.settings.rules.is_timed |= nanos(ttl) < u64::MAX;
        self
    }

    /// How long each value is good, instead of one [`ttl`](Cache::ttl) for all. Called once for each, outside the lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// #[derive(Clone)]
    /// struct Token { secret: u64, expires_in: u64 }
    ///
    /// static TOKENS: Cache<u32, Token, &str> = checked!(Cache::new().ttl_by(|_, token: &Token| secs(token.expires_in)));
    ///
    /// aplomb_sim::block_on(async {
    ///     let issue = || async { Ok(Token { secret: 42, expires_in: 3_600 }) };
    ///     assert_eq!(TOKENS.get(&1, issue).await.unwrap().secret, 42);
    ///     aplomb_sim::sleep(secs(3_600)).await;
    ///     assert!(TOKENS.peek(&1).is_none());
    /// });
    /// ```
    #[must_use]
    pub const fn ttl_by(mut self, ttl: fn(&K, &V) -> Duration) -> Self {
        self.settings.ttl_by = Some(ttl);
        self.note();
        self.settings.rules.is_timed = true;
        self
    }

    /// Shortens the TTL of each value by a random share of it, at most this one: what was stored together does not end together. At most 1. Default: 0.
    #[must_use]
    pub const fn ttl_jitter(mut self, share: Ratio) -> Self {
        self.settings.rules.ttl_jitter = share;
        self.settings.rules.shortened = if share.is_zero() { None } else { Some(shortened::<P>) };
        self.note();
        self
    }

    /// How long an error is kept and answered with, so that what fails is not asked at every call. An old value that is served [stale](Cache::stale_while_revalidate), or [in its place](Cache::stale_if_error), is not displaced by an error, and is asked for anew at each read: put a [breaker](crate::circuit_breaker) around the fetch there. Default: 0, not at all.
    #[must_use]
    pub const fn error_ttl(mut self, ttl: Duration) -> Self {
        self.settings.rules.error_ttl = nanos(ttl);
        self.note();
        self.settings.rules.is_timed |= !ttl.is_zero();
        self
    }

    /// How long an entry lives after it was read or stored last, beside its TTL: whichever is over first. What [answers for a fetch that fails](Cache::stale_if_error) is read by that. It ends to the nanosecond; where it is set, a TTL and a [window](Cache::stale_while_revalidate) after it end up to a 65,536th of themselves sooner, and never later.
    #[must_use]
    pub const fn time_to_idle(mut self, idle: Duration) -> Self {
        self.settings.rules.time_to_idle = nanos(idle);
        self.settings.rules.idle = if nanos(idle) < u64::MAX { Some(Idle::KEPT) } else { None };
        self.settings.rules.is_timed |= nanos(idle) < u64::MAX;
        self.settings.rules.is_plain &= nanos(idle) == u64::MAX;
        self
    }

    /// How long before its end a read has an entry fetched anew, by a [refresher](Cache::run) or the [reader](Cache::get_with_refresh), while it is still fresh and served at once: so what is asked for steadily never ends. As Caffeine's `refreshAfterWrite`, counted from the end. Less than the TTL, its [jitter](Cache::ttl_jitter) taken off, if that is one for all: one that is due at once is fetched anew at each read. Default: 0, not before.
    #[must_use]
    pub const fn refresh_ahead(mut self, lead: Duration) -> Self {
        self.settings.rules.refresh_ahead = nanos(lead);
        self.note();
        self.settings.rules.is_plain &= lead.is_zero();
        self
    }

    /// Has a read fetch an entry anew before its end, as if by chance: the sooner the end and the longer its fetch took, the more likely; so that of many readers one is early, and none late. It is `XFetch` (Vattani, Chierichetti, Lowenstein, 2015), with the mean of what fetches of its shard took lately that succeeded, each counted as an eighth of its TTL at most; the share is its *beta*, which is mostly 1; more is earlier. Default: 0, never.
    ///
    /// Who fetches is as with [`refresh_ahead`](Cache::refresh_ahead).
    #[must_use]
    pub const fn early_refresh(mut self, beta: Ratio) -> Self {
        self.settings.rules.early_refresh = beta;
        self.settings.rules.is_early = if beta.is_zero() { None } else { Some(is_early::<P>) };
        self.note();
        self.settings.rules.is_timed |= !beta.is_zero();
        self.settings.rules.is_plain &= beta.is_zero();
        self
    }

    /// How long after its end a value is still served at once, while a [refresher](Cache::run) or the [reader](Cache::get_with_refresh) fetches it anew (RFC 5861).
    #[must_use]
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.settings.rules.stale_while_revalidate = nanos(window);
        self.note();
        self
    }

    /// How long after its end a value still answers instead of a fetch that fails (RFC 5861).
    ///
    /// The service is asked at each read all the same, by one caller at a time for each key. To leave it alone while it is down, put a circuit breaker into the fetch.
    ///
    /// # Examples
    ///
    /// ```
    /// use aplomb_sim::prelude::*;
    ///
    /// static PRICES: Cache<&str, u32, &str> = checked!(Cache::new().ttl(secs(10)).stale_if_error(secs(600)));
    ///
    /// aplomb_sim::block_on(async {
    ///     PRICES.insert("EUR", 109);
    ///     aplomb_sim::sleep(secs(60)).await;
    ///     assert_eq!(PRICES.get(&"EUR", || async { Err("no route to host") }).await, Ok(109));
    /// });
    /// ```
    #[must_use]
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.settings.rules.stale_if_error = nanos(window);
        self
    }
}
