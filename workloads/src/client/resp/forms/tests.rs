//! What a description says of a store's RESP.

use std::time::Duration;

use super::*;
use crate::client::Tables;

/// Redis, where a compare-and-set is a script.
const REDIS: &str = r#"
    [client]
    definite-errors = ["READONLY", "LOADING", "ERR unknown command"]
    operations = ["read", "write", "cas", "release"]
    sessions = false
    cas-answer = "swapped-and-saw"

    [client.commands]
    cas = ["EVAL", "return {1, KEYS[1]} -- {old} {x}", "1", "{key}", "{old}", "{new}"]
    release = ["FREE", "{key}", "by {value}"]
    expire = ["PEXPIRE", "{key}", "{after-ms}", "NX"]
"#;

fn read(text: &str) -> Result<Forms, TableError> {
    let forms: Forms = Tables::of(text)?.take("client")?;
    forms.check()?;
    Ok(forms)
}

fn said(forms: &Forms, invocation: &Invocation) -> Vec<String> {
    let words = forms.command(invocation).expect("a command of its own");
    words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(Bytes::from_static(text.as_bytes()))
}

#[test]
fn without_a_table_all_is_as_raft_node_has_it() {
    let forms = read("").expect("nothing is wrong with nothing");
    assert!(Kind::ALL.into_iter().all(|kind| forms.supports(kind)));
    assert!(forms.has_sessions());
    assert!(forms.is_definite("NOLEADER none is known") && forms.is_definite("ERR"));
    assert!(!forms.is_definite("NOLEADERS") && !forms.is_definite("READONLY no"));
    assert!(forms.command(&Invocation::read("k".into())).is_none());
}

#[test]
fn errors_are_definite_if_the_description_says_so_and_no_others_are() {
    let forms = read(REDIS).expect("well described");
    for definite in ["READONLY You can't", "LOADING", "ERR unknown command 'X'"] {
        assert!(forms.is_definite(definite), "{definite}");
    }
    for open in ["ERR", "ERR unknown", "NOLEADER", "READONLYX no", "readonly"] {
        assert!(!forms.is_definite(open), "{open}");
    }
}

#[test]
fn commands_of_the_description_hold_what_is_asked_for() {
    let forms = read(REDIS).expect("well described");
    let cas = Invocation::cas("k{new}".into(), 3.into(), "a {key}".into());
    let words = ["EVAL", "return {1, KEYS[1]} -- 3 {x}", "1", "k{new}", "3", "a {key}"];
    assert_eq!(said(&forms, &cas), words);
    let release = Invocation::of(Kind::Release, "k".into(), "me".into());
    assert_eq!(said(&forms, &release), ["FREE", "k", "by me"]);
    let expire = Invocation::expire("k".into(), Duration::from_millis(30));
    assert_eq!(said(&forms, &expire), ["PEXPIRE", "k", "30", "NX"]);
    assert!(forms.supports(Kind::Cas) && !forms.supports(Kind::Expire));
    assert!(!forms.has_sessions());
}

#[test]
fn a_compare_and_set_is_read_as_the_description_says() {
    let with = |answer: &str| read(&format!("[client]\ncas-answer = \"{answer}\"")).expect("right");
    let expected = Value::from(3);
    let both = |swapped, saw| Reply::Array(vec![Reply::Integer(swapped), saw]);
    let cases = [
        ("saw", bulk("3"), Some(Completion::Swapped)),
        ("saw", bulk("03"), Some(mismatch(Some("03".into())))),
        ("saw", Reply::Integer(1), None),
        ("swapped", Reply::Integer(1), Some(Completion::Swapped)),
        ("swapped", Reply::Simple(Bytes::from_static(b"OK")), Some(Completion::Swapped)),
        ("swapped", Reply::Integer(0), Some(mismatch(None))),
        ("swapped", Reply::Null, Some(mismatch(None))),
        ("swapped", bulk("3"), None),
        ("swapped-and-saw", both(1, bulk("3")), Some(Completion::Swapped)),
        ("swapped-and-saw", both(0, bulk("4")), Some(mismatch(Some(4.into())))),
        ("swapped-and-saw", both(0, Reply::Null), Some(mismatch(Some(Value::Null)))),
        // It cannot have swapped what was not there.
        ("swapped-and-saw", both(1, bulk("4")), None),
        ("swapped-and-saw", both(2, bulk("3")), None),
        ("swapped-and-saw", Reply::Array(vec![Reply::Integer(1)]), None),
    ];
    for (answer, reply, completion) in cases {
        assert_eq!(with(answer).cas(&expected, &reply), completion, "{answer} {reply:?}");
    }
}

#[test]
fn what_makes_no_sense_is_named_with_its_line() {
    let cases = [
        ("definite-errors = [\"-ERR\"]", 2, "without the hyphen"),
        ("operations = [\"read\",\n\"swap\"]", 3, "no operation `swap`; expected read, write, cas"),
        ("cas-answer = \"found\"", 2, "unknown variant `found`, expected one of `saw`, `swapped`"),
        ("definite-error = []", 2, "unknown field `definite-error`, expected one of"),
        ("[client.commands]\nwrite = []", 3, "an empty command"),
        ("[client.commands]\nget = [\"GET\"]", 3, "no operation `get`"),
        ("[client.commands]\nwrite = [\"SET\", \"{key}\"]", 3, "`write` lacks {value}"),
        ("[client.commands]\ntransaction = [\"X\"]", 3, "more than one command"),
    ];
    for (table, line, expected) in cases {
        let text = format!("[client]\n{table}\n");
        let error = read(&text).expect_err(table);
        assert!(error.to_string().contains(expected), "{table}\n{error}");
        assert_eq!(error.line(&text), line, "{table}");
    }
}
