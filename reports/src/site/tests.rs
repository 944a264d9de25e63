use partita_checker::Nanoseconds;

use super::*;
use crate::compare::{Comparison, Difference, Row};

const HOSTILE: &str = "</td><script>alert(1)</script>\"'&\u{202e}\n";

fn run(path: &str, verdict: &str, more: &str) -> Entry {
    let json = format!(
        r#"{{"verdict":"{verdict}","target":"raft-node","workload":"register","seed":7,
            "started_at":"2026-03-01T09:30:00Z","nemesis":"default",
            "counts":{{"invoked":1200,"ok":1100,"fail":60,"info":40,"ok_during_faults":3}}{more}}}"#
    );
    Entry::of_record(path, json.as_bytes(), true)
}

fn some() -> Vec<Entry> {
    let stale = r#","findings":[{"kind":"violation","title":"stale read","sentence":"s"}],
        "mutation":"leader-local-read","rate_reached":312.4"#;
    let mut entries =
        vec![run("c", "violation", stale), run("b", "valid", ""), run("a", "unknown", "")];
    entries.push(Entry { target: "etcd".to_owned(), ..run("d", "valid", "") });
    entries
}

fn only(pairs: &[(&str, &str)]) -> Filter {
    let pairs: Vec<_> = pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    Filter::of(&pairs)
}

fn paths(filter: &Filter) -> Vec<String> {
    some().into_iter().filter(|entry| filter.has(entry)).map(|entry| entry.path).collect()
}

#[test]
fn filters_leave_what_is_wanted() {
    assert_eq!(paths(&only(&[])), ["c", "b", "a", "d"]);
    assert_eq!(paths(&only(&[("target", "etcd")])), ["d"]);
    assert_eq!(paths(&only(&[("verdict", "finding")])), ["c"]);
    assert_eq!(paths(&only(&[("verdict", "valid"), ("target", "raft-node")])), ["b"]);
    assert_eq!(paths(&only(&[("verdict", "no such")])), ["c", "b", "a", "d"]);
    assert_eq!(paths(&only(&[("text", "STALE local")])), ["c"]);
    assert_eq!(paths(&only(&[("text", "stale fresh")])), [""; 0]);
    assert_eq!(paths(&only(&[("text", "seed=7")])).len(), 4);
}

#[test]
fn a_filter_is_the_same_after_its_own_query() {
    let filter =
        only(&[("target", "a&b=c"), ("text", "x y+z%"), ("verdict", "finding"), ("page", "3")]);
    let query = filter.query(3);
    let pairs: Vec<(String, String)> = query
        .split('&')
        .map(|pair| pair.split_once('=').expect("a pair"))
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect();
    assert_eq!(Filter::of(&pairs), filter);
}

/// The text of an encoded one; hex digits only follow a percent sign.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next().expect("a digit")).to_digit(16).expect("a digit");
        let decoded = if byte == b'%' { (digit() * 16 + digit()) as u8 } else { byte };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn an_entry_says_what_was_found_and_how_often() {
    let crash = r#"{"kind":"crash","title":"n2 panicked","sentence":"s"}"#;
    let entry = run("a", "unknown", &format!(r#","findings":[{crash},{crash}]"#));
    assert_eq!(
        (entry.state, entry.title.as_str()),
        (State::Finding, "crash: n2 panicked (2 times)")
    );
    let failed = run("a", "unknown", r#","failure":"no lab","remarks":["nothing was tested"]"#);
    assert_eq!((failed.state, failed.title.as_str()), (State::Harness, "no lab"));
    let vacuous = run("a", "unknown", r#","remarks":["nothing was tested"]"#);
    assert_eq!((vacuous.state, vacuous.title.as_str()), (State::Unknown, "nothing was tested"));
    assert_eq!(run("a", "valid", "").title, "linearizable");
    // An older form has only a verdict.
    let old = Entry::of_record("a", br#"{"verdict":"violation"}"#, false);
    assert_eq!((old.state, old.title.as_str()), (State::Finding, "violation"));
    assert_eq!(Entry::of_record("a", b"{", false).state, State::Unreadable);
    assert_eq!(Entry::of_record("a", b"[]", false).state, State::Unreadable);
}

#[test]
fn the_longest_outage_is_that_of_the_cluster() {
    let recovery = |from: u64, to: u64| {
        format!(
            r#"{{"fault":0,"name":"kill","victims":[],"nodes":[],"during":null,"after":null,
                "cluster":{{"from_ns":{from},"to_ns":{to},"first_ok_after_heal_ns":null,"is_open":false}}}}"#
        )
    };
    let more = format!(r#","recovery":[{},{}]"#, recovery(5, 9), recovery(10, 12));
    assert_eq!(run("a", "valid", &more).longest_outage, Some(Nanoseconds(4)));
    assert_eq!(run("a", "valid", "").longest_outage, None);
}

const STARTED: &str = r#"{"at_ns":1,"type":"started","format":1,"partita":"0.1.0","run":"r","target":"etcd","workload":"append","seed":3,"lab":"l","nodes":["n1"]}"#;

#[test]
fn a_run_that_goes_on_is_known_by_its_events() {
    let tally = r#"{"at_ns":3,"type":"tally","invoked":9,"ok":5,"fail":1,"info":2,"ok_per_s":1.5,"left_ms":1,"leader":null,"in_force":[]}"#;
    let phase = r#"{"at_ns":2,"type":"phase","phase":"faults"}"#;
    let first = format!("{STARTED}\n{phase}\n{{\"at_ns\":");
    let last = format!("ok\":1}}\n{tally}\n");
    let entry = Entry::of_events("a", first.as_bytes(), last.as_bytes(), 10);
    assert_eq!((entry.state, entry.title.as_str()), (State::UnderWay, "faults"));
    assert_eq!((entry.target.as_str(), entry.seed, entry.counts.ok), ("etcd", 3, 5));
    let silent = Entry::of_events("a", first.as_bytes(), last.as_bytes(), 600_000);
    assert_eq!(silent.state, State::Unfinished);
    let finished = r#"{"at_ns":9,"type":"finished","verdict":"unknown","exit":"harness"}"#;
    let last = format!("{tally}\n{finished}\n");
    assert_eq!(Entry::of_events("a", first.as_bytes(), last.as_bytes(), 10).state, State::Harness);
}

#[test]
fn hostile_names_and_contents_stay_text_on_every_page() {
    let json = serde_json::json!({
        "verdict": "violation", "target": HOSTILE, "workload": HOSTILE, "nemesis": HOSTILE,
        "mutation": HOSTILE, "started_at": HOSTILE,
        "findings": [{"kind": "violation", "title": HOSTILE, "sentence": HOSTILE}],
    });
    let entry = Entry::of_record(HOSTILE, json.to_string().as_bytes(), true);
    let campaign = Campaign { path: HOSTILE.to_owned(), has_page: true };
    let file = FileRow { name: HOSTILE.to_owned(), bytes: Some(1) };
    let row = Row { name: "why", first: HOSTILE.to_owned(), second: HOSTILE.to_owned() };
    let parting = Some([HOSTILE.to_owned(), HOSTILE.to_owned()]);
    let difference = Difference { of: "faults", alike: 1, parting };
    let comparison = Comparison { rows: vec![row], differences: vec![difference] };
    let entries = [entry.clone(), entry.clone()];
    let asked = only(&[("target", HOSTILE), ("text", "")]);
    let pages = [
        list_page(&entries, &[campaign], &only(&[])),
        list_page(&entries, &[], &only(&[("text", HOSTILE)])),
        trends_page(&entries, &asked),
        run_page(&entry, std::slice::from_ref(&file), &entries, HOSTILE),
        live_page(&entry),
        compare_page([HOSTILE, HOSTILE], &comparison),
        files_page(HOSTILE, &[file]),
        message_page(HOSTILE, HOSTILE),
    ];
    for page in pages {
        assert!(!page.contains("<script>") && !page.contains("\u{202e}"), "{page}");
        assert!(!page.contains("alert(1)</"), "{page}");
    }
}

#[test]
fn a_long_list_has_pages_and_keeps_its_filter() {
    let entries: Vec<Entry> =
        (0..450).map(|number| run(&format!("r{number:03}"), "valid", "")).collect();
    let page =
        |number: &str| list_page(&entries, &[], &only(&[("verdict", "valid"), ("page", number)]));
    let rows = |page: &str| page.matches("<tr class=\"is-valid\"").count();
    assert_eq!([rows(&page("0")), rows(&page("1")), rows(&page("2"))], [200, 200, 50]);
    assert!(page("1").contains("verdict=valid&#38;page=2"), "{}", page("1"));
    assert_eq!(rows(&page("99")), 50, "beyond the end is the last page");
    assert!(page("0").contains("450 runs: 450 valid"));
}

#[test]
fn a_list_says_each_verdict_in_words_and_links_to_what_there_is() {
    let mut entries = some();
    entries.push(Entry { state: State::UnderWay, ..run("e", "valid", "") });
    let page = list_page(&entries, &[], &only(&[]));
    for wanted in [
        "5 runs: 1 finding, 1 unknown, 2 valid, 1 running",
        "href=\"/run/c\"",
        "href=\"/live/e\"",
        "violation: stale read",
        "planted bug leader-local-read",
        "1,200",
        "2026-03-01 09:30:00",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
}

#[test]
fn runs_of_one_seed_are_offered_for_comparison() {
    let entries = some();
    let page = run_page(&entries[0], &[], &entries, "/x/my runs/c");
    assert!(
        page.contains("/compare?a=b&#38;b=c") && page.contains("/compare?a=a&#38;b=c"),
        "{page}"
    );
    assert!(!page.contains("a=d&#38;"), "of another target");
    assert!(page.contains("partita replay --times 5 &#39;/x/my runs/c&#39;"), "{page}");
}

#[test]
fn trends_count_what_was_found_and_draw_each_run() {
    let page = trends_page(&some(), &only(&[]));
    assert!(page.contains("4 runs, the newest on the right"), "{page}");
    assert!(page.contains("1 finding, 1 unknown, 2 valid"), "{page}");
    assert!(page.contains("raft-node, register, leader-local-read"), "{page}");
    let title = page.find("What was found").expect("a table");
    assert!(page[title..].contains("violation: stale read"));
    let none = trends_page(&some(), &only(&[("verdict", "valid")]));
    assert!(!none.contains("What was found"), "nothing was found in these");
    assert!(trends_page(&[], &only(&[])).contains("0 runs"));
}

#[test]
fn the_pages_load_nothing_from_elsewhere() {
    let pages = [list_page(&some(), &[], &only(&[])), live_page(&some()[0])];
    for page in pages {
        assert!(!page.contains("style=") && !page.contains("onclick"), "{page}");
        for source in page.split("src=\"").skip(1) {
            assert!(source.starts_with('/'), "{source}");
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    }
    assert!(POLICY.contains("default-src 'none'") && !POLICY.contains("unsafe"));
}
