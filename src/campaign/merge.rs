//! Puts the folders of shards together: a union of lines, in an order of their own.
//!
//! Which folder comes first, or twice, or later, changes nothing: of two lines about one thing the same one
//! is taken whatever the order. Shards may be missing; the documents say which.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use partita_reports::campaign::record::{ReplayLine, RunLine};

use super::folder::{Campaign, CampaignFolder, FAILING, entries};
use crate::exit::{Failure, FailureContext};

/// What several folders come to.
#[derive(Debug)]
pub struct Merged {
    /// What it is a campaign of.
    pub campaign: Campaign,
    /// The runs, by index.
    pub runs: Vec<RunLine>,
    /// What else was learnt, in order.
    pub replays: Vec<ReplayLine>,
}

/// Puts the folders together in `out`, which must not be there yet.
///
/// # Errors
///
/// [`Failure`] if one is no campaign's, they are of different plans, or `out` cannot be written.
pub fn merge(folders: &[PathBuf], out: &Path) -> Result<Merged, Failure> {
    let mut parts = Vec::new();
    for path in folders {
        let folder = CampaignFolder::at(path);
        let campaign = folder.campaign()?;
        let (runs, replays) = folder.lines()?;
        parts.push((path.clone(), campaign, runs, replays));
    }
    let campaign = together(parts.iter().map(|(path, campaign, ..)| (path.as_path(), campaign)))?;
    let (runs, from) =
        union(parts.iter().map(|(path, _, runs, _)| (path.as_path(), runs.as_slice())));
    let mut replays: Vec<ReplayLine> = parts.iter().flat_map(|part| part.3.clone()).collect();
    replays.sort_unstable();
    replays.dedup();
    let merged = Merged { campaign, runs, replays };
    write(&merged, &from, out)?;
    Ok(merged)
}

/// The campaign that all folders are parts of.
fn together<'a>(
    parts: impl Iterator<Item = (&'a Path, &'a Campaign)>,
) -> Result<Campaign, Failure> {
    let mut whole: Option<Campaign> = None;
    for (path, part) in parts {
        match &mut whole {
            None => whole = Some(part.clone()),
            Some(whole) if whole.plan == part.plan && whole.shards == part.shards => {
                whole.present.extend(&part.present);
            }
            Some(_) => {
                return Err(Failure::usage(miette::miette!(
                    "{}: it is of another plan, or cut into another number of shards, than the others",
                    path.display()
                )));
            }
        }
    }
    let mut whole =
        whole.ok_or_else(|| Failure::usage(miette::miette!("expected folders of campaigns")))?;
    whole.present.sort_unstable();
    whole.present.dedup();
    Ok(whole)
}

/// The runs by index, and where each comes from. Of several of one index, the gravest; of those that are
/// alike, the one whose text is the least.
fn union<'a>(
    parts: impl Iterator<Item = (&'a Path, &'a [RunLine])>,
) -> (Vec<RunLine>, BTreeMap<u64, PathBuf>) {
    let rank = |line: &RunLine| (line.result, std::cmp::Reverse(serde_json::to_string(line).ok()));
    let mut taken: BTreeMap<u64, (&RunLine, &Path)> = BTreeMap::new();
    for (path, runs) in parts {
        for line in runs {
            match taken.get(&line.index) {
                Some((other, _)) if rank(other) >= rank(line) => {}
                _ => _ = taken.insert(line.index, (line, path)),
            }
        }
    }
    let from = taken.iter().map(|(index, (_, path))| (*index, path.to_path_buf())).collect();
    (taken.into_values().map(|(line, _)| line.clone()).collect(), from)
}

fn write(merged: &Merged, from: &BTreeMap<u64, PathBuf>, out: &Path) -> Result<(), Failure> {
    let folder = CampaignFolder::at(out);
    if out.exists() && !entries(out).or_usage(|| out.display().to_string())?.is_empty() {
        return Err(Failure::usage(miette::miette!(
            "{}: there is something already",
            out.display()
        )));
    }
    folder.create(&merged.campaign)?;
    for line in &merged.runs {
        let (Some(kept), Some(home)) = (&line.kept, from.get(&line.index)) else { continue };
        let source = home.join(kept);
        if kept.starts_with(FAILING) && source.is_dir() {
            copy(&source, &folder.file(kept)).or_harness(|| source.display().to_string())?;
        }
    }
    folder.write("runs.jsonl", &lines(&merged.runs)?)?;
    folder.write("replays.jsonl", &lines(&merged.replays)?)
}

fn lines(all: &[impl serde::Serialize]) -> Result<String, Failure> {
    let mut text = String::new();
    for line in all {
        text.push_str(&serde_json::to_string(line).or_harness(|| "JSON".to_owned())?);
        text.push('\n');
    }
    Ok(text)
}

/// Copies a folder; links are left out.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for path in entries(from)? {
        let to = to.join(path.file_name().unwrap_or_default());
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_dir() {
            copy(&path, &to)?;
        } else if kind.is_file() {
            std::fs::copy(&path, &to)?;
        }
    }
    Ok(())
}
