//! What a run without clients was judged by.

use serde::{Deserialize, Serialize};

use crate::text::number::counted;

/// Elections as the nodes' status told them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elections {
    /// How many nodes led in a term of which none had been seen to lead there before.
    pub observed: u64,
    /// Of these, those that were seen after the first leader of the run, under faults or after them.
    pub under_load: u64,
    /// The first and the last term that a node led in.
    pub terms: Option<(u64, u64)>,
    /// How soon there had to be a leader again wherever a majority could elect one, in milliseconds.
    pub limit_ms: u64,
}

impl Elections {
    /// What was seen: `4 elections observed, in terms 2 to 9`.
    pub fn seen(&self) -> String {
        let terms = match self.terms {
            Some((first, last)) if first == last => format!(", in term {first}"),
            Some((first, last)) => format!(", in terms {first} to {last}"),
            None => String::new(),
        };
        format!("{} observed{terms}", counted(self.observed, "election"))
    }

    /// The same of a run that is valid, with what held.
    pub fn judged(&self) -> String {
        format!(
            "{}; by their status no two nodes led in one term, and there was a leader again within {} s \
             wherever a majority could elect one",
            self.seen(),
            self.limit_ms as f64 / 1_000.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_judged_is_said_with_its_numbers() {
        let some = Elections { observed: 4, under_load: 3, terms: Some((2, 9)), limit_ms: 2_500 };
        assert_eq!(some.seen(), "4 elections observed, in terms 2 to 9");
        assert!(some.judged().contains("no two nodes led in one term"), "{}", some.judged());
        assert!(some.judged().contains("within 2.5 s"), "{}", some.judged());
        let one = Elections { observed: 1, terms: Some((3, 3)), ..some };
        assert_eq!(one.seen(), "1 election observed, in term 3");
        assert_eq!(Elections::default().seen(), "0 elections observed");
    }
}
