//! Whether those who cannot see well or use no mouse can use the page: axe-core in a real browser, in both
//! colour schemes, wide and narrow; and that the keyboard reaches everything.

use partita_checker::Nanoseconds;
use partita_reports::campaign::campaign_html;
use partita_reports::{MessageLog, NodeSample, RunArtifacts, html_around, messages};
use serde_json::json;

use crate::chromium::Browser;
use crate::support::{Finding, Plan, fixture};
use crate::why::moment;

/// A browser at a page of that text.
fn at(page: &str) -> Option<(Browser, tempfile::TempDir)> {
    let mut browser = Browser::start()?;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("page.html");
    std::fs::write(&file, page).expect("written");
    browser.go(&format!("file://{}", file.display()), "document.querySelector('main')");
    Some((browser, folder))
}

fn run_page() -> String {
    let fixture = fixture(&Plan { finding: Finding::StaleRead, ..Plan::default() });
    let sample = |tenth: u64| NodeSample {
        at_ns: Nanoseconds(tenth * 100_000_000),
        node: "n1".into(),
        memory: Some((tenth + 1) << 20),
        ..NodeSample::default()
    };
    let samples = (0..200).map(sample).collect();
    let messages = cut_off(moment(&fixture) - 500_000_000);
    html_around(&fixture.run(), &RunArtifacts { samples, messages, ..RunArtifacts::default() })
}

/// Messages that arrive, that are held, and that are kept off.
fn cut_off(at: u64) -> MessageLog {
    messages::messages(&format!(
        "{{\"format\":1}}\n\
         {{\"time\":{at},\"from\":\"n1\",\"to\":\"n2\",\"delivered\":[[9,80,0],[900,80,40000]]}}\n\
         {{\"time\":{at},\"from\":\"n1\",\"to\":\"n3\",\"blocked\":[[9,80,0],[900,80,0]]}}\n"
    ))
}

#[test]
fn the_page_of_a_run_has_no_serious_fault() {
    let Some((mut browser, _folder)) = at(&run_page()) else { return };
    browser.assert_accessible("the page of a run");
}

/// A campaign with findings, gone ones, problems and a grid of nights.
fn campaign_page() -> String {
    let bucket = |number: u64, status: &str| {
        let mut row = json!({
            "id": format!("b{number}"), "name": "stale read", "is": status,
            "signature": {"target": "raft-node", "workload": "register", "kind": "violation",
                "what": "stale read", "shape": ["real-time"]},
            "sentence": "A read of k1 saw 3, which 4 had replaced.", "is_overdue": number == 1,
            "is_environment": number == 2, "runs": 3, "first_index": 7, "found_after_ms": 61_000,
            "first_night": 1, "configurations": ["raft-node/register/default"],
            "versions": ["raft-node"], "replayed": {"k": 8, "n": 10}, "shrunk": [],
            "command": format!("partita replay failing/{number} --times 5"), "seed": 17,
            "report": format!("failing/{number}/report.html"), "seen_in": [1, 2],
        });
        if status == "gone" {
            row["nights"] = json!(2);
        }
        row
    };
    let configuration = json!({
        "name": "raft-node/register/default", "target": "raft-node", "workload": "register",
        "faults": "default", "version": "raft-node", "results": {"valid": 20, "finding": 3},
        "cpu_ms": 50_000, "wall_ms": 400_000, "excluded_rate": 0.14, "unseen_rate": 0.15,
        "seed": 17, "buckets": {"b1": 3},
    });
    let overview = json!({
        "format": 1, "name": "nightly", "night": 2, "shards": 2, "present": [0], "planned": 40,
        "results": {"valid": 20, "finding": 3, "unknown": 1}, "began_ms": 0, "at_work_ms": 7_200_000,
        "buckets": [bucket(0, "new"), bucket(1, "known"), bucket(2, "back"), bucket(3, "gone")],
        "configurations": [configuration], "exercised": {"isolate leader": 12, "kill any": 3},
        "never_exercised": ["pause"], "canary": "passed", "control": {"failed": "unknown"},
        "unproved": [["no fault had an effect", 1]], "problems": ["1 of 2 shards is missing: 1"],
        "nights": [1, 2],
    });
    campaign_html(&serde_json::from_value(overview).expect("an overview"))
}

#[test]
fn the_page_of_a_campaign_has_no_serious_fault() {
    let Some((mut browser, _folder)) = at(&campaign_page()) else { return };
    browser.assert_accessible("the page of a campaign");
}

#[test]
fn the_keyboard_alone_reaches_every_control_and_opens_every_detail() {
    let Some((mut browser, _folder)) = at(&run_page()) else { return };
    browser.wait_for("document.getElementById('explore-lanes').dataset.ready");
    let controls = "[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]\
         .filter(it => it.tabIndex >= 0 && it.checkVisibility() && !it.disabled \
         && !(it.type === 'radio' && !it.checked))";
    browser.evaluate(&format!("window.controls = {controls}; window.reached = new Set(); 1"));
    let all = browser.evaluate("controls.length").as_u64().expect("a number");
    assert!(all > 10, "{all} controls");
    for _ in 0..all + 5 {
        browser.press("Tab", false);
        browser.evaluate("reached.add(document.activeElement); 1");
    }
    let missed = browser.evaluate(
        "controls.filter(it => !reached.has(it)).map(it => it.outerHTML.slice(0, 80)).join('\\n')",
    );
    assert_eq!(missed, json!(""), "never in focus");
    let unseen = browser.evaluate(
        "[...reached].filter(it => it !== document.body && getComputedStyle(it).outlineStyle === 'none' \
         && it.matches(':focus-visible')).length",
    );
    assert_eq!(unseen, json!(0), "the focus can be seen");
    // A detail opens by the keyboard.
    browser.evaluate("document.querySelector('summary').focus()");
    browser.press("Enter", false);
    browser.wait_for("document.querySelector('summary').parentElement.open");
}
