use serde::Deserialize;

/// Of `pool`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// How many jobs run at once.
    pub concurrency: u32,
    /// How many wait at most, if not as many as the storage holds.
    pub max_queued: Option<u32>,
}
