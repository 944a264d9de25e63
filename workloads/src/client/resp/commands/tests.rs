//! What commands are and what replies mean.

use std::time::Duration;

use super::super::super::encoding::WHOLE_VALUE;
use super::*;

fn error(message: &str) -> Reply {
    Reply::Error(message.to_owned().into())
}

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(Bytes::from_static(text.as_bytes()))
}

fn simple(text: &'static str) -> Reply {
    Reply::Simple(Bytes::from_static(text.as_bytes()))
}

fn command(invocation: &Invocation) -> Option<Vec<Bytes>> {
    super::command(&Forms::default(), invocation)
}

fn interpret(invocation: &Invocation, reply: &Reply) -> Result<Completion, ProtocolViolation> {
    super::interpret(&Forms::default(), invocation, reply)
}

fn completed(invocation: &Invocation, reply: &Reply) -> Completion {
    interpret(invocation, reply).expect("a reply that there is")
}

#[test]
fn an_error_is_definite_only_if_its_word_is_known_to_be() {
    let write = Invocation::write("k".into(), 1.into());
    let definite = completed(&write, &error("NOLEADER no leader is known"));
    assert!(matches!(definite, Completion::Fail(_)));
    let open = completed(&write, &error("UNCERTAIN the leader was lost"));
    assert!(matches!(open, Completion::Unknown(_)));
    let unheard_of = completed(&write, &error("TIMEDOUT perhaps"));
    assert!(matches!(unheard_of, Completion::Unknown(_)));
}

#[test]
fn a_read_that_got_an_error_certainly_changed_nothing() {
    let read = Invocation::read("k".into());
    assert!(matches!(completed(&read, &error("UNCERTAIN lost")), Completion::Fail(_)));
}

#[test]
fn a_swap_tells_what_it_saw() {
    let cas = Invocation::cas("k".into(), 1.into(), 2.into());
    assert_eq!(completed(&cas, &bulk("1")), Completion::Swapped);
    assert_eq!(completed(&cas, &bulk("7")), Completion::Mismatch { saw: Some(7.into()) });
    assert_eq!(completed(&cas, &Reply::Null), Completion::Mismatch { saw: Some(Value::Null) });
    assert_eq!(completed(&cas, &bulk("01")), Completion::Mismatch { saw: Some("01".into()) });
}

#[test]
fn an_expiry_stays_open_since_nobody_tells_when_it_happens() {
    let expiry = Invocation::expire("k".into(), Duration::from_millis(30));
    assert_eq!(command(&expiry).map(|words| words.concat()), Some(b"PEXPIREk30".to_vec()));
    assert_eq!(completed(&expiry, &Reply::Integer(1)), Completion::Scheduled);
    assert!(matches!(completed(&expiry, &Reply::Integer(0)), Completion::Refused(_)));
    let delete = Invocation::delete("k".into());
    assert_eq!(completed(&delete, &Reply::Integer(0)), Completion::Done);
}

#[test]
fn an_append_is_done_once_its_length_is_told() {
    let append = Invocation::append("k".into(), "7,".into());
    assert_eq!(command(&append).map(|words| words.concat()), Some(b"APPENDk7,".to_vec()));
    assert_eq!(completed(&append, &Reply::Integer(12)), Completion::Done);
    let write = Invocation::write("k".into(), "a \"b\"\n".into());
    assert_eq!(command(&write).map(|words| words.concat()), Some(b"SETka \"b\"\n".to_vec()));
    interpret(&append, &Reply::Integer(1)).expect_err("shorter than what was appended");
    let read = Invocation::read("k".into());
    assert_eq!(completed(&read, &bulk("6,7,")), Completion::Answered("6,7,".into()));
}

#[test]
fn a_value_is_an_integer_only_as_it_was_written() {
    let read = Invocation::read("k".into());
    let value = |text| match completed(&read, &bulk(text)) {
        Completion::Answered(value) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(value("17"), Value::Integer(17));
    assert_eq!(value("-17"), Value::Integer(-17));
    for other in ["017", "+17", " 17", "17 ", "17.0", "-0", "0x11", "17\n", "", "1e1", "١٧"] {
        assert_eq!(value(other), Value::text(other), "{other}");
    }
}

#[test]
fn a_value_that_no_client_can_have_written_is_told_in_short() {
    let read = Invocation::read("k".into());
    let of = |bytes: Vec<u8>| match completed(&read, &Reply::Bulk(bytes.into())) {
        Completion::Answered(Value::Text(text)) => text.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(of(vec![0xff, 0, 0xfe]), r"\xff\x00\xfe");
    let long = of(vec![b'A'; WHOLE_VALUE + 1]);
    assert!(long.starts_with("AAAA") && long.len() < 150, "{long}");
    assert_ne!(long, of(vec![b'A'; WHOLE_VALUE + 2]));
    assert_eq!(of(vec![b'A'; WHOLE_VALUE]).len(), WHOLE_VALUE);
}

#[test]
fn a_reply_of_the_wrong_kind_is_against_the_protocol() {
    let read = Invocation::read("k".into());
    let write = Invocation::write("k".into(), 1.into());
    let cas = Invocation::cas("k".into(), 1.into(), 2.into());
    let delete = Invocation::delete("k".into());
    let cases = [
        (&read, Reply::Integer(17)),
        (&read, simple("17")),
        (&read, Reply::Array(vec![bulk("17")])),
        (&read, Reply::NullArray),
        (&write, Reply::Integer(1)),
        (&write, simple("QUEUED")),
        (&write, bulk("OK")),
        (&write, Reply::Null),
        (&cas, simple("OK")),
        (&cas, Reply::Integer(1)),
        (&delete, Reply::Integer(2)),
        (&delete, bulk("1")),
    ];
    for (invocation, reply) in cases {
        let violation = interpret(invocation, &reply).expect_err("no such reply");
        assert!(violation.what.contains(invocation.kind.name()), "{violation:?}");
        assert!(violation.what.ends_with(reply.kind()), "{violation:?}");
    }
}

#[test]
fn a_swap_from_nothing_cannot_be_expressed() {
    assert!(command(&Invocation::cas("k".into(), Value::Null, 2.into())).is_none());
}

#[test]
fn each_kind_has_its_command_and_its_answers() {
    let items = || Reply::Array(vec![bulk("7"), bulk("x")]);
    let list = Value::list([7.into(), "x".into()]);
    let truth = |truth| Completion::Answered(Value::Bool(truth));
    let cases = [
        (Kind::Increment, "INCRBY k 7", Reply::Integer(-3), Completion::Done),
        (Kind::AddElement, "SADD k 7", Reply::Integer(1), truth(true)),
        (Kind::RemoveElement, "SREM k 7", Reply::Integer(0), truth(false)),
        (Kind::HasElement, "SISMEMBER k 7", Reply::Integer(1), truth(true)),
        (Kind::ReadElements, "SMEMBERS k", items(), Completion::Answered(list)),
        (Kind::Enqueue, "RPUSH k 7", Reply::Integer(1), Completion::Done),
        (Kind::Push, "LPUSH k 7", Reply::Integer(4), Completion::Done),
        (Kind::Dequeue, "LPOP k", bulk("7"), Completion::Answered(7.into())),
        (Kind::Pop, "LPOP k", Reply::Null, Completion::Answered(Value::Null)),
        (Kind::Acquire, "SET k 7 NX", simple("OK"), Completion::Done),
        (Kind::Release, "DELIFEQ k 7", Reply::Integer(1), Completion::Done),
    ];
    for (kind, words, reply, expected) in cases {
        let invocation = Invocation::of(kind, "k".into(), 7.into());
        let said = command(&invocation).expect("a command").join(&b' ');
        assert_eq!(String::from_utf8_lossy(&said), words);
        assert_eq!(completed(&invocation, &reply), expected, "{kind}");
        interpret(&invocation, &simple("QUEUED")).expect_err("no such reply");
    }
}

#[test]
fn a_lock_that_is_held_by_another_refuses_for_certain() {
    let refused = |kind, reply| {
        let invocation = Invocation::of(kind, "k".into(), "owner 1".into());
        matches!(completed(&invocation, &reply), Completion::Refused(_))
    };
    assert!(refused(Kind::Acquire, Reply::Null));
    assert!(refused(Kind::Release, Reply::Integer(0)));
}
