//! The site, used in a real browser as a person would.

use std::fs;
use std::io::Write;

use serde_json::json;

use crate::LOOPBACK;
use crate::chromium::Browser;
use crate::server::Server;

fn text(browser: &mut Browser, selector: &str) -> String {
    let selector = json!(selector);
    let text = browser.evaluate(&format!("document.querySelector({selector}).innerText"));
    text.as_str().expect("a text").to_owned()
}

fn rows(browser: &mut Browser) -> u64 {
    let rows = browser.evaluate("document.querySelectorAll('#runs tbody tr').length");
    rows.as_u64().expect("a number")
}

#[test]
fn the_list_is_filtered_and_two_runs_are_chosen_and_compared() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start(LOOPBACK);
    browser.go(&server.url, "document.querySelector('#runs')");
    assert_eq!(rows(&mut browser), 2);
    // By keyboard alone: to the verdicts, to finding, and the form is sent.
    browser.evaluate("document.querySelector('[name=verdict]').focus()");
    browser.evaluate("document.querySelector('[name=verdict]').value = 'finding'");
    browser.evaluate("document.querySelector('form.filter [type=submit]').click()");
    browser
        .wait_for("location.search.includes('verdict=finding') && document.querySelector('#runs')");
    assert_eq!(rows(&mut browser), 1);
    assert!(text(&mut browser, "#said").contains("1 of 2 runs"));
    let colour = "getComputedStyle(document.querySelector('td.state')).color";
    let bad = browser.evaluate(colour);
    browser.go(&format!("{}?verdict=valid", server.url), "document.querySelector('#runs')");
    assert_ne!(browser.evaluate(colour), bad, "verdicts have colours");

    browser.go(&server.url, "document.querySelector('#runs')");
    browser.evaluate("document.querySelector('[name=a][value=good]').click()");
    browser.evaluate("document.querySelector('[name=b][value=bad]').click()");
    browser.evaluate("document.querySelector('[action=\"/compare\"] [type=submit]').click()");
    browser.wait_for("location.pathname === '/compare' && document.querySelector('#differences')");
    let differences = text(&mut browser, "#differences");
    assert!(differences.contains("n1 leader of term 1"), "{differences}");
    assert!(differences.contains("n3 leader of term 1"), "{differences}");
    assert_eq!(browser.complaints, [""; 0], "the page complained");
}

#[test]
fn a_page_follows_a_run_that_is_going_on() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start(LOOPBACK);
    let run = server.site().join("now");
    fs::create_dir(&run).expect("a folder");
    let mut file = fs::File::create(run.join("events.jsonl")).expect("a file");
    let mut tell = |event: serde_json::Value| {
        writeln!(file, "{event}").and_then(|()| file.flush()).expect("written");
    };
    tell(json!({"at_ns": 1, "type": "started", "format": 1, "partita": "0", "run": "now",
        "target": "etcd", "workload": "register", "seed": 3, "lab": "root namespaces",
        "nodes": ["n1", "n2"]}));
    tell(json!({"at_ns": 1_000_000_000_u64, "type": "phase", "phase": "faults"}));
    tell(
        json!({"at_ns": 1_100_000_000_u64, "type": "role-changed", "node": "n2", "role": "leader",
        "term": 4}),
    );
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    browser.go(
        &format!("{}live/now", server.url),
        "document.querySelector('#live-nodes [data-node=n2]')",
    );
    assert_eq!(text(&mut browser, "#live-phase"), "faults");
    let leader = text(&mut browser, "#live-nodes [data-node=n2]");
    assert!(leader.contains("leader") && leader.contains('4'), "{leader}");
    // What happens from now on is seen without loading the page again.
    browser.evaluate("window.same = true");
    tell(
        json!({"at_ns": 2_000_000_000_u64, "type": "tally", "invoked": 900, "ok": 800, "fail": 50,
        "info": 7, "ok_per_s": 432.0, "left_ms": 5, "leader": "n2", "in_force": ["isolate n1"]}),
    );
    browser.wait_for("document.getElementById('live-rate').textContent === '432'");
    assert_eq!(text(&mut browser, "#live-counts"), "800 ok, 50 fail, 7 info");
    assert_eq!(text(&mut browser, "#live-faults"), "isolate n1");
    tell(json!({"at_ns": 2_500_000_000_u64, "type": "remark", "text": "<b id=evil>bold</b>"}));
    browser.wait_for("document.getElementById('live-log').innerText.includes('bold')");
    assert_eq!(
        browser.evaluate("document.getElementById('evil')"),
        json!(null),
        "texts stay texts"
    );
    tell(
        json!({"at_ns": 3_000_000_000_u64, "type": "finished", "verdict": "violation", "exit": "finding"}),
    );
    browser.wait_for("document.getElementById('live').dataset.finished === 'finding'");
    assert_eq!(browser.evaluate("window.same"), json!(true));
    assert_eq!(browser.complaints, [""; 0], "the page complained");
}

#[test]
fn a_hostile_page_in_a_folder_reaches_nothing() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start(LOOPBACK);
    let hostile = "<title>hostile</title><p id=p>p</p><script>document.title = 'ran'; \
        fetch('/files/good/run.json').then(() => { document.title = 'reached'; }, \
        () => { document.title = 'stopped'; });</script>";
    fs::write(server.site().join("good/report.html"), hostile).expect("written");
    let address = format!("{}files/good/report.html", server.url);
    browser.go(&address, "document.title === 'stopped' || document.title === 'reached'");
    assert_eq!(browser.evaluate("document.title"), json!("stopped"));
    assert_eq!(browser.evaluate("self.origin"), json!("null"), "it has no origin of the site");
}

#[test]
fn without_script_lists_and_comparisons_work_and_the_live_page_says_where_events_are() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start(LOOPBACK);
    browser.ask("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.go(&format!("{}?text=bad", server.url), "document.querySelector('#runs')");
    assert_eq!(rows(&mut browser), 1);
    browser.go(&format!("{}live/bad", server.url), "document.querySelector('#live')");
    let page = text(&mut browser, "main");
    assert!(page.contains("events.jsonl"), "{page}");
    browser.press("Tab", false);
    let focus = browser.evaluate("document.activeElement.textContent");
    assert_eq!(focus, json!("Runs"), "the keyboard reaches the links");
}

#[test]
fn every_page_of_the_site_is_accessible() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Server::start(LOOPBACK);
    for page in ["", "trends", "run/bad", "live/bad", "compare?a=good&b=bad", "files/bad/"] {
        browser.go(&format!("{}{page}", server.url), "document.querySelector('main')");
        browser.assert_accessible(&format!("/{page}"));
    }
}
