use serde::Deserialize;
use serde_json::Value;

use crate::scenario::present;

/// Of `fallback`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FallbackConfig {
    /// The value instead; absent: another start of the operation, with the error as its argument.
    #[serde(default, deserialize_with = "present")]
    pub value: Option<Value>,
    /// The errors that it is for; absent: all.
    pub fallback_if: Option<Vec<Value>>,
}
