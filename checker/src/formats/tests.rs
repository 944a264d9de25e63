//! That a format is known by its beginning, and every name by its format.

use super::*;

#[test]
fn format_is_told_by_the_content() {
    for (head, format) in [
        // A file without a word is a history without an operation.
        ("", Format::JsonLines),
        (" \n", Format::JsonLines),
        ("{\"index\":0}", Format::JsonLines),
        ("\n { \"time\" : 1}", Format::JsonLines),
        ("[\n { \"time\" : 1}", Format::JsonLines),
        ("[]\n", Format::JsonLines),
        ("{:process 0, :type :invoke}", Format::Edn),
        ("; a comment\n({:type :ok})", Format::Edn),
        ("[#jepsen.history.Op{:type :ok}]", Format::Edn),
        ("{:type :ok :f :append :key \"0\" :value \"x\"}", Format::Edn),
        ("{:type :ok, :f :put, :key \"0\", :value \"x\"}", Format::PorcupineKv),
        (
            "INFO  jepsen.core - hello\nINFO  jepsen.util - 0\t:invoke\t:read\tnil\n",
            Format::JepsenLog,
        ),
        ("[2024] jepsen.util 0\t:invoke\t:read\tnil\n", Format::JepsenLog),
        (
            "[main] INFO test {:type :x}\nINFO jepsen.util - 0\t:invoke\t:read\tnil\n",
            Format::JepsenLog,
        ),
        ("[ ; none\n {:type :ok}]", Format::Edn),
        ("# stack\npush 1 1 2\n", Format::Fastlin),
        ("#queue", Format::Fastlin),
    ] {
        assert_eq!(detect(head.as_bytes()), Some(format), "{head}");
    }
    for head in ["{", "{}", "[1 2]", "# deque", "INFO  jepsen.core - 0", "\u{feff}{"] {
        assert_eq!(detect(head.as_bytes()), None, "{head}");
    }
}

#[test]
fn unknown_format_is_answered_with_the_known_ones() {
    let error = read("h", &b"index,time\n"[..], &ReadOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "h:1: expected a history in one of these formats: jsonl, edn, jepsen-log, porcupine-kv, \
         fastlin, etcd-operations, s2; name the format if it is one of them"
    );
}

#[test]
fn other_packing_is_named_with_what_to_do() {
    for (head, name, advice) in [
        (&b"\xfd7zXZ\0\0\x04"[..], "xz", "xz -d"),
        (b"BZh91AY&SY", "bzip2", "bzip2 -d"),
        (b"PK\x03\x04\x14\0", "zip", "unzip"),
    ] {
        let error = read("h", head, &ReadOptions::default()).unwrap_err().to_string();
        assert!(error.contains(&format!("a {name} file")) && error.contains(advice), "{error}");
    }
    let pack = |text: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, text).unwrap();
        packed.finish().unwrap()
    };
    let twice = pack(&pack(b"[]"));
    let error = read("h", twice.as_slice(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("gzip in gzip") && error.contains("gzip -d"), "{error}");
}

#[test]
fn names_lead_back_to_their_formats() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
    assert_eq!(Format::from_name("csv"), None);
}

#[test]
fn history_is_the_same_with_the_format_named_and_detected() {
    let plan = crate::generate::Plan { operations: 2_000, ..Default::default() };
    let events: Vec<_> = plan.events().collect();
    let mut lines = Vec::new();
    jsonl::write_events(&mut lines, &events).unwrap();
    assert!(lines.len() > HEAD, "the head must be put before the rest");
    let detected = read("h", lines.as_slice(), &ReadOptions::default()).unwrap().history;
    assert!(detected.events().eq(events));
}

#[test]
fn failed_compare_and_sets_of_json_lines_may_be_answers() {
    let lines = "{\"index\":0,\"time\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"cas\",\"value\":[1,2]}\n\
                 {\"index\":1,\"time\":0,\"process\":0,\"type\":\"fail\",\"f\":\"cas\"}\n";
    let options = ReadOptions { failed_cas: Some(FailedCas::Mismatch), ..Default::default() };
    assert!(read("h", lines.as_bytes(), &options).unwrap().history.operations[0].is_ok());
    assert!(
        read("h", lines.as_bytes(), &Default::default()).unwrap().history.operations[0].is_failed()
    );
}

const TWO: &str = "{\"index\":0,\"time\":0,\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":1}\n\
                   {\"index\":1,\"time\":1,\"process\":0,\"type\":\"ok\",\"f\":\"write\",\"value\":1}\n";

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn packing_mark_and_line_ends_make_no_difference() {
    let plain = read("h", TWO.as_bytes(), &ReadOptions::default()).unwrap();
    let marked = ["\u{feff}", TWO].concat();
    let windows = marked.replace('\n', "\r\n");
    for text in
        [marked.as_bytes(), windows.as_bytes(), &gzip(TWO.as_bytes()), &zstd(marked.as_bytes())]
    {
        let found = read("h", text, &ReadOptions::default()).unwrap();
        assert!(found.history.events().eq(plain.history.events()));
        assert_eq!(found.reading.notes, plain.reading.notes);
    }
    let packed = read("h", &*gzip(TWO.as_bytes()), &ReadOptions::default()).unwrap().reading;
    assert_eq!(packed.decisions[0].chosen, "gzip");
}

#[test]
fn other_encodings_are_refused_by_their_name() {
    let utf16: Vec<u8> = TWO.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xff\xfe".to_vec(), utf16.clone()].concat();
    for text in [utf16, marked] {
        let error = read("h", text.as_slice(), &ReadOptions::default()).unwrap_err().to_string();
        assert!(error.contains("expected UTF-8") && error.ends_with("found UTF-16"), "{error}");
    }
}

#[test]
fn packed_file_that_ends_early_is_cut_even_after_a_whole_line() {
    // Two members, of which the second lost its end after its line.
    let (first, second) = TWO.split_at(TWO.find('\n').unwrap() + 1);
    let packed = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    let read = read("h", &packed[..packed.len() - 3], &ReadOptions::default()).unwrap();
    assert_eq!(read.reading.cut, Some(Cut { line: 3, events: 2 }));
}

#[test]
fn log_is_told_after_any_preamble() {
    let chatter = "INFO  jepsen.core - still setting up\n".repeat(10_000);
    let log = format!("{chatter}INFO  jepsen.util - 0\t:invoke\t:write\t1\n");
    let read = read("h", log.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(read.reading.format, Some(Format::JepsenLog));
    assert_eq!(read.history.operations.len(), 1);
}
