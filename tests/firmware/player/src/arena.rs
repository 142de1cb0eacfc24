//! Memory for one scenario at a time: what is placed here lives until the next one begins. aplomb has no part in it, and takes none.

use core::cell::{Cell, UnsafeCell};
use core::future::Future;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll};

// On the Cortex-M0, what is left is the stack.
const SIZE: usize = if cfg!(target_has_atomic = "ptr") { 32 * 1_024 } else { 6_144 };
const LINE: usize = 8;

#[repr(align(8))]
struct Memory(UnsafeCell<[MaybeUninit<u8>; SIZE]>);

// SAFETY: a board has one thread, and interrupts place nothing.
unsafe impl Sync for Memory {}

struct Local<T>(Cell<T>);

// SAFETY: likewise.
unsafe impl<T> Sync for Local<T> {}

static MEMORY: Memory = Memory(UnsafeCell::new([MaybeUninit::uninit(); SIZE]));
static USED: Local<usize> = Local(Cell::new(0));
static MOST: Local<usize> = Local(Cell::new(0));

/// What is free again, by size.
static FREE: Local<[(*mut u8, usize); 16]> = Local(Cell::new([(ptr::null_mut(), 0); 16]));

/// Forgets everything.
///
/// # Safety
///
/// Nothing that was placed may be used any more.
pub unsafe fn reset() {
    USED.0.set(0);
    FREE.0.set([(ptr::null_mut(), 0); 16]);
}

/// How much was used at most.
pub fn most() -> usize {
    MOST.0.get()
}

/// Places a value for the time of the scenario; if there is no room, it is the last.
pub fn place<T>(value: T) -> &'static mut T {
    const { assert!(align_of::<T>() <= LINE) };
    let size = size_of::<T>().next_multiple_of(LINE);
    let place: *mut T = take(size).cast();
    // SAFETY: the place is large enough, aligned, and nobody else's.
    unsafe {
        place.write(value);
        &mut *place
    }
}

fn take(size: usize) -> *mut u8 {
    let mut free = FREE.0.get();
    if let Some(place) = free.iter_mut().find(|(place, free)| !place.is_null() && *free == size) {
        let (found, _) = core::mem::replace(place, (ptr::null_mut(), 0));
        FREE.0.set(free);
        return found;
    }
    let begin = USED.0.get();
    if begin + size > SIZE {
        // The host counts it among those that the board cannot play, and goes on behind it.
        board::hprintln!("no room");
        board::exit(false);
    }
    USED.0.set(begin + size);
    MOST.0.set(MOST.0.get().max(begin + size));
    // SAFETY: it lies within the memory.
    unsafe { MEMORY.0.get().cast::<u8>().add(begin) }
}

fn give_back(place: *mut u8, size: usize) {
    let mut free = FREE.0.get();
    if let Some(entry) = free.iter_mut().find(|(place, _)| place.is_null()) {
        *entry = (place, size);
        FREE.0.set(free);
    }
}

/// A value in its place, which is dropped with it.
pub struct Owned<T: ?Sized + 'static>(Pin<&'static mut T>);

impl<T> Owned<dyn Future<Output = T>> {
    /// Places a future.
    pub fn new<F: Future<Output = T> + 'static>(future: F) -> Self {
        Self::of(future, |future| future)
    }
}

impl<T: ?Sized> Owned<T> {
    /// Places a value, which is known as what `coerce` makes of it.
    pub fn of<V: 'static>(value: V, coerce: fn(&'static mut V) -> &'static mut T) -> Self {
        // SAFETY: it stays where it is until it is dropped.
        Self(unsafe { Pin::new_unchecked(coerce(place(value))) })
    }

    /// The value.
    pub fn as_ref(&self) -> &T {
        self.0.as_ref().get_ref()
    }

    /// The value.
    pub fn as_mut(&mut self) -> Pin<&mut T> {
        self.0.as_mut()
    }
}

impl<T: Future + ?Sized> Future for Owned<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<T: ?Sized> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: it is dropped once, where it is, and nobody refers to it any more.
        unsafe {
            let value: *mut T = self.0.as_mut().get_unchecked_mut();
            let size = size_of_val(&*value).next_multiple_of(LINE);
            ptr::drop_in_place(value);
            give_back(value.cast(), size);
        }
    }
}
