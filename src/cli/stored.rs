//! A finished run as its folder holds it, for commands that make something else of it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use partita_checker::formats::certificate::read_certificate;
use partita_checker::{Analysis, Certificate, History};
use partita_nemesis::FaultRecord;
use partita_reports::{Recovery, Run, RunRecord};
use serde::de::DeserializeOwned;

use super::run_folder;
use crate::exit::{Failure, FailureContext};
use crate::judge::unfinished;

/// Everything that reports are made from.
#[derive(Debug)]
pub struct StoredRun {
    /// What was asked and what was found.
    pub record: RunRecord,
    /// What clients did and saw.
    pub history: History,
    /// The faults as they happened.
    pub faults: Vec<FaultRecord>,
    /// What the checker found.
    pub analysis: Analysis,
    /// The proof, where the run is valid.
    pub certificate: Option<Certificate>,
}

impl StoredRun {
    /// Reads the run in `folder`. What an older version did not write yet is worked out again.
    ///
    /// # Errors
    ///
    /// [`Failure`] if it is no folder of a finished run, or a file in it cannot be read; the message
    /// names the file.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        if !folder.join("run.json").is_file() {
            let hint = match folder.join("plan.json").is_file() {
                true => "the run has not come to its verdict; `partita check` judges its folder",
                false => "expected the folder of a run, with run.json in it",
            };
            return Err(Failure::usage(miette::miette!("{}: {hint}", folder.display())));
        }
        let mut record: RunRecord = json(&folder.join("run.json"))?;
        let analysis = json(&folder.join("verdict.json"))?;
        let history = unfinished::read(&folder.join("history.jsonl"))?.history;
        let faults = run_folder::faults(folder)?;
        // Where it lies now, for the commands that reports name.
        record.folder = folder.display().to_string();
        record.recovery = Recovery::of(&history, &faults, &record.roles);
        let certificate = certificate(&folder.join("certificate.json"))?;
        Ok(Self { record, history, faults, analysis, certificate })
    }

    /// The run as reports take it.
    pub fn run(&self) -> Run<'_> {
        Run {
            record: &self.record,
            history: &self.history,
            faults: &self.faults,
            analysis: &self.analysis,
            certificate: self.certificate.as_ref(),
        }
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let bytes = std::fs::read(path).or_usage(|| path.display().to_string())?;
    serde_json::from_slice(&bytes).or_usage(|| path.display().to_string())
}

fn certificate(path: &Path) -> Result<Option<Certificate>, Failure> {
    let name = path.display().to_string();
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_usage(|| name),
        Ok(file) => read_certificate(&name, file).map(Some).or_usage(|| "the proof".to_owned()),
    }
}
