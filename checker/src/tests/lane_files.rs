//! Drawn histories with known verdicts: every file of `tests/histories`.
//!
//! A file is a claim after `#`, [lanes], `---`, and the verdict with the anomaly, if any.

use super::lanes;
use std::path::Path;

use super::registers::{examine, linearizable};
use crate::{History, Options, Value, check};

#[test]
fn drawn_histories_have_the_verdicts_they_claim() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let (drawing, expected) = text.split_once("---\n").expect("a verdict after ---");
        let (claim, drawing) = drawing.split_once('\n').expect("lanes after the claim");
        assert!(claim.starts_with("# "), "{}: no claim", file.display());
        let found = judge(drawing);
        if found != expected.trim() {
            wrong.push(format!("{}: {found}, not {}", file.display(), expected.trim()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(files.len() > 20, "most histories are gone");
}

fn judge(drawing: &str) -> String {
    let history = History::from_events(lanes::parse(drawing)).unwrap();
    let truth = linearizable(&history, &Value::Null);
    examine(&history, &Value::Null, Some(truth));
    let (analysis, _) = check(&history, &Options::default(), &|| false);
    match analysis.counterexample {
        None => analysis.verdict.to_string(),
        Some(found) => {
            let anomaly = serde_json::to_value(found.anomaly).unwrap();
            println!("{}", found.sentence);
            format!("{} {}", analysis.verdict, anomaly.as_str().unwrap())
        }
    }
}
