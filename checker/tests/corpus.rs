//! Public histories with the verdicts that their authors give them.
//!
//! They are not part of the project: `PARTITA_CORPUS` names the folder that has them, with a table
//! `verdicts.csv` of file, format, model, initial state and verdict. Without it nothing is tested,
//! which the output says.

#[path = "../../tests/support/needs.rs"]
mod needs;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use needs::Need;
use partita_checker::formats::{Format, ReadOptions, read};
use partita_checker::{History, Options, Value, Verdict, check};

/// A line of the table.
struct Entry {
    file: String,
    format: Format,
    model: String,
    initial: String,
    verdict: Verdict,
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("PARTITA_CORPUS").map(PathBuf::from);
    Need::Corpus.met(folder.is_some());
    folder
}

fn entries(folder: &Path) -> Vec<Entry> {
    let table = std::fs::read_to_string(folder.join("verdicts.csv")).unwrap();
    let (header, lines) = table.split_once('\n').unwrap();
    assert_eq!(header, "file,format,model,initial,verdict");
    let entries: Vec<Entry> = lines.lines().map(entry).collect();
    assert!(entries.len() > 80, "most of the table is gone");
    entries
}

fn entry(line: &str) -> Entry {
    let fields: Vec<&str> = line.split(',').collect();
    let [file, format, model, initial, verdict] = fields[..] else { panic!("five fields: {line}") };
    let verdict = match verdict {
        "valid" => Verdict::Valid,
        "violation" => Verdict::Violation,
        _ => panic!("a verdict: {line}"),
    };
    let format = Format::from_name(format).unwrap_or_else(|| panic!("a format: {line}"));
    let [file, model, initial] = [file, model, initial].map(str::to_owned);
    Entry { file, format, model, initial, verdict }
}

fn history(folder: &Path, entry: &Entry, format: Option<Format>) -> History {
    let file = BufReader::new(File::open(folder.join(&entry.file)).unwrap());
    let options = ReadOptions { format, ..ReadOptions::default() };
    read(&entry.file, file, &options).unwrap_or_else(|error| panic!("{error}")).history
}

/// How many invocations by clients the text has.
fn invocations(folder: &Path, entry: &Entry) -> usize {
    let text = std::fs::read_to_string(folder.join(&entry.file)).unwrap();
    match entry.format {
        Format::Fastlin => text.lines().filter(|line| !line.starts_with('#')).count(),
        _ => text.matches(":invoke").count(),
    }
}

#[test]
fn every_history_is_read_whole_in_the_format_named_and_in_the_one_detected() {
    let Some(folder) = folder() else { return };
    for entry in entries(&folder) {
        let named = history(&folder, &entry, Some(entry.format));
        let detected = history(&folder, &entry, None);
        let operations = named.operations().len();
        assert_eq!(operations, invocations(&folder, &entry), "{}", entry.file);
        assert!(operations > 0 || entry.file.ends_with("rollback-.edn"), "{}", entry.file);
        assert!(named.events().eq(detected.events()), "{}: detected otherwise", entry.file);
    }
}

#[test]
fn verdicts_are_those_of_the_authors() {
    let Some(folder) = folder() else { return };
    let mut wrong = Vec::new();
    let entries = entries(&folder);
    for entry in &entries {
        let history = history(&folder, entry, Some(entry.format));
        let found = judge(entry, &history);
        // Where nothing completed, the authors call valid what proves nothing.
        let vacuous = !history.operations().iter().any(partita_checker::Operation::is_ok);
        let expected = if vacuous { Verdict::Unknown } else { entry.verdict };
        if found != expected {
            wrong.push(format!("{}: {found}, not {expected}", entry.file));
        }
    }
    println!("{} histories judged", entries.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn judge(entry: &Entry, history: &History) -> Verdict {
    let model = entry.model.parse().unwrap_or_else(|error| panic!("{}: {error}", entry.file));
    let options = Options::of(model).with_initial(initial(&entry.initial));
    check(history, &options, &|| false).0.verdict
}

/// The initial state as the table has it, as the value that our models begin with.
fn initial(text: &str) -> Value {
    match text {
        "nil" | "released" | "empty" => Value::Null,
        "\"\"" | "" => Value::text(""),
        // Several registers begin with the same value here.
        "{:x 0; :y 0}" => Value::Integer(0),
        number => Value::Integer(number.parse().unwrap_or_else(|_| panic!("a scalar: {text}"))),
    }
}
