use crate::platform::SMALL;
use crate::time::Instant;

/// What those in a queue take, as it was played for a reservation behind them: the next one goes on from there. It holds until one of them leaves, or anything else changes what they take.
pub(super) struct Rehearsal<T, L> {
    /// What has been taken when the last of them has its own.
    pub(super) taken: T,
    /// By whom the queue is known.
    pub(super) first: L,
    pub(super) last: L,
    /// When the earliest of them has its own: until then, nothing has depended on when it was played.
    pub(super) until: Instant,
}

/// The newest one, where there is room for it: on small machines there is none.
pub(super) struct Rehearsed<T, L>([Option<Rehearsal<T, L>>; if SMALL { 0 } else { 1 }]);

impl<T, L: Copy + PartialEq> Rehearsed<T, L> {
    pub(super) const NONE: Self = Self([const { None }; _]);

    /// The one of that queue, if it holds still.
    pub(super) fn take(&mut self, first: L, now: Instant) -> Option<Rehearsal<T, L>> {
        let rehearsal = self.0.first_mut()?.take_if(|rehearsal| rehearsal.first == first)?;
        (now < rehearsal.until).then_some(rehearsal)
    }

    /// `rehearsal` is not made where there is no room for it.
    pub(super) fn keep(&mut self, rehearsal: impl FnOnce() -> Rehearsal<T, L>) {
        if let Some(kept) = self.0.first_mut() {
            *kept = Some(rehearsal());
        }
    }

    pub(super) fn forget(&mut self) {
        self.0.fill_with(|| None);
    }
}
