//! Which shard this process is, as the engines say that start many.

use super::plan::Shard;

/// Pairs of variables: the shard's number, the number of shards, and the number that the first shard has.
///
/// Kubernetes' Indexed Jobs say only the number; how many there are is a variable of one's own.
const ENGINES: [(&str, &str, u64); 4] = [
    ("JOB_COMPLETION_INDEX", "PARTITA_SHARDS", 0),
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", 0),
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
];

/// The smallest number of a Slurm array, which need not begin with 0.
const SLURM_FIRST: &str = "SLURM_ARRAY_TASK_MIN";

/// Reads `3/8`: shard 3 of 8, from 0.
///
/// # Errors
///
/// What was expected.
pub fn parse(text: &str) -> Result<Shard, String> {
    let expected = || format!("`{text}`: expected a shard such as `0/8`, the first being 0");
    let (index, of) = text.split_once('/').ok_or_else(expected)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| expected());
    shard(number(index)?, number(of)?).ok_or_else(expected)
}

/// The shard that the environment says, if it says any.
///
/// # Errors
///
/// If it says one that there is not, or its number without how many there are.
pub fn of_environment(get: impl Fn(&str) -> Option<String>) -> Result<Option<Shard>, String> {
    for (index, of, first) in ENGINES {
        let Some(text) = get(index) else { continue };
        let wrong = |what: &str| format!("{index}={text}: {what}");
        let number = text.trim().parse::<u64>().map_err(|_| wrong("expected a number"))?;
        let count = get(of).and_then(|count| count.trim().parse::<u64>().ok());
        let count =
            count.ok_or_else(|| wrong(&format!("{of} must say how many shards there are")))?;
        let first = match get(SLURM_FIRST).filter(|_| index.starts_with("SLURM")) {
            Some(text) => text.trim().parse().unwrap_or(first),
            None => first,
        };
        let own = number.checked_sub(first).and_then(|number| shard(number, count));
        return own.map(Some).ok_or_else(|| wrong(&format!("there are {count} shards")));
    }
    Ok(None)
}

fn shard(index: u64, of: u64) -> Option<Shard> {
    (index < of).then_some(Shard { index, of })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[(&str, &str)]) -> Result<Option<Shard>, String> {
        of_environment(|name| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn every_engine_is_understood_in_its_own_counting() {
        let third = Ok(Some(Shard { index: 2, of: 8 }));
        assert_eq!(said(&[("JOB_COMPLETION_INDEX", "2"), ("PARTITA_SHARDS", "8")]), third);
        assert_eq!(said(&[("SLURM_ARRAY_TASK_ID", "2"), ("SLURM_ARRAY_TASK_COUNT", "8")]), third);
        let from_one = [
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_ARRAY_TASK_COUNT", "8"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
        ];
        assert_eq!(said(&from_one), third);
        assert_eq!(said(&[("CI_NODE_INDEX", "3"), ("CI_NODE_TOTAL", "8")]), third);
        let buildkite = [("BUILDKITE_PARALLEL_JOB", "2"), ("BUILDKITE_PARALLEL_JOB_COUNT", "8")];
        assert_eq!(said(&buildkite), third);
        assert_eq!(said(&[]), Ok(None));
    }

    #[test]
    fn a_shard_that_there_is_not_is_refused() {
        assert!(
            said(&[("JOB_COMPLETION_INDEX", "2")]).expect_err("count").contains("PARTITA_SHARDS")
        );
        assert!(said(&[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "8")]).is_err());
        assert!(said(&[("CI_NODE_INDEX", "9"), ("CI_NODE_TOTAL", "8")]).is_err());
        assert_eq!(parse("3/8"), Ok(Shard { index: 3, of: 8 }));
        for wrong in ["8/8", "1", "a/8", "0/0", "-1/3"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
