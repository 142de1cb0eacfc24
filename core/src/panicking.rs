//! What a future holds is given back when its operation panics, and not only when the future is dropped: whoever catches the panic may keep it.

use core::mem::forget;
use core::pin::Pin;

/// Does something with what may panic; if it does, that is cleared away.
#[inline]
pub(crate) fn clear_at_panic<T, R>(
    holder: Pin<&mut T>,
    clear: impl FnOnce(Pin<&mut T>),
    act: impl FnOnce(Pin<&mut T>) -> R,
) -> R {
    let mut at_panic = AtPanic { holder, clear: Some(clear) };
    let result = act(at_panic.holder.as_mut());
    forget(at_panic);
    result
}

struct AtPanic<'h, T, C: FnOnce(Pin<&mut T>)> {
    holder: Pin<&'h mut T>,
    clear: Option<C>,
}

impl<T, C: FnOnce(Pin<&mut T>)> Drop for AtPanic<'_, T, C> {
    fn drop(&mut self) {
        if let Some(clear) = self.clear.take() {
            clear(self.holder.as_mut());
        }
    }
}
