//! Drawn histories of all objects with known verdicts: every file of `tests/objects/<model>`.
//!
//! A file is a claim after `#`, [lanes], `---`, and the verdict with the anomaly, if any.

#[path = "support/lanes.rs"]
mod lanes;

use std::path::Path;

use partita_checker::{Expected, History, ModelKind, Options, Value, check, verify};

#[test]
fn drawn_histories_have_the_verdicts_they_claim() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/objects");
    let mut models: Vec<_> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    models.sort();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for model in &models {
        let kind: ModelKind = model.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let mut files: Vec<_> =
            model.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let (drawing, expected) = text.split_once("---\n").expect("a verdict after ---");
            let (claim, drawing) = drawing.split_once('\n').expect("lanes after the claim");
            assert!(claim.starts_with("# "), "{}: no claim", file.display());
            let found = judge(kind, drawing);
            if found != expected.trim() {
                wrong.push(format!("{}: {found}, not {}", file.display(), expected.trim()));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 45, "most histories are gone");
}

fn judge(model: ModelKind, drawing: &str) -> String {
    let history = History::from_events(lanes::parse(drawing)).unwrap();
    let options = Options::of(model);
    let (analysis, certificate) = check(&history, &options, &|| false);
    if let Some(certificate) = certificate {
        let expected = Expected { model, initial: Value::Null, ..Expected::default() };
        verify(&history, &certificate, &expected).unwrap();
    }
    match analysis.counterexample {
        None => analysis.verdict.to_string(),
        Some(found) => {
            let anomaly = serde_json::to_value(found.anomaly).unwrap();
            println!("{}", found.sentence);
            format!("{} {}", analysis.verdict, anomaly.as_str().unwrap())
        }
    }
}
