//! Which runs are wanted.

use super::entry::{Entry, State};
use super::links::encoded;

/// Which runs are wanted, as the address of a list says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this target; of all if empty.
    pub target: String,
    /// With this workload; with any if empty.
    pub workload: String,
    /// Which verdicts.
    pub wanted: Wanted,
    /// With these words somewhere in name, title, planted bug, faults or seed.
    pub text: String,
    /// Which page of the list, from 0.
    pub page: usize,
}

/// Which verdicts are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    #[default]
    All,
    /// One of them.
    Only(State),
}

impl Wanted {
    /// What a name in an address means; all for a name that there is not.
    pub fn of(name: &str) -> Self {
        let state = State::ALL.into_iter().find(|state| state.name() == name);
        state.map_or(Self::All, Self::Only)
    }

    fn name(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Only(state) => state.name(),
        }
    }
}

impl Filter {
    /// The filter that a query asks for; names that it does not know are passed over.
    pub fn of(pairs: &[(String, String)]) -> Self {
        let mut filter = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "target" => filter.target.clone_from(value),
                "workload" => filter.workload.clone_from(value),
                "verdict" => filter.wanted = Wanted::of(value),
                "text" => filter.text.clone_from(value),
                "page" => filter.page = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        filter
    }

    /// Whether a run is wanted.
    pub fn has(&self, entry: &Entry) -> bool {
        let is = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        let state = match self.wanted {
            Wanted::All => true,
            Wanted::Only(state) => entry.state == state,
        };
        state
            && is(&self.target, &entry.target)
            && is(&self.workload, &entry.workload)
            && self.says(entry)
    }

    /// Whether each word that is wanted is somewhere in it.
    fn says(&self, entry: &Entry) -> bool {
        if self.text.trim().is_empty() {
            return true;
        }
        let Entry { path, title, mutation, nemesis, seed, .. } = entry;
        let all = format!("{path} {title} {mutation} {nemesis} seed={seed}").to_lowercase();
        self.text.to_lowercase().split_whitespace().all(|word| all.contains(word))
    }

    /// The query that asks for this, with that page.
    pub(super) fn query(&self, page: usize) -> String {
        let page = if page == 0 { String::new() } else { page.to_string() };
        let pairs = [
            ("target", self.target.as_str()),
            ("workload", &self.workload),
            ("verdict", self.wanted.name()),
            ("text", &self.text),
            ("page", &page),
        ];
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        pairs
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect::<Vec<_>>()
            .join("&")
    }
}
