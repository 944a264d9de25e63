//! A campaign's folder: what is in it, and whose it is.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use partita_reports::campaign::record::{FORMAT, ReplayLine, RunLine};
use serde::{Deserialize, Serialize};

use super::log::{self, Log};
use super::plan::{CampaignPlan, PlanError, Shard, refuse_newer};
use crate::exit::{Failure, FailureContext};

/// The plan, and which part of it is in the folder.
pub(super) const CAMPAIGN: &str = "campaign.json";
/// A line a finished run.
pub(super) const RUNS: &str = "runs.jsonl";
/// A line a finished replay, and what else was learnt.
const REPLAYS: &str = "replays.jsonl";
/// Run folders that are kept, by bucket.
pub const FAILING: &str = "failing";
/// What is under way.
pub(super) const WORK: &str = "work";
/// Locked by the process that works in it.
pub(super) const LOCK: &str = "lock";

/// What `campaign.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// The number of the folder's form.
    pub format: u32,
    /// How many shards there are.
    pub shards: u64,
    /// Those whose runs are in the folder, in order.
    pub present: Vec<u64>,
    /// The plan.
    pub plan: CampaignPlan,
}

impl Campaign {
    /// One shard of a plan.
    pub fn of(plan: CampaignPlan, shard: Shard) -> Self {
        Self { format: FORMAT, shards: shard.of, present: vec![shard.index], plan }
    }

    /// Reads `campaign.json`.
    ///
    /// # Errors
    ///
    /// [`PlanError`] if it is none, or of a newer format.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        refuse_newer(text, FORMAT)?;
        let campaign: Self = serde_json::from_str(text)?;
        campaign.plan.check()?;
        Ok(campaign)
    }
}

/// A campaign's folder.
#[derive(Debug, Clone)]
pub struct CampaignFolder {
    path: PathBuf,
}

/// A folder that is this process's, with its logs open.
#[derive(Debug)]
pub struct Opened {
    /// What it is a campaign of.
    pub campaign: Campaign,
    /// The runs so far.
    pub runs: Vec<RunLine>,
    /// What else was learnt so far.
    pub replays: Vec<ReplayLine>,
    /// Where runs are written down.
    pub run_log: Log,
    /// Where everything else is.
    pub replay_log: Log,
    /// Held as long as it is.
    _lock: File,
}

impl CampaignFolder {
    /// The folder at this path, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether there is a campaign in it.
    pub fn exists(&self) -> bool {
        self.file(CAMPAIGN).exists()
    }

    /// Makes the folder of a campaign of which nothing is done.
    ///
    /// # Errors
    ///
    /// [`Failure`] if there is a campaign in it already, or it cannot be written.
    pub fn create(&self, campaign: &Campaign) -> Result<(), Failure> {
        if self.exists() {
            return Err(Failure::usage(miette::miette!(
                "{}: there is a campaign already; `--resume` goes on with it",
                self.path.display()
            )));
        }
        std::fs::create_dir_all(&self.path).or_usage(|| self.path.display().to_string())?;
        self.write(CAMPAIGN, &in_json(campaign)?)
    }

    /// What it is a campaign of.
    ///
    /// # Errors
    ///
    /// [`Failure`] if there is none, or it is of a newer format.
    pub fn campaign(&self) -> Result<Campaign, Failure> {
        let path = self.file(CAMPAIGN);
        let text = std::fs::read_to_string(&path).or_usage(|| path.display().to_string())?;
        Campaign::parse(&text).or_usage(|| path.display().to_string())
    }

    /// The runs in it, without opening it for writing.
    ///
    /// # Errors
    ///
    /// [`Failure`] if they cannot be read.
    pub fn lines(&self) -> Result<(Vec<RunLine>, Vec<ReplayLine>), Failure> {
        let runs = log::read(&self.file(RUNS)).or_usage(|| "a campaign's runs".to_owned())?;
        let replays =
            log::read(&self.file(REPLAYS)).or_usage(|| "a campaign's replays".to_owned())?;
        Ok((runs, replays))
    }

    /// Opens it for work: cuts off torn lines and removes what was under way when its last process ended.
    ///
    /// # Errors
    ///
    /// [`Failure`] if it cannot be read or written, is of a newer format, or another process works in it.
    pub fn open(&self) -> Result<Opened, Failure> {
        let campaign = self.campaign()?;
        let lock = self.lock()?;
        let (run_log, runs) =
            Log::open::<RunLine>(&self.file(RUNS)).or_harness(|| "a campaign's runs".to_owned())?;
        let (replay_log, replays) = Log::open::<ReplayLine>(&self.file(REPLAYS))
            .or_harness(|| "a campaign's replays".to_owned())?;
        remove(&self.file(WORK)).or_harness(|| self.file(WORK).display().to_string())?;
        self.remove_orphans(&runs).or_harness(|| self.file(FAILING).display().to_string())?;
        Ok(Opened { campaign, runs, replays, run_log, replay_log, _lock: lock })
    }

    fn lock(&self) -> Result<File, Failure> {
        let path = self.file(LOCK);
        let file = File::create(&path).or_harness(|| path.display().to_string())?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Failure::usage(miette::miette!(
                "{}: another process works on this campaign",
                self.path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(error).or_harness(|| path.display().to_string()),
        }
    }

    /// Removes kept folders of runs that were not written down: they are done again.
    fn remove_orphans(&self, runs: &[RunLine]) -> io::Result<()> {
        let kept: std::collections::BTreeSet<&str> =
            runs.iter().filter_map(|line| line.kept.as_deref()).collect();
        for bucket in entries(&self.file(FAILING))? {
            for run in entries(&bucket)? {
                let name =
                    run.strip_prefix(&self.path).unwrap_or(&run).to_string_lossy().into_owned();
                if run.is_dir() && !kept.contains(name.as_str()) {
                    remove(&run)?;
                }
            }
            // A bucket that has nothing left.
            let _ = std::fs::remove_dir(&bucket);
        }
        Ok(())
    }

    /// An empty folder for something that is under way.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn workplace(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.file(WORK).join(name);
        remove(&path)?;
        std::fs::create_dir_all(&path)?;
        // A run's files are named in its answer from where it was started.
        path.canonicalize()
    }

    /// Moves what a run left behind to where it is kept; gives its place from the campaign's folder on.
    ///
    /// # Errors
    ///
    /// If it cannot be moved.
    pub fn keep(&self, bucket: &str, index: u64, folder: &Path) -> io::Result<String> {
        let kept = format!("{FAILING}/{bucket}/{index}");
        let path = self.file(&kept);
        std::fs::create_dir_all(path.parent().unwrap_or(&self.path))?;
        remove(&path)?;
        std::fs::rename(folder, &path)?;
        Ok(kept)
    }

    /// Removes a folder of the work, and the place of all work if it was the last.
    pub fn clear(&self, workplace: &Path) {
        // What is left is removed when the campaign is opened again.
        if let Err(error) = remove(workplace) {
            tracing::warn!(path = %workplace.display(), %error, "not removed");
        }
        let _ = std::fs::remove_dir(self.file(WORK));
    }

    /// Writes a file in place of the one that is there, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Failure`] if it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.file(name);
        replace(&path, text).or_harness(|| path.display().to_string())
    }
}

/// A document as it is stored: indented, with an end of line.
///
/// # Errors
///
/// [`Failure`] if there is no such JSON.
pub fn in_json(document: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(document).or_harness(|| "JSON".to_owned())?;
    Ok(text + "\n")
}

/// Writes a file in place of the one that is there, whole or not at all.
///
/// # Errors
///
/// If it cannot be written.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// What is in a folder, by name; nothing if there is none.
///
/// # Errors
///
/// If it cannot be read.
pub fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let read = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let mut paths = read.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
