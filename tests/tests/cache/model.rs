//! What a cache is, slow and obvious: a map with times, and a list of who fetches what.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use aplomb::key::FoldHash;
use aplomb::time::ms;
use aplomb::{Cache, Storage};

use crate::hand::Hand;

pub(crate) type Subject<S, F, const SHARDS: usize> = Cache<Hand, u8, u32, u32, S, FoldHash, F, SHARDS>;
pub(crate) type Outcome = Result<u32, u32>;

pub(crate) const KEYS: u8 = 8;
/// In milliseconds, as all times here.
pub(crate) const NEVER: u64 = u64::MAX;

const HOUR: u64 = 3_600_000;
const YEAR: u64 = 365 * 24 * HOUR;

/// How long a value is good that says so itself.
pub(crate) fn ttl_of(value: u32) -> u64 {
    [0, 10, 30, NEVER, HOUR, YEAR][value as usize % 6]
}

pub(crate) fn weight_of(value: u32) -> u32 {
    value % 5
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) ttl: u64,
    pub(crate) by_value: bool,
    pub(crate) time_to_idle: u64,
    pub(crate) refresh_ahead: u64,
    pub(crate) stale_while_revalidate: u64,
    pub(crate) stale_if_error: u64,
    pub(crate) error_ttl: u64,
    /// None: more than is ever needed.
    pub(crate) capacity: Option<usize>,
    pub(crate) max_weight: Option<u64>,
}

impl Settings {
    pub(crate) fn draw(rng: &mut fastrand::Rng, capacity: Option<usize>) -> Self {
        let is_small = capacity.is_some();
        let mut one_of = |times: &[u64]| times[rng.usize(0..times.len())];
        let settings = Self {
            ttl: one_of(&[NEVER, 0, 1, 20, 50, HOUR, 3 * YEAR]),
            time_to_idle: one_of(&[NEVER, NEVER, 0, 15, 40, HOUR, 30 * YEAR]),
            refresh_ahead: one_of(&[0, 0, 10, 30, NEVER]),
            stale_while_revalidate: one_of(&[0, 0, 20, HOUR, NEVER]),
            stale_if_error: one_of(&[0, 0, 30, YEAR, NEVER]),
            error_ttl: one_of(&[0, 0, 10, HOUR, NEVER]),
            by_value: rng.u8(0..4) == 0,
            capacity,
            max_weight: (is_small && rng.bool()).then(|| rng.u64(1..12)),
        };
        // As long as the TTL is refused, where that is one for all.
        let most = if settings.by_value { NEVER } else { settings.ttl.saturating_sub(1).min(1_000) };
        let settings = Self { refresh_ahead: settings.refresh_ahead.min(most), ..settings };
        // Of what is evicted only that can be followed which a look would find.
        let calm = Self { refresh_ahead: 0, stale_while_revalidate: 0, stale_if_error: 0, error_ttl: 0, ..settings };
        if is_small { calm } else { settings }
    }

    pub(crate) fn apply<S: Storage, F: Storage, const N: usize>(&self, cache: Subject<S, F, N>) -> Subject<S, F, N> {
        let cache = cache.ttl(time(self.ttl)).time_to_idle(time(self.time_to_idle)).error_ttl(time(self.error_ttl));
        let cache = cache.refresh_ahead(time(self.refresh_ahead)).stale_if_error(time(self.stale_if_error));
        let cache = cache.stale_while_revalidate(time(self.stale_while_revalidate));
        let cache = if self.by_value { cache.ttl_by(|_, value| time(ttl_of(*value))) } else { cache };
        let cache = self.capacity.into_iter().fold(cache, Cache::capacity);
        let weigh = |cache: Subject<S, F, N>, most| cache.max_weight(most).weigh_by(|_, value| weight_of(*value));
        self.max_weight.into_iter().fold(cache, weigh)
    }
}

pub(crate) fn time(millis: u64) -> Duration {
    if millis == NEVER { Duration::MAX } else { ms(millis) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Age {
    Fresh,
    Due,
    Stale,
    Reserve,
    Dead,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) outcome: Outcome,
    pub(crate) stored: u64,
    pub(crate) ttl: u64,
    pub(crate) read: u64,
    pub(crate) is_queued: bool,
    /// Whether all has come to its end that has one.
    pub(crate) has_ended: bool,
}

/// Whether a flight is found by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    Found,
    /// No more; it goes on for those who have it.
    Forgotten,
    /// Nor has it a place: somebody needed the key, or it was forgotten, before its leader was polled.
    Over,
}

/// Who leads is a caller, or the refresher.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) key: u8,
    pub(crate) listed: Listed,
    /// Whether its leader has been polled.
    pub(crate) has_begun: bool,
    pub(crate) leader: u32,
    /// Whether the leader has learnt that it leads.
    pub(crate) is_told: bool,
    /// Whether the leader ends with what the fetch does, whatever is there.
    pub(crate) refreshes: bool,
    pub(crate) followers: VecDeque<u32>,
}

pub(crate) const REFRESHER: u32 = 0;

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) hits: u64,
    pub(crate) stale: u64,
    pub(crate) misses: u64,
    pub(crate) fetches: u64,
    pub(crate) errors: u64,
    pub(crate) expired: u64,
    pub(crate) stale_if_error: u64,
}

/// What a cache is, slow and obvious.
pub(crate) struct Model {
    pub(crate) settings: Settings,
    pub(crate) now: u64,
    pub(crate) entries: BTreeMap<u8, Entry>,
    pub(crate) flights: Vec<Flight>,
    pub(crate) landed: BTreeMap<u32, Outcome>,
    pub(crate) queue: VecDeque<u8>,
    pub(crate) counts: Counts,
}

/// What becomes of one who calls.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Called {
    Served { outcome: Outcome, is_due: bool },
    Leads,
    Follows,
}

impl Model {
    pub(crate) fn new(settings: Settings, now: u64) -> Self {
        Self {
            settings,
            now,
            entries: BTreeMap::new(),
            flights: Vec::new(),
            landed: BTreeMap::new(),
            queue: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    pub(crate) fn age(&self, entry: &Entry) -> Age {
        let Settings { time_to_idle, refresh_ahead, stale_while_revalidate, stale_if_error, .. } = self.settings;
        let after = |from: u64, time: u64| self.now >= from.saturating_add(time);
        let end = entry.stored.saturating_add(entry.ttl);
        let (is_error, is_over) = (entry.outcome.is_err(), self.now >= end);
        match () {
            () if entry.has_ended && (is_error || time_to_idle < NEVER) => Age::Dead,
            () if entry.has_ended && stale_while_revalidate == NEVER => Age::Stale,
            () if entry.has_ended && stale_if_error == NEVER => Age::Reserve,
            () if entry.has_ended => Age::Dead,
            () if after(entry.read, time_to_idle) => Age::Dead,
            () if is_over && is_error => Age::Dead,
            () if is_over && !after(end, stale_while_revalidate) => Age::Stale,
            () if is_over && !after(end, stale_if_error) => Age::Reserve,
            () if is_over => Age::Dead,
            () if !is_error && end != NEVER && refresh_ahead > 0 && end - self.now <= refresh_ahead => Age::Due,
            () => Age::Fresh,
        }
    }

    /// The clock was set back, and has been seen.
    pub(crate) fn end_all(&mut self) {
        let may_idle = self.settings.time_to_idle < NEVER;
        for entry in self.entries.values_mut() {
            entry.has_ended |= may_idle || entry.ttl < NEVER;
        }
    }

    /// How long it is to an end that comes a little sooner than it should: one beside idleness, by a 65,536th of its span.
    pub(crate) fn unsure_for(&self) -> Option<u64> {
        let Settings { time_to_idle, refresh_ahead, stale_while_revalidate, stale_if_error, .. } = self.settings;
        let ends = self.entries.values().filter(|entry| time_to_idle < NEVER && entry.ttl < NEVER).flat_map(|entry| {
            let end = entry.stored.saturating_add(entry.ttl);
            let window = end.saturating_add(stale_while_revalidate);
            let reserve = end.saturating_add(stale_if_error).max(window);
            let spans = entry.ttl.saturating_add(stale_while_revalidate);
            let all = spans.saturating_add(stale_if_error);
            [(end.saturating_sub(refresh_ahead), entry.ttl), (end, entry.ttl), (window, spans), (reserve, all)]
        });
        let near = ends.filter(|(end, spans)| (end.saturating_sub(spans / 65_536)..*end).contains(&self.now));
        near.filter(|(end, _)| *end < NEVER).map(|(end, _)| end - self.now).max()
    }

    /// The age of what is there.
    pub(crate) fn known(&self, key: u8) -> Age {
        self.entries.get(&key).map_or(Age::Dead, |entry| self.age(entry))
    }

    /// Takes out what is of no use to anybody. How many.
    pub(crate) fn purge(&mut self) -> usize {
        let dead: Vec<u8> = self.entries.keys().copied().filter(|key| self.known(*key) == Age::Dead).collect();
        for key in &dead {
            self.entries.remove(key);
        }
        self.counts.expired += dead.len() as u64;
        dead.len()
    }

    pub(crate) fn peek(&self, key: u8) -> Option<u32> {
        let entry = self.entries.get(&key)?;
        (self.age(entry) <= Age::Stale).then(|| entry.outcome.ok()).flatten()
    }

    pub(crate) fn listed(&mut self, key: u8) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| flight.listed == Listed::Found && flight.key == key)
    }

    pub(crate) fn lead(&mut self, key: u8, leader: u32, has_begun: bool) {
        self.counts.fetches += 1;
        let (refreshes, followers) = (!has_begun || leader == REFRESHER, VecDeque::new());
        self.flights.push(Flight { key, listed: Listed::Found, has_begun, leader, is_told: true, refreshes, followers });
    }

    pub(crate) fn call(&mut self, key: u8, id: u32, queues: bool) -> Called {
        let (age, now, is_fetched) = (self.known(key), self.now, self.listed(key).is_some());
        if age <= Age::Stale
            && let Some(entry) = self.entries.get_mut(&key)
        {
            entry.read = now;
            let counts = &mut self.counts;
            *(if age == Age::Stale { &mut counts.stale } else { &mut counts.hits }) += 1;
            let is_due = age >= Age::Due && !is_fetched && !(queues && entry.is_queued);
            if is_due && queues {
                entry.is_queued = true;
                self.queue.push_back(key);
            }
            return Called::Served { outcome: entry.outcome, is_due };
        }
        self.counts.misses += 1;
        match self.listed(key) {
            Some(flight) if flight.has_begun => {
                flight.followers.push_back(id);
                return Called::Follows;
            }
            // Nobody waits for what may never be polled.
            Some(flight) => flight.listed = Listed::Over,
            None => {}
        }
        self.lead(key, id, true);
        Called::Leads
    }

    pub(crate) fn unlist(&mut self, which: impl Fn(u8) -> bool) {
        let listed = self.flights.iter_mut().filter(|flight| flight.listed == Listed::Found);
        for flight in listed.filter(|flight| which(flight.key)) {
            flight.listed = if flight.has_begun { Listed::Forgotten } else { Listed::Over };
        }
    }

    pub(crate) fn put(&mut self, key: u8, outcome: Outcome, own: Option<u64>) {
        let Settings { ttl, by_value, error_ttl, max_weight, .. } = self.settings;
        let ttl = match outcome {
            Err(_) => error_ttl,
            Ok(value) => own.unwrap_or(if by_value { ttl_of(value) } else { ttl }),
        };
        self.counts.expired += u64::from(self.entries.contains_key(&key) && self.known(key) > Age::Due);
        let entry = Entry { outcome, stored: self.now, ttl, read: self.now, is_queued: false, has_ended: false };
        let is_heavy = max_weight.is_some_and(|most| u64::from(outcome.map_or(1, weight_of)) > most);
        if is_heavy || self.age(&entry) == Age::Dead {
            self.entries.remove(&key);
        } else {
            self.entries.insert(key, entry);
        }
    }

    /// The fetch of that leader has ended: what all end with, and what its own was.
    pub(crate) fn arrive(&mut self, leader: u32, outcome: Outcome) -> Outcome {
        let at = self.flights.iter().position(|flight| flight.leader == leader).unwrap();
        let flight = self.flights.remove(at);
        self.counts.errors += u64::from(outcome.is_err());
        let mut result = outcome;
        if flight.listed == Listed::Found {
            let (age, now) = (self.known(flight.key), self.now);
            let known = self.entries.get_mut(&flight.key).filter(|_| age != Age::Dead);
            let is_read = !flight.refreshes || !flight.followers.is_empty();
            match known.and_then(|entry| Some((entry.outcome.ok()?, &mut entry.read))) {
                Some((reserve, read)) if outcome.is_err() => {
                    result = Ok(reserve);
                    if is_read {
                        *read = now;
                        self.counts.stale_if_error += u64::from(age == Age::Reserve);
                    }
                }
                _ if outcome.is_err() && self.settings.error_ttl == 0 => {}
                _ => self.put(flight.key, outcome, None),
            }
        }
        self.landed.extend(flight.followers.into_iter().map(|follower| (follower, result)));
        result
    }

    /// What a call with that key ends with: a value that was stored meanwhile comes before an error.
    pub(crate) fn ended(&self, key: u8, outcome: Outcome) -> Outcome {
        outcome.or_else(|error| self.peek(key).ok_or(error))
    }

    pub(crate) fn leave(&mut self, id: u32) {
        self.landed.remove(&id);
        for flight in &mut self.flights {
            flight.followers.retain(|follower| *follower != id);
        }
        if let Some(at) = self.flights.iter().position(|flight| flight.leader == id) {
            match self.flights[at].followers.pop_front() {
                Some(next) => {
                    let flight = &mut self.flights[at];
                    (flight.leader, flight.is_told, flight.refreshes) = (next, false, false);
                }
                None => _ = self.flights.remove(at),
            }
        }
    }

    pub(crate) fn leads(&mut self, id: u32) -> Option<&mut Flight> {
        self.flights.iter_mut().find(|flight| flight.leader == id)
    }

    /// Whether there is news for one who waits.
    pub(crate) fn is_called(&self, id: u32) -> bool {
        self.landed.contains_key(&id) || self.flights.iter().any(|flight| flight.leader == id && !flight.is_told)
    }
}
