use serde::Deserialize;

/// Of `waterfall`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaterfallConfig {
    /// How many steps there are, or their names.
    pub steps: Steps,
}

/// The steps of a waterfall.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a number of steps, or a list of names")]
pub enum Steps {
    /// So many, without names.
    Number(usize),
    /// These.
    Names(Vec<String>),
}

impl Steps {
    /// How many.
    #[must_use]
    pub fn number(&self) -> usize {
        match self {
            Self::Number(number) => *number,
            Self::Names(names) => names.len(),
        }
    }
}

impl WaterfallConfig {
    /// The names of its steps, if they have any.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.steps {
            Steps::Number(_) => Vec::new(),
            Steps::Names(names) => names.clone(),
        }
    }

    pub(super) fn check(self) -> Result<Self, String> {
        // Each number of steps is a type of its own.
        if (1..=5).contains(&self.steps.number()) { Ok(self) } else { Err("config.steps: from 1 to 5 can be played".into()) }
    }
}
