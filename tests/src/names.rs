//! Names of callers, as scenarios write them.

use serde::{Deserialize, Deserializer};

/// One or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a caller, or a list of callers")]
enum Names {
    One(String),
    More(Vec<String>),
}

/// Reads a name, or a list of them.
pub(crate) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Names::deserialize(deserializer).map(|names| match names {
        Names::One(name) => vec![name],
        Names::More(names) => names,
    })
}
