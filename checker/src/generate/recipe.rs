//! What history to make, in one plain struct for all objects and shapes.

use thiserror::Error;

use super::shape::{PER_KEY, Part};
use super::{Fault, Mix, ObjectPlan, Plan, RecipeEvents, Shape};
use crate::model::{ModelKind, UnknownModel};

/// What history to make.
///
/// ```
/// use partita_checker::generate::{Fault, Recipe, Shape};
/// use partita_checker::{History, Options, Verdict, check};
///
/// let mut recipe = Recipe::of("queue", Shape::Steady)?;
/// let history = History::from_events(recipe.events()?)?;
/// let options = Options::of(recipe.model);
/// assert_eq!(check(&history, &options, &|| false).0.verdict, Verdict::Valid);
///
/// recipe.fault = Some(Fault::Duplicate);
/// let history = History::from_events(recipe.events()?)?;
/// assert_eq!(check(&history, &options, &|| false).0.verdict, Verdict::Violation);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// What the objects are.
    pub model: ModelKind,
    /// What the history looks like over time.
    pub shape: Shape,
    /// How many operations are invoked.
    pub operations: usize,
    /// How many clients are at work at once.
    pub clients: u32,
    /// How many keys are worked on at once. Where keys come one after another: 1.
    pub keys: u32,
    /// How likely each kind of operation is. On other objects than registers, what puts something
    /// in counts as a write and all else as a read; of locks and transactions it says nothing.
    pub mix: Mix,
    /// The share of operations whose outcome is unknown, from 0 to 1.
    pub unknown: f64,
    /// The share of operations that fail, from 0 to 1.
    pub failed: f64,
    /// How many distinct values are written; absent if every write writes a new one.
    pub values: Option<u32>,
    /// Whether a compare-and-set that does not match tells what it saw.
    pub tells: bool,
    /// Of sets: whether they are read whole, and never shrink.
    pub grows: bool,
    /// What the objects do wrong, if anything.
    pub fault: Option<Fault>,
    /// Where everything random comes from.
    pub seed: u64,
}

impl Default for Recipe {
    /// A thousand operations by ten clients on one register: half of them reads, half writes of new
    /// values, all outcomes known.
    fn default() -> Self {
        Self {
            model: ModelKind::Register,
            shape: Shape::Steady,
            operations: 1_000,
            clients: 10,
            keys: 1,
            mix: Mix { reads: 50, writes: 50, swaps: 0, deletes: 0 },
            unknown: 0.0,
            failed: 0.0,
            values: None,
            tells: true,
            grows: false,
            fault: None,
            seed: 0,
        }
    }
}

/// Why no history can be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RecipeError {
    /// There must be one at least.
    #[error("expected at least one {what}")]
    None {
        /// Of what.
        what: &'static str,
    },
    /// Shares are shares.
    #[error("expected the share of {what} operations to be from 0 to 1, found {found}")]
    NotAShare {
        /// `unknown` or `failed`.
        what: &'static str,
        /// The number.
        found: f64,
    },
    /// Transactions work on all keys at once.
    #[error("expected one key: all transactions of a history work on the same registers")]
    NotByKey,
    /// Keys come one after another, so there are not several at once.
    #[error("expected one key at a time, as the shape jepsen has, found {found}")]
    KeysAtOnce {
        /// How many.
        found: u32,
    },
}

impl Recipe {
    /// The defaults for a model, by the name or one of the other names that it has, in a shape:
    /// `cas-register` has compare-and-sets, `kv` ten keys; Jepsen's shape repeats five values, does
    /// not tell what a failed compare-and-set saw and leaves one outcome of a hundred unknown.
    ///
    /// # Errors
    ///
    /// If there is no such model.
    pub fn of(model: &str, shape: Shape) -> Result<Self, UnknownModel> {
        let mut recipe = Self { model: model.parse()?, shape, ..Self::default() };
        let swaps = Mix { reads: 40, writes: 40, swaps: 20, deletes: 0 };
        if model == "cas-register" {
            recipe.mix = swaps;
        }
        if model == "kv" {
            (recipe.keys, recipe.mix) = (10, swaps);
        }
        match shape {
            Shape::Steady => {}
            Shape::Jepsen => {
                (recipe.keys, recipe.values, recipe.tells) = (1, Some(5), false);
                recipe.unknown = 0.01;
            }
            Shape::Bursts => {
                recipe.keys = 1;
                recipe.values = Some(5);
            }
        }
        if shape != Shape::Steady && recipe.model == ModelKind::Register {
            recipe.mix = swaps;
        }
        Ok(recipe)
    }

    /// The events of the history, in order, made one by one as they are asked for.
    ///
    /// # Errors
    ///
    /// If there can be no such history.
    pub fn events(&self) -> Result<RecipeEvents, RecipeError> {
        self.validate()?;
        Ok(RecipeEvents::new(self))
    }

    fn validate(&self) -> Result<(), RecipeError> {
        let Mix { reads, writes, swaps, deletes } = self.mix;
        let weights = u64::from(reads) + u64::from(writes) + u64::from(swaps) + u64::from(deletes);
        for (what, is_missing) in [
            ("client", self.clients == 0),
            ("key", self.keys == 0),
            ("value", self.values == Some(0)),
            ("kind of operation that is not of weight 0", weights == 0),
        ] {
            if is_missing {
                return Err(RecipeError::None { what });
            }
        }
        for (what, found) in [("unknown", self.unknown), ("failed", self.failed)] {
            if !(0.0..=1.0).contains(&found) {
                return Err(RecipeError::NotAShare { what, found });
            }
        }
        let by_key = self.keys > 1 || self.shape == Shape::Jepsen;
        if by_key && !self.model.splits_by_key() {
            return Err(RecipeError::NotByKey);
        }
        if self.keys > 1 && self.shape == Shape::Jepsen {
            return Err(RecipeError::KeysAtOnce { found: self.keys });
        }
        Ok(())
    }

    /// How many operations follow `planned` ones without a change of key.
    pub(super) fn part_size(&self, planned: usize) -> usize {
        let left = self.operations - planned;
        if self.shape == Shape::Jepsen { left.min(PER_KEY) } else { left }
    }

    /// The events of the part of that number. The fault strikes one part: that in the middle.
    pub(super) fn part(&self, number: u64, operations: usize) -> Part {
        let parts = self.operations.div_ceil(self.part_size(0).max(1)) as u64;
        let fault = self.fault.filter(|_| number == parts / 2);
        let seed = self.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let Self { model, clients, keys, mix, unknown, failed, values, tells, grows, .. } = *self;
        if model == ModelKind::Register {
            let plan = Plan {
                operations,
                clients,
                keys,
                mix,
                unknown,
                failed,
                values,
                tells,
                fault,
                seed,
            };
            return Part::Registers(Box::new(plan.events()));
        }
        let puts = f64::from(mix.writes) / (f64::from(mix.reads) + f64::from(mix.writes)).max(1.0);
        let plan = ObjectPlan {
            model,
            operations,
            clients,
            keys,
            puts,
            unknown,
            failed,
            values,
            grows,
            fault,
            seed,
        };
        Part::Objects(Box::new(plan.events()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MODELS;
    use crate::{Event, EventKind, History, Options, Verdict, check};

    const NAMES: [&str; 10] = [
        "register",
        "cas-register",
        "kv",
        "append",
        "counter",
        "set",
        "queue",
        "stack",
        "lock",
        "multi-register",
    ];

    fn verdict(recipe: &Recipe) -> Verdict {
        let history = History::from_events(recipe.events().unwrap()).unwrap();
        let options = Options { model: recipe.model, memory: 4 << 20, ..Options::default() };
        check(&history, &options, &|| false).0.verdict
    }

    #[test]
    fn history_of_every_model_and_shape_is_linearizable() {
        for name in NAMES {
            for shape in Shape::ALL {
                for seed in 0..3 {
                    let recipe = Recipe { operations: 250, clients: 3, seed, ..of(name, shape) };
                    if matches!(recipe.events(), Err(RecipeError::NotByKey)) {
                        continue;
                    }
                    let found = verdict(&recipe);
                    assert_ne!(found, Verdict::Violation, "{name}, {shape}, seed {seed}");
                }
            }
        }
    }

    fn of(name: &str, shape: Shape) -> Recipe {
        Recipe::of(name, shape).unwrap()
    }

    #[test]
    fn fault_in_an_object_with_new_values_is_mostly_seen() {
        for name in NAMES {
            for fault in Fault::ALL {
                let has_reads = !["queue", "stack", "lock"].contains(&name);
                if fault == Fault::StaleRead && !has_reads {
                    continue;
                }
                // Registers forget what was lost with the next write, and repeat what they hold.
                let least = match (name, fault) {
                    (_, Fault::StaleRead) => 6,
                    ("set", Fault::Duplicate) => 0,
                    ("set" | "lock", _) => 1,
                    ("register" | "cas-register" | "kv" | "multi-register", _) => 2,
                    _ => 6,
                };
                let seen = (0..12).filter(|&seed| {
                    let recipe = of(name, Shape::Steady);
                    let fault = Some(fault);
                    let recipe = Recipe { operations: 600, clients: 3, fault, seed, ..recipe };
                    verdict(&recipe) == Verdict::Violation
                });
                let seen = seen.count();
                assert!(seen >= least, "{name}, {fault}: {seen} of 12 seen");
            }
        }
    }

    #[test]
    fn every_catalogued_model_has_a_recipe() {
        for entry in MODELS.iter().filter(|entry| !entry.kind.is_transactional()) {
            assert_eq!(of(entry.name, Shape::Steady).model, entry.kind);
        }
        let names: Vec<&str> =
            NAMES.into_iter().filter(|name| name.parse::<ModelKind>().is_ok()).collect();
        assert_eq!(names, NAMES);
    }

    #[test]
    fn jepsens_keys_come_one_after_another() {
        let recipe = Recipe { operations: 1_000, ..of("cas-register", Shape::Jepsen) };
        let events: Vec<Event> = recipe.events().unwrap().collect();
        let history = History::from_events(events.iter().cloned()).unwrap();
        assert_eq!(history.operations.len(), 1_000);
        assert_eq!(history.keys.len(), 5);
        assert!(events.is_sorted_by_key(|event| event.key.to_string()));
    }

    #[test]
    fn outcomes_are_lost_in_bursts_only() {
        let recipe = Recipe { operations: 5_000, ..of("cas-register", Shape::Bursts) };
        let events: Vec<Event> = recipe.events().unwrap().collect();
        let lost: Vec<u64> = events
            .iter()
            .filter(|event| event.kind == EventKind::Info)
            .map(|event| event.index)
            .collect();
        assert!((50..250).contains(&lost.len()), "{}", lost.len());
        assert!(lost.iter().all(|index| (500..600).contains(&(index % 1_000))), "{lost:?}");
    }

    #[test]
    fn impossible_recipe_is_refused_with_the_reason() {
        let reason = |recipe: Recipe| recipe.events().map(|_| ()).unwrap_err().to_string();
        let none = reason(Recipe { clients: 0, ..Recipe::default() });
        assert_eq!(none, "expected at least one client");
        let share = reason(Recipe { unknown: 1.5, ..Recipe::default() });
        assert!(share.ends_with("to be from 0 to 1, found 1.5"), "{share}");
        let transactions = Recipe { keys: 2, ..of("multi-register", Shape::Steady) };
        assert!(reason(transactions).starts_with("expected one key"));
    }
}
