//! How a single flight takes its callers in.

use core::borrow::Borrow;
use core::hash::Hash;
use core::mem::needs_drop;
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
use crate::sync::flights::{Board, Boarded, Flights, Role, Stands};
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
    fn board(&self, key: &Q, waker: &Waker, role: &mut Role<'_, Self>) -> Result<(), FlightError> {
        let (hash, limits) = (hash::<H, Q>(P::hash_seed(), key), self.limits());
        if let Some(error) = self.settings_error() {
            return Err(FlightError::Config(error));
        }
        let mut waker = Some(waker.clone());
        // A key that owns nothing costs nothing: it is there if this caller is to lead, and the lock is taken once.
        let mut new = if needs_drop::<K>() { None } else { Some(key.to_key()) };
        loop {
            let board = |table: &mut TableOf<K, T, E, W, S>| {
                table.board(hash, &mut new, |known| known.borrow() == key, &mut waker, limits)
            };
            match self.with_table(hash, board) {
                Some(Boarded::Follows(place)) => role.take(hash, Stands::Follows(place)),
                Some(Boarded::Leads(ticket)) => role.take(hash, Stands::Leads(ticket)),
                Some(Boarded::Unlisted) => {
                    new = Some(key.to_key());
                    continue;
                }
                Some(Boarded::QueueFull(waiting)) => return Err(FlightError::QueueFull { waiting }),
                Some(Boarded::Full) | None => return Err(FlightError::Full { capacity: self.keys() }),
            }
            return Ok(());
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
