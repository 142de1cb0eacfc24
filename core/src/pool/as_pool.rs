use core::ops::Deref;

use super::control::Pool;
use crate::platform::Platform;
use crate::storage::Storage;

/// Whatever points to a [`Pool`]: a reference, an `Arc`, an `Rc`.
pub trait AsPool {
    /// Where the pool runs.
    type Platform: Platform;
    /// Where those are kept who wait.
    type Storage: Storage;

    /// The pool.
    fn as_pool(&self) -> &Pool<Self::Platform, Self::Storage>;
}

impl<B, P, S> AsPool for B
where
    B: Deref<Target = Pool<P, S>>,
    P: Platform,
    S: Storage,
{
    type Platform = P;
    type Storage = S;

    #[inline]
    fn as_pool(&self) -> &Pool<P, S> {
        self
    }
}
