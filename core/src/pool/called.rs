//! Jobs that have a place, and do not know yet.

use super::lanes::Slot;
use crate::storage::Link;

/// Who was called and has not come: a list, from the last one to the first. It takes the links that they stood in their lanes by.
pub(super) struct Called<L> {
    pub(super) last: Option<L>,
}

impl<L: Link> Called<L> {
    pub(super) fn add<T>(&mut self, slots: &mut [Slot<T, L>], link: L) {
        let earlier = self.last.replace(link);
        set_earlier(slots, link, earlier);
        set_later(slots, earlier, Some(link));
    }

    /// Takes out one who is in it.
    pub(super) fn remove<T>(&mut self, slots: &mut [Slot<T, L>], link: L) {
        let Some(slot) = slots.get_mut(link.index()) else { return };
        let (earlier, later) = (slot.next.take(), slot.previous.take());
        match later {
            Some(later) => set_earlier(slots, later, earlier),
            None => self.last = earlier,
        }
        set_later(slots, earlier, later);
    }
}

fn set_earlier<T, L: Link>(slots: &mut [Slot<T, L>], of: L, earlier: Option<L>) {
    if let Some(slot) = slots.get_mut(of.index()) {
        slot.next = earlier;
    }
}

fn set_later<T, L: Link>(slots: &mut [Slot<T, L>], of: Option<L>, later: Option<L>) {
    if let Some(slot) = of.and_then(|of| slots.get_mut(of.index())) {
        slot.previous = later;
    }
}
