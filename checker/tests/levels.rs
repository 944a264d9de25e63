//! Levels against their definitions, tried out in all orders on small histories.

#[path = "levels/brute.rs"]
mod brute;
#[path = "levels/cases.rs"]
mod cases;

use brute::{Drawn, draw, holds};
use partita_checker::levels::{self, Staleness};
use partita_checker::{Expected, KeyInitials, Level, Nanoseconds, Options, Verdict, check_level};
use proptest::prelude::*;

/// All levels, with bounds that small histories can keep and break.
fn all_levels() -> Vec<Level> {
    let mut all = Level::ALL.to_vec();
    for time in [0, 2, 5] {
        all.push(Level::Stale(Staleness::Time(Nanoseconds(time))));
    }
    for versions in [0, 1, 2] {
        all.push(Level::Stale(Staleness::Versions(versions)));
    }
    all
}

fn verdict(drawn: &Drawn, level: Level) -> Verdict {
    let (history, options) = (drawn.history(), Options::default());
    let (analysis, certificate) = check_level(&history, &options, level, &|| false);
    assert_eq!(analysis.verdict == Verdict::Valid, certificate.is_some());
    if let Some(certificate) = certificate {
        let asked = (level, &KeyInitials::Same);
        let verified =
            levels::verify(&history, &certificate, &Expected::default(), asked, &|| false);
        assert_eq!(verified, Ok(()), "{level}");
    }
    if let Some(found) = &analysis.counterexample {
        let alone = partita_checker::History::from_events(found.events()).expect("a history");
        let (again, _) = check_level(&alone, &options, level, &|| false);
        assert_eq!(again.verdict, Verdict::Violation, "{level}: {found:#?}");
        assert!(!found.sentence.is_empty());
    }
    analysis.verdict
}

/// Histories of a few operations by a few sessions on a few keys, with values of their own.
fn small(unique: bool) -> impl Strategy<Value = Drawn> {
    let step = (0..3_u32, 0..12_u8, 0..2_u8, 0..4_i64, 0..4_i64, 0..8_u8);
    prop::collection::vec(step, 1..15).prop_map(move |steps| draw(&steps, unique))
}

fn agree(drawn: &Drawn) {
    for level in all_levels() {
        let expected = match holds(drawn, level) {
            _ if drawn.ops.iter().all(|op| op.returned.is_none()) => Verdict::Unknown,
            true => Verdict::Valid,
            false => Verdict::Violation,
        };
        let found = verdict(drawn, level);
        assert_eq!(found, expected, "{level}: {drawn:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn levels_of_unique_values_agree_with_all_orders(drawn in small(true)) {
        agree(&drawn);
    }

    #[test]
    fn levels_of_repeated_values_agree_with_all_orders(drawn in small(false)) {
        agree(&drawn);
    }

    #[test]
    fn marked_operations_agree_with_all_orders(
        drawn in small(true), marks in prop::collection::vec(0..6_u8, 15),
    ) {
        let drawn = drawn.marked(&marks);
        let expected = match holds(&drawn, Level::Linearizable) {
            _ if drawn.ops.iter().all(|op| op.returned.is_none()) => Verdict::Unknown,
            true => Verdict::Valid,
            false => Verdict::Violation,
        };
        prop_assert_eq!(verdict(&drawn, Level::Linearizable), expected, "{:#?}", drawn);
    }

    #[test]
    fn stronger_levels_imply_weaker_ones(drawn in small(true)) {
        let found: Vec<(Level, Verdict)> =
            all_levels().into_iter().map(|level| (level, verdict(&drawn, level))).collect();
        for (strong, one) in &found {
            for (weak, other) in found.iter().filter(|(weak, _)| strong.implies(*weak)) {
                let kept = *one != Verdict::Valid || *other == Verdict::Valid;
                prop_assert!(kept, "{} holds and {} does not: {:#?}", strong, weak, drawn);
            }
        }
    }
}
