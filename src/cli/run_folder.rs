//! What an earlier run left in its folder.

use std::path::{Path, PathBuf};

use partita_nemesis::FaultRecord;
use partita_reports::RunRecord;
use partita_workloads::Judged;

use crate::exit::{Failure, FailureContext};
use crate::names;

/// The folder that a history lies in, if that is a run's: `path` is the folder or its history.
fn around(path: &Path) -> Option<PathBuf> {
    let folder = if path.is_dir() { path } else { path.parent()? };
    let is_history = path.is_dir() || path.file_name().is_some_and(|name| name == "history.jsonl");
    (is_history && folder.join("schedule.jsonl").is_file()).then(|| folder.to_owned())
}

/// The faults of the run that the history at `path` was recorded in; none if it was no run's, or
/// its schedule cannot be read: they explain a verdict and do not decide it.
pub fn faults_of_history(path: &Path) -> Vec<FaultRecord> {
    around(path).and_then(|folder| faults(&folder).ok()).unwrap_or_default()
}

/// The faults of the run in `folder`, by number: of each the last that was written.
///
/// # Errors
///
/// [`Failure`] if `schedule.jsonl` cannot be read; the message names the line. A last line that is
/// not whole is left out: the controller was killed while it wrote.
pub fn faults(folder: &Path) -> Result<Vec<FaultRecord>, Failure> {
    let path = folder.join("schedule.jsonl");
    let text = std::fs::read_to_string(&path).or_usage(|| path.display().to_string())?;
    let mut faults: Vec<FaultRecord> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let record = match serde_json::from_str::<FaultRecord>(line) {
            Ok(record) => record,
            Err(_) if number == text.lines().count() && !text.ends_with('\n') => continue,
            Err(error) => {
                return Err(error).or_usage(|| format!("{}:{number}", path.display()));
            }
        };
        match faults.iter_mut().find(|fault| fault.id == record.id) {
            Some(fault) => *fault = record,
            None => faults.push(record),
        }
    }
    faults.sort_by_key(|fault| fault.id);
    Ok(faults)
}

/// What the clients of the run in `folder` worked on, if it says so.
pub fn judged(folder: &Path) -> Option<Judged> {
    let text = std::fs::read(folder.join("run.json")).ok()?;
    let record: RunRecord = serde_json::from_slice(&text).ok()?;
    names::workload(&record.workload).ok().map(|workload| workload.model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_is_left_out_and_a_wrong_one_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let line = r#"{"id":4,"fault":"kill","family":"process","target":"leader","nodes":["n2"],"#;
        let rest = r#""parameters":{},"began_ns":1,"ended_ns":null,"effects":[],"error":null}"#;
        let write = |text: String| std::fs::write(folder.path().join("schedule.jsonl"), text);
        write(format!("{line}{rest}\n{line}{rest}\n{line}")).expect("written");
        let known = faults(folder.path()).expect("readable");
        assert_eq!(known.iter().map(|fault| fault.id).collect::<Vec<_>>(), [4]);
        write(format!("{line}\n{line}{rest}\n")).expect("written");
        let failure = faults(folder.path()).expect_err("a wrong line");
        assert!(failure.messages().join(": ").contains("schedule.jsonl:1"));
    }
}
