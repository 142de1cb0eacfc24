//! [`aplomb`] on smol: all of core, with async-io's timers, a parking lock and storage on the heap filled in.
//!
//! ```
//! use aplomb_smol::prelude::*;
//!
//! static BUDGET: RetryBudget = RetryBudget::new(500);
//! static RETRY: Retry = checked!(Retry::standard(&BUDGET).max_attempts(5));
//!
//! async fn fetch_user(id: u32) -> Result<String, std::io::Error> {
//!     Ok(format!("user {id}"))
//! }
//!
//! smol::block_on(async {
//!     let user = smol::spawn(RETRY.run(|| timeout(secs(5), fetch_user(7)))).await?;
//!     assert_eq!(user, "user 7");
//!     Ok::<_, aplomb_smol::RetryError<_>>(())
//! })?;
//! # Ok::<_, aplomb_smol::RetryError<aplomb_smol::TimeoutError<std::io::Error>>>(())
//! ```
//!
//! It needs no runtime to be entered: the futures run on any executor, and outside of one under `block_on`. async-io has no paused time: tests that are to take none run on
//! `aplomb-sim`.

#![forbid(unsafe_code)]

mod clock;
mod spawn;

pub use aplomb::*;
pub use clock::{SmolClock, SmolSleep};
pub use spawn::{OnExecutor, SmolTask};

/// The platform: the system's clock with async-io's timers, `parking_lot`'s lock, storage on the heap, wakers of our own for the children of a task.
#[derive(Debug, Clone, Copy)]
pub struct Smol;

impl Platform for Smol {
    type Clock = SmolClock;
    type RawMutex = mutex::raw_impls::lock_api_0_4::LockApiRawMutex<parking_lot::RawMutex>;
    type Word = aplomb::sync::AtomicWord;
    type Storage = Heap;
    type Children = OwnWakers<Self::RawMutex>;

    fn random() -> u64 {
        fastrand::u64(..)
    }

    #[inline]
    fn hash_seed() -> u64 {
        static SEED: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
        *SEED.get_or_init(|| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0))
    }
}

aplomb::bind!(Smol, in "aplomb_smol", main "# smol::block_on(async {" to "# });");
