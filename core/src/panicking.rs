//! What a future holds is given back when its operation panics, and not only when the future is dropped: whoever catches the panic may keep it. And those are woken who wait behind one whose waker panics.
//!
//! A second panic while the first one unwinds, of two wakers that panic or of what is dropped on the way, aborts the process, as everywhere in Rust.

use core::mem::forget;
use core::pin::Pin;
use core::task::Waker;

/// Does something with what may panic; if it does, that is cleared away.
#[inline]
pub(crate) fn clear_at_panic<T, R>(
    holder: Pin<&mut T>,
    clear: impl FnOnce(Pin<&mut T>) + Copy,
    act: impl FnOnce(Pin<&mut T>) -> R,
) -> R {
    let mut at_panic = AtPanic { holder, clear };
    let result = act(at_panic.holder.as_mut());
    forget(at_panic);
    result
}

/// Wakes one after another; if a waker panics, the others all the same.
pub(crate) fn wake_all(next: &mut (impl FnMut() -> Option<Waker> + Unpin)) {
    clear_at_panic(Pin::new(next), wake_rest, wake_rest);
}

fn wake_rest(mut next: Pin<&mut (impl FnMut() -> Option<Waker> + Unpin)>) {
    while let Some(waker) = next() {
        waker.wake();
    }
}

/// Dropped in few steps, so that this is compiled in line even where a panic unwinds: whose address is passed on there lies in memory, and goes through it on every way.
struct AtPanic<'h, T, C: FnOnce(Pin<&mut T>) + Copy> {
    holder: Pin<&'h mut T>,
    clear: C,
}

impl<T, C: FnOnce(Pin<&mut T>) + Copy> Drop for AtPanic<'_, T, C> {
    #[inline]
    fn drop(&mut self) {
        (self.clear)(self.holder.as_mut());
    }
}
