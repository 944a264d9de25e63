//! How tests write operations on other objects than registers.

use crate::{Action, Function, Response, ValueId};

/// What is asked and answered; no answer for an unknown outcome.
pub(crate) const fn other(
    function: Function,
    argument: ValueId,
    answer: Option<ValueId>,
) -> (Action, Option<Response>) {
    let response = match answer {
        Some(answer) => Some(Response::Value(answer)),
        None => None,
    };
    (Action::Other(function, argument), response)
}
