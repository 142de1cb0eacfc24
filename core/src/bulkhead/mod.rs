//! Bulkhead
mod acquire;
mod error;
mod run;
mod settings;

pub use acquire::Acquire;
pub use error::BulkheadError;
pub use run::Run;
pub use settings::{Bulkhead, Snapshot};
