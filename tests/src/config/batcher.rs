use serde::Deserialize;

use crate::millis::Millis;

/// Of `batcher`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatcherConfig {
    /// How many items a batch has.
    pub max_items: u32,
    /// How long its first one waits.
    #[serde(default = "zero")]
    pub max_wait: Millis,
    /// How much a batch weighs, where each argument is its own weight; null: they have none.
    pub max_weight: Option<u64>,
    /// How many wait for a start; null: as many as the storage has room for.
    pub max_waiting: Option<u32>,
    /// How many batches are under way; null: without limit.
    pub max_concurrent: Option<u32>,
    /// Whether nothing is started twice.
    #[serde(default)]
    pub once: bool,
}

fn zero() -> Millis {
    Millis::ZERO
}
