use serde::Deserialize;

/// Of `memoize`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoizeConfig {
    /// How many values are kept; null: as many as unless said otherwise.
    pub capacity: Option<usize>,
    /// How many wait for another one's call; null: as many as the storage has room for.
    pub max_waiting: Option<u32>,
}
