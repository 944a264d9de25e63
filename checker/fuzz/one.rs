//! What has to hold of any bytes that are read as a history, format by format.
//!
//! A reader ends, without a panic, with an error that names a line of the file or with a history;
//! and a history is the same after it was written as JSON lines and as EDN, and read again. libFuzzer
//! calls [`one`] from `fuzz_targets`; the tests call it with histories that are changed at
//! random.

use partita_checker::formats::{FailedCas, Format, Keys, NilRead, ReadHistory, ReadOptions, jsonl};
use partita_checker::formats::{detect, read, write_edn};
use partita_checker::{Event, History};

/// Reads `data` in `format`, or in the one that it seems to have.
pub(crate) fn one(format: Option<Format>, data: &[u8]) {
    let usual = ReadOptions { format, ..ReadOptions::default() };
    let independent = ReadOptions { independent: Some(true), ..usual.clone() };
    let other = ReadOptions {
        failed_cas: Some(FailedCas::Mismatch),
        nil_read: Some(NilRead::Value),
        ..usual.clone()
    };
    for options in [usual, independent, other] {
        match read("fuzz", data, &options) {
            Ok(ReadHistory { history, .. }) => {
                let known = format.or(detect(data)).is_some() || is_wrapped(data);
                assert!(known, "read in no format at all");
                survives(&history);
            }
            Err(error) => {
                let lines = data.iter().filter(|&&byte| byte == b'\n').count() as u64;
                assert!((1..=lines + 1).contains(&error.line) || is_wrapped(data), "{error}");
                let text = error.to_string();
                assert!(text.starts_with("fuzz:") && text.len() < 1_000 + 10 * data.len());
            }
        }
    }
}

/// Whether the text is packed, or behind a byte-order mark.
fn is_wrapped(data: &[u8]) -> bool {
    let skippable = data.len() > 3 && data[0] & 0xf0 == 0x50 && data[1..4] == [0x2a, 0x4d, 0x18];
    let marks: [&[u8]; 3] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xef\xbb\xbf"];
    skippable || marks.iter().any(|mark| data.starts_with(mark))
}

/// That nothing is lost when the history is written and read again.
fn survives(history: &History) {
    let events: Vec<Event> = history.events().collect();
    let mut lines = Vec::new();
    jsonl::write_events(&mut lines, &events).expect("memory takes what is written");
    same("jsonl", &lines, Format::JsonLines, &events);
    let mut edn = Vec::new();
    write_edn(&mut edn, &events, Keys::Field).expect("memory takes what is written");
    same("edn", &edn, Format::Edn, &events);
}

fn same(name: &str, text: &[u8], format: Format, expected: &[Event]) {
    let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
    let read = read(name, text, &options);
    let read = read.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)));
    let found: Vec<Event> = read.history.events().collect();
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(text));
}
