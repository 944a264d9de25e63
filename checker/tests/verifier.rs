//! The verifier accepts what the checker certifies, and nothing that was tampered with.

#[path = "support/lanes.rs"]
mod lanes;

use partita_checker::generate::Plan;
use partita_checker::{
    Certificate, Expected, History, KeyOrder, ModelKind, Options, Value, VerifyError, check, verify,
};

fn certified(plan: &Plan) -> (History, Certificate) {
    let history = History::from_events(plan.events()).unwrap();
    let (analysis, certificate) = check(&history, &Options::default(), &|| false);
    (history, certificate.unwrap_or_else(|| panic!("{:?}", analysis.reasons)))
}

fn verify_default(history: &History, certificate: &Certificate) -> Result<(), VerifyError> {
    verify(history, certificate, &Expected::default())
}

/// An order of the operations of one drawn history, by the events of their invocations.
fn verify_drawn(drawing: &str, order: &[u64]) -> Result<(), VerifyError> {
    let history = History::from_events(lanes::parse(drawing)).unwrap();
    let keys = vec![KeyOrder { key: Value::Null, order: order.to_vec(), initial: None }];
    let certificate = Certificate {
        model: "register".to_owned(),
        level: None,
        initial: Value::Null,
        consistency: None,
        keys,
        saw: Vec::new(),
    };
    verify(&history, &certificate, &Expected::default())
}

const DRAWN: &str = "
p0  |w 1|        |r 2|   |w 5!|
p1        |w 2|         |w 3?";

#[test]
fn order_of_all_completed_operations_is_accepted() {
    assert_eq!(verify_drawn(DRAWN, &[0, 2, 4]), Ok(()));
}

/// A file may number its events as it likes, as long as the numbers grow.
#[test]
fn order_is_found_where_indices_are_far_apart() {
    let spread = |index| 1_000_000_007 * (index + 1);
    let mut events = lanes::parse(DRAWN);
    for event in &mut events {
        event.index = spread(event.index);
    }
    let history = History::from_events(events).unwrap();
    let verified = |order: &[u64]| {
        let order = order.iter().copied().map(spread).collect();
        let keys = vec![KeyOrder { key: Value::Null, order, initial: None }];
        let certificate = Certificate {
            model: "register".to_owned(),
            level: None,
            initial: Value::Null,
            consistency: None,
            keys,
            saw: Vec::new(),
        };
        verify_default(&history, &certificate)
    };
    assert_eq!(verified(&[0, 2, 4]), Ok(()));
    assert_eq!(verified(&[0, 2, 4, 1]), Err(VerifyError::UnknownOperation(spread(1))));
    let error = VerifyError::MissingOperation { index: spread(0), key: Value::Null };
    assert_eq!(verified(&[2, 4]), Err(error));
}

#[test]
fn unknown_operation_may_stand_in_the_order_or_not() {
    assert_eq!(verify_drawn(DRAWN, &[0, 2, 4, 6]), Ok(()));
}

#[test]
fn missing_operation_is_named() {
    let error = VerifyError::MissingOperation { index: 0, key: Value::Null };
    assert_eq!(verify_drawn(DRAWN, &[2, 4]), Err(error));
}

#[test]
fn failed_operation_has_no_place() {
    assert_eq!(verify_drawn(DRAWN, &[0, 2, 4, 7]), Err(VerifyError::FailedOperation(7)));
}

#[test]
fn repeated_operation_is_named() {
    assert_eq!(verify_drawn(DRAWN, &[0, 2, 4, 4]), Err(VerifyError::RepeatedOperation(4)));
}

#[test]
fn completion_is_no_operation() {
    assert_eq!(verify_drawn(DRAWN, &[0, 2, 5]), Err(VerifyError::UnknownOperation(5)));
}

#[test]
fn answer_must_fit_the_value_held() {
    let error = VerifyError::WrongAnswer {
        index: 4,
        function: "read",
        model: "register",
        held: Value::Integer(1),
    };
    assert_eq!(verify_drawn(DRAWN, &[0, 4, 2]), Err(error));
}

#[test]
fn order_must_keep_to_real_time() {
    let error = VerifyError::AgainstRealTime { index: 0, before: 2 };
    assert_eq!(verify_drawn("p0 |w 1|      \np1       |w 2|", &[2, 0]), Err(error));
}

#[test]
fn unknown_operation_has_no_effect_before_its_invocation() {
    let drawing = "p0 |r 3|     \np1       |w 3?";
    let error = VerifyError::AgainstRealTime { index: 0, before: 2 };
    assert_eq!(verify_drawn(drawing, &[2, 0]), Err(error));
}

#[test]
fn every_key_needs_its_own_order() {
    let (history, certificate) = certified(&Plan { keys: 3, ..Plan::default() });
    assert_eq!(verify_default(&history, &certificate), Ok(()));

    let mut without = certificate.clone();
    without.keys.remove(1);
    assert!(matches!(
        verify_default(&history, &without),
        Err(VerifyError::MissingOperation { .. })
    ));

    let mut twice = certificate.clone();
    twice.keys.push(twice.keys[0].clone());
    assert!(matches!(verify_default(&history, &twice), Err(VerifyError::RepeatedKey(_))));

    let mut foreign = certificate.clone();
    foreign.keys[0].key = Value::text("other");
    assert!(matches!(verify_default(&history, &foreign), Err(VerifyError::UnknownKey(_))));

    let mut exchanged = certificate;
    let key = exchanged.keys[0].key.clone();
    exchanged.keys[0].key = exchanged.keys[1].key.clone();
    exchanged.keys[1].key = key;
    assert!(matches!(
        verify_default(&history, &exchanged),
        Err(VerifyError::ForeignOperation { .. })
    ));
}

#[test]
fn certificate_of_another_object_proves_nothing() {
    let (history, mut certificate) = certified(&Plan::default());
    certificate.model = "queue".to_owned();
    let error = verify_default(&history, &certificate).unwrap_err();
    assert_eq!(error.to_string(), "expected the model `register`, found `queue`");
    certificate.model = "a laxer one".to_owned();
    assert!(matches!(
        verify_default(&history, &certificate),
        Err(VerifyError::OtherModel { expected, .. }) if expected == "register"
    ));
}

#[test]
fn object_may_go_by_any_of_its_names() {
    let (history, mut certificate) = certified(&Plan::default());
    certificate.model = "cas-register".to_owned();
    assert_eq!(verify_default(&history, &certificate), Ok(()));
}

#[test]
fn certificate_that_begins_elsewhere_proves_nothing() {
    let history = History::from_events(lanes::parse("p0 |r nil|")).unwrap();
    let (_, certificate) = check(&history, &Options::default(), &|| false);
    let mut certificate = certificate.unwrap();
    certificate.initial = Value::Integer(3);
    let error = verify_default(&history, &certificate).unwrap_err();
    let (expected, found) = (Value::Null, Value::Integer(3));
    assert_eq!(error, VerifyError::OtherInitial { expected, found: found.clone() });

    let expected = Expected { initial: found.clone(), ..Expected::default() };
    let error = verify(&history, &certificate, &expected).unwrap_err();
    let (function, model) = ("read", "register");
    assert_eq!(error, VerifyError::WrongAnswer { index: 0, function, model, held: found });
}

#[test]
fn operation_that_the_object_lacks_has_no_place() {
    let history = History::from_events(lanes::parse("p0 |w 1|")).unwrap();
    let (_, certificate) = check(&history, &Options::default(), &|| false);
    let certificate =
        Certificate { model: "queue".to_owned(), level: None, ..certificate.unwrap() };
    let expected =
        Expected { model: ModelKind::Queue, initial: Value::Null, ..Expected::default() };
    let error = verify(&history, &certificate, &expected).unwrap_err();
    assert_eq!(error, VerifyError::NoMeaning { index: 0, function: "write", model: "queue" });
}

/// With one client there is one order only: whatever is exchanged in it, it is wrong.
#[test]
fn sequential_history_has_one_order() {
    let (history, certificate) = certified(&Plan { clients: 1, operations: 60, ..Plan::default() });
    for place in 1..certificate.keys[0].order.len() {
        let mut tampered = certificate.clone();
        tampered.keys[0].order.swap(place - 1, place);
        assert!(verify_default(&history, &tampered).is_err(), "exchanged at {place}");
        let mut shorter = certificate.clone();
        shorter.keys[0].order.remove(place);
        assert!(verify_default(&history, &shorter).is_err(), "removed at {place}");
    }
}
