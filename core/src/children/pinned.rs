use core::pin::Pin;

use pin_project_lite::pin_project;

use crate::storage::{Inline, Storage};

/// Storage in which futures can lie pinned as well: [`Heap`](crate::storage::Heap), and [`Inline`] of 1 to 32, 48, 64, 96, 128 or 256.
///
/// Without `unsafe` there is no way from a pinned array to its elements; there is one from a pinned pair to its halves. So the places of `Inline` are pairs of pairs, for those numbers that are spelled out.
#[diagnostic::on_unimplemented(
    message = "futures cannot lie pinned in `{Self}`",
    note = "they can in `Heap`, and in `Inline` of 1 to 32, 48, 64, 96, 128 or 256"
)]
pub trait PinnedStorage: Storage {
    /// Places for futures.
    type Places<F>: Places<F>;
}

/// Numbered places, each with room for one future.
pub trait Places<F>: Sized {
    /// How many there can be.
    const MOST: usize;

    /// So many are expected to be in use at once, in the end. Nothing is allocated yet.
    fn new(expected: usize) -> Self;

    /// The place of that number, if there is one yet.
    #[must_use]
    fn place(self: Pin<&mut Self>, index: usize) -> Option<Pin<&mut Option<F>>>;

    /// As [`place`](Places::place); but there comes to be one, if it is the next, and not one too many.
    #[must_use]
    fn make(self: Pin<&mut Self>, index: usize) -> Option<Pin<&mut Option<F>>> {
        self.place(index)
    }
}

impl<F> Places<F> for Option<F> {
    const MOST: usize = 1;

    fn new(_expected: usize) -> Self {
        None
    }

    #[inline]
    fn place(self: Pin<&mut Self>, index: usize) -> Option<Pin<&mut Option<F>>> {
        (index == 0).then_some(self)
    }
}

pin_project! {
    /// Places, and more of them.
    #[derive(Debug)]
    pub struct Pair<A, B> {
        #[pin]
        first: A,
        #[pin]
        second: B,
    }
}

impl<T> Pair<T, T> {
    /// The second half, or the first.
    #[cfg(feature = "alloc")]
    #[inline]
    pub(super) fn half(self: Pin<&mut Self>, second: bool) -> Pin<&mut T> {
        let this = self.project();
        if second { this.second } else { this.first }
    }
}

impl<F, A: Places<F>, B: Places<F>> Places<F> for Pair<A, B> {
    const MOST: usize = A::MOST + B::MOST;

    fn new(expected: usize) -> Self {
        Self { first: A::new(expected), second: B::new(expected) }
    }

    #[inline]
    fn place(self: Pin<&mut Self>, index: usize) -> Option<Pin<&mut Option<F>>> {
        let this = self.project();
        match index.checked_sub(A::MOST) {
            None => this.first.place(index),
            Some(index) => this.second.place(index),
        }
    }
}

impl PinnedStorage for Inline<1> {
    type Places<F> = Option<F>;
}

macro_rules! inline {
    ($($whole:literal = $first:literal + $second:literal,)*) => {
        $(impl PinnedStorage for Inline<$whole> {
            type Places<F> = Pair<<Inline<$first> as PinnedStorage>::Places<F>, <Inline<$second> as PinnedStorage>::Places<F>>;
        })*
    };
}

inline! {
    2 = 1 + 1, 3 = 2 + 1, 4 = 2 + 2, 5 = 4 + 1, 6 = 4 + 2, 7 = 4 + 3, 8 = 4 + 4, 9 = 8 + 1, 10 = 8 + 2, 11 = 8 + 3, 12 = 8 + 4,
    13 = 8 + 5, 14 = 8 + 6, 15 = 8 + 7, 16 = 8 + 8, 17 = 16 + 1, 18 = 16 + 2, 19 = 16 + 3, 20 = 16 + 4, 21 = 16 + 5,
    22 = 16 + 6, 23 = 16 + 7, 24 = 16 + 8, 25 = 16 + 9, 26 = 16 + 10, 27 = 16 + 11, 28 = 16 + 12, 29 = 16 + 13, 30 = 16 + 14,
    31 = 16 + 15, 32 = 16 + 16, 48 = 32 + 16, 64 = 32 + 32, 96 = 64 + 32, 128 = 64 + 64, 256 = 128 + 128,
}

#[cfg(test)]
mod tests {
    use core::pin::pin;

    use super::*;

    /// Each place is there, keeps what it is given, and is another than the rest.
    fn check<S: PinnedStorage>(expected: usize, most: usize) {
        let mut places = pin!(S::Places::<usize>::new(expected));
        for index in 0..most {
            places.as_mut().place(index).unwrap().set(Some(index));
        }
        for index in 0..most {
            assert_eq!(*places.as_mut().place(index).unwrap(), Some(index));
        }
    }

    macro_rules! check_inline {
        ($($most:literal)*) => {
            $(
                check::<Inline<$most>>(1, $most);
                assert_eq!(<<Inline<$most> as PinnedStorage>::Places<u8> as Places<u8>>::MOST, $most);
                assert!(pin!(<Inline<$most> as PinnedStorage>::Places::<u8>::new(0)).place($most).is_none());
                assert_eq!(size_of::<<Inline<$most> as PinnedStorage>::Places<usize>>(), $most * size_of::<Option<usize>>());
            )*
        };
    }

    #[test]
    fn places_in_line_are_as_many_as_they_say_and_nothing_else() {
        check_inline!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 48 64 96 128 256);
    }
}
