//! Keys: how a table is asked for one, and by which hash it is found.

use core::fmt;
use core::hash::{Hash, Hasher};

/// What a key can be made from, once it is to be kept: as `ToOwned`, but of any key, and without an allocator.
///
/// A table is asked by reference, and makes a key of its own only of one that it does not know, or that owns nothing and so costs nothing. Everything that can be cloned is made into itself; with `alloc`, `str`, `CStr` and slices into the usual owners, with `std` paths and `OsStr` too.
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
    use alloc::ffi::CString;
    use alloc::rc::Rc;
    use alloc::string::String;
    #[cfg(target_has_atomic = "ptr")]
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use core::ffi::CStr;
    #[cfg(feature = "std")]
    use std::ffi::{OsStr, OsString};
    #[cfg(feature = "std")]
    use std::path::{Path, PathBuf};

    use super::ToKey;

    macro_rules! into {
        ($($borrowed:ty => $($key:ty),+;)+) => {
            $($(impl ToKey<$key> for $borrowed {
                fn to_key(&self) -> $key {
                    self.into()
                }
            })+)+
        };
    }

    macro_rules! slices_into {
        ($($owner:ident),+) => {
            $(impl<T: Clone> ToKey<$owner<[T]>> for [T] {
                fn to_key(&self) -> $owner<[T]> {
                    self.into()
                }
            })+
        };
    }

    into! {
        str => Box<str>, Rc<str>;
        CStr => CString, Box<CStr>, Rc<CStr>;
    }
    slices_into!(Box, Rc);
    #[cfg(target_has_atomic = "ptr")]
    into! {
        str => Arc<str>;
        CStr => Arc<CStr>;
    }
    #[cfg(target_has_atomic = "ptr")]
    slices_into!(Arc);
    #[cfg(feature = "std")]
    into! {
        Path => PathBuf, Box<Path>, Rc<Path>, Arc<Path>;
        OsStr => OsString, Box<OsStr>, Rc<OsStr>, Arc<OsStr>;
    }

    impl ToKey<String> for str {
        fn to_key(&self) -> String {
            self.to_owned()
        }
    }

    impl<T: Clone> ToKey<Vec<T>> for [T] {
        fn to_key(&self) -> Vec<T> {
            self.to_vec()
        }
    }
}

/// By which hash keys are found.
pub trait KeyHash {
    /// What hashes one key.
    type Hasher: Hasher;

    /// A hasher that starts from `seed`: that of the [platform](crate::Platform::hash_seed), so that nobody outside can foresee which keys collide.
    fn hasher(seed: u64) -> Self::Hasher;

    /// Spreads what the hasher ends with over 64 bits: tables look at the upper ones first, and at some of all. The default does so for whatever differs in any of them, as a hash of 32 bits does in the lower ones; for one whose bits are all alike, it can be given back as it is.
    #[must_use]
    #[inline]
    fn spread(hash: u64) -> u64 {
        (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// The hash of a key.
#[inline]
pub(crate) fn hash<H: KeyHash, Q: Hash + ?Sized>(seed: u64, key: &Q) -> u64 {
    let mut hasher = H::hasher(seed);
    key.hash(&mut hasher);
    H::spread(hasher.finish())
}

/// Which of so many tables a hash belongs to: by bits of it that a table looks at last.
#[inline]
pub(crate) fn shard_of(hash: u64, shards: usize) -> usize {
    let shards = u64::try_from(shards).unwrap_or(u64::MAX).min(1 << 32);
    usize::try_from(((hash & 0xffff_ffff) * shards) >> 32).unwrap_or(0)
}

/// So many waiting callers to a shard, rounded up.
#[allow(clippy::cast_possible_truncation, reason = "what is larger is the largest")]
#[inline]
pub(crate) const fn per_shard<const SHARDS: usize>(waiting: u32) -> u32 {
    // Known before it runs, so that nothing looks whether it is zero.
    waiting.div_ceil(const { if SHARDS > u32::MAX as usize { u32::MAX } else { SHARDS as u32 } })
}

/// The default: foldhash, which is quick and small.
///
/// Where the [platform](crate::Platform::hash_seed) has a seed that is another in each run, so are all hashes, and nobody outside can choose keys that collide. From a seed of zero, as in simulation and on firmware, hashes are the same in each run, and can be chosen.
///
/// Where keys come from somebody who can watch how long each takes, and tries for long, take a keyed hash such as `SipHash` by implementing [`KeyHash`].
#[derive(Debug, Clone, Copy)]
pub struct FoldHash;

impl KeyHash for FoldHash {
    type Hasher = FoldHasher;

    #[inline]
    fn hasher(seed: u64) -> FoldHasher {
        // Another number than foldhash starts from, which would cancel it.
        let secret = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        FoldHasher { folds: foldhash::fast::FoldHasher::with_seed(seed, foldhash::SharedSeed::global_fixed()), secret }
    }

    #[inline]
    fn spread(hash: u64) -> u64 {
        hash
    }
}

/// Hashes one key by [`FoldHash`].
///
/// foldhash multiplies what is hashed with words that are known. One that equals such a word would make a zero of it, whatever the seed: so the seed is mixed in before.
#[derive(Clone)]
pub struct FoldHasher {
    folds: foldhash::fast::FoldHasher<'static>,
    secret: u64,
}

impl Hasher for FoldHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.folds.finish()
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(last));
            self.folds.write_u8(u8::try_from(rest.len()).unwrap_or(0));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.folds.write_u64(number ^ self.secret);
    }

    #[inline]
    fn write_u128(&mut self, number: u128) {
        let secret = u128::from(self.secret);
        self.folds.write_u128(number ^ secret ^ secret << 64);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    #[inline]
    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

impl fmt::Debug for FoldHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FoldHasher")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeSet;

    use super::*;

    #[cfg(feature = "std")]
    #[test]
    fn what_is_borrowed_is_made_into_its_usual_owners() {
        use std::path::{Path, PathBuf};
        use std::sync::Arc;

        let path: PathBuf = Path::new("a/b").to_key();
        let shared: Arc<[u8]> = [1, 2].as_slice().to_key();
        let text: Arc<str> = "ann".to_key();
        assert_eq!((path.as_path(), &*shared, &*text), (Path::new("a/b"), [1, 2].as_slice(), "ann"));
    }

    /// Words by which foldhash multiplies.
    const WORDS: [u64; 6] = [
        0xc0ac_29b7_c97c_50dd,
        0x3f84_d5b5_b547_0917,
        0xc0ac_29b7_c97c_50dd | 1 << 63 | 1 << 31 | 1,
        0x3f84_d5b5_b547_0917 | 1 << 63 | 1 << 31 | 1,
        0,
        u64::MAX,
    ];

    #[test]
    fn nobody_chooses_keys_that_collide() {
        for word in WORDS {
            for seed in [1, 0x0123_4567_89ab_cdef] {
                let pairs: BTreeSet<u64> = (0..2_000_u64).map(|n| hash::<FoldHash, _>(seed, &(n, word))).collect();
                assert_eq!(pairs.len(), 2_000, "{word:x}");
                let bytes = |n: u64| [n.to_le_bytes(), word.to_le_bytes()].concat();
                let hashes: BTreeSet<u64> = (0..2_000).map(|n| hash::<FoldHash, _>(seed, &bytes(n))).collect();
                assert_eq!(hashes.len(), 2_000, "{word:x}");
                // One by one, as a `VecDeque` hashes them, behind none and behind others.
                for before in [0, 1, 8] {
                    let singly = |n: u64| bytes(n).into_iter().map(|byte| (byte,)).collect::<std::vec::Vec<_>>();
                    let with_before = |n: u64| [std::vec![(0,); before], singly(n)].concat();
                    let hashes: BTreeSet<u64> = (0..2_000).map(|n| hash::<FoldHash, _>(seed, &with_before(n))).collect();
                    assert_eq!(hashes.len(), 2_000, "{word:x} byte by byte behind {before}");
                }
            }
        }
    }

    /// FNV-1a of 32 bits, as firmware has it; in the lower half of what it ends with, or the upper one.
    struct Narrow<const SHIFT: u32>(u32);

    impl<const SHIFT: u32> Hasher for Narrow<SHIFT> {
        fn finish(&self) -> u64 {
            u64::from(self.0) << SHIFT
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        }
    }

    impl<const SHIFT: u32> KeyHash for Narrow<SHIFT> {
        type Hasher = Self;

        fn hasher(_: u64) -> Self {
            Self(0x811c_9dc5)
        }
    }

    /// Of so many keys, as many lie in one of as many chains, or shards, as by a hash that is wide.
    #[test]
    fn a_hash_of_half_the_bits_is_spread_over_all() {
        use crate::storage::Link;

        fn check<H: KeyHash>() {
            for seed in 0..4 {
                let hashes: std::vec::Vec<u64> = (0..2_000_u32).map(|key| hash::<H, _>(seed, &key)).collect();
                let most = |of: &dyn Fn(u64) -> usize| {
                    let mut counts = std::collections::BTreeMap::<usize, u32>::new();
                    for hash in &hashes {
                        *counts.entry(of(*hash)).or_default() += 1;
                    }
                    counts.into_values().max().unwrap_or(0)
                };
                let chain = most(&|hash| <core::num::NonZeroU32 as Link>::of_hash(hash).place(2_048));
                let narrow = most(&|hash| <core::num::NonZeroU16 as Link>::of_hash(hash).place(2_048));
                let shard = most(&|hash| shard_of(hash, 16));
                assert!(chain <= 10 && narrow <= 10 && shard <= 250, "{chain} and {narrow} in a chain, {shard} in a shard");
            }
        }
        check::<FoldHash>();
        check::<Narrow<0>>();
        check::<Narrow<32>>();
    }

    #[test]
    fn lengths_tell() {
        let texts = ["", "\0", "\0\0", "a", "a\0", "abcdefgh", "abcdefgh\0", "abcdefgh\0\0\0\0\0\0\0\0"];
        let hashes: std::vec::Vec<u64> = texts.iter().map(|text| hash::<FoldHash, str>(7, text)).collect();
        for (at, one) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(one), "{:?} and another one of {texts:?}", texts[at]);
        }
    }
}
