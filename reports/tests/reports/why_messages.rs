//! What the page says of messages between nodes around the moment of a violation.

use partita_reports::{RunArtifacts, html, html_around, messages};

use crate::support::Fixture;
use crate::why::{SECOND, moment, stale, told};

/// Messages of one node to another, a millisecond apart from `before` on, with one fate.
fn messages_of(
    fixture: &Fixture,
    before: u64,
    (from, to): (&str, &str),
    fate: &str,
    (number, held_us): (u64, u64),
) -> String {
    let time = moment(fixture) - before;
    let list: Vec<String> =
        (0..number).map(|place| format!("[{},60,{held_us}]", place * 1_000)).collect();
    let list = list.join(",");
    format!("{{\"time\":{time},\"from\":\"{from}\",\"to\":\"{to}\",\"{fate}\":[{list}]}}\n")
}

fn page_with(fixture: &Fixture, lines: &[String]) -> String {
    let messages = messages::messages(&format!("{{\"format\":1}}\n{}", lines.concat()));
    html_around(&fixture.run(), &RunArtifacts { messages, ..RunArtifacts::default() })
}

#[test]
fn the_nodes_that_did_not_hear_the_one_that_answered_are_named() {
    let fixture = stale();
    let of = |before, ends, fate, number| messages_of(&fixture, before, ends, fate, (number, 0));
    let cut = |to, number| of(SECOND / 2, ("n3", to), "blocked", number);
    let both = told(&page_with(&fixture, &[cut("n1", 41), cut("n2", 1)]));
    let wanted =
        "nothing that n3 sent reached n1 (41 messages kept off) or n2 (1 message kept off)";
    assert!(both.contains(wanted), "{both}");
    let one =
        told(&page_with(&fixture, &[cut("n1", 2), of(SECOND / 9, ("n3", "n2"), "delivered", 1)]));
    assert!(one.contains("nothing that n3 sent reached n1 (2 messages kept off)."), "{one}");
    let silent = [
        vec![],
        vec![cut("n1", 2), of(SECOND / 9, ("n3", "n1"), "delivered", 1)],
        vec![cut("clients", 2)],
        vec![of(SECOND / 2, ("n1", "n3"), "blocked", 2)],
        vec![of(SECOND / 2, ("n3", "n1"), "delivered", 2)],
    ];
    for lines in silent {
        let told = told(&page_with(&fixture, &lines));
        assert!(!told.contains("nothing that n3 sent"), "{told}");
    }
}

#[test]
fn messages_that_were_being_held_back_are_told() {
    let fixture = stale();
    let held =
        |before, ends, held_us| messages_of(&fixture, before, ends, "delivered", (3, held_us));
    let page = page_with(&fixture, &[held(SECOND / 2, ("n1", "n3"), 900_000)]);
    let told_of = told(&page);
    let wanted = "Messages to n3 were being held back then: 3 of n1, the first sent at";
    assert!(told_of.contains(wanted), "{told_of}");
    let silent = [
        held(SECOND / 2, ("n1", "n3"), 100_000),
        held(SECOND / 2, ("n3", "n1"), 900_000),
        held(SECOND / 100, ("n1", "n3"), 900_000),
    ];
    for line in silent {
        let told = told(&page_with(&fixture, &[line]));
        assert!(!told.contains("held back then"), "{told}");
    }
}

#[test]
fn messages_are_drawn_and_summed_by_sender_and_receiver() {
    let fixture = stale();
    let of = |before, ends, fate, many| messages_of(&fixture, before, ends, fate, many);
    let page = page_with(
        &fixture,
        &[
            of(SECOND / 2, ("n1", "n2"), "delivered", (5, 0)),
            of(SECOND / 2, ("n2", "n1"), "delivered", (2, 30_000)),
            of(SECOND / 3, ("n3", "n1"), "dropped", (4, 0)),
            of(10 * SECOND, ("n3", "n2"), "delivered", (7, 0)),
        ],
    );
    assert!(page.contains("7 messages arrived, 2 of them after more than 1"), "the sums");
    assert!(page.contains("4 were kept off"), "the sums");
    assert!(page.contains("n3 to n1 at ") && page.contains("kept off: dropped by loss"), "a hint");
    assert_eq!(page.matches("4 dropped by loss</td>").count(), 1, "a row");
    assert!(page.contains("class=\"mcarried\""), "a stroke");
    assert!(page.contains("class=\"mheld\""), "a stroke");
    assert!(page.contains("class=\"mkeptoff\""), "a stroke");
    let none = page_with(&fixture, &[of(10 * SECOND, ("n3", "n2"), "delivered", (7, 0))]);
    assert!(!none.contains("Messages between nodes"), "none at that time");
    assert!(!html(&fixture.run()).contains("Messages between nodes"), "none on record");
}

#[test]
fn a_dense_stream_of_messages_does_not_make_the_page_large() {
    let fixture = stale();
    let plain = html(&fixture.run()).len();
    let mut lines = Vec::new();
    for tenth in 0..13_u64 {
        for (from, to) in
            [("n1", "n2"), ("n2", "n1"), ("n1", "n3"), ("n3", "n1"), ("n2", "n3"), ("n3", "n2")]
        {
            for (fate, held) in [("delivered", 0), ("delivered", 9_000), ("blocked", 0)] {
                let before = (13 - tenth) * SECOND / 10;
                lines.push(messages_of(&fixture, before, (from, to), fate, (90, held)));
            }
        }
    }
    let grown = page_with(&fixture, &lines).len() - plain;
    assert!(grown < 900_000, "{grown} bytes for 21,060 messages");
}
