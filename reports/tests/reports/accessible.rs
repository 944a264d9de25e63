//! Whether those who cannot see well or use no mouse can use the page: axe-core in a real browser, in both
//! colour schemes, wide and narrow; and that the keyboard reaches everything.

use partita_checker::Nanoseconds;
use partita_reports::{NodeSample, RunArtifacts, html_around};
use serde_json::json;

use crate::chromium::Browser;
use crate::support::{Finding, Plan, fixture};

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
    html_around(&fixture.run(), &RunArtifacts { samples, ..RunArtifacts::default() })
}

#[test]
fn the_page_of_a_run_has_no_serious_fault() {
    let Some((mut browser, _folder)) = at(&run_page()) else { return };
    browser.assert_accessible("the page of a run");
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
