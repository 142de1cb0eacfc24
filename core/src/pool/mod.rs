//! Pool: so many jobs at once.

mod as_pool;
mod control;
mod drained;
mod error;
mod job_set;
mod lanes;
mod line;
mod results;
mod run;
mod spawn;
mod state;

pub use as_pool::AsPool;
pub use control::Pool;
pub use drained::Drained;
pub use error::PoolError;
pub use job_set::{JobSet, Rejected};
pub use results::Results;
pub use run::Run;
pub use spawn::{Spawn, Spawned, Stopped, Task};
pub use state::Snapshot;
