//! The lanes of operations, used in a real browser as a person would.

use std::path::{Path, PathBuf};

use partita_checker::{Outcome, Value as Data};
use partita_reports::html;
use serde_json::{Value, json};

use crate::chromium::Browser;
use crate::support::{Finding, Fixture, Plan, fixture};

/// A page in a browser.
struct Page {
    browser: Browser,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

const LANES: &str = "document.getElementById('explore-lanes')";

impl Page {
    /// The page of a run; `None` where there is no browser.
    fn of(fixture: &Fixture) -> Option<Self> {
        let browser = Browser::start()?;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("report.html");
        std::fs::write(&file, html(&fixture.run())).expect("written");
        Some(Self { browser, file, _folder: folder })
    }

    fn open(&mut self, fragment: &str) {
        let ready = format!("{LANES} && {LANES}.dataset.ready && {LANES}.dataset.mode");
        self.browser.go(&address(&self.file, fragment), &ready);
        self.settle();
    }

    /// Waits until what was asked for is drawn.
    fn settle(&mut self) {
        let frames =
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))";
        self.browser.evaluate(&format!("{frames}.then(() => 1)"));
    }

    fn told(&mut self, name: &str) -> String {
        self.settle();
        let told = self.browser.evaluate(&format!("{LANES}.dataset.{name} ?? ''"));
        told.as_str().expect("a text").to_owned()
    }

    /// The times at the edges, in microseconds.
    fn view(&mut self) -> (f64, f64) {
        let [begin, end] = ["begin", "end"].map(|name| self.told(name).parse().expect("a number"));
        (begin, end)
    }

    fn focus(&mut self) {
        self.browser.evaluate(&format!("{LANES}.focus()"));
    }

    /// Fills in a field as typing does.
    fn fill(&mut self, field: &str, text: &str) {
        let (field, text) = (json!(format!("explore-{field}")), json!(text));
        self.browser.evaluate(&format!(
            "(() => {{ const field = document.getElementById({field}); field.value = {text}; \
             field.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
        ));
    }

    fn click(&mut self, selector: &str) {
        let selector = json!(selector);
        self.browser.evaluate(&format!("document.querySelector({selector}).click()"));
    }

    fn text(&mut self, id: &str) -> String {
        self.settle();
        let text = self.browser.evaluate(&format!("document.getElementById('{id}').textContent"));
        text.as_str().expect("a text").to_owned()
    }

    /// A mouse event in the middle of the lanes, `right` pixels to the right of it.
    fn mouse(&mut self, kind: &str, right: f64, more: &Value) {
        self.browser.evaluate(&format!("{LANES}.scrollIntoView({{ block: 'center' }})"));
        let middle = format!(
            "(() => {{ const box = {LANES}.getBoundingClientRect(); \
             return [box.left + box.width / 2, box.top + 60]; }})()"
        );
        let middle = self.browser.evaluate(&middle);
        let [x, y] = [0, 1].map(|place| middle[place].as_f64().expect("a place"));
        let mut event = json!({"type": kind, "x": x + right, "y": y});
        for (name, value) in more.as_object().expect("fields") {
            event[name] = value.clone();
        }
        self.browser.ask("Input.dispatchMouseEvent", &event);
    }
}

impl Page {
    /// How many frames a second the browser presents while the wheel zooms into the lanes and out again, and
    /// keys pan: the whole time of the slowest tenth of the gaps between frames counts, too.
    fn frames_while_zooming(&mut self) -> f64 {
        self.browser.evaluate(&format!("{LANES}.scrollIntoView({{ block: 'center' }}); 1"));
        let gaps = self.browser.evaluate(&format!(
            "(async () => {{ \
             const lanes = {LANES}, box = lanes.getBoundingClientRect(), gaps = []; \
             const next = () => new Promise(done => requestAnimationFrame(done)); \
             let before = await next(); \
             for (let step = 0; step < 120; step++) {{ \
                 const deltaY = step < 60 ? -60 : 60; \
                 lanes.dispatchEvent(new WheelEvent('wheel', {{ deltaY, bubbles: true, cancelable: true, \
                     clientX: box.left + box.width * 0.6, clientY: box.top + 60 }})); \
                 if (step % 4 === 0) lanes.dispatchEvent(new KeyboardEvent('keydown', {{ \
                     key: step % 8 ? 'ArrowLeft' : 'ArrowRight', bubbles: true }})); \
                 const now = await next(); gaps.push(now - before); before = now; \
             }} return gaps; }})()"
        ));
        let gaps: Vec<f64> =
            gaps.as_array().expect("gaps").iter().filter_map(Value::as_f64).collect();
        assert_eq!(gaps.len(), 120);
        let slowest = gaps.iter().copied().fold(0.0, f64::max);
        eprintln!("the slowest frame took {slowest:.1} ms");
        gaps.len() as f64 * 1_000.0 / gaps.iter().sum::<f64>()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.browser.complaints, Vec::<String>::new(), "the page complained");
        }
    }
}

fn address(file: &Path, fragment: &str) -> String {
    format!("file://{}#{fragment}", file.display())
}

fn stale() -> Fixture {
    fixture(&Plan { finding: Finding::StaleRead, ..Plan::default() })
}

#[test]
fn keys_and_the_mouse_zoom_and_pan() {
    let Some(mut page) = Page::of(&stale()) else { return };
    page.open("");
    let whole = page.view();
    assert!(whole.0 == 0.0 && whole.1 > 19e6, "{whole:?}");
    page.focus();
    page.browser.press("+", false);
    let half = page.view();
    assert!((half.1 - half.0 - (whole.1 - whole.0) / 2.0).abs() < 2.0, "{half:?}");
    page.browser.press("ArrowRight", true);
    let panned = page.view();
    assert!(panned.0 > half.0 && (panned.1 - panned.0 - (half.1 - half.0)).abs() < 2.0);
    page.browser.press("0", false);
    assert_eq!(page.view(), whole);
    for _ in 0..30 {
        page.browser.press("+", false);
    }
    let nearest = page.view();
    assert!((nearest.1 - nearest.0 - 20.0).abs() < 0.1, "20 µs are the least: {nearest:?}");
    page.browser.press("0", false);
    page.mouse("mouseWheel", 0.0, &json!({"deltaX": 0, "deltaY": -200, "modifiers": 2}));
    let wheeled = page.view();
    assert!(wheeled.1 - wheeled.0 < (whole.1 - whole.0) * 0.9, "{wheeled:?}");
    let button = json!({"button": "left", "buttons": 1, "clickCount": 1});
    page.mouse("mousePressed", 0.0, &button);
    page.mouse("mouseMoved", -100.0, &button);
    page.mouse("mouseReleased", -100.0, &button);
    let dragged = page.view();
    assert!(dragged.0 > wheeled.0, "{dragged:?} after {wheeled:?}");
}

#[test]
fn two_fingers_zoom() {
    let Some(mut page) = Page::of(&stale()) else { return };
    page.open("");
    let whole = page.view();
    page.browser.evaluate(&format!("{LANES}.scrollIntoView({{ block: 'center' }})"));
    for apart in [20, 60, 120] {
        let kind = if apart == 20 { "touchStart" } else { "touchMove" };
        let top = page.browser.evaluate(&format!("{LANES}.getBoundingClientRect().top + 60"));
        let points =
            json!([{"x": 600 - apart, "y": top, "id": 1}, {"x": 600 + apart, "y": top, "id": 2}]);
        page.browser.ask("Input.dispatchTouchEvent", &json!({"type": kind, "touchPoints": points}));
    }
    page.browser.ask("Input.dispatchTouchEvent", &json!({"type": "touchEnd", "touchPoints": []}));
    let pinched = page.view();
    assert!(pinched.1 - pinched.0 < (whole.1 - whole.0) / 2.0, "{pinched:?}");
}

#[test]
fn links_lead_to_an_operation_a_moment_and_a_fault() {
    let fixture = stale();
    let Some(mut page) = Page::of(&fixture) else { return };
    let found = fixture.analysis.counterexample.as_ref().expect("a violation");
    let read = found.operations.last().expect("operations");
    page.open(&format!("op={}", read.index));
    assert_eq!(page.told("selected"), read.index.to_string());
    let view = page.view();
    assert!(view.0 <= read.invoked.0 as f64 / 1e3 && read.invoked.0 as f64 / 1e3 <= view.1);
    assert!(view.1 - view.0 < 1e6, "single operations are seen: {view:?}");
    let detail = page.text("explore-detail");
    assert!(detail.contains("part of the proof: stale read"), "{detail}");
    assert!(detail.contains(&format!("{}p;", read.index + 1)), "the recorded lines: {detail}");

    page.open("t=6.8s");
    let view = page.view();
    assert!(((view.0 + view.1) / 2.0 - 6.8e6).abs() < 10.0, "{view:?}");

    let fault = &fixture.faults[1];
    page.open("fault=1");
    let view = page.view();
    let (began, ended) =
        (fault.began_ns as f64 / 1e3, fault.ended_ns.expect("healed") as f64 / 1e3);
    assert!(view.0 < began && ended < view.1 && view.1 - view.0 < (ended - began) * 1.3);
    assert!(page.text("explore-said").contains("kill"));
    // A link within the page leads there, too.
    page.browser.evaluate(&format!("location.hash = 'op={}'", read.index));
    page.browser.wait_for(&format!("{LANES}.dataset.selected == {}", read.index));
}

#[test]
fn filters_find_what_the_history_holds() {
    let fixture = stale();
    let Some(mut page) = Page::of(&fixture) else { return };
    let history = &fixture.history;
    let total = |counts: &dyn Fn(&partita_checker::Operation) -> bool| {
        history.operations().iter().filter(|operation| counts(operation)).count().to_string()
    };
    page.open("");
    assert_eq!(page.told("matches"), "", "nothing was asked for");
    let key = |name: &str| history.keys().iter().position(|key| *key == Data::from(name));
    let k3 = key("k3").expect("a key") as u32;
    let n2 = history.nodes().iter().position(|node| &**node == "n2").expect("a node") as u16;
    page.fill("key", "k3");
    assert_eq!(page.told("matches"), total(&|operation| operation.key.0 == k3));
    page.fill("node", "n2");
    let on_node =
        |operation: &partita_checker::Operation| operation.node.is_some_and(|node| node.0 == n2);
    assert_eq!(page.told("matches"), total(&|it| it.key.0 == k3 && on_node(it)));
    page.fill("kind", "cas");
    let is_cas = |it: &partita_checker::Operation| it.action.function().to_string() == "cas";
    assert_eq!(page.told("matches"), total(&|it| it.key.0 == k3 && on_node(it) && is_cas(it)));
    page.click("#explore-form [type=reset]");
    page.browser.wait_for(&format!("{LANES}.dataset.matches === ''"));
    page.fill("outcome", "info");
    let is_info = |it: &partita_checker::Operation| matches!(it.outcome, Outcome::Info(Some(_)));
    assert_ne!(total(&is_info), "0", "the run has some");
    assert_eq!(page.told("matches"), total(&is_info));
    page.fill("outcome", "");
    page.fill("process", "4");
    assert_eq!(page.told("matches"), total(&|it| it.process.0 == 4));
    page.fill("process", "");
    let found = fixture.analysis.counterexample.as_ref().expect("a violation");
    let read = found.operations.last().expect("operations");
    page.fill("value", &read.value.to_string());
    let listed = page.text("explore-list");
    assert!(listed.contains(&format!("#{} read", read.index)), "{listed}");
    // A value is a whole number, not a part of one.
    page.fill("value", &read.value.to_string()[1..]);
    assert!(!page.text("explore-list").contains(&format!("#{} read", read.index)));
}

#[test]
fn the_search_field_goes_to_an_operation_and_finds_text() {
    let fixture = stale();
    let Some(mut page) = Page::of(&fixture) else { return };
    page.open("");
    page.fill("find", "#120");
    page.click("#explore-form [type=submit]");
    let index = page.told("selected");
    let place = fixture.history.operations().iter().find(|it| it.invoked.position == 120);
    match place {
        Some(_) => assert_eq!(index, "120"),
        None => assert!(page.text("explore-said").contains("not in this page")),
    }
    page.fill("find", "write k7");
    page.click("#explore-form [type=submit]");
    let first = page.text("explore-detail");
    assert!(first.contains("write k7 = "), "{first}");
    // The address keeps what was asked for.
    let address = page.browser.evaluate("location.hash");
    let address = address.as_str().expect("an address").trim_start_matches('#').to_owned();
    let matches = page.told("matches");
    page.open(&address);
    assert_eq!(page.told("matches"), matches);
    assert!(page.text("explore-detail").contains("write k7 = "));
}

#[test]
fn arrows_go_from_operation_to_operation_in_a_lane_and_across() {
    let fixture = stale();
    let Some(mut page) = Page::of(&fixture) else { return };
    page.open("lanes=client&op=0");
    assert_eq!(page.told("mode"), "client");
    let index = page.told("selected");
    page.focus();
    page.browser.press("ArrowRight", false);
    let next = page.told("selected");
    let process = |index: &str| {
        let index: u64 = index.parse().expect("a number");
        let mut operations = fixture.history.operations().iter();
        operations.find(|it| it.invoked.position == index).expect("an operation").process
    };
    assert_eq!(process(&index), process(&next), "clients whose answers came keep their process");
    assert_ne!(index, next);
    page.browser.press("ArrowDown", false);
    assert_ne!(process(&page.told("selected")), process(&next));
    page.browser.press("Escape", false);
    assert_eq!(page.told("selected"), "");
    page.browser.press("f", false);
    assert!(page.text("explore-detail").contains("part of the proof"));
}

#[test]
fn states_are_those_of_the_certificates_order() {
    let text = [
        r#"{"index":0,"time":1000000,"process":0,"type":"invoke","f":"write","key":"k","value":17}"#,
        r#"{"index":1,"time":2000000,"process":1,"type":"invoke","f":"read","key":"k","value":null}"#,
        r#"{"index":2,"time":3000000,"process":1,"type":"ok","f":"read","key":"k","value":17}"#,
        r#"{"index":3,"time":9000000,"process":0,"type":"ok","f":"write","key":"k","value":17}"#,
    ];
    let events = text.map(|line| serde_json::from_str(line).expect("an event"));
    let history = partita_checker::History::from_events(events).expect("a history");
    let (analysis, certificate) = partita_checker::check(&history, &Default::default(), &|| false);
    assert!(certificate.is_some(), "linearizable");
    let fixture = Fixture { history, analysis, certificate, ..stale() };
    let Some(mut page) = Page::of(&fixture) else { return };
    page.open("op=1");
    let detail = page.text("explore-detail");
    assert!(
        detail.contains("17 before, 17 after") && detail.contains("operation 2 on k"),
        "{detail}"
    );
    page.open("op=0");
    let detail = page.text("explore-detail");
    assert!(detail.contains("nothing before, 17 after"), "{detail}");
}

#[test]
fn a_large_history_is_drawn_as_densities_and_its_finding_one_by_one() {
    let plan = Plan { seconds: 40, rate: 3_000, clients: 30, ..Plan::default() };
    let fixture = fixture(&Plan { finding: Finding::StaleRead, ..plan });
    let page = html(&fixture.run());
    assert!(fixture.history.operations().len() > 60_000);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    assert!(page.contains("This page has 40,000 of"));
    let Some(mut page) = Page::of(&fixture) else { return };
    page.open("");
    assert_eq!(page.told("bars"), "0", "densities only");
    let picture = page.browser.evaluate(
        "(() => { const canvas = document.getElementById('explore-canvas'); \
         const { data } = canvas.getContext('2d').getImageData(canvas.width / 2, 40, 200, 20); \
         return new Set(Array.from({ length: 200 }, (_, i) => data.slice(4 * i, 4 * i + 4).join())).size; })()",
    );
    assert!(picture.as_u64().expect("a number") > 5, "shades, not a blank: {picture}");
    page.click("#explore-finding");
    assert!(page.text("explore-detail").contains("part of the proof"));
    assert_ne!(page.told("bars"), "0");
}

#[test]
fn without_script_the_page_says_everything_important() {
    let Some(mut page) = Page::of(&stale()) else { return };
    page.browser.ask("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    let file = page.file.clone();
    page.browser.go(&address(&file, ""), "document.getElementById('again')");
    assert_eq!(page.browser.evaluate("document.getElementById('explore-app').hidden"), json!(true));
    let text = page.browser.evaluate("document.body.innerText");
    let text = text.as_str().expect("a text");
    for wanted in ["Violation: stale read", "With scripts allowed", "partita run", "without ok"] {
        assert!(text.contains(wanted), "{wanted}");
    }
}

#[test]
fn whatever_scrolls_is_reached_by_the_keyboard() {
    let Some(mut page) = Page::of(&stale()) else { return };
    let narrow = json!({"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    page.browser.ask("Emulation.setDeviceMetricsOverride", &narrow);
    page.open("");
    let scrolling = "[...document.querySelectorAll('*')].filter(it => it.scrollWidth > it.clientWidth + 1 \
         && /auto|scroll/.test(getComputedStyle(it).overflowX))";
    let all = page.browser.evaluate(&format!("{scrolling}.length"));
    assert!(all.as_u64().expect("a number") > 3, "charts are wider than that: {all}");
    let out_of_reach = page.browser.evaluate(&format!(
        "{scrolling}.filter(it => it.tabIndex < 0).map(it => it.className).join()"
    ));
    assert_eq!(out_of_reach, json!(""));
}

/// Zooming redraws what is in view, not the page; a run of this size is made up quickly.
#[test]
fn zooming_is_fluent() {
    let Some(mut page) = Page::of(&stale()) else { return };
    page.open("");
    let (begin, end) = page.view();
    let rate = page.frames_while_zooming();
    // A machine that others use may be slow; half of what a soak asks for shows that nothing hangs.
    assert!(rate >= 15.0, "{rate:.1} frames a second");
    let (zoomed_begin, zoomed_end) = page.view();
    assert!(zoomed_end - zoomed_begin <= end - begin, "it had zoomed");
}

#[test]
fn a_minute_of_five_thousand_a_second_fits_into_a_megabyte() {
    let plan = Plan { seconds: 60, rate: 5_000, clients: 50, ..Plan::default() };
    let fixture = fixture(&Plan { finding: Finding::StaleRead, ..plan });
    let operations = fixture.history.operations().len();
    let text = html(&fixture.run());
    assert!(operations > 250_000, "{operations}");
    assert!(text.len() < 1_000_000, "{} bytes for {operations} operations", text.len());
    eprintln!("{operations} operations, {} bytes", text.len());
}

/// What a page of a million operations weighs and how long it takes to open; with `PARTITA_SOAK`, since
/// making such a run up takes a while.
#[test]
fn a_million_operations_fit_into_five_megabytes() {
    if std::env::var_os("PARTITA_SOAK").is_none() {
        return;
    }
    let plan = Plan { seconds: 200, rate: 5_000, clients: 50, ..Plan::default() };
    let fixture = fixture(&Plan { finding: Finding::StaleRead, ..plan });
    let text = html(&fixture.run());
    let operations = fixture.history.operations().len();
    assert!(operations > 900_000, "{operations}");
    assert!(text.len() < 5_000_000, "{} bytes", text.len());
    let Some(mut page) = Page::of(&fixture) else { return };
    let begun = std::time::Instant::now();
    page.open("");
    eprintln!("{operations} operations, {} bytes, open after {:?}", text.len(), begun.elapsed());
    page.click("#explore-finding");
    assert!(page.text("explore-detail").contains("part of the proof"));
    let rate = page.frames_while_zooming();
    eprintln!("{rate:.1} frames a second while zooming and panning");
    assert!(rate >= 30.0, "{rate:.1} frames a second");
}
