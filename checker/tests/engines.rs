//! What it means to ask for one engine: it decides alone, or nothing is decided.

#[path = "support/lanes.rs"]
mod lanes;

use partita_checker::{
    Analysis, Anomaly, EngineChoice, Expected, Function, History, ModelKind, Options, Verdict,
    check, verify,
};

const DISTINCT: &str = "p0 |w 1| |r 1|\np1 |w 2|       |r 1|";
const REPEATED: &str = "p0 |w 1| |r 1|\np1 |w 1|       |r 1|";
const STALE: &str = "p0 |w 1| |w 2| |r 2|\np1                     |r 1|";

fn judge(drawing: &str, engine: EngineChoice) -> Analysis {
    let history = History::from_events(lanes::parse(drawing)).unwrap();
    let options = Options::default().with_engine(engine);
    let (analysis, certificate) = check(&history, &options, &|| false);
    assert_eq!(certificate.is_some(), analysis.verdict == Verdict::Valid);
    if let Some(certificate) = certificate {
        verify(&history, &certificate, &Expected::default()).unwrap();
    }
    analysis
}

#[test]
fn engine_that_decided_is_named() {
    use EngineChoice::{Auto, Frontier, Monitor, Wgl, Zones};
    for (engine, drawing, named) in [
        (Auto, DISTINCT, "zones"),
        (Auto, REPEATED, "frontier"),
        (Monitor, DISTINCT, "zones"),
        (Zones, DISTINCT, "zones"),
        (Frontier, DISTINCT, "frontier"),
        (Wgl, REPEATED, "wgl"),
    ] {
        let analysis = judge(drawing, engine);
        let found = (analysis.verdict, &*analysis.keys[0].engine);
        assert_eq!(found, (Verdict::Valid, named), "{engine} on {drawing}");
    }
}

#[test]
fn every_engine_finds_the_same_stale_read() {
    for engine in ["auto", "monitor", "zones", "frontier", "wgl"] {
        let analysis = judge(STALE, engine.parse().unwrap());
        assert_eq!(analysis.verdict, Verdict::Violation, "{engine}");
        assert_eq!(analysis.counterexample.unwrap().anomaly, Anomaly::StaleRead, "{engine}");
    }
}

#[test]
fn engine_that_is_not_exact_here_decides_nothing() {
    for engine in [EngineChoice::Zones, EngineChoice::Monitor] {
        let analysis = judge(REPEATED, engine);
        assert_eq!(analysis.verdict, Verdict::Unknown);
        let reason = &analysis.reasons[0];
        assert!(reason.contains("the engine asked for is not exact here: "), "{reason}");
    }
}

#[test]
fn zones_decide_nothing_about_queues() {
    let mut events = lanes::parse("p0 |w 1|");
    for event in &mut events {
        event.function = Function::Enqueue;
    }
    let history = History::from_events(events).unwrap();
    let options = Options::of(ModelKind::Queue);
    let with = |engine| check(&history, &options.clone().with_engine(engine), &|| false).0;
    assert_eq!(with(EngineChoice::Monitor).verdict, Verdict::Valid);
    let analysis = with(EngineChoice::Zones);
    assert_eq!(analysis.verdict, Verdict::Unknown);
    assert!(analysis.reasons[0].ends_with("a queue has no zones"), "{:?}", analysis.reasons);
}
