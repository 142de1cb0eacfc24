//! Keys: how a table is asked for one, and by which hash it is found.

use core::fmt;
use core::hash::{Hash, Hasher};

/// What a key can be made from, once it is to be kept: as `ToOwned`, but of any key, and without an allocator.
///
/// A table is asked by reference, and makes a key of its own only of one that it does not know, or that owns nothing and so costs nothing. Everything that can be cloned is made into itself; with `alloc`, `str` and slices into the usual owners.
///
/// # Examples
///
/// ```
/// use aplomb::key::ToKey;
///
/// assert_eq!(ToKey::<u32>::to_key(&7), 7);
/// let name: String = "ann".to_key();
/// assert_eq!(name, "ann");
/// ```
pub trait ToKey<K> {
    /// The key.
    fn to_key(&self) -> K;
}

impl<K: Clone> ToKey<K> for K {
    fn to_key(&self) -> K {
        self.clone()
    }
}

#[cfg(feature = "alloc")]
mod owned {
    use alloc::borrow::ToOwned;
    use alloc::boxed::Box;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::ToKey;

    impl ToKey<String> for str {
        fn to_key(&self) -> String {
            self.to_owned()
        }
    }

    impl ToKey<Box<str>> for str {
        fn to_key(&self) -> Box<str> {
            self.into()
        }
    }

    impl<T: Clone> ToKey<Vec<T>> for [T] {
        fn to_key(&self) -> Vec<T> {
            self.to_vec()
        }
    }

    #[cfg(target_has_atomic = "ptr")]
    impl ToKey<alloc::sync::Arc<str>> for str {
        fn to_key(&self) -> alloc::sync::Arc<str> {
            self.into()
        }
    }
}

/// By which hash keys are found.
pub trait KeyHash {
    /// What hashes one key.
    type Hasher: Hasher;

    /// A hasher that starts from `seed`: that of the [platform](crate::Platform::hash_seed), so that nobody outside can foresee which keys collide.
    fn hasher(seed: u64) -> Self::Hasher;
}

/// The hash of a key.
#[inline]
pub(crate) fn hash<H: KeyHash, Q: Hash + ?Sized>(seed: u64, key: &Q) -> u64 {
    let mut hasher = H::hasher(seed);
    key.hash(&mut hasher);
    hasher.finish()
}

/// Which of so many tables a hash belongs to: by bits of it that a table looks at last.
#[inline]
pub(crate) fn shard_of(hash: u64, shards: usize) -> usize {
    let shards = u64::try_from(shards).unwrap_or(u64::MAX).min(1 << 32);
    usize::try_from(((hash & 0xffff_ffff) * shards) >> 32).unwrap_or(0)
}

/// The default: foldhash, which is quick and small.
///
/// Where the [platform](crate::Platform::hash_seed) has a seed that is another in each run, so are the words that keys are multiplied with, and nobody outside can choose keys that collide. From a seed of zero, as in simulation and on firmware, hashes are the same in each run, and can be chosen.
///
/// Where keys come from somebody who can watch how long each takes, and tries for long, take a keyed hash such as `SipHash` by implementing [`KeyHash`].
#[derive(Debug, Clone, Copy)]
pub struct FoldHash;

impl KeyHash for FoldHash {
    type Hasher = FoldHasher;

    #[inline]
    fn hasher(seed: u64) -> FoldHasher {
        let words = if seed == 0 { foldhash::SharedSeed::global_fixed() } else { foldhash::SharedSeed::global_random() };
        FoldHasher(foldhash::fast::FoldHasher::with_seed(seed, words))
    }
}

/// Hashes one key by [`FoldHash`].
#[derive(Clone)]
pub struct FoldHasher(foldhash::fast::FoldHasher<'static>);

macro_rules! hand_on {
    ($($write:ident($number:ty)),*) => {
        impl Hasher for FoldHasher {
            #[inline]
            fn finish(&self) -> u64 {
                self.0.finish()
            }

            #[inline]
            fn write(&mut self, bytes: &[u8]) {
                self.0.write(bytes);
            }

            $(
                #[inline]
                fn $write(&mut self, number: $number) {
                    self.0.$write(number);
                }
            )*
        }
    };
}

hand_on!(write_u8(u8), write_u16(u16), write_u32(u32), write_u64(u64), write_u128(u128), write_usize(usize));

impl fmt::Debug for FoldHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FoldHasher")
    }
}
