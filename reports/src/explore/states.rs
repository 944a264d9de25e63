//! Follows a certificate's order through a register: what each operation found and what it left.

use std::collections::HashMap;

use partita_checker::{Action, Certificate, History, Operation, Response, Value};

/// An operation's place in the order that proves its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place<'a> {
    /// The place, from 1.
    pub(super) rank: u64,
    /// What the register held before and after; `None` where the object is no register.
    pub(super) states: Option<(&'a Value, &'a Value)>,
}

/// The place of every operation that the certificate lists, by the index of its invocation.
pub(super) fn places<'a>(
    history: &'a History,
    certificate: &'a Certificate,
) -> HashMap<u64, Place<'a>> {
    let mut places = HashMap::new();
    for key in &certificate.keys {
        let initial = key.initial.as_ref().unwrap_or(&certificate.initial);
        let mut state = Some(initial);
        for (rank, index) in (1..).zip(&key.order) {
            let Some(operation) = find(history, *index) else { continue };
            let before = state;
            state = before.and_then(|before| after(history, operation, before, initial));
            places.insert(*index, Place { rank, states: before.zip(state) });
        }
    }
    places
}

fn find(history: &History, index: u64) -> Option<&Operation> {
    let operations = history.operations();
    let place = operations.binary_search_by_key(&index, |other| other.invoked.position);
    place.ok().map(|place| &operations[place])
}

/// What a register holds after an operation; `None` if that is no operation of a register.
fn after<'a>(
    history: &'a History,
    operation: &Operation,
    before: &'a Value,
    initial: &'a Value,
) -> Option<&'a Value> {
    match operation.action {
        Action::Read => Some(before),
        Action::Write(new) => Some(history.values().get(new)),
        Action::Delete => Some(initial),
        Action::Cas { expected, new } => {
            let swaps = match operation.response() {
                Some(response) => response == Response::Swapped,
                // Nobody was told: it swapped if it could.
                None => history.values().get(expected) == before,
            };
            Some(if swaps { history.values().get(new) } else { before })
        }
        Action::Other(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use partita_checker::KeyOrder;

    use super::super::tests::history;
    use super::*;

    fn states(text: &str, order: &[u64]) -> Vec<(u64, String)> {
        let history = history(text);
        let keys = vec![KeyOrder { key: Value::from("k"), order: order.to_vec(), initial: None }];
        let certificate = Certificate {
            model: "register".into(),
            initial: Value::from(0),
            keys,
            level: None,
            consistency: None,
            saw: Vec::new(),
        };
        let places = places(&history, &certificate);
        let mut told: Vec<_> = places
            .into_values()
            .map(|place| {
                let states = place.states.map(|(before, after)| format!("{before} {after}"));
                (place.rank, states.unwrap_or_default())
            })
            .collect();
        told.sort_unstable();
        told
    }

    #[test]
    fn states_follow_the_order_and_not_the_clock() {
        let told =
            states("0 w5 0..9 ok\n1 r0 1..2 ok\n2 c5>7 3..8 ok\n2 r7 9..10 ok", &[1, 0, 3, 6]);
        assert_eq!(
            told,
            [(1, "0 0".into()), (2, "0 5".into()), (3, "5 7".into()), (4, "7 7".into())]
        );
    }

    #[test]
    fn a_compare_and_set_of_unknown_outcome_swaps_if_it_can() {
        let told = states("0 c0>3 0..1 info\n1 c0>4 2..3 info", &[0, 2]);
        assert_eq!(told, [(1, "0 3".into()), (2, "3 3".into())]);
    }

    #[test]
    fn a_delete_puts_the_first_value_back() {
        assert_eq!(states("0 w5 0..1 ok\n0 d 2..3 ok", &[0, 2])[1], (2, "5 0".into()));
    }

    #[test]
    fn an_operation_that_is_not_listed_has_no_place() {
        assert_eq!(states("0 w5 0..1 ok\n1 w6 0..- open", &[0]).len(), 1);
    }
}
