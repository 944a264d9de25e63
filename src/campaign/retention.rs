//! Which kept run folders are removed when there are too many bytes of them, or they are too old.
//!
//! The first run of a bucket stays whatever happens: it is what plays the bucket again. How many runs of a
//! bucket and version are kept at all is the plan's `keep`; a valid run is never kept.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use partita_reports::campaign::record::RunLine;

use super::folder::{CampaignFolder, entries};

/// What may be kept besides the first run of each bucket.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The most bytes of all kept folders together.
    pub bytes: u64,
    /// The greatest age.
    pub age: Duration,
}

/// A kept run folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    /// Its place, from the campaign's folder on.
    place: String,
    index: u64,
    bytes: u64,
    age: Duration,
}

impl Kept {
    fn bucket(&self) -> Option<&str> {
        self.place.split('/').nth(1)
    }
}

/// Removes what is too much or too old; gives how many folders that were.
///
/// # Errors
///
/// If a folder cannot be read or removed.
pub fn apply(folder: &CampaignFolder, runs: &[RunLine], retention: Retention) -> io::Result<usize> {
    let mut kept = Vec::new();
    for (index, place) in runs.iter().filter_map(|line| Some((line.index, line.kept.clone()?))) {
        let path = folder.file(&place);
        let Ok(modified) = path.metadata().and_then(|it| it.modified()) else { continue };
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        kept.push(Kept { bytes: size(&path)?, place, index, age });
    }
    let surplus = surplus(kept, retention);
    for place in &surplus {
        std::fs::remove_dir_all(folder.file(place))?;
    }
    Ok(surplus.len())
}

/// The folders to remove, the oldest first.
fn surplus(mut kept: Vec<Kept>, retention: Retention) -> Vec<String> {
    kept.sort_by_key(|it| it.index);
    let mut seen = BTreeSet::new();
    let mut total: u64 = kept.iter().map(|it| it.bytes).sum();
    let mut others: Vec<&Kept> =
        kept.iter().filter(|it| !seen.insert(it.bucket().unwrap_or_default())).collect();
    others.sort_by_key(|it| std::cmp::Reverse((it.age, it.index)));
    let mut removed = Vec::new();
    for one in others {
        if total > retention.bytes || one.age > retention.age {
            total -= one.bytes;
            removed.push(one.place.clone());
        }
    }
    removed
}

/// The bytes of all files below a folder.
fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for path in entries(folder)? {
        let metadata = path.symlink_metadata()?;
        bytes += if metadata.is_dir() { size(&path)? } else { metadata.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(bucket: &str, index: u64, bytes: u64, hours: u64) -> Kept {
        let place = format!("failing/{bucket}/{index}");
        Kept { place, index, bytes, age: Duration::from_secs(hours * 3_600) }
    }

    fn removed(kept: Vec<Kept>, bytes: u64, hours: u64) -> Vec<String> {
        let age = Duration::from_secs(hours * 3_600);
        surplus(kept, Retention { bytes, age })
    }

    #[test]
    fn the_first_run_of_a_bucket_stays_and_of_others_the_oldest_go() {
        let all = vec![
            kept("a", 7, 40, 9),
            kept("a", 3, 40, 10),
            kept("b", 5, 40, 8),
            kept("a", 9, 40, 1),
        ];
        assert_eq!(removed(all.clone(), 160, 100), Vec::<String>::new());
        assert_eq!(removed(all.clone(), 130, 100), ["failing/a/7"]);
        assert_eq!(removed(all.clone(), 0, 100), ["failing/a/7", "failing/a/9"]);
        assert_eq!(removed(all, 160, 5), ["failing/a/7"], "the first ones are old as well");
    }
}
