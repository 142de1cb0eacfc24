use crate::storage::{Slots, Storage};
use crate::time::Instant;

/// What comes soonest, of many whose instants may only move back: a heap that is set right when it is looked at.
///
/// It keeps a bound for each, before which it does not come. Whoever moves an instant back need not tell: the bound holds on. Only what stands first is asked when it really comes, and put back if that is later. So what is used often and seldom asked for costs nothing when it is used.
pub(crate) struct Soonest<T, S: Storage> {
    heap: S::Slots<Bound<T>>,
    len: usize,
}

#[derive(Clone, Copy)]
struct Bound<T> {
    not_before: Instant,
    item: T,
}

/// When the first one really comes.
pub(crate) enum Comes {
    /// Now: it is taken out.
    Now,
    /// Not before that instant, which lies ahead.
    Later(Instant),
    /// It is not to be waited for: it is taken out, and must be put in again once it is.
    Unknown,
}

impl<T: Copy, S: Storage> Soonest<T, S> {
    pub(crate) const fn new() -> Self {
        Self { heap: S::Slots::EMPTY, len: 0 }
    }

    /// Puts an item in; nothing happens if there is no room.
    pub(crate) fn push(&mut self, not_before: Instant, item: T) {
        let bound = Bound { not_before, item };
        if let Some(free) = self.heap.as_mut_slice().get_mut(self.len) {
            *free = bound;
        } else if self.heap.try_push(bound).is_err() {
            return;
        }
        self.len += 1;
        self.rise(self.len - 1);
    }

    /// Takes out the first that has come, as `comes` says; or tells when the next one may, if any is to be waited for.
    pub(crate) fn pop(&mut self, now: Instant, mut comes: impl FnMut(T) -> Comes) -> Result<T, Option<Instant>> {
        loop {
            let Some(Bound { not_before, item }) = self.heap.as_slice().first().copied().filter(|_| self.len > 0) else {
                return Err(None);
            };
            if not_before > now {
                return Err(Some(not_before));
            }
            match comes(item) {
                Comes::Now => {
                    self.take(0);
                    return Ok(item);
                }
                Comes::Later(at) => self.replace(0, Bound { not_before: at, item }),
                Comes::Unknown => self.take(0),
            }
        }
    }

    /// Takes an item out, wherever it stands: it is looked for among all.
    pub(crate) fn remove(&mut self, item: T)
    where
        T: PartialEq,
    {
        let listed = self.heap.as_slice().iter().take(self.len);
        if let Some(index) = listed.enumerate().find_map(|(index, bound)| (bound.item == item).then_some(index)) {
            self.take(index);
        }
    }

    /// Takes all out.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    fn take(&mut self, index: usize) {
        self.len = self.len.saturating_sub(1);
        // The last one fills the gap, unless it was the one.
        if let Some(last) = self.heap.as_slice().get(self.len).copied().filter(|_| index < self.len) {
            self.replace(index, last);
        }
    }

    fn replace(&mut self, index: usize, bound: Bound<T>) {
        if let Some(place) = self.heap.as_mut_slice().get_mut(index) {
            *place = bound;
        }
        self.sink(index);
        self.rise(index);
    }

    fn at(&self, index: usize) -> Option<Instant> {
        if index < self.len { self.heap.as_slice().get(index).map(|bound| bound.not_before) } else { None }
    }

    fn rise(&mut self, mut index: usize) {
        while let Some(parent) = index.checked_sub(1).map(|index| index / 2).filter(|parent| self.at(*parent) > self.at(index)) {
            self.heap.as_mut_slice().swap(index, parent);
            index = parent;
        }
    }

    fn sink(&mut self, mut index: usize) {
        while let Some(at) = self.at(index) {
            let (left, right) = (index.saturating_mul(2).saturating_add(1), index.saturating_mul(2).saturating_add(2));
            let child = if self.at(right).is_some_and(|right_at| Some(right_at) < self.at(left)) { right } else { left };
            if self.at(child).is_none_or(|child_at| child_at >= at) {
                return;
            }
            self.heap.as_mut_slice().swap(index, child);
            index = child;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::storage::Inline;

    #[test]
    fn the_first_that_has_come_is_found_however_instants_move() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut soonest = Soonest::<usize, Inline<16>>::new();
            // When each really comes, while it is in.
            let mut really: Vec<Option<u64>> = std::vec![None; 16];
            for now in 0..200 {
                match random.u8(0..4) {
                    3 => {
                        let item = random.usize(0..16);
                        soonest.remove(item);
                        really[item] = None;
                    }
                    0 => {
                        if let Some(item) = really.iter().position(Option::is_none) {
                            let at = now + random.u64(0..20);
                            soonest.push(Instant::from_nanos(at), item);
                            really[item] = Some(at);
                        }
                    }
                    1 => {
                        let item = random.usize(0..16);
                        really[item] = really[item].map(|at| at.max(now) + random.u64(0..20));
                    }
                    _ => {
                        let popped = soonest.pop(Instant::from_nanos(now), |item| match really[item] {
                            Some(at) if at <= now => Comes::Now,
                            Some(at) => Comes::Later(Instant::from_nanos(at)),
                            None => Comes::Unknown,
                        });
                        let come = really.iter().flatten().filter(|at| **at <= now).count();
                        match popped {
                            Ok(item) => assert!(really[item].take().is_some_and(|at| at <= now), "seed {seed} at {now}"),
                            Err(next) => {
                                assert_eq!(come, 0, "seed {seed} at {now}");
                                let soonest = really.iter().flatten().min().map(|at| Instant::from_nanos(*at));
                                assert!(next.is_some() == soonest.is_some() && next <= soonest);
                            }
                        }
                    }
                }
            }
        }
    }
}
