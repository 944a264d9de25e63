//! What the HTML page promises, checked on made-up runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Finding, HOSTILE, Plan, SECOND, fixture, hostile};
use partita_checker::Verdict;
use partita_reports::html;

fn plan(finding: Finding) -> Plan {
    Plan { finding, ..Plan::default() }
}

/// A start or end tag with its attributes, found by reading the page as a browser does: quoted
/// values may hold `>`, styles hold no tags.
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let mut quote = None;
        let end = rest
            .char_indices()
            .find(|&(_, character)| match (quote, character) {
                (None, '"' | '\'') => {
                    quote = Some(character);
                    false
                }
                (Some(open), _) if open == character => {
                    quote = None;
                    false
                }
                (None, '>') => true,
                _ => false,
            })
            .map(|(end, _)| end)
            .expect("every tag ends");
        tags.push(tag(&rest[..end]));
        rest = &rest[end + 1..];
        if let Some(name @ ("style" | "script")) = tags.last().map(|tag| tag.name) {
            rest = &rest[rest.find(&format!("</{name}>")).expect("it ends")..];
        }
    }
    tags
}

fn tag(text: &str) -> Tag<'_> {
    let text = text.trim_end_matches('/');
    let (name, mut rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let mut attributes = Vec::new();
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').expect("values are quoted");
        attributes.push((name.trim(), value));
        rest = after;
    }
    Tag { name, attributes }
}

fn style(page: &str) -> &str {
    let (_, rest) = page.split_once("<style>").expect("a style");
    rest.split_once("</style>").expect("the style ends").0
}

#[test]
fn a_violation_names_its_sentence_before_any_chart() {
    let fixture = fixture(&plan(Finding::StaleRead));
    let page = html(&fixture.run());
    let sentence = &fixture.analysis.counterexample.as_ref().expect("a violation").sentence;
    let said = page.find(sentence.as_str()).expect("the sentence");
    assert!(page.find("Violation: stale read").expect("the title") < said);
    assert!(said < page.find("<svg").expect("a chart"));
}

#[test]
fn the_proof_comes_before_faults_and_charts_of_the_run() {
    let page = html(&fixture(&plan(Finding::StaleRead)).run());
    let order = ["What proves it", "Which faults happened", "How the run went", "How to run this"]
        .map(|heading| page.find(heading).expect(heading));
    assert!(order.is_sorted());
}

#[test]
fn every_value_is_shown_as_text_whatever_is_in_it() {
    let harmless = html(&fixture(&plan(Finding::StaleRead)).run());
    let mut known: BTreeSet<&str> = tags(&harmless).iter().map(|tag| tag.name).collect();
    known.insert("br"); // between a fault's effect and its error
    let hostile = hostile(&fixture(&plan(Finding::StaleRead)));
    let page = html(&hostile.run());
    assert!(page.contains("&lt;script&gt;alert(1)") || page.contains("&#60;script&#62;alert(1)"));
    for tag in tags(&page) {
        assert!(known.contains(tag.name), "<{}> came from a value", tag.name);
        for (name, _) in tag.attributes {
            assert!(!name.starts_with("on"), "{name} came from a value");
        }
    }
    assert!(!page.contains(['\0', '\x1b', '\u{202e}']));
    assert!(!page.contains(HOSTILE));
}

#[test]
fn the_page_loads_nothing_and_runs_its_own_script_only() {
    for finding in [Finding::Valid, Finding::StaleRead, Finding::Vacuous] {
        let page = html(&fixture(&plan(finding)).run());
        for tag in tags(&page) {
            assert!(!["link", "img", "iframe", "object", "base"].contains(&tag.name));
            for (name, _) in tag.attributes {
                assert!(
                    !["src", "href", "xlink:href", "srcset", "style"].contains(&name),
                    "{name}"
                );
            }
        }
        assert!(!style(&page).contains("url(") && !style(&page).contains("@import"));
        let policy = tags(&page).into_iter().find_map(|tag| {
            let attributes: BTreeMap<_, _> = tag.attributes.into_iter().collect();
            let is_policy = attributes.get("http-equiv") == Some(&"Content-Security-Policy");
            is_policy.then(|| attributes["content"].to_owned())
        });
        let policy = policy.expect("a policy").replace("&#39;", "'");
        let allowed = policy.strip_prefix("default-src 'none'; style-src 'unsafe-inline'; ");
        let hash = allowed.and_then(|it| it.strip_prefix("script-src 'sha256-")).expect("a hash");
        assert_eq!(hash.trim_end_matches('\'').len(), 44, "one script by its hash: {policy}");
    }
}

#[test]
fn every_mark_has_its_looks_in_the_stylesheet() {
    for finding in [Finding::Valid, Finding::StaleRead, Finding::Contradiction, Finding::Vacuous] {
        let page = html(&fixture(&plan(finding)).run());
        let style = style(&page);
        for tag in tags(&page) {
            let classes = tag.attributes.iter().filter(|(name, _)| *name == "class");
            for class in classes.flat_map(|(_, value)| value.split_whitespace()) {
                let known = style.match_indices(&format!(".{class}")).any(|(at, found)| {
                    style[at + found.len()..].starts_with([' ', ',', '.', '{', ':'])
                });
                assert!(known || ["valid", "scroll"].contains(&class), "no rule for .{class}");
            }
        }
    }
}

#[test]
fn charts_are_balanced_and_have_a_text_alternative() {
    let page = html(&hostile(&fixture(&plan(Finding::Contradiction))).run());
    let nests =
        ["svg", "text", "title", "desc", "figure", "table", "tr", "td", "p", "li", "dl", "section"];
    let mut open = Vec::new();
    for tag in tags(&page) {
        if tag.name == "svg" {
            let label = tag.attributes.iter().find(|(name, _)| *name == "aria-label");
            assert!(label.is_some_and(|(_, text)| text.len() > 20));
        }
        match tag.name.strip_prefix('/') {
            Some(name) if nests.contains(&name) => assert_eq!(open.pop(), Some(name)),
            None if nests.contains(&tag.name) => open.push(tag.name),
            _ => {}
        }
    }
    assert_eq!(open, [""; 0]);
}

#[test]
fn a_minute_at_five_thousand_a_second_makes_a_page_of_less_than_a_megabyte() {
    let busy = Plan { seconds: 60, rate: 6_700, clients: 60, nodes: 5, ..plan(Finding::StaleRead) };
    let fixture = fixture(&busy);
    assert!(fixture.history.operations().len() > 290_000);
    let page = html(&fixture.run());
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[test]
fn ten_thousand_faults_and_role_changes_make_no_endless_page() {
    let mut fixture = fixture(&Plan { seconds: 600, rate: 50, ..Plan::default() });
    let template = fixture.faults[0].clone();
    let length = 600 * SECOND / 10_000;
    fixture.faults = (0..10_000)
        .map(|id| partita_nemesis::FaultRecord {
            id,
            began_ns: u64::from(id) * length,
            ended_ns: Some(u64::from(id) * length + length / 2),
            ..template.clone()
        })
        .collect();
    let template = fixture.record.roles[0].clone();
    fixture.record.roles = (0..10_000_u64)
        .map(|number| partita_reports::RoleChange {
            at_ns: partita_checker::Nanoseconds(number * length),
            role: if number % 2 == 0 { "leader" } else { "candidate" }.into(),
            term: Some(number),
            ..template.clone()
        })
        .collect();
    let page = html(&fixture.run());
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
    assert!(page.contains("the first 300 of them"));
}

#[test]
fn an_operation_that_never_came_back_is_drawn_open() {
    let page = html(&fixture(&plan(Finding::Contradiction)).run());
    assert_eq!(page.matches("never came back →").count(), 1);
    let page = html(&fixture(&plan(Finding::StaleRead)).run());
    assert!(!page.contains("never came back →"));
}

#[test]
fn the_read_to_blame_is_marked_in_words() {
    let page = html(&fixture(&plan(Finding::StaleRead)).run());
    assert!(page.contains(" — stale</text>"));
    let page = html(&fixture(&plan(Finding::Contradiction)).run());
    assert!(!page.contains("cannot be explained"), "no single operation is to blame");
}

#[test]
fn the_proof_points_to_the_lines_of_the_history() {
    let fixture = fixture(&plan(Finding::StaleRead));
    let page = html(&fixture.run());
    let found = fixture.analysis.counterexample.as_ref().expect("a violation");
    for witness in &found.operations {
        let operation = fixture
            .history
            .operations()
            .iter()
            .find(|operation| operation.invoked.position == witness.index)
            .expect("the witness is in the history");
        let partita_checker::Outcome::Ok(returned, _) = operation.outcome else {
            panic!("the witness was answered")
        };
        let lines = format!("{} and {}", witness.index + 1, returned.position + 1);
        assert!(page.contains(&lines), "{lines}");
    }
}

#[test]
fn role_lanes_reach_the_end_of_the_run() {
    let fixture = fixture(&plan(Finding::Valid));
    let end = format!("{:.2} s", fixture.run().end().as_seconds());
    let page = html(&fixture.run());
    for node in &fixture.record.nodes {
        let hint = format!("<title>{} ", node.name);
        let last = page.rfind(&hint).expect("a lane");
        let hint = page[last..].split("</title>").next().expect("a hint");
        assert!(hint.ends_with(&format!("to {end}")), "{hint}");
    }
}

#[test]
fn one_moment_has_one_place_in_every_chart_of_the_run() {
    let page = html(&fixture(&plan(Finding::Valid)).run());
    let places: BTreeSet<&str> = page
        .match_indices(">10 s</text>")
        .map(|(at, _)| {
            let element = &page[page[..at].rfind("<text").expect("a text")..at];
            element.split('"').nth(1).expect("a place")
        })
        .collect();
    assert_eq!(page.matches(">10 s</text>").count(), 5, "faults, rate, latency, values, roles");
    assert_eq!(places.len(), 1);
}

#[test]
fn an_unknown_says_why_before_anything_else() {
    let fixture = fixture(&plan(Finding::Vacuous));
    let page = html(&fixture.run());
    let why = page.find("dropped no frame").expect("the remark");
    assert!(why < page.find("<dl").expect("the facts"));
    assert!(page.contains("Unknown: nothing was proved"));
    assert!(!page.contains("Linearizable"));
}

#[test]
fn no_disagreement_hides_a_violation() {
    let mut fixture = fixture(&plan(Finding::StaleRead));
    fixture.record.verdict = Verdict::Valid;
    assert!(html(&fixture.run()).contains("Violation: stale read"));
}

#[test]
fn a_run_without_any_record_is_still_a_page() {
    let page = html(&crate::support::empty().run());
    assert!(page.contains("No client operation was invoked: no node became ready."));
    assert!(page.contains("No client operation is on record."));
    assert!(!page.contains("has a linearization"), "of nothing");
}

#[test]
fn a_counterexample_with_an_edge_to_nowhere_is_still_drawn() {
    let mut fixture = fixture(&plan(Finding::Contradiction));
    let found = fixture.analysis.counterexample.as_mut().expect("a violation");
    found.cycle[0].to = 99;
    assert!(html(&fixture.run()).contains("Violation: contradictory order"));
}

#[test]
fn a_time_beyond_all_measure_is_still_drawn() {
    let mut fixture = fixture(&plan(Finding::StaleRead));
    fixture.faults[0].ended_ns = Some(u64::MAX);
    fixture.faults[1].began_ns = u64::MAX;
    fixture.record.phases[2].began_ns = partita_checker::Nanoseconds(u64::MAX);
    assert!(html(&fixture.run()).contains("Violation: stale read"));
}

#[test]
fn the_same_run_makes_the_same_page() {
    let page = || html(&fixture(&plan(Finding::StaleRead)).run());
    assert_eq!(page(), page());
}

/// The least contrast of text that WCAG 2.2 (1.4.3, level AA) asks for.
const CONTRAST: f64 = 4.5;

fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = u8::from_str_radix(&colour[at..at + 2], 16).expect("hexadecimal");
        let part = f64::from(value) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[test]
fn text_has_contrast_in_light_and_in_dark() {
    let page = html(&fixture(&plan(Finding::Valid)).run());
    let (light, dark) = style(&page).split_once("prefers-color-scheme: dark").expect("two themes");
    for theme in [light, dark] {
        let colour = |name: &str| {
            let (_, rest) = theme.split_once(&format!("--{name}: ")).expect(name);
            &rest[..7]
        };
        let pairs = [
            ("ink", "page"),
            ("quiet", "page"),
            ("accent", "wash"),
            ("bad", "page"),
            ("bad", "bad-soft"),
            ("fault-ink", "page"),
            ("fault-ink", "fault-soft"),
            ("on-ok", "ok"),
            ("on-lead", "lead"),
            ("ink", "ok-soft"),
            ("ink", "follow"),
        ];
        for (text, ground) in pairs {
            let (one, other) = (luminance(colour(text)), luminance(colour(ground)));
            let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
            assert!(contrast >= CONTRAST, "{text} on {ground}: {contrast:.2}");
        }
    }
}

#[test]
fn the_moment_of_a_finding_is_marked_in_every_chart_over_the_run() {
    let marks = |finding| {
        let page = html(&fixture(&plan(finding)).run());
        page.matches("class=\"found\"").count()
    };
    // Faults, operations per second, latency, written values, roles; and around it faults, roles and the
    // operations on its key.
    assert_eq!(marks(Finding::StaleRead), 8);
    assert_eq!(marks(Finding::Valid), 0);
}

#[test]
fn a_violation_says_what_to_do_next_before_anything_else() {
    let page = html(&fixture(&plan(Finding::StaleRead)).run());
    let proof = page.find("What proves it").expect("the proof");
    for command in ["partita replay --times 5 ", "partita shrink ", "partita check --explain "] {
        assert!(page.find(command).expect(command) < proof);
    }
    let page = html(&fixture(&plan(Finding::Valid)).run());
    assert!(!page.contains("partita shrink"));
    let mut calm = fixture(&Plan { fault_every: 0, ..plan(Finding::StaleRead) });
    calm.record.recovery.clear();
    assert!(!html(&calm.run()).contains("partita shrink"), "there is nothing to shrink");
}
