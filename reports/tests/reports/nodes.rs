//! The charts of what nodes used and told.

use partita_checker::Nanoseconds;
use partita_reports::{NodeSample, RunArtifacts, html, html_around};

use crate::support::{Finding, Plan, fixture};

/// A page with these samples, made of the number of a tenth of a second and the place of a node.
fn page(of: impl Fn(u64, usize) -> NodeSample) -> String {
    let fixture = fixture(&Plan { finding: Finding::StaleRead, ..Plan::default() });
    let mut samples = Vec::new();
    for tenth in 0..200 {
        for place in 0..3 {
            let node = format!("n{}", place + 1);
            let at_ns = Nanoseconds(tenth * 100_000_000);
            samples.push(NodeSample { at_ns, node, ..of(tenth, place) });
        }
    }
    html_around(&fixture.run(), &RunArtifacts { samples, ..RunArtifacts::default() })
}

const TITLES: [&str; 7] = [
    "CPU time of nodes",
    "Memory of nodes",
    "What nodes had yet to apply",
    "Syncs that nodes asked of their disks",
    "How much longer the lab let syncs take",
    "Realtime clocks of nodes",
    "Monotonic clocks of nodes",
];

fn titles(page: &str) -> Vec<&'static str> {
    TITLES.into_iter().filter(|title| page.contains(&format!("<h3>{title}</h3>"))).collect()
}

#[test]
fn everything_that_is_known_of_nodes_has_a_chart_with_its_extremes_in_words() {
    let page = page(|tenth, place| NodeSample {
        cpu_ns: tenth.is_multiple_of(2).then_some(50_000_000 * (place as u64 + 1)),
        memory: Some((place as u64 + 1) << 20),
        applied: Some(tenth * 10 - if place == 1 { tenth.min(7) } else { 0 }),
        committed: Some(tenth * 10),
        realtime_ns: Some(if place == 2 { -250_000_000 } else { 0 }),
        monotonic_ns: Some(if place == 0 { 2_000_000 } else { 0 }),
        syncs: Some(tenth * 5),
        sync_delay_ns: Some(tenth * 10_000_000),
        ..NodeSample::default()
    });
    assert_eq!(titles(&page), TITLES);
    let told = [
        "n1 at most 0.25, n2 at most 0.50, n3 at most 0.75.",
        "n1 at most 1.0 MiB, n2 at most 2.0 MiB, n3 at most 3.0 MiB.",
        "n1 at most 0.00, n2 at most 7.0, n3 at most 0.00.",
        "n3 at most -250 ms.",
        "n1 at most 2.0 ms, ",
        "n1 at most 50.0/s, ",
    ];
    for told in told {
        assert!(page.contains(told), "{told}");
    }
    // The moment of the finding is marked in each.
    let (_, charts) = page.split_once("<h3>CPU time of nodes").expect("the first");
    let (charts, _) = charts.split_once("</section>").expect("the section ends");
    assert_eq!(charts.matches("class=\"found\"").count(), TITLES.len());
}

#[test]
fn what_is_not_known_or_never_anything_has_no_chart() {
    let shown = |sample: NodeSample| titles(&page(|_, _| sample.clone()));
    assert_eq!(shown(NodeSample::default()), [""; 0]);
    let still = NodeSample {
        applied: Some(7),
        committed: Some(7),
        realtime_ns: Some(40_000),
        syncs: Some(3),
        ..NodeSample::default()
    };
    assert_eq!(shown(still), [""; 0], "nothing to apply, true clocks, no sync");
    let memory = NodeSample { memory: Some(1 << 20), ..NodeSample::default() };
    assert_eq!(shown(memory), ["Memory of nodes"]);
    let fixture = fixture(&Plan::default());
    assert_eq!(titles(&html(&fixture.run())), [""; 0], "a run of an older version has no samples");
}
