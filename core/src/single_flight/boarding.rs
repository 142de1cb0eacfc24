//! How a single flight takes its callers in.

use core::borrow::Borrow;
use core::hash::Hash;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::error::FlightError;
use super::event::Event;
use super::settings::{SingleFlight, Succession, TableOf};
use super::with_deadline::Timed;
use crate::alarm::Alarm;
use crate::key::{KeyHash, ToKey, hash, shard_of};
use crate::observe::SharedObserver;
use crate::platform::{Ambient, Platform};
use crate::storage::Storage;
use crate::sync::flights::{Board, Flights, Followed, Led, Stands};
use crate::time::{Clock, Instant};

impl<P, K, T, E, W, S, H, const SHARDS: usize, O> Flights for SingleFlight<P, K, T, E, W, S, H, SHARDS, O>
where
    P: Platform,
    W: Succession,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
{
    type Key = K;
    type Outcome = Result<T, E>;
    type Work = W::Work<Result<T, E>>;
    type Storage = S;

    #[inline]
    fn with_table<R>(&self, hash: u64, act: impl FnOnce(&mut TableOf<K, T, E, W, S>) -> R) -> Option<R> {
        self.shards.get(shard_of(hash, SHARDS)).map(|shard| shard.with(act))
    }

    #[inline]
    fn tell_of_leaving(&self, is_handed_over: bool) {
        self.observer.observe(&if is_handed_over { Event::HandedOver } else { Event::Abandoned });
    }
}

impl<P, K, T, E, W, S, H, Q, const SHARDS: usize, O> Board<Q> for SingleFlight<P, K, T, E, W, S, H, SHARDS, O>
where
    P: Platform,
    K: Borrow<Q>,
    W: Succession,
    S: Storage,
    H: KeyHash,
    O: SharedObserver<Event>,
    Q: Hash + Eq + ToKey<K> + ?Sized,
{
    #[inline]
    fn board(&self, key: &Q, waker: &Waker) -> Result<(u64, Stands<S::Link>), FlightError> {
        let (hash, limits) = (hash::<H, Q>(P::hash_seed(), key), self.limits());
        let full = FlightError::Full { capacity: limits.flights };
        let mut waker = waker.clone();
        loop {
            match self.with_table(hash, |table| table.follow(hash, |known| known.borrow() == key, waker, limits)).ok_or(full)? {
                Followed::Waits(place) => return Ok((hash, Stands::Follows(place))),
                Followed::Full(_unused, waiting) => return Err(FlightError::QueueFull { waiting }),
                Followed::Unlisted(unused) => waker = unused,
            }
            if let Some(error) = self.settings_error() {
                return Err(FlightError::Config(error));
            }
            let new = key.to_key();
            match self.with_table(hash, |table| table.lead(hash, new, |known| known.borrow() == key, limits)).ok_or(full)? {
                Led::Leads(ticket) => return Ok((hash, Stands::Leads(ticket))),
                Led::Full(_key) => return Err(full),
                // Another caller was quicker.
                Led::Listed(_key) => {}
            }
        }
    }

    #[inline]
    fn tell(&self, event: Event) {
        self.observer.observe(&event);
    }
}

impl<P, K, T, E, W, S, H, const SHARDS: usize, O> Timed for SingleFlight<P, K, T, E, W, S, H, SHARDS, O>
where
    P: Platform<Clock: Ambient>,
    W: Succession,
    S: Storage,
{
    type Sleep = <P::Clock as Clock>::Sleep;

    fn poll_until(&self, alarm: Pin<&mut Alarm<Self::Sleep>>, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        alarm.poll_until(&P::Clock::CLOCK, at, cx)
    }
}
