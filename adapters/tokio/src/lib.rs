//! [`aplomb`] on tokio: all of core, with tokio's clock, a parking lock and storage on the heap filled in.
//!
//! ```
//! use aplomb_tokio::prelude::*;
//!
//! static BUDGET: RetryBudget = RetryBudget::new(500);
//! static RETRY: Retry = checked!(Retry::standard(&BUDGET).max_attempts(5));
//!
//! async fn fetch_user(id: u32) -> Result<String, std::io::Error> {
//!     Ok(format!("user {id}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let user = tokio::spawn(RETRY.run(|| timeout(secs(5), fetch_user(7)))).await??;
//! assert_eq!(user, "user 7");
//! # Ok(()) }
//! ```
//!
//! Under `tokio::time::pause` every pattern keeps the paused time, so that tests take none. tokio's timers are precise to the millisecond, rounded up.

#![forbid(unsafe_code)]

mod clock;
mod spawn;

pub use aplomb::*;
pub use clock::{TokioClock, TokioSleep};
pub use spawn::{OnRuntime, TokioTask};

/// The platform: tokio's clock, `parking_lot`'s lock, storage on the heap, wakers of our own for the children of a task.
#[derive(Debug, Clone, Copy)]
pub struct Tokio;

impl Platform for Tokio {
    type Clock = TokioClock;
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

aplomb::bind!(
    Tokio, in "aplomb_tokio",
    main "# #[tokio::main(flavor = \"current_thread\", start_paused = true)]\n# async fn main() {" to "# }"
);
