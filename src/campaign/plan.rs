//! What a campaign does: configurations, and from an index to a run's specification.
//!
//! The plan and an index alone decide a run. Indices go round the configurations, beginning one
//! further in each round, so that a shard, which owns every Nth index, has a part of every
//! configuration whatever N is. Which index is next is somebody else's decision (`fair_queue`), and
//! changes no run.

use partita_reports::RunSpec;
use partita_reports::campaign::record::FORMAT;
use partita_reports::spec::{Milliseconds, SpecError};
use partita_workloads::random::stream;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// Bits of a seed that tell the runs of one night apart; the others tell nights apart.
const RUN_BITS: u32 = 40;

/// The greatest night: the nights' bits of a seed.
pub const LAST_NIGHT: u64 = (1 << (64 - RUN_BITS)) - 1;

/// Scatters indices over seeds, each on another: any odd number does. That of Knuth's multiplicative
/// hashing, 2^40 by the golden ratio (*The Art of Computer Programming*, vol. 3, § 6.4).
const SCATTER: u64 = 0x9e_3779_b97f;

/// Everything that decides a campaign: the content of `plan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignPlan {
    /// The number of the document's form.
    pub format: u32,
    /// What it is called on its page.
    pub name: String,
    /// Which night it is: no seed of one night is used in another. At most [`LAST_NIGHT`].
    pub night: u64,
    /// Where the seeds come from.
    pub seed: u64,
    /// How many runs it has; without, as many as its budget allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<u64>,
    /// What is run. Not empty.
    pub configurations: Vec<Configuration>,
    /// A run with a planted bug that must be found, if the target has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<RunSpec>,
    /// A run without faults that must be valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<RunSpec>,
    /// How often a run of a new bucket is played again.
    pub replays: u32,
    /// How long shrinking a bucket's faults may take; nothing is shrunk if it is zero.
    #[serde(rename = "shrink_ms")]
    pub shrink: Milliseconds,
    /// How many runs of a bucket and version are kept with their folders.
    pub keep: u32,
}

/// One thing to try, again and again with other seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Its name in this plan: `raft-node/register/default`. No two have the same.
    pub name: String,
    /// The name of the target's description.
    pub target: String,
    /// Which version of the target: never a part of a bucket's signature.
    pub version: String,
    /// What its faults are called: `default`, `killed-leaders`.
    pub faults: String,
    /// Its share of the CPU time, beside those of the others; greater than zero.
    pub weight: f64,
    /// The specification of its runs, but for the seed.
    pub spec: RunSpec,
}

/// Which part of a campaign's indices one process works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its number, from 0.
    pub index: u64,
    /// How many there are; at least one.
    pub of: u64,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Whether the shard works on that index.
    pub const fn owns(self, index: u64) -> bool {
        index % self.of == self.index
    }
}

/// Why a document is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No JSON, or not these fields.
    #[error("expected a campaign's plan (docs/campaigns.md): {0}")]
    Parse(#[from] serde_json::Error),
    /// It was written by a newer version.
    #[error("it has format {0}, and this version reads format {FORMAT} and older")]
    Newer(u32),
    /// It has nothing to do.
    #[error("it has no configurations: nothing fits the target")]
    Empty,
    /// A name that stands for two configurations.
    #[error("two configurations are called `{0}`")]
    Twice(String),
    /// A weight that is none.
    #[error("{0}: expected a weight greater than 0")]
    Weight(String),
    /// A night that has no seeds.
    #[error("night {0}: expected at most {LAST_NIGHT}")]
    Night(u64),
    /// A specification with a value that is out of its range.
    #[error("{name}: {source}")]
    Spec {
        /// The configuration.
        name: String,
        /// What is wrong.
        source: SpecError,
    },
}

/// Refuses a document of a newer form than `known`, whatever else is in it.
pub(super) fn refuse_newer(text: &str, known: u32) -> Result<(), PlanError> {
    #[derive(Deserialize)]
    struct Header {
        format: u32,
    }
    let Header { format } = serde_json::from_str(text)?;
    if format > known { Err(PlanError::Newer(format)) } else { Ok(()) }
}

impl CampaignPlan {
    /// Reads a plan.
    ///
    /// # Errors
    ///
    /// [`PlanError`] if it is none, is of a newer format, or cannot be carried out.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        refuse_newer(text, FORMAT)?;
        let plan: Self = serde_json::from_str(text)?;
        plan.check()?;
        Ok(plan)
    }

    /// Checks that it can be carried out.
    ///
    /// # Errors
    ///
    /// [`PlanError`], naming what is wrong.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.configurations.is_empty() {
            return Err(PlanError::Empty);
        }
        if self.night > LAST_NIGHT {
            return Err(PlanError::Night(self.night));
        }
        let mut names = std::collections::BTreeSet::new();
        for configuration in &self.configurations {
            let name = configuration.name.clone();
            if !(configuration.weight > 0.0 && configuration.weight.is_finite()) {
                return Err(PlanError::Weight(name));
            }
            if let Err(source) = configuration.spec.check() {
                return Err(PlanError::Spec { name, source });
            }
            if !names.insert(&configuration.name) {
                return Err(PlanError::Twice(name));
            }
        }
        Ok(())
    }

    /// How many configurations there are.
    pub fn width(&self) -> u64 {
        self.configurations.len() as u64
    }

    /// The place of the configuration that an index belongs to.
    pub fn place(&self, index: u64) -> usize {
        let (round, column) = (index / self.width(), index % self.width());
        ((column + round % self.width()) % self.width()) as usize
    }

    /// The index of a configuration's run in a round.
    pub fn index(&self, place: usize, round: u64) -> u64 {
        let width = self.width();
        round * width + (place as u64 + width - round % width) % width
    }

    /// The configuration that an index belongs to.
    pub fn configuration(&self, index: u64) -> &Configuration {
        &self.configurations[self.place(index)]
    }

    /// The run of an index.
    pub fn spec(&self, index: u64) -> RunSpec {
        RunSpec { seed: self.seed_of(index), ..self.configuration(index).spec.clone() }
    }

    /// The seed of a run: another one for each index of each night.
    pub fn seed_of(&self, index: u64) -> u64 {
        let offset = stream(self.seed, "seeds").next_u64();
        let mask = (1 << RUN_BITS) - 1;
        let run = index.wrapping_mul(SCATTER).wrapping_add(offset) & mask;
        self.night << RUN_BITS | run
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A plan with so many configurations.
    pub(crate) fn plan(width: u64) -> CampaignPlan {
        let configuration = |place: u64| Configuration {
            name: format!("raft-node/w{place}/default"),
            target: "raft-node".to_owned(),
            version: "raft-node".to_owned(),
            faults: "default".to_owned(),
            weight: 1.0,
            spec: RunSpec { workload: format!("w{place}"), ..RunSpec::default() },
        };
        CampaignPlan {
            format: FORMAT,
            name: "test".to_owned(),
            night: 3,
            seed: 7,
            runs: None,
            configurations: (0..width).map(configuration).collect(),
            canary: None,
            control: None,
            replays: 10,
            shrink: Milliseconds(0),
            keep: 4,
        }
    }

    #[test]
    fn an_index_and_a_round_of_a_configuration_are_the_same_thing() {
        for width in 1..=9 {
            let plan = plan(width);
            for index in 0..width * 12 {
                let round = index / width;
                assert_eq!(plan.index(plan.place(index), round), index, "{width}");
            }
            let round: BTreeSet<usize> =
                (width..2 * width).map(|index| plan.place(index)).collect();
            assert_eq!(round.len() as u64, width, "every round has every configuration");
        }
    }

    #[test]
    fn every_shard_has_a_part_of_every_configuration() {
        for width in 1..=12 {
            let plan = plan(width);
            for of in 1..=8 {
                for index in 0..of {
                    let shard = Shard { index, of };
                    let owned = (0..width * of * 4).filter(|index| shard.owns(*index));
                    let places: BTreeSet<usize> = owned.map(|index| plan.place(index)).collect();
                    assert!(places.len() as u64 * 2 >= width, "{shard:?} of {width}: {places:?}");
                }
            }
        }
    }

    #[test]
    fn seeds_differ_by_index_and_by_night_and_are_the_same_every_time() {
        let mut seen = BTreeSet::new();
        for night in [0, 1, 20_000, LAST_NIGHT] {
            let plan = CampaignPlan { night, ..plan(3) };
            for index in (0..2_000).chain([1 << 39, (1 << 40) - 1]) {
                assert!(seen.insert(plan.seed_of(index)), "{night} {index}");
                assert_eq!(plan.seed_of(index) >> RUN_BITS, night);
            }
        }
        let other = CampaignPlan { seed: 8, ..plan(3) };
        assert_ne!(other.seed_of(0), plan(3).seed_of(0));
        // What a plan said yesterday it says tomorrow.
        assert_eq!(plan(3).spec(5).seed, plan(3).seed_of(5));
        assert_eq!(plan(3).seed_of(5), 3_811_088_094_715);
    }

    #[test]
    fn what_cannot_be_carried_out_is_refused_and_named() {
        let text = serde_json::to_string(&plan(2)).expect("JSON");
        assert_eq!(CampaignPlan::parse(&text).expect("a plan"), plan(2));
        let problem = |change: &dyn Fn(&mut CampaignPlan)| {
            let mut plan = plan(2);
            change(&mut plan);
            let text = serde_json::to_string(&plan).expect("JSON");
            CampaignPlan::parse(&text).expect_err("refused").to_string()
        };
        assert!(problem(&|plan| plan.format = FORMAT + 1).contains("format 2"));
        assert!(problem(&|plan| plan.configurations.clear()).contains("no configurations"));
        assert!(
            problem(&|plan| plan.configurations[1].weight = 0.0).contains("w1/default: expected")
        );
        assert!(problem(&|plan| plan.configurations[1].spec.nodes = 10).contains("nodes"));
        assert!(problem(&|plan| plan.night = LAST_NIGHT + 1).contains("night 16777216"));
        let twice =
            problem(&|plan| plan.configurations[1].name = plan.configurations[0].name.clone());
        assert!(twice.contains("two configurations are called `raft-node/w0/default`"), "{twice}");
        assert!(CampaignPlan::parse("{}").is_err());
    }
}
