//! Statics that begin anew in each world.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use super::inner;

/// A `static` that has one value for each world, made when it is first used there.
///
/// A pattern in an ordinary `static` carries its state from seed to seed, and the [lock](crate::SimRawMutex) fails
/// the second world that uses it. In this one it is made anew.
///
/// # Panics
///
/// [`get`](Fresh::get) panics outside a world.
///
/// # Examples
///
/// ```
/// use aplomb::sync::Semaphore;
/// use aplomb_sim::{Explore, Fresh, Sim};
///
/// static SLOTS: Fresh<Semaphore<Sim>> = Fresh::new(|| Semaphore::new(3));
///
/// Explore::new().seeds(0..20).run(|_| async move {
///     let slots = SLOTS.get();
///     // This permit is never given back; the next world has three nevertheless.
///     std::mem::forget(slots.acquire(1).await);
/// });
/// ```
pub struct Fresh<T: 'static> {
    make: fn() -> T,
}

impl<T: 'static> Fresh<T> {
    /// The static whose value in each world is what `make` returns.
    #[must_use]
    pub const fn new(make: fn() -> T) -> Self {
        Self { make }
    }

    /// The value in the world of this thread.
    ///
    /// # Panics
    ///
    /// Outside a world.
    #[must_use]
    #[track_caller]
    pub fn get(&'static self) -> Rc<T> {
        let world = inner::expect_current();
        // A static stays where it is, and has its place alone: its address is its name.
        let place = std::ptr::from_ref(self).addr();
        let known = {
            let state = world.state.borrow();
            state.fresh.iter().find(|(other, _)| *other == place).map(|(_, value)| Rc::clone(value))
        };
        if let Some(value) = known.and_then(|value| value.downcast::<T>().ok()) {
            return value;
        }
        let value = Rc::new((self.make)());
        world.state.borrow_mut().fresh.push((place, Rc::clone(&value) as Rc<dyn Any>));
        value
    }
}

impl<T> fmt::Debug for Fresh<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}
