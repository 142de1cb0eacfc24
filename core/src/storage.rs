//! Where tables lie: in place, with a fixed capacity, or on the heap. One algorithm serves both.

use core::fmt::Debug;
use core::num::{NonZeroU16, NonZeroU32};

use crate::config::ConfigError;
#[cfg(feature = "alloc")]
pub use crate::rows::CacheLines;
pub use crate::rows::Rows;

/// A place for tables.
pub trait Storage {
    /// What one entry of a table is linked to another by.
    type Link: Link;

    /// A table of `T`.
    type Slots<T>: Slots<T>;

    /// The entries of a table by key.
    type Rows<T: Default>: Rows<T>;

    /// How many entries a table can have: no more than its links can count.
    const CAPACITY: usize;
}

/// The entries of a table: they can be added, looked at and changed in place, and are never taken out again.
pub trait Slots<T> {
    /// The table without entries, which allocates nothing.
    const EMPTY: Self;

    /// All entries.
    fn as_slice(&self) -> &[T];

    /// All entries, to be changed.
    fn as_mut_slice(&mut self) -> &mut [T];

    /// Adds an entry.
    ///
    /// # Errors
    ///
    /// The entry comes back if there is no room.
    fn try_push(&mut self, entry: T) -> Result<(), T>;

    /// Makes room for so many more at once, and not for more, where room is made as it is needed.
    fn reserve(&mut self, _more: usize) {}
}

/// For how many keys a table has room, unless said otherwise, if its storage has room for so many.
pub(crate) const DEFAULT_KEYS: usize = 65_536;

/// For how many keys a table has room: for as many as were set, or else for what its storage holds, up to [`DEFAULT_KEYS`].
#[inline]
pub(crate) const fn keys(set: Option<usize>, held: usize) -> usize {
    match set {
        Some(keys) => keys,
        None if held < DEFAULT_KEYS => held,
        None => DEFAULT_KEYS,
    }
}

/// What is wrong with a setting by which so many may wait, if there are so many places. `u32::MAX` is as many as there are.
pub(crate) const fn waiting_error(value: u32, most: usize) -> Option<ConfigError> {
    if exceeds(value, most) { Some(ConfigError::WaitingPlaces { value, most }) } else { None }
}

/// The same of jobs.
pub(crate) const fn queued_error(value: u32, most: usize) -> Option<ConfigError> {
    if exceeds(value, most) { Some(ConfigError::MaxQueued { value, most }) } else { None }
}

const fn exceeds(value: u32, most: usize) -> bool {
    value < u32::MAX && value as usize > most
}

/// The number of an entry, so made that "none" is zero: an empty table is all zeroes then.
pub trait Link: Copy + Eq + Debug + Send + Sync + Unpin {
    /// Room for a link to another entry in an entry itself, where it fills a gap; or none, where the entry would not lie on one line of the processor's cache with it. For a cache in a storage of a fixed [capacity](Storage::CAPACITY), which has no room beside its entries, it has to be one.
    type Within: Default + AsRef<[Option<Self>]> + AsMut<[Option<Self>]>;

    /// The link to the entry at `index`, or `None` if the type cannot count so far.
    fn new(index: usize) -> Option<Self>;

    /// The index of the entry.
    fn index(self) -> usize;

    /// As many first bits of a hash as a link has, made to be no zero: what stands for the hash where entries are compared.
    fn of_hash(hash: u64) -> Self;

    /// Where such bits lead to, among so many places: the first to the first ones. There is no division in it.
    fn place(self, places: usize) -> usize;

    /// A link that needs no more than its last `bits`, and before them as many last ones of a hash's.
    #[must_use]
    fn with_tag(self, tag: Self, bits: u32) -> Self;

    /// Whether it was made with such bits of a hash.
    fn has_tag(self, tag: Self, bits: u32) -> bool;

    /// The link without them.
    fn without_tag(self, bits: u32) -> Option<Self>;
}

/// Up to `N` entries in the owner itself, and no more than 65,535: so far its links count. Settings that ask for more are refused.
///
/// In a `static`, a table is of one piece with its owner's settings. Where these are not all zeroes, both lie in `.data`, and take as much flash as RAM.
///
/// # Examples
///
/// ```
/// use aplomb::storage::{Inline, Slots, Storage};
///
/// let mut slots = <Inline<2> as Storage>::Slots::<char>::EMPTY;
/// assert_eq!(slots.try_push('a'), Ok(()));
/// assert_eq!(slots.try_push('b'), Ok(()));
/// assert_eq!(slots.try_push('c'), Err('c'));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Inline<const N: usize>;

/// How far links of 16 bits count, of which zero is none.
const MOST_INLINE: usize = u16::MAX as usize;

impl<const N: usize> Storage for Inline<N> {
    type Link = NonZeroU16;
    type Slots<T> = heapless::Vec<T, N>;
    type Rows<T: Default> = heapless::Vec<T, N>;

    const CAPACITY: usize = if N < MOST_INLINE { N } else { MOST_INLINE };
}

impl<T, const N: usize> Slots<T> for heapless::Vec<T, N> {
    const EMPTY: Self = Self::new();

    fn as_slice(&self) -> &[T] {
        self
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        self
    }

    fn try_push(&mut self, entry: T) -> Result<(), T> {
        self.push(entry)
    }
}

/// As many entries as are needed, on the heap. It grows by doubling, keeps what it has, and allocates nothing before the first entry.
#[cfg(feature = "alloc")]
#[derive(Debug, Clone, Copy)]
pub struct Heap;

#[cfg(feature = "alloc")]
impl Storage for Heap {
    type Link = NonZeroU32;
    type Slots<T> = alloc::vec::Vec<T>;
    type Rows<T: Default> = CacheLines<T>;

    const CAPACITY: usize = usize::MAX;
}

#[cfg(feature = "alloc")]
impl<T> Slots<T> for alloc::vec::Vec<T> {
    const EMPTY: Self = Self::new();

    fn as_slice(&self) -> &[T] {
        self
    }

    fn as_mut_slice(&mut self) -> &mut [T] {
        self
    }

    fn try_push(&mut self, entry: T) -> Result<(), T> {
        self.push(entry);
        Ok(())
    }

    fn reserve(&mut self, more: usize) {
        self.reserve_exact(more);
    }
}

macro_rules! link {
    ($nonzero:ty, $number:ty, $within:literal) => {
        #[allow(clippy::cast_possible_truncation, reason = "first bits are what is wanted, and a place lies within so many")]
        impl Link for $nonzero {
            type Within = [Option<Self>; $within];

            fn new(index: usize) -> Option<Self> {
                <$number>::try_from(index).ok().and_then(|index| index.checked_add(1)).and_then(Self::new)
            }

            fn index(self) -> usize {
                // A link is made from an index, so that it fits back into one.
                self.get() as usize - 1
            }

            #[inline]
            fn of_hash(hash: u64) -> Self {
                Self::new((hash >> (64 - <$number>::BITS)) as $number).unwrap_or(Self::MIN)
            }

            #[inline]
            fn place(self, places: usize) -> usize {
                ((u64::from(self.get()) * places as u64) >> <$number>::BITS) as usize
            }

            #[inline]
            fn with_tag(self, tag: Self, bits: u32) -> Self {
                self | tag.get().checked_shl(bits).unwrap_or(0)
            }

            #[inline]
            fn has_tag(self, tag: Self, bits: u32) -> bool {
                (self.get().checked_shr(bits).unwrap_or(0) ^ tag.get()).checked_shl(bits).unwrap_or(0) == 0
            }

            #[inline]
            fn without_tag(self, bits: u32) -> Option<Self> {
                Self::new(self.get() & <$number>::MAX.checked_shr(<$number>::BITS.saturating_sub(bits)).unwrap_or(0))
            }
        }
    };
}

link!(NonZeroU16, u16, 1);
link!(NonZeroU32, u32, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_count_from_the_first_entry_to_the_last_they_can() {
        for index in [0, 1, 65_534] {
            assert_eq!(<NonZeroU16 as Link>::new(index).map(Link::index), Some(index));
        }
        assert_eq!(<NonZeroU16 as Link>::new(65_535), None);
        assert_eq!(<NonZeroU32 as Link>::new(65_535).map(Link::index), Some(65_535));
        assert_eq!(size_of::<Option<NonZeroU16>>(), 2);
    }

    #[test]
    fn there_is_room_for_no_more_than_links_can_count() {
        assert_eq!((Inline::<0>::CAPACITY, Inline::<65_535>::CAPACITY), (0, 65_535));
        assert_eq!((Inline::<65_536>::CAPACITY, Inline::<100_000>::CAPACITY), (65_535, 65_535));
        assert!(<NonZeroU16 as Link>::new(Inline::<65_536>::CAPACITY - 1).is_some());
    }

    #[test]
    fn hashes_lead_to_places_in_their_order() {
        for places in [1, 7, 65_535] {
            let place = |hash| <NonZeroU16 as Link>::of_hash(hash).place(places);
            assert_eq!((place(0), place(u64::MAX)), (0, places - 1));
            let hashes = (0..64).map(|sixty_fourth| sixty_fourth << 58);
            assert!(hashes.map(place).is_sorted());
        }
        assert_eq!(<NonZeroU32 as Link>::of_hash(0x8000_0000_1234_5678).place(1_000), 500);
    }

    #[test]
    fn what_a_link_can_spare_tells_of_a_hash() {
        fn check<L: Link>(bits: u32, most: usize) {
            let tags = [0, 1, 2, 31, 32, 0x5555, 0x8000, 0xfffe].map(|bits: u64| L::of_hash(bits << 48 | bits << 32));
            let last = |tag: L| (tag.index() + 1) & ((1 << (8 * size_of::<L>() - bits as usize)) - 1);
            for (link, tag) in [0, most / 2, most - 1].iter().flat_map(|index| tags.map(|tag| (L::new(*index).unwrap(), tag))) {
                let tagged = link.with_tag(tag, bits);
                assert_eq!(tagged.without_tag(bits), Some(link));
                for other in tags {
                    assert_eq!(tagged.has_tag(other, bits), last(tag) == last(other), "{bits} bits: {tag:?} {other:?}");
                }
            }
        }

        for bits in 1..=16 {
            check::<NonZeroU16>(bits, (1 << bits) - 1);
        }
        check::<NonZeroU32>(27, (1 << 27) - 1);
        check::<NonZeroU32>(31, (1 << 31) - 1);
    }
}
