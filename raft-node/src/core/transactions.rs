//! Applies a transaction: steps one after the other, with nothing in between.
//!
//! It is one entry of the log, so that all servers apply all of it or none, at one moment of the
//! log's order, and a retry in a session is answered as a whole. As in Redis nothing is rolled back:
//! a step that fails by its own rules changes nothing and the others are carried out.
//!
//! Only checks keep it from being carried out: they are made before its first step, and if one does not
//! hold, nothing is done at all.
//!
//! What all steps answer together is bounded like one read: a step whose answer would not fit fails
//! with [`Failure::ReadTooLong`] and changes nothing.

use super::MAX_READ_BYTES;
use super::machine::Machine;
use super::operation::{Failure, Reply, Step};
use crate::mutations::{Mutation, Mutations};

impl Machine {
    /// Carries out the steps of a transaction, if its checks hold.
    pub(super) fn transact(&mut self, steps: &[Step]) -> Reply {
        self.transact_with(steps, Mutations::default())
    }

    /// The same, with the planted bugs that there may be.
    pub(super) fn transact_with(&mut self, steps: &[Step], mutations: Mutations) -> Reply {
        if !checks_are_made_early(mutations) && !self.checks_hold(steps) {
            return Reply::Nil;
        }
        let held_back = if mutations.has(Mutation::TransactionInTwoSteps) {
            last_of_several_writes(steps)
        } else {
            None
        };
        let mut room = MAX_READ_BYTES;
        let step = |(place, step): (usize, &Step)| {
            let reply = match step {
                Step::Write(command) if held_back == Some(place) => {
                    self.held_back = Some(command.clone());
                    // As if it were carried out.
                    self.clone().execute(command, room)
                }
                Step::Read(query) => match self.read(query, self.time) {
                    reply if reply.payload() > room => Reply::Failure(Failure::ReadTooLong),
                    reply => reply,
                },
                Step::Write(command) => self.execute(command, room),
                Step::Check { .. } => Reply::Ok,
            };
            room = room.saturating_sub(reply.payload());
            reply
        };
        Reply::Several(steps.iter().enumerate().map(step).collect())
    }

    /// Whether the checks of a transaction hold.
    pub(super) fn checks_hold(&self, steps: &[Step]) -> bool {
        steps.iter().all(|step| match step {
            Step::Check { key, expected: Some(expected) } => {
                self.value(key) == Reply::Value(expected.clone())
            }
            Step::Check { key, expected: None } => self.values.get(key).is_none(),
            Step::Read(_) | Step::Write(_) => true,
        })
    }
}

/// Whether the checks of a transaction are made when it is appended, not when it is applied: a planted bug.
pub(super) fn checks_are_made_early(mutations: Mutations) -> bool {
    mutations.has(Mutation::ChecksMadeEarly)
}

/// The place of the last write, if there is another before it.
fn last_of_several_writes(steps: &[Step]) -> Option<usize> {
    let is_write = |step: &Step| matches!(step, Step::Write(_));
    let last = steps.iter().rposition(is_write)?;
    steps[..last].iter().any(is_write).then_some(last)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bytes::Bytes;

    use super::super::MAX_VALUE_BYTES;
    use super::super::log::{Entry, Payload};
    use super::super::operation::{Command, Query, Write};
    use super::super::units::{SessionId, Term, Timestamp};
    use super::*;

    fn apply(machine: &mut Machine, write: Write) -> Reply {
        let (index, time) = (machine.applied.next(), Timestamp(5));
        let entry = Entry { index, term: Term(1), time, payload: Payload::Write(Arc::new(write)) };
        machine.apply(&entry, time, Mutations::default())
    }

    fn add(key: &'static str, amount: i64) -> Step {
        Step::Write(Command::Add { key: key.into(), amount })
    }

    fn get(key: &'static str) -> Step {
        Step::Read(Query::Value(key.into()))
    }

    fn transact(machine: &mut Machine, steps: Vec<Step>) -> Vec<Reply> {
        match apply(machine, Write::Plain(Command::Transaction { steps })) {
            Reply::Several(replies) => replies,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn steps_see_what_those_before_them_did_and_are_all_carried_out() {
        let mut machine = Machine::default();
        let push = Command::Push {
            key: "l".into(),
            end: crate::core::operation::End::Back,
            elements: vec!["a".into()],
        };
        let steps = vec![get("n"), add("n", 4), Step::Write(push), add("l", 1), get("n")];
        let expected = vec![
            Reply::Nil,
            Reply::Integer(4),
            Reply::Integer(1),
            Reply::Failure(Failure::WrongType),
            Reply::Value("4".into()),
        ];
        assert_eq!(transact(&mut machine, steps), expected);
        assert_eq!(machine.value(&"n".into()), Reply::Value("4".into()), "nothing is rolled back");
    }

    #[test]
    fn transaction_whose_checks_do_not_all_hold_does_nothing() {
        let mut machine = Machine::default();
        apply(&mut machine, Write::Plain(Command::set("a".into(), "1".into())));
        let check = |key: &'static str, expected: Option<&'static str>| Step::Check {
            key: key.into(),
            expected: expected.map(Bytes::from),
        };
        let mut outcome = |first: Step, second: Step| {
            let steps = vec![first, add("n", 1), second];
            apply(&mut machine, Write::Plain(Command::Transaction { steps }))
        };
        let done = |sum| Reply::Several(vec![Reply::Ok, Reply::Integer(sum), Reply::Ok]);
        assert_eq!(outcome(check("a", Some("1")), check("b", None)), done(1));
        assert_eq!(outcome(check("a", Some("1")), check("n", Some("2"))), Reply::Nil);
        assert_eq!(outcome(check("a", None), check("b", None)), Reply::Nil);
        // Checks are about what was there before, not about what the transaction itself does.
        assert_eq!(outcome(check("a", Some("1")), check("n", Some("1"))), done(2));
    }

    #[test]
    fn retried_transaction_is_applied_once_and_answered_as_before() {
        let mut machine = Machine::default();
        apply(&mut machine, Write::OpenSession);
        let once = |sequence| {
            let command = Command::Transaction { steps: vec![add("a", 1), add("b", -1)] };
            Write::Once { session: SessionId(1), sequence, command }
        };
        let replies = |by| Reply::Several(vec![Reply::Integer(by), Reply::Integer(-by)]);
        assert_eq!(apply(&mut machine, once(1)), replies(1));
        assert_eq!(apply(&mut machine, once(1)), replies(1));
        assert_eq!(apply(&mut machine, once(2)), replies(2));
        assert_eq!(apply(&mut machine, once(1)), Reply::Failure(Failure::StaleSequence));
    }

    #[test]
    fn time_is_that_of_the_entry() {
        let mut machine = Machine::default();
        let life = Duration::from_millis(30);
        let expire = Step::Write(Command::Expire { key: "n".into(), life });
        let steps = vec![add("n", 1), expire, Step::Read(Query::Expiry("n".into()))];
        let replies = transact(&mut machine, steps);
        assert_eq!(replies[1..], [Reply::Integer(1), Reply::Integer(30)]);
    }

    #[test]
    fn answers_that_do_not_fit_are_left_out_and_their_steps_change_nothing() {
        let mut machine = Machine::default();
        let long = Bytes::from(vec![b'x'; MAX_VALUE_BYTES]);
        let most = MAX_READ_BYTES / MAX_VALUE_BYTES;
        apply(&mut machine, Write::Plain(Command::set("long".into(), long.clone())));
        let mut steps = vec![get("long"); most];
        steps.push(Step::Write(Command::Take { key: "long".into() }));
        steps.extend([add("n", 1), get("missing")]);
        let replies = transact(&mut machine, steps);
        assert!(replies[..most - 1].iter().all(|reply| *reply == Reply::Value(long.clone())));
        let too_long = Reply::Failure(Failure::ReadTooLong);
        assert_eq!(
            replies[most - 1..],
            [too_long.clone(), too_long, Reply::Integer(1), Reply::Nil]
        );
        assert_eq!(machine.value(&"long".into()), Reply::Value(long), "it was not taken");
    }
}
