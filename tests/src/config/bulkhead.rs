use serde::Deserialize;

use super::never;
use crate::millis::Millis;

/// Of `bulkhead`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "they are the keys of a scenario")]
pub struct BulkheadConfig {
    /// How many run at once.
    pub max_concurrent: u32,
    /// How many wait; null: as many as the storage has room for.
    pub max_waiting: Option<u32>,
    /// How long they wait.
    #[serde(default = "never")]
    pub max_wait: Millis,
}

impl BulkheadConfig {
    pub(super) fn times(&self) -> Vec<Millis> {
        vec![self.max_wait]
    }
}
