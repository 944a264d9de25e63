//! Messages between servers.

use super::record::{put_entry, put_keys, put_write};
use super::{DecodeError, Reader, put_bytes, put_u8, put_u32, put_u64};
use crate::core::message::{Append, AppendOutcome, Body, Chunk, VoteKind};
use crate::core::operation::{Admin, Failure, Query};
use crate::core::units::{Boot, NodeId, RequestId, Term};
use crate::core::{Message, Operation, Refusal, Reply, SnapshotId};

/// Appends a message's bytes to `out`.
pub fn encode_message(message: &Message, out: &mut Vec<u8>) {
    put_u64(out, message.term.0);
    match &message.body {
        Body::RequestVote { ballot, last_index, last_term } => {
            put_u8(out, 1);
            put_u8(
                out,
                match ballot {
                    VoteKind::Pre => 0,
                    VoteKind::Vote => 1,
                    VoteKind::Transfer => 2,
                },
            );
            put_u64(out, last_index.0);
            put_u64(out, last_term.0);
        }
        Body::Vote { pre, granted } => {
            put_u8(out, 2);
            put_u8(out, u8::from(*pre));
            put_u8(out, u8::from(*granted));
        }
        Body::Append(append) => {
            put_u8(out, 3);
            put_append(out, append);
        }
        Body::Appended { request_term, round, outcome } => {
            put_u8(out, 4);
            put_u64(out, request_term.0);
            put_u64(out, *round);
            put_outcome(out, outcome);
        }
        Body::Forward { boot, request, operation } => {
            put_u8(out, 5);
            put_u64(out, boot.0);
            put_u64(out, request.0);
            put_operation(out, operation);
        }
        Body::Answer { boot, request, result } => {
            put_u8(out, 6);
            put_u64(out, boot.0);
            put_u64(out, request.0);
            put_result(out, result);
        }
        Body::Install(chunk) => {
            put_u8(out, 7);
            put_snapshot_id(out, chunk.snapshot);
            put_u64(out, chunk.offset);
            put_u64(out, chunk.total);
            put_u32(out, chunk.checksum);
            put_bytes(out, &chunk.data);
        }
        Body::ChunkKept { request_term, snapshot, offset } => {
            put_u8(out, 8);
            put_u64(out, request_term.0);
            put_snapshot_id(out, *snapshot);
            put_u64(out, *offset);
        }
        Body::TimeoutNow => put_u8(out, 9),
    }
}

fn put_snapshot_id(out: &mut Vec<u8>, snapshot: SnapshotId) {
    put_u64(out, snapshot.index.0);
    put_u64(out, snapshot.term.0);
}

fn put_operation(out: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Read(query) => {
            put_u8(out, 0);
            put_query(out, query);
        }
        Operation::StaleRead(query) => {
            put_u8(out, 6);
            put_query(out, query);
        }
        Operation::Write(write) => {
            put_u8(out, 1);
            put_write(out, write);
        }
        Operation::Admin(Admin::Add { id, address }) => {
            put_u8(out, 2);
            put_u32(out, id.0);
            put_bytes(out, address);
        }
        Operation::Admin(Admin::Remove { id }) => {
            put_u8(out, 3);
            put_u32(out, id.0);
        }
        Operation::Admin(Admin::Transfer { to }) => {
            put_u8(out, 4);
            // No server has the number 0.
            put_u32(out, to.map_or(0, |to| to.0));
        }
        Operation::Admin(Admin::Snapshot) => put_u8(out, 5),
    }
}

pub(super) fn put_query(out: &mut Vec<u8>, query: &Query) {
    match query {
        Query::Value(key) => {
            put_u8(out, 0);
            put_bytes(out, key);
        }
        Query::Values(keys) => {
            put_u8(out, 1);
            put_keys(out, keys);
        }
        Query::Count(keys) => {
            put_u8(out, 2);
            put_keys(out, keys);
        }
        Query::Expiry(key) => {
            put_u8(out, 3);
            put_bytes(out, key);
        }
        Query::Type(key) => {
            put_u8(out, 4);
            put_bytes(out, key);
        }
        Query::Range { key, first, last } => {
            put_u8(out, 5);
            put_bytes(out, key);
            put_u64(out, first.cast_unsigned());
            put_u64(out, last.cast_unsigned());
        }
        Query::Length(key) => {
            put_u8(out, 6);
            put_bytes(out, key);
        }
        Query::Members(key) => {
            put_u8(out, 7);
            put_bytes(out, key);
        }
        Query::Cardinality(key) => {
            put_u8(out, 8);
            put_bytes(out, key);
        }
        Query::Contains { key, member } => {
            put_u8(out, 9);
            put_bytes(out, key);
            put_bytes(out, member);
        }
    }
}

fn put_append(out: &mut Vec<u8>, append: &Append) {
    put_u64(out, append.previous_index.0);
    put_u64(out, append.previous_term.0);
    put_u64(out, append.commit.0);
    put_u64(out, append.round);
    put_u32(out, u32::try_from(append.entries.len()).expect("a batch is bounded"));
    for entry in &append.entries {
        put_entry(out, entry);
    }
}

fn put_outcome(out: &mut Vec<u8>, outcome: &AppendOutcome) {
    match outcome {
        AppendOutcome::Accepted { matched } => {
            put_u8(out, 0);
            put_u64(out, matched.0);
        }
        AppendOutcome::Rejected { previous_index, conflict_term, first_index } => {
            put_u8(out, 1);
            put_u64(out, previous_index.0);
            put_u64(out, first_index.0);
            put_u8(out, u8::from(conflict_term.is_some()));
            if let Some(term) = conflict_term {
                put_u64(out, term.0);
            }
        }
    }
}

pub(super) fn put_result(out: &mut Vec<u8>, result: &Result<Reply, Refusal>) {
    match result {
        Ok(reply) => put_reply(out, reply),
        Err(refusal) => put_u8(
            out,
            match refusal {
                Refusal::NoLeader => 20,
                Refusal::Busy => 21,
                Refusal::Dropped => 22,
                Refusal::ReadFailed => 23,
                Refusal::Uncertain => 24,
                Refusal::Changing => 25,
                Refusal::NotPossible => 26,
            },
        ),
    }
}

/// The tag of the replies to a transaction, which no reply among them has.
const SEVERAL: u8 = 5;

fn put_reply(out: &mut Vec<u8>, reply: &Reply) {
    match reply {
        Reply::Ok => put_u8(out, 0),
        Reply::Nil => put_u8(out, 1),
        Reply::Integer(number) => {
            put_u8(out, 2);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Reply::Value(value) => {
            put_u8(out, 3);
            put_bytes(out, value);
        }
        Reply::Values(values) => {
            put_u8(out, 4);
            put_u32(out, u32::try_from(values.len()).expect("an answer is bounded"));
            for value in values {
                put_u8(out, u8::from(value.is_some()));
                value.iter().for_each(|value| put_bytes(out, value));
            }
        }
        Reply::Several(replies) => {
            put_u8(out, SEVERAL);
            put_u32(out, u32::try_from(replies.len()).expect("a transaction has few steps"));
            replies.iter().for_each(|reply| put_reply(out, reply));
        }
        Reply::Failure(failure) => put_u8(
            out,
            match failure {
                Failure::NotAnInteger => 10,
                Failure::Overflow => 11,
                Failure::ValueTooLong => 12,
                Failure::NoSession => 13,
                Failure::StaleSequence => 14,
                Failure::ReadTooLong => 15,
                Failure::WrongType => 16,
                Failure::CollectionTooLong => 17,
            },
        ),
    }
}

/// Reads one message that fills `bytes`.
///
/// # Errors
///
/// When the bytes are not one message.
pub fn decode_message(bytes: &[u8]) -> Result<Message, DecodeError> {
    let mut reader = Reader::new(bytes);
    let term = reader.term()?;
    let body = match reader.u8()? {
        1 => Body::RequestVote {
            ballot: reader.ballot()?,
            last_index: reader.index()?,
            last_term: reader.term()?,
        },
        2 => Body::Vote { pre: reader.flag("pre-vote")?, granted: reader.flag("vote")? },
        3 => Body::Append(reader.append()?),
        4 => Body::Appended {
            request_term: reader.term()?,
            round: reader.counter()?,
            outcome: reader.outcome()?,
        },
        5 => Body::Forward {
            boot: Boot(reader.counter()?),
            request: RequestId(reader.counter()?),
            operation: reader.operation()?,
        },
        6 => Body::Answer {
            boot: Boot(reader.counter()?),
            request: RequestId(reader.counter()?),
            result: reader.result()?,
        },
        7 => Body::Install(Chunk {
            snapshot: reader.snapshot_id()?,
            offset: reader.counter()?,
            total: reader.counter()?,
            checksum: reader.u32()?,
            data: reader.bytes()?,
        }),
        8 => Body::ChunkKept {
            request_term: reader.term()?,
            snapshot: reader.snapshot_id()?,
            offset: reader.counter()?,
        },
        9 => Body::TimeoutNow,
        tag => return Err(DecodeError::UnknownTag { what: "message", tag }),
    };
    reader.end()?;
    Ok(Message { term, body })
}

impl Reader<'_> {
    fn ballot(&mut self) -> Result<VoteKind, DecodeError> {
        match self.u8()? {
            0 => Ok(VoteKind::Pre),
            1 => Ok(VoteKind::Vote),
            2 => Ok(VoteKind::Transfer),
            tag => Err(DecodeError::UnknownTag { what: "ballot", tag }),
        }
    }

    fn snapshot_id(&mut self) -> Result<SnapshotId, DecodeError> {
        Ok(SnapshotId { index: self.index()?, term: self.term()? })
    }

    fn operation(&mut self) -> Result<Operation, DecodeError> {
        Ok(match self.u8()? {
            0 => Operation::Read(self.query()?),
            1 => self.write()?.into(),
            2 => Operation::Admin(Admin::Add { id: NodeId(self.u32()?), address: self.bytes()? }),
            3 => Operation::Admin(Admin::Remove { id: NodeId(self.u32()?) }),
            4 => {
                let to = self.u32()?;
                Operation::Admin(Admin::Transfer { to: (to != 0).then_some(NodeId(to)) })
            }
            5 => Operation::Admin(Admin::Snapshot),
            6 => Operation::StaleRead(self.query()?),
            tag => return Err(DecodeError::UnknownTag { what: "operation", tag }),
        })
    }

    pub(super) fn query(&mut self) -> Result<Query, DecodeError> {
        Ok(match self.u8()? {
            0 => Query::Value(self.bytes()?),
            1 => Query::Values(self.keys()?),
            2 => Query::Count(self.keys()?),
            3 => Query::Expiry(self.bytes()?),
            4 => Query::Type(self.bytes()?),
            5 => {
                let key = self.bytes()?;
                let (first, last) = (self.u64()?.cast_signed(), self.u64()?.cast_signed());
                Query::Range { key, first, last }
            }
            6 => Query::Length(self.bytes()?),
            7 => Query::Members(self.bytes()?),
            8 => Query::Cardinality(self.bytes()?),
            9 => Query::Contains { key: self.bytes()?, member: self.bytes()? },
            tag => return Err(DecodeError::UnknownTag { what: "query", tag }),
        })
    }

    fn append(&mut self) -> Result<Append, DecodeError> {
        let previous_index = self.index()?;
        let previous_term = self.term()?;
        let commit = self.index()?;
        let round = self.counter()?;
        let count = self.u32()?;
        let mut index = previous_index;
        let mut entries = Vec::new();
        for _ in 0..count {
            index = index.next();
            entries.push(self.entry(index)?);
        }
        Ok(Append { previous_index, previous_term, entries, commit, round })
    }

    fn outcome(&mut self) -> Result<AppendOutcome, DecodeError> {
        if !self.flag("outcome")? {
            return Ok(AppendOutcome::Accepted { matched: self.index()? });
        }
        let (previous_index, first_index) = (self.index()?, self.index()?);
        let known = self.flag("conflict")?;
        let conflict_term: Option<Term> = if known { Some(self.term()?) } else { None };
        Ok(AppendOutcome::Rejected { previous_index, conflict_term, first_index })
    }

    pub(super) fn result(&mut self) -> Result<Result<Reply, Refusal>, DecodeError> {
        Ok(Err(match self.u8()? {
            20 => Refusal::NoLeader,
            21 => Refusal::Busy,
            22 => Refusal::Dropped,
            23 => Refusal::ReadFailed,
            24 => Refusal::Uncertain,
            25 => Refusal::Changing,
            26 => Refusal::NotPossible,
            SEVERAL => {
                let count = self.u32()?;
                let reply = |_| {
                    let tag = self.u8()?;
                    self.reply(tag)
                };
                return Ok(Ok(Reply::Several((0..count).map(reply).collect::<Result<_, _>>()?)));
            }
            tag => return self.reply(tag).map(Ok),
        }))
    }

    fn reply(&mut self, tag: u8) -> Result<Reply, DecodeError> {
        Ok(match tag {
            0 => Reply::Ok,
            1 => Reply::Nil,
            2 => Reply::Integer(self.u64()?.cast_signed()),
            3 => Reply::Value(self.bytes()?),
            4 => {
                let count = self.u32()?;
                let value = |_| self.flag("value")?.then(|| self.bytes()).transpose();
                Reply::Values((0..count).map(value).collect::<Result<_, _>>()?)
            }
            10 => Reply::Failure(Failure::NotAnInteger),
            11 => Reply::Failure(Failure::Overflow),
            12 => Reply::Failure(Failure::ValueTooLong),
            13 => Reply::Failure(Failure::NoSession),
            14 => Reply::Failure(Failure::StaleSequence),
            15 => Reply::Failure(Failure::ReadTooLong),
            16 => Reply::Failure(Failure::WrongType),
            17 => Reply::Failure(Failure::CollectionTooLong),
            tag => return Err(DecodeError::UnknownTag { what: "result", tag }),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{decode_record, encode_record};
    use super::*;
    use crate::core::Record;
    use crate::core::log::{Entry, Payload};
    use crate::core::membership::Configuration;
    use crate::core::operation::{Command, Condition, End, Expiry, Step, Write};
    use crate::core::units::{Index, SessionId, Timestamp};

    fn writes() -> Vec<Write> {
        let set = |condition, expiry, get| Command::Set {
            key: "k".into(),
            value: "v".into(),
            condition,
            expiry,
            get,
        };
        let command = set(Condition::Equals("old".into()), Expiry::Never, true);
        let life = Duration::from_millis(70);
        vec![
            Write::Plain(command.clone()),
            Write::Plain(Command::Append { key: "k".into(), suffix: "s".into() }),
            Write::Plain(Command::Delete { keys: vec!["a".into(), "b".into()] }),
            Write::Once { session: SessionId(7), sequence: 8, command },
            Write::Plain(set(Condition::Missing, Expiry::After(life), false)),
            Write::Plain(set(Condition::Exists, Expiry::Kept, true)),
            Write::Plain(set(Condition::Missing, Expiry::Never, false)),
            Write::Plain(Command::SetMany { pairs: vec![("a".into(), "b".into())] }),
            Write::Plain(Command::Take { key: "k".into() }),
            Write::Plain(Command::Add { key: "n".into(), amount: 1 }),
            Write::Plain(Command::Add { key: "n".into(), amount: -7 }),
            Write::Plain(Command::Expire { key: "e".into(), life }),
            Write::Plain(Command::Persist { key: "e".into() }),
            Write::OpenSession,
        ]
        .into_iter()
        .chain(writes_of_elements())
        .collect()
    }

    fn writes_of_elements() -> Vec<Write> {
        let key = || "c".into();
        let words = || vec!["a".into(), "b".into()];
        let commands = vec![
            Command::DeleteIf { key: key(), value: "v".into(), equal: true },
            Command::DeleteIf { key: key(), value: "v".into(), equal: false },
            Command::Push { key: key(), end: End::Front, elements: words() },
            Command::Push { key: key(), end: End::Back, elements: words() },
            Command::Pop { key: key(), end: End::Front, count: None },
            Command::Pop { key: key(), end: End::Back, count: Some(7) },
            Command::AddMembers { key: key(), members: words() },
            Command::RemoveMembers { key: key(), members: words() },
        ];
        let reads = queries().into_iter().map(Step::Read);
        let check = |expected| Step::Check { key: key(), expected };
        let checks = [check(None), check(Some("v".into()))];
        let steps = commands.iter().cloned().map(Step::Write).chain(reads).chain(checks).collect();
        let transaction = Command::Transaction { steps };
        let (session, sequence) = (SessionId(7), 9);
        let retried = Write::Once { session, sequence, command: transaction.clone() };
        commands.into_iter().chain([transaction]).map(Write::Plain).chain([retried]).collect()
    }

    fn queries() -> Vec<Query> {
        vec![
            Query::Value("k".into()),
            Query::Values(vec!["k".into(), "l".into()]),
            Query::Count(vec!["k".into()]),
            Query::Expiry("k".into()),
            Query::Type("k".into()),
            Query::Range { key: "k".into(), first: -2, last: 7 },
            Query::Length("k".into()),
            Query::Members("k".into()),
            Query::Cardinality("k".into()),
            Query::Contains { key: "k".into(), member: "m".into() },
        ]
    }

    fn entries() -> Vec<Entry> {
        let members = Configuration {
            voters: [NodeId(1), NodeId(2)].into(),
            outgoing: Some([NodeId(1), NodeId(3)].into()),
            learners: [NodeId(4)].into(),
            addresses: [(NodeId(4), "somewhere".into())].into(),
        };
        let others = [Payload::Noop, Payload::Configuration(Arc::new(members))];
        let payloads =
            writes().into_iter().map(|write| Payload::Write(Arc::new(write))).chain(others);
        let (term, time) = (Term(3), Timestamp(1234));
        let entry = |(index, payload)| Entry { index: Index(index), term, time, payload };
        (6..).zip(payloads).map(entry).collect()
    }

    fn results() -> Vec<Result<Reply, Refusal>> {
        let values = Reply::Values(vec![Some("v".into()), None]);
        let replies = [Reply::Ok, Reply::Nil, Reply::Integer(-5), Reply::Value("v".into()), values];
        let failed = Reply::Failure(Failure::WrongType);
        let several = Reply::Several(replies.iter().cloned().chain([failed]).collect());
        let failures = [
            Failure::NotAnInteger,
            Failure::Overflow,
            Failure::ValueTooLong,
            Failure::NoSession,
            Failure::StaleSequence,
            Failure::ReadTooLong,
            Failure::WrongType,
            Failure::CollectionTooLong,
        ];
        let refusals = [
            Refusal::NoLeader,
            Refusal::Busy,
            Refusal::Dropped,
            Refusal::ReadFailed,
            Refusal::Uncertain,
            Refusal::Changing,
            Refusal::NotPossible,
        ];
        let replies = replies.into_iter().chain([several]);
        let replies = replies.chain(failures.map(Reply::Failure)).map(Ok);
        replies.chain(refusals.map(Err)).collect()
    }

    fn messages() -> Vec<Message> {
        let mut bodies = vec![
            Body::Vote { pre: true, granted: false },
            Body::Vote { pre: false, granted: true },
            Body::TimeoutNow,
            Body::Append(Append {
                previous_index: Index(5),
                previous_term: Term(2),
                entries: entries(),
                commit: Index(4),
                round: 12,
            }),
        ];
        let snapshot = SnapshotId { index: Index(8), term: Term(3) };
        for ballot in [VoteKind::Pre, VoteKind::Vote, VoteKind::Transfer] {
            let (last_index, last_term) = (Index(9), Term(2));
            bodies.push(Body::RequestVote { ballot, last_index, last_term });
        }
        let (offset, data) = (4096, "piece".into());
        bodies.push(Body::Install(Chunk { snapshot, offset, total: 9000, checksum: 7, data }));
        bodies.push(Body::ChunkKept { request_term: Term(2), snapshot, offset });
        let accepted = AppendOutcome::Accepted { matched: Index(3) };
        let rejected = |conflict_term| AppendOutcome::Rejected {
            previous_index: Index(5),
            conflict_term,
            first_index: Index(2),
        };
        for outcome in [accepted, rejected(None), rejected(Some(Term(2)))] {
            bodies.push(Body::Appended { request_term: Term(1), round: 6, outcome });
        }
        let (boot, request) = (Boot(2), RequestId(77));
        let operations = writes().into_iter().map(Operation::from);
        let admin = [
            Admin::Add { id: NodeId(4), address: "somewhere".into() },
            Admin::Remove { id: NodeId(4) },
            Admin::Transfer { to: None },
            Admin::Transfer { to: Some(NodeId(2)) },
            Admin::Snapshot,
        ];
        let admin = admin.into_iter().map(Operation::Admin);
        let reads = queries();
        let stale = reads.clone().into_iter().map(Operation::StaleRead);
        let reads = reads.into_iter().map(Operation::Read);
        for operation in operations.chain(admin).chain(reads).chain(stale) {
            bodies.push(Body::Forward { boot, request, operation });
        }
        for result in results() {
            bodies.push(Body::Answer { boot, request, result });
        }
        bodies.into_iter().map(|body| Message { term: Term(4), body }).collect()
    }

    #[test]
    fn every_message_survives_the_wire_and_no_prefix_decodes() {
        for message in messages() {
            let mut bytes = Vec::new();
            encode_message(&message, &mut bytes);
            assert_eq!(decode_message(&bytes).as_ref(), Ok(&message));
            for length in 0..bytes.len() {
                assert!(decode_message(&bytes[..length]).is_err(), "{message:?} cut at {length}");
            }
            bytes.push(0);
            assert_eq!(decode_message(&bytes), Err(DecodeError::TooLong(1)));
        }
    }

    #[test]
    fn every_record_survives_the_disk() {
        let appends = messages().into_iter().filter_map(|message| match message.body {
            Body::Append(append) => Some(append.entries),
            _ => None,
        });
        let mut records: Vec<Record> = appends.flatten().map(Record::Append).collect();
        records.extend([
            Record::HardState { term: Term(5), vote: None },
            Record::HardState { term: Term(5), vote: Some(NodeId(3)) },
            Record::Truncate { from: Index(4) },
            Record::Boot(Boot(9)),
            Record::Trim { to: Index(6), term: Term(2) },
        ]);
        for record in records {
            let mut bytes = Vec::new();
            encode_record(&record, &mut bytes);
            assert_eq!(decode_record(&bytes), Ok(record));
        }
    }

    #[test]
    fn transaction_within_a_transaction_is_refused() {
        let inner = Command::Transaction { steps: vec![] };
        let outer = Command::Transaction { steps: vec![Step::Write(inner)] };
        let operation = Operation::from(Write::Plain(outer));
        let (boot, request) = (Boot(2), RequestId(77));
        let nested = Reply::Several(vec![Reply::Several(vec![])]);
        for (body, what) in [
            (Body::Forward { boot, request, operation }, "command"),
            (Body::Answer { boot, request, result: Ok(nested) }, "result"),
        ] {
            let mut bytes = Vec::new();
            encode_message(&Message { term: Term(4), body }, &mut bytes);
            let refused = decode_message(&bytes).expect_err("nested");
            assert!(matches!(refused, DecodeError::UnknownTag { what: w, .. } if w == what));
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_message(&bytes);
            let _ = decode_record(&bytes);
        }
    }
}
