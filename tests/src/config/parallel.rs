use serde::Deserialize;

/// Of `parallel` and `parallel_stream`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelConfig {
    /// How many at once.
    pub limit: usize,
    /// What an error does to the others.
    #[serde(default)]
    pub on_error: OnError,
    /// In which order results come.
    #[serde(default)]
    pub order: Order,
}

/// What an error does to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It drops them.
    #[default]
    FailFast,
    /// Nothing.
    Collect,
}

/// In which order results come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// That of the items.
    #[default]
    Input,
    /// That in which operations end.
    Completion,
}
