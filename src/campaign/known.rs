//! `known.toml`: buckets that somebody is dealing with, which fail no night until they are overdue.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::exit::{Failure, FailureContext};

/// The newest form that this version reads.
const FORMAT: u32 = 1;

/// The list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    entries: BTreeMap<String, Entry>,
}

/// A bucket of the list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The bucket.
    bucket: String,
    /// Where it is being dealt with.
    pub issue: String,
    /// The last day on which it fails no night: `2027-01-31`.
    #[serde(deserialize_with = "day")]
    until: Date,
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    let text = String::deserialize(deserializer)?;
    let expected = || D::Error::custom(format!("`{text}`: expected a day such as 2027-01-31"));
    text.parse().map_err(|_| expected())
}

impl Entry {
    /// Whether its time is over.
    pub fn is_overdue(&self, today: Date) -> bool {
        today > self.until
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    #[serde(default)]
    known: Vec<Entry>,
}

impl Known {
    /// Reads the list.
    ///
    /// # Errors
    ///
    /// [`Failure`], naming the line and what was expected.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let context = || path.display().to_string();
        let text = std::fs::read_to_string(path).or_usage(context)?;
        Self::parse(&text)
            .map_err(|problem| Failure::usage(miette::miette!("{problem}").wrap_err(context())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| error.to_string())?;
        if document.format > FORMAT {
            let format = document.format;
            return Err(format!("it has format {format}, and this version reads format {FORMAT}"));
        }
        let entries = document.known.into_iter().map(|entry| (entry.bucket.clone(), entry));
        Ok(Self { entries: entries.collect() })
    }

    /// What the list says of a bucket.
    pub fn entry(&self, bucket: &str) -> Option<&Entry> {
        self.entries.get(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_known_until_its_last_day() {
        let text =
            "format = 1\n[[known]]\nbucket = \"b\"\nissue = \"#7\"\nuntil = \"2027-01-31\"\n";
        let known = Known::parse(text).expect("a list");
        let entry = known.entry("b").expect("listed");
        assert!(!entry.is_overdue("2027-01-31".parse().expect("a day")));
        assert!(entry.is_overdue("2027-02-01".parse().expect("a day")));
        assert!(known.entry("c").is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(Known::parse("format = 2\n").expect_err("newer").contains("format 2"));
        for wrong in ["", "format = 1\n[[known]]\nbucket = \"b\"\n", "format = 1\nknow = 3\n"] {
            assert!(Known::parse(wrong).is_err(), "{wrong}");
        }
    }
}
