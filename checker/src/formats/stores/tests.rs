//! Small histories of both stores, right and wrong.

use crate::formats::{Format, ReadOptions, read};
use crate::objects::{ObjectKind, ObjectOptions, check, verify};
use crate::{Value, Verdict};

/// What a history in these lines is told to be, and the verdict on it.
fn judge(lines: &[String]) -> Result<(Option<Format>, Verdict), String> {
    let text = lines.join("\n");
    let read = read("file", text.as_bytes(), &ReadOptions::default());
    let read = read.map_err(|error| error.to_string())?;
    let kind = ObjectKind::told_by(&read.history).expect("an object");
    let options = ObjectOptions { kind, initial: Value::Null, memory: 16 << 20 };
    let (analysis, certificate) = check(&read.history, &options, &|| false);
    if let Some(certificate) = certificate {
        verify(&read.history, &certificate, &options, &|| false).expect("a proof");
    }
    Ok((read.reading.format, analysis.verdict))
}

/// One after the other: request, answer, and an error or none.
fn etcd(operations: &[(&str, &str)]) -> Vec<String> {
    let line = |(place, (input, output)): (usize, &(&str, &str))| {
        let rest = r#""LeaseRevoke": null, "Defragment": null"#;
        let lease = if input.contains("LeaseGrant") { "" } else { r#""LeaseGrant": null, "# };
        let answer = if output.contains("\"Error\"") { "" } else { r#", "Error": """# };
        format!(
            r#"{{"ClientId": 3, "Input": {{{input}, {lease}{rest}}}, "Call": {}, "Output": {{{output}{answer}}}, "Return": {}}}"#,
            place * 10,
            place * 10 + 5
        )
    };
    operations.iter().enumerate().map(line).collect()
}

const GET: &str =
    r#""Type": "range", "Range": {"Start": "b", "End": "", "Limit": 0, "Revision": 0}"#;
const ALL: &str =
    r#""Type": "range", "Range": {"Start": "a", "End": "c", "Limit": 1, "Revision": 0}"#;

fn got(keys: &str, count: u32, revision: u32) -> String {
    format!(r#""Range": {{"KVs": [{keys}], "Count": {count}}}, "Revision": {revision}"#)
}

fn key(name: &str, value: &str, changed_in: u32) -> String {
    format!(
        r#"{{"Key": "{name}", "Value": {{"Value": "{value}", "Hash": 0}}, "ModRevision": {changed_in}}}"#
    )
}

/// A put into `b` if it was last changed in that revision, with this lease.
fn put(value: &str, expected: u32, lease: u32) -> String {
    format!(
        r#""Type": "txn", "Txn": {{"Conditions": [{{"Key": "b", "ExpectedRevision": {expected}}}], "OperationsOnSuccess": [{{"Type": "put-operation", "Put": {{"Key": "b", "Value": {{"Value": "{value}", "Hash": 0}}, "LeaseID": {lease}}}}}], "OperationsOnFailure": null}}"#
    )
}

fn was_put(revision: u32) -> String {
    format!(
        r#""Txn": {{"Failure": false, "Results": [{{"KVs": null, "Count": 0, "Deleted": 0}}]}}, "Revision": {revision}"#
    )
}

fn was_not_put(revision: u32) -> String {
    // Both forms are met.
    let results = if revision == 2 { r#"{"KVs": null, "Count": 0, "Deleted": 0}"# } else { "" };
    format!(r#""Txn": {{"Failure": true, "Results": [{results}]}}, "Revision": {revision}"#)
}

#[test]
fn a_whole_store_is_checked_with_its_revisions() {
    let (put, was, got, key) = (&put, &was_put, &got, &key);
    let valid = Ok((Some(Format::EtcdOperations), Verdict::Valid));
    let violation = Ok((Some(Format::EtcdOperations), Verdict::Violation));
    let lost = r#""Txn": null, "Revision": 0, "Error": "timeout""#.to_owned();
    for (operations, expected) in [
        (vec![(put("x", 0, 0), was(2)), (GET.to_owned(), got(&key("b", "x", 2), 1, 2))], &valid),
        // A change is one greater, not two.
        (vec![(put("x", 0, 0), was(3))], &violation),
        // The value of before.
        (vec![(put("x", 0, 0), was(2)), (GET.to_owned(), got("", 0, 2))], &violation),
        (vec![(put("x", 0, 0), was(2)), (GET.to_owned(), got("", 0, 1))], &violation),
        // The condition held, or not.
        (vec![(put("x", 0, 0), was(2)), (put("y", 0, 0), was_not_put(2))], &valid),
        (vec![(put("x", 0, 0), was(2)), (put("y", 2, 0), was_not_put(2))], &violation),
        (vec![(put("x", 0, 0), was(2)), (put("y", 0, 0), was(3))], &violation),
        // Nobody knows of the second; it may have been done, but not another.
        (
            vec![
                (put("x", 0, 0), was(2)),
                (put("y", 2, 0), lost.clone()),
                (GET.to_owned(), got(&key("b", "y", 3), 1, 3)),
            ],
            &valid,
        ),
        (
            vec![
                (put("x", 0, 0), was(2)),
                (put("y", 1, 0), lost),
                (GET.to_owned(), got(&key("b", "y", 3), 1, 3)),
            ],
            &violation,
        ),
        (vec![(put("x", 0, 0), was(2)), (ALL.to_owned(), got(&key("b", "x", 2), 1, 2))], &valid),
        (
            vec![(put("x", 0, 0), was(2)), (ALL.to_owned(), got(&key("b", "x", 2), 2, 2))],
            &violation,
        ),
    ] {
        let operations: Vec<(&str, &str)> =
            operations.iter().map(|(input, output)| (&**input, &**output)).collect();
        assert_eq!(&judge(&etcd(&operations)), expected, "{operations:?}");
    }
}

#[test]
fn a_lease_takes_its_keys_along() {
    let grant = r#""Type": "leaseGrant", "LeaseGrant": {"LeaseID": 9}"#;
    let mut lines = etcd(&[
        (grant, r#""LeaseGrant": {}, "Revision": 1"#),
        (&put("x", 0, 9), &was_put(2)),
        (GET, &got("", 0, 3)),
    ]);
    let revoke = r#"{"ClientId": 3, "Input": {"Type": "leaseRevoke", "LeaseRevoke": {"LeaseID": 9}}, "Call": 16, "Output": {"LeaseRevoke": {}, "Revision": 3}, "Return": 18}"#;
    let valid = Ok((Some(Format::EtcdOperations), Verdict::Valid));
    let violation = Ok((Some(Format::EtcdOperations), Verdict::Violation));
    assert_eq!(judge(&lines), violation, "nobody revoked it");
    lines.push(revoke.to_owned());
    assert_eq!(judge(&lines), valid);
}

#[test]
fn what_may_mean_something_is_refused_with_its_line() {
    let lines = etcd(&[(&put("x", 0, 0), &was_put(2)), (GET, &got("", 0, 2))]);
    let changed = |from: &str, to: &str| judge(&[lines[0].clone(), lines[1].replace(from, to)]);
    for (from, to, said) in [
        ("\"Limit\"", "\"Serializable\": true, \"Limit\"", "unknown field `Serializable`"),
        ("\"range\"", "\"watch\"", "unknown variant `watch`"),
        ("\"Return\": 15", "\"Return\": 9", "`Return` not to be before `Call`"),
        ("\"Range\": {\"KVs\"", "\"Txn\": {\"KVs\"", "unknown field `KVs`"),
    ] {
        let error = changed(from, to).expect_err(said);
        assert!(error.contains("file:2") && error.contains(said), "{error}");
    }
}

fn s2(events: &[(u32, u32, &str)]) -> Vec<String> {
    let line = |(operation, client, event): &(u32, u32, &str)| {
        format!(r#"{{"event":{{{event}}},"client_id":{client},"op_id":{operation}}}"#)
    };
    events.iter().map(line).collect()
}

/// The start of an append of one record, on these conditions.
fn append(token: &str, tail: &str) -> String {
    format!(
        r#""Start":{{"Append":{{"num_records":1,"record_hashes":[18446744073709551615],"set_fencing_token":null,"fencing_token":{token},"match_seq_num":{tail}}}}}"#
    )
}

#[test]
fn a_stream_is_checked_with_its_conditions_and_hashes() {
    let free = append("null", "null");
    let done = |tail: u32| format!(r#""Finish":{{"AppendSuccess":{{"tail":{tail}}}}}"#);
    let read = r#""Start":"Read""#;
    // XXH3 of eight bytes of ones, with seed 0.
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(&u64::MAX.to_le_bytes(), 0);
    let saw = |tail: u32, hash: u64| {
        format!(r#""Finish":{{"ReadSuccess":{{"tail":{tail},"stream_hash":{hash}}}}}"#)
    };
    let check = r#""Start":"CheckTail""#;
    let tail = |tail: u32| format!(r#""Finish":{{"CheckTailSuccess":{{"tail":{tail}}}}}"#);
    let lost = r#""Finish":"AppendIndefiniteFailure""#;
    let refused = r#""Finish":"AppendDefiniteFailure""#;
    for (events, expected) in [
        (vec![(1, &*free), (1, &done(1)), (2, read), (2, &saw(1, hash))], Verdict::Valid),
        (vec![(1, &free), (1, &done(1)), (2, read), (2, &saw(1, hash + 1))], Verdict::Violation),
        (vec![(1, &free), (1, &done(1)), (2, read), (2, &saw(0, 0))], Verdict::Violation),
        (vec![(1, &free), (1, &done(2))], Verdict::Violation),
        // Both at once cannot have made it 1 long.
        (vec![(1, &free), (2, &free), (1, &done(1)), (2, &done(1))], Verdict::Violation),
        (vec![(1, &append("null", "0")), (1, &done(1))], Verdict::Valid),
        (vec![(1, &append("null", "1")), (1, &done(1))], Verdict::Violation),
        (vec![(1, &append("\"t\"", "null")), (1, &done(1))], Verdict::Violation),
        (vec![(1, &free), (1, lost), (2, check), (2, &tail(1))], Verdict::Valid),
        (
            vec![(1, &free), (1, lost), (2, check), (2, &tail(0)), (3, check), (3, &tail(1))],
            Verdict::Valid,
        ),
        (vec![(1, &append("null", "7")), (1, lost), (2, check), (2, &tail(1))], Verdict::Violation),
        (vec![(1, &free), (1, refused), (2, check), (2, &tail(1))], Verdict::Violation),
        (vec![(1, &free), (2, check), (2, &tail(1))], Verdict::Valid),
    ] {
        let events: Vec<(u32, u32, &str)> =
            events.iter().map(|(operation, event)| (*operation, *operation, *event)).collect();
        assert_eq!(judge(&s2(&events)), Ok((Some(Format::S2), expected)), "{events:?}");
    }
}

#[test]
fn an_operation_ends_once_and_as_it_began() {
    let free = append("null", "null");
    for (events, said) in [
        (vec![(1, 1, &*free), (1, 2, r#""Finish":"AppendDefiniteFailure""#)], "client 1's"),
        (vec![(1, 1, &free), (1, 1, r#""Finish":"ReadFailure""#)], "what began as Append"),
        (vec![(1, 1, &free), (2, 1, r#""Finish":"ReadFailure""#)], "an operation that is open"),
        (vec![(1, 1, &free), (1, 2, &free)], "has not begun yet"),
        (vec![(1, 1, &free), (1, 1, r#""Finish":"Lost""#)], "unknown variant `Lost`"),
    ] {
        let error = judge(&s2(&events)).expect_err(said);
        assert!(error.contains("file:2") && error.contains(said), "{error}");
    }
}

#[test]
fn a_file_that_ends_within_a_line_is_cut_there() {
    let lines = etcd(&[(&put("x", 0, 0), &was_put(2)), (GET, &got("", 0, 2))]);
    let text = lines.join("\n");
    let read = read("file", &text.as_bytes()[..text.len() - 7], &ReadOptions::default());
    let read = read.expect("the first line is whole");
    assert_eq!(read.reading.cut.map(|cut| (cut.line, cut.events)), Some((2, 1)));
    assert_eq!(read.history.operations.len(), 1);
}
