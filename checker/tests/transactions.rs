//! Levels of transactions against a brute force that tries all orders.

#[path = "transactions/brute.rs"]
mod brute;
#[path = "transactions/drawn.rs"]
mod drawn;

use std::collections::{BTreeMap, BTreeSet};

use partita_checker::generate::{PlantedAnomaly, TransactionPlan};
use partita_checker::isolation::{Isolation, IsolationLevel};
use partita_checker::{
    Anomaly, Expected, History, ModelKind, Options, Verdict, check, verify_until,
};

fn judge(
    history: &History,
    model: ModelKind,
    isolation: IsolationLevel,
) -> partita_checker::Analysis {
    let options = Options::of(model).with_isolation(isolation);
    let (analysis, certificate) = check(history, &options, &|| false);
    assert_eq!(certificate.is_some(), analysis.verdict == Verdict::Valid);
    if let Some(certificate) = &certificate {
        let expected = Expected { model, isolation, ..Expected::default() };
        verify_until(history, certificate, &expected, &|| false).expect("a proof");
    }
    assert_eq!(analysis.counterexample.is_some(), analysis.verdict == Verdict::Violation);
    analysis
}

/// What is said of a level.
fn said(found: &Isolation, level: IsolationLevel) -> Option<bool> {
    if found.holds.iter().any(|strong| strong.implies(level)) {
        return Some(true);
    }
    found.violated.iter().any(|weak| level.implies(*weak)).then_some(false)
}

/// Whether the history has the levels that the brute force gives it, and those.
fn agrees(drawn: &drawn::Drawn, model: ModelKind) -> BTreeMap<IsolationLevel, bool> {
    let history = History::from_events(drawn.events()).expect("a history");
    let truth = brute::levels(drawn);
    if history.counts().ok == 0 {
        return truth;
    }
    for level in IsolationLevel::all() {
        let analysis = judge(&history, model, level);
        let Some(found) = &analysis.isolation else {
            panic!("no levels: {:?}\n{drawn}", analysis.reasons);
        };
        for other in IsolationLevel::all() {
            assert_eq!(said(found, other), Some(truth[&other]), "{other}\n{drawn}\n{found:?}");
        }
        let expected = if truth[&level] { Verdict::Valid } else { Verdict::Violation };
        assert_eq!(analysis.verdict, expected, "{level}\n{drawn}\n{:?}", analysis.reasons);
    }
    for stronger in IsolationLevel::all() {
        for weaker in IsolationLevel::all().filter(|weaker| stronger.implies(*weaker)) {
            assert!(!truth[&stronger] || truth[&weaker], "{stronger} without {weaker}\n{drawn}");
        }
    }
    truth
}

/// Compares so many small histories with the brute force. Each level must hold and not hold often
/// enough, and of two levels of which none implies the other each must hold without the other.
fn small_histories_agree(lists: bool, model: ModelKind) {
    let count = drawn::count(4_000);
    let mut holds: BTreeMap<IsolationLevel, u64> = BTreeMap::new();
    let mut alone: BTreeSet<[IsolationLevel; 2]> = BTreeSet::new();
    for seed in 0..count {
        let truth = agrees(&drawn::Drawn::new(seed, lists), model);
        for (level, _) in truth.iter().filter(|(_, holds)| **holds) {
            *holds.entry(*level).or_default() += 1;
            let without = truth.iter().filter(|(_, holds)| !**holds);
            alone.extend(without.map(|(other, _)| [*level, *other]));
        }
    }
    for level in IsolationLevel::all() {
        assert!((count / 20..count - count / 20).contains(&holds[&level]), "{level}: {holds:?}");
        for other in IsolationLevel::all().filter(|other| !level.implies(*other)) {
            assert!(alone.contains(&[level, other]), "{level} never without {other}");
        }
    }
}

#[test]
fn small_list_histories_have_the_levels_that_all_orders_give_them() {
    small_histories_agree(true, ModelKind::ListAppend);
}

#[test]
fn small_register_histories_have_the_levels_that_all_orders_give_them() {
    small_histories_agree(false, ModelKind::RwRegister);
}

/// What is planted is found and named, and breaks no level that allows it.
#[test]
fn planted_anomalies_are_found_and_named() {
    use IsolationLevel as Level;
    let expected = [
        (PlantedAnomaly::DirtyWrite, Anomaly::G0, Level::ReadCommitted),
        (PlantedAnomaly::AbortedRead, Anomaly::G1a, Level::ReadCommitted),
        (PlantedAnomaly::IntermediateRead, Anomaly::G1b, Level::ReadCommitted),
        (PlantedAnomaly::CircularFlow, Anomaly::G1c, Level::ReadCommitted),
        (PlantedAnomaly::ReadSkew, Anomaly::GSingle, Level::MonotonicAtomicView),
        (PlantedAnomaly::LostUpdate, Anomaly::LostUpdate, Level::SnapshotIsolation),
        (PlantedAnomaly::WriteSkew, Anomaly::WriteSkew, Level::Serializable),
        (PlantedAnomaly::LongFork, Anomaly::LongFork, Level::SnapshotIsolation),
        (PlantedAnomaly::StaleRead, Anomaly::GSingleRealtime, Level::StrictSerializable),
        (PlantedAnomaly::ForgottenWrite, Anomaly::GSingleProcess, Level::Causal),
    ];
    assert_eq!(expected.map(|(planted, ..)| planted), PlantedAnomaly::ALL);
    for seed in 0..4 {
        for (planted, anomaly, weakest) in expected {
            for model in [ModelKind::ListAppend, ModelKind::RwRegister] {
                let lists = model == ModelKind::ListAppend;
                if planted == PlantedAnomaly::DirtyWrite && !lists {
                    // Of registers only the last of two versions is seen.
                    continue;
                }
                let plan = TransactionPlan {
                    anomaly: Some(planted),
                    transactions: 400,
                    unknown: 0.05,
                    failed: 0.05,
                    seed,
                    ..TransactionPlan::new(lists)
                };
                let history = History::from_events(plan.events()).expect("a history");
                let strict = judge(&history, model, Level::StrictSerializable);
                let found = strict.counterexample.expect("a violation");
                assert_eq!(found.anomaly, anomaly, "{planted} {seed}: {}", found.sentence);
                let isolation = strict.isolation.expect("levels");
                assert!(isolation.violated.contains(&weakest), "{planted}: {isolation:?}");
                let broken = judge(&history, model, weakest);
                assert_eq!(broken.verdict, Verdict::Violation);
            }
        }
    }
}

#[test]
fn histories_without_anomaly_are_strictly_serializable() {
    for seed in 0..20 {
        for model in [ModelKind::ListAppend, ModelKind::RwRegister] {
            let plan = TransactionPlan {
                transactions: 300,
                clients: 1 + seed as u32 % 12,
                writes_per_key: 1 + seed as u32,
                unknown: 0.1,
                failed: 0.1,
                seed,
                ..TransactionPlan::new(model == ModelKind::ListAppend)
            };
            let history = History::from_events(plan.events()).expect("a history");
            let analysis = judge(&history, model, IsolationLevel::StrictSerializable);
            assert_eq!(analysis.verdict, Verdict::Valid, "{seed}: {:?}", analysis.counterexample);
        }
    }
}

/// What many clients wrote at once leaves much of the order of versions open; every level is decided
/// all the same.
#[test]
fn many_versions_of_no_certain_order_leave_no_level_undecided() {
    let planted = PlantedAnomaly::ALL.into_iter().filter(|one| *one != PlantedAnomaly::DirtyWrite);
    for planted in planted.map(Some).chain([None]) {
        let plan = TransactionPlan {
            anomaly: planted,
            transactions: 10_000,
            clients: 40,
            writes_per_key: 100,
            unknown: 0.01,
            ..TransactionPlan::new(false)
        };
        let history = History::from_events(plan.events()).expect("a history");
        let analysis = judge(&history, ModelKind::RwRegister, IsolationLevel::StrictSerializable);
        let expected = if planted.is_some() { Verdict::Violation } else { Verdict::Valid };
        assert_eq!(analysis.verdict, expected, "{planted:?}: {:?}", analysis.reasons);
        let levels = analysis.isolation.expect("levels");
        for level in IsolationLevel::all() {
            let holds = levels.holds.iter().any(|one| one.implies(level));
            let violated = levels.violated.iter().any(|one| level.implies(*one));
            assert!(holds != violated, "{planted:?}: {level} of {levels:?}");
        }
    }
}
