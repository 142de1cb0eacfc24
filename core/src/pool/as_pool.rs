use core::ops::Deref;

use super::control::Pool;
use super::event::Event;
use crate::observe::SharedObserver;
use crate::platform::Platform;
use crate::storage::Storage;

/// Whatever points to a [`Pool`]: a reference, an `Arc`, an `Rc`.
pub trait AsPool {
    /// Where the pool runs.
    type Platform: Platform;
    /// Where those are kept who wait.
    type Storage: Storage;
    /// Who is told of its events.
    type Observer: SharedObserver<Event>;

    /// The pool.
    fn as_pool(&self) -> &Pool<Self::Platform, Self::Storage, Self::Observer>;
}

impl<B, P, S, O> AsPool for B
where
    B: Deref<Target = Pool<P, S, O>>,
    P: Platform,
    S: Storage,
    O: SharedObserver<Event>,
{
    type Platform = P;
    type Storage = S;
    type Observer = O;

    #[inline]
    fn as_pool(&self) -> &Pool<P, S, O> {
        self
    }
}
