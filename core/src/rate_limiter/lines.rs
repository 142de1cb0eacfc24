//! Where lines are kept: a limiter has one, a keyed limiter one for each key. The futures serve both.

use core::ops::Deref;
use core::task::Waker;

use super::algorithm::Algorithm;
use super::error::RateLimitError;
use super::event::Event;
use super::line::{Crowd, Desk};
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;
use crate::time::Instant;

/// A limiter, keyed or not. It is implemented for those of this crate only.
pub trait Lines: Sized {
    /// Where it runs.
    type Platform: Platform;
    /// By what rule permits are given.
    type Algorithm: Algorithm;
    /// Where waiters are kept.
    type Storage: Storage;
    /// Who is told of its events.
    type Observer: SharedObserver<Event>;
    /// A line that has been found.
    #[doc(hidden)]
    type Spot: Copy + Unpin;

    #[doc(hidden)]
    fn observer(&self) -> &Self::Observer;

    #[doc(hidden)]
    fn clock(&self) -> &<Self::Platform as Platform>::Clock;

    #[doc(hidden)]
    fn counts_calls(&self) -> bool;

    /// Does something with a line, under the lock; nothing, if the line is gone.
    #[doc(hidden)]
    fn with<R>(
        &self,
        spot: Self::Spot,
        read: Instant,
        act: impl FnOnce(&mut Desk<'_, Self::Algorithm, Self::Storage>) -> R,
    ) -> Option<R>;

    /// Does something with those of a line, whatever the time.
    #[doc(hidden)]
    fn with_crowd<R>(&self, spot: Self::Spot, act: impl FnOnce(&mut Crowd<LinkOf<Self>>) -> R) -> Option<R>;
}

/// What says which line is meant: nothing, or a key.
pub trait Find<L: Lines> {
    /// Finds the line, or makes a new one, and does something with it under the lock.
    #[doc(hidden)]
    fn find<R>(
        &self,
        lines: &L,
        read: Instant,
        act: impl FnOnce(&mut Desk<'_, L::Algorithm, L::Storage>) -> R,
    ) -> Result<(L::Spot, R), RateLimitError>;

    /// Takes permits without the lock, if they are there and that takes but few steps. Says as of when.
    #[doc(hidden)]
    #[inline]
    fn try_take(&self, _lines: &L, _read: Instant, _permits: u32) -> Option<(L::Spot, Instant)> {
        None
    }

    /// As [`try_take`](Self::try_take), however many steps it takes.
    #[doc(hidden)]
    fn try_take_packed(&self, _lines: &L, _read: Instant, _permits: u32) -> Option<(L::Spot, Instant)> {
        None
    }
}

/// A line of what `B` points to.
pub(super) type SpotOf<B> = <<B as Deref>::Target as Lines>::Spot;

pub(super) type LinkOf<L> = <<L as Lines>::Storage as Storage>::Link;

/// Outside the lock, as all wakers.
pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
