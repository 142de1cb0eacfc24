//! STUB until the real one is merged.
use crate::cache::rules::Times;
use crate::storage::{Link, Slots, Storage};
use crate::time::Instant;

pub(crate) struct Store<K, V, S: Storage> {
    slots: S::Slots<Option<Entry<K, V>>>,
    len: usize,
    weight: u64,
}
pub(crate) struct Entry<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) times: Times,
    pub(crate) weight: u32,
    hash: u64,
    order: u64,
}
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Stamp<L> {
    link: L,
    order: u64,
}
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) capacity: usize,
    pub(crate) max_weight: u64,
}
pub(crate) struct Displaced<K, V> {
    pub(crate) key: K,
    pub(crate) value: V,
    pub(crate) expired: bool,
}
impl<K, V, S: Storage> Store<K, V, S> {
    pub(crate) const fn new() -> Self {
        Self { slots: S::Slots::EMPTY, len: 0, weight: 0 }
    }
    pub(crate) fn len(&self) -> usize {
        self.len
    }
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(&K) -> bool) -> Option<S::Link> {
        let mut slots = self.slots.as_slice().iter();
        slots.position(|slot| slot.as_ref().is_some_and(|e| e.hash == hash && is_it(&e.key))).and_then(Link::new)
    }
    pub(crate) fn get_mut(&mut self, link: S::Link) -> Option<&mut Entry<K, V>> {
        self.slots.as_mut_slice().get_mut(link.index())?.as_mut()
    }
    pub(crate) fn touch(&mut self, _link: S::Link) {}
    pub(crate) fn insert(
        &mut self,
        hash: u64,
        key: K,
        value: V,
        times: Times,
        weight: u32,
        now: Instant,
        limits: Limits,
        dies_at: impl Fn(&Times) -> Instant,
    ) -> Result<Option<Displaced<K, V>>, (K, V)> {
        let displaced = if self.len >= limits.capacity { self.displace(now, dies_at) } else { None };
        let order = self.slots.as_slice().iter().flatten().map(|e| e.order).max().unwrap_or(0) + 1;
        let entry = Entry { key, value, times, weight, hash, order };
        self.weight += u64::from(weight);
        self.len += 1;
        if let Some(slot) = self.slots.as_mut_slice().iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(entry);
        } else {
            let _ = self.slots.try_push(Some(entry));
        }
        Ok(displaced)
    }
    fn displace(&mut self, now: Instant, dies_at: impl Fn(&Times) -> Instant) -> Option<Displaced<K, V>> {
        let dead = |e: &Entry<K, V>| dies_at(&e.times) <= now;
        let slots = self.slots.as_slice().iter().enumerate().filter_map(|(i, e)| e.as_ref().map(|e| (i, e)));
        let (index, entry) = slots.min_by_key(|(_, e)| (!dead(e), e.order))?;
        let expired = dead(entry);
        let e = self.remove(Link::new(index)?)?;
        Some(Displaced { key: e.key, value: e.value, expired })
    }
    pub(crate) fn make_room(
        &mut self,
        weight: u32,
        now: Instant,
        limits: Limits,
        dies_at: impl Fn(&Times) -> Instant,
    ) -> Option<Displaced<K, V>> {
        if self.weight + u64::from(weight) <= limits.max_weight { None } else { self.displace(now, dies_at) }
    }
    pub(crate) fn replace(
        &mut self,
        link: S::Link,
        value: V,
        times: Times,
        weight: u32,
        _d: impl Fn(&Times) -> Instant,
    ) -> Option<V> {
        let entry = self.slots.as_mut_slice().get_mut(link.index())?.as_mut()?;
        self.weight = self.weight - u64::from(entry.weight) + u64::from(weight);
        entry.times = times;
        entry.weight = weight;
        Some(core::mem::replace(&mut entry.value, value))
    }
    pub(crate) fn remove(&mut self, link: S::Link) -> Option<Entry<K, V>> {
        let e = self.slots.as_mut_slice().get_mut(link.index())?.take()?;
        self.weight -= u64::from(e.weight);
        self.len -= 1;
        Some(e)
    }
    pub(crate) fn stamp(&self, link: S::Link) -> Option<Stamp<S::Link>> {
        Some(Stamp { link, order: self.slots.as_slice().get(link.index())?.as_ref()?.order })
    }
    pub(crate) fn take(&mut self, stamp: Stamp<S::Link>) -> Option<Entry<K, V>> {
        (self.stamp(stamp.link)? == stamp).then(|| self.remove(stamp.link))?
    }
    pub(crate) fn after(&self, slot: usize) -> Option<(usize, S::Link)> {
        let slots = self.slots.as_slice().iter().enumerate().skip(slot);
        slots.filter(|(_, e)| e.is_some()).find_map(|(i, _)| Some((i + 1, Link::new(i)?)))
    }
}
