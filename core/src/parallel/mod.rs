//! Parallel with a limit.

mod engine;
mod error;
mod items;
mod on_error;
mod progress;
mod results;
mod run;
mod settings;
mod stream;
pub(crate) mod window;

pub use error::ParallelError;
pub use items::Items;
pub use on_error::{FailFast, KeepGoing, OnError};
pub use progress::Progress;
pub use results::{Array, Results};
pub use run::Run;
pub use settings::Parallel;

/// In which order results come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// That of the items.
    Input,
    /// That in which operations end.
    Completion,
}
