use crate::storage::{Slots, Storage};
use crate::time::Instant;

/// How many slots of a table have an instant together.
pub(crate) const BLOCK: usize = 16;

/// What comes first in a table, whose instants mostly move back: a bound for each block of slots, before which nothing of it comes, and a tree of their minima.
///
/// Whoever moves an instant back need not tell: the bound holds on. Only the block that stands first is looked through, when one is wanted, and its bound set right. So what is used often and seldom wanted costs nothing when it is used.
pub(crate) struct Earliest<S: Storage> {
    /// Each node is the earlier of the two below it, at twice its number and one or two more; the last ones are the blocks'.
    tree: S::Slots<Instant>,
}

impl<S: Storage> Earliest<S> {
    pub(crate) const fn new() -> Self {
        Self { tree: S::Slots::EMPTY }
    }

    fn blocks(&self) -> usize {
        self.tree.as_slice().len().div_ceil(2)
    }

    /// Is for so many slots from now on, in which anything may have come.
    pub(crate) fn start_anew(&mut self, slots: usize) {
        let nodes = slots.div_ceil(BLOCK).saturating_mul(2).saturating_sub(1);
        while self.tree.as_slice().len() < nodes && self.tree.try_push(Instant::ORIGIN).is_ok() {}
        self.tree.as_mut_slice().fill(Instant::ORIGIN);
    }

    /// Something in that slot comes at `at`, or later.
    pub(crate) fn lower(&mut self, slot: usize, at: Instant) {
        let mut node = self.node(slot / BLOCK);
        loop {
            match self.tree.as_mut_slice().get_mut(node) {
                Some(bound) if *bound > at => *bound = at,
                _ => return,
            }
            match parent(node) {
                Some(parent) => node = parent,
                None => return,
            }
        }
    }

    /// In what block near that slot something may have come by now; else when the first one may.
    pub(crate) fn near(&self, slot: usize, now: Instant) -> Result<usize, Instant> {
        let has_come = |node| self.at(node) <= now && !self.at(node).is_never();
        if !has_come(0) {
            return Err(self.at(0));
        }
        let (mut node, blocks) = (self.node(slot / BLOCK), self.blocks());
        while let Some(parent) = parent(node).filter(|_| !has_come(node)) {
            node = parent;
        }
        while node + 1 < blocks {
            let left = 2 * node + 1;
            node = if has_come(left) { left } else { left + 1 };
        }
        Ok(node + 1 - blocks)
    }

    /// Nothing in that block comes before `at`.
    pub(crate) fn set(&mut self, block: usize, at: Instant) {
        let mut node = self.node(block);
        if let Some(bound) = self.tree.as_mut_slice().get_mut(node) {
            *bound = at;
        }
        while let Some(parent) = parent(node) {
            let earlier = self.at(2 * parent + 1).min(self.at(2 * parent + 2));
            if let Some(bound) = self.tree.as_mut_slice().get_mut(parent) {
                *bound = earlier;
            }
            node = parent;
        }
    }

    /// A bound for that slot.
    pub(crate) fn bound(&self, slot: usize) -> Instant {
        self.at(self.node(slot / BLOCK))
    }

    fn node(&self, block: usize) -> usize {
        self.blocks().saturating_add(block).saturating_sub(1)
    }

    fn at(&self, node: usize) -> Instant {
        self.tree.as_slice().get(node).copied().unwrap_or(Instant::MAX)
    }
}

fn parent(node: usize) -> Option<usize> {
    node.checked_sub(1).map(|node| node / 2)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;
    use crate::storage::Inline;

    #[test]
    fn what_has_come_is_found_however_instants_move() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let slots = random.usize(1..90);
            let mut earliest = Earliest::<Inline<90>>::new();
            earliest.start_anew(slots);
            // When each really comes, if it is there.
            let mut really: Vec<Option<u64>> = std::vec![None; slots];
            for now in 0..200 {
                let (slot, at) = (random.usize(0..slots), now + random.u64(0..20));
                match random.u8(0..4) {
                    0 if really[slot].is_none() => {
                        really[slot] = Some(at);
                        earliest.lower(slot, Instant::from_nanos(at));
                    }
                    1 => really[slot] = really[slot].map(|before| before.max(at)),
                    2 => really[slot] = None,
                    _ => loop {
                        let soonest = really.iter().flatten().min().map_or(Instant::MAX, |at| Instant::from_nanos(*at));
                        match earliest.near(random.usize(0..slots), Instant::from_nanos(now)) {
                            Err(next) => {
                                assert!(soonest > Instant::from_nanos(now) && next <= soonest, "seed {seed} at {now}");
                                break;
                            }
                            Ok(block) => {
                                let of_block = really.iter_mut().skip(block * BLOCK).take(BLOCK);
                                if let Some(come) = of_block.into_iter().find(|at| at.is_some_and(|at| at <= now)) {
                                    *come = None;
                                    break;
                                }
                                let of_block = really.iter().skip(block * BLOCK).take(BLOCK);
                                let at = of_block.flatten().min().map_or(Instant::MAX, |at| Instant::from_nanos(*at));
                                earliest.set(block, at);
                            }
                        }
                    },
                }
            }
        }
    }
}
