use serde::Deserialize;

/// Of `single_flight`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SingleFlightConfig {
    /// For how many keys operations are under way at once; null: as many as there may be unless said otherwise.
    pub capacity: Option<usize>,
    /// How many wait for another one's; null: as many as the storage has room for.
    pub max_waiting: Option<u32>,
    /// Whether an operation goes on for those who remain, if its caller is dropped.
    #[serde(default)]
    pub survives: bool,
    /// Whether a call ends with whether its result was shared, beside it.
    #[serde(default)]
    pub tells_shared: bool,
}
