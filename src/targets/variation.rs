//! In what a description lets default runs vary its nodes.

use serde::Deserialize;

/// One way to start the nodes, of several that are as good.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Variation {
    /// Words that every node's command is given at its end.
    pub arguments: Vec<String>,
    /// How far the nodes' clocks may then run apart, as a share of their rate: 0.5 if one may be half as
    /// fast again as another. None if that is not said.
    pub clock_drift: Option<f64>,
}

/// A [`Variation`] as it is written.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a list of words, or { arguments = [...], clock-drift = 0.1 }"
)]
pub(super) enum WrittenVariation {
    Words(Vec<String>),
    #[serde(rename_all = "kebab-case")]
    Table {
        arguments: Vec<String>,
        clock_drift: Option<f64>,
    },
}

impl From<WrittenVariation> for Variation {
    fn from(written: WrittenVariation) -> Self {
        match written {
            WrittenVariation::Words(arguments) => Self { arguments, clock_drift: None },
            WrittenVariation::Table { arguments, clock_drift } => Self { arguments, clock_drift },
        }
    }
}
