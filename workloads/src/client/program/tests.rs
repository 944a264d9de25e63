//! What programs may say, and what becomes of operations if they say something else.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};

use super::*;
use partita_checker::Value;

use crate::client::{BoxStream, Limits};
use crate::operation::{Completion, Invocation};

const HELLO: &str =
    r#"{"format":1,"operations":["read","write","cas","delete","acquire","status"]}"#;

const DESCRIPTION: &str = r#"
    [client]
    command = ["python3", "mine.py", "{ip}:{port}", "{node}"]
    files = ["mine.py"]
    operations = ["read", "write", "cas", "delete", "acquire"]
"#;

fn described(text: &str) -> Result<Arc<dyn Protocol>, TableError> {
    (ENTRY.open)(&mut Tables::of(text)?)
}

fn endpoint() -> Endpoint {
    Endpoint { node: "n1".into(), address: ([198, 18, 0, 1], 4000).into() }
}

/// A dial to programs that say `hello` and answer each request by `answer`, and how many were started.
fn programs(
    hello: &'static str,
    answer: impl Fn(Json) -> String + Send + Sync + 'static,
) -> (Dial, Arc<AtomicUsize>) {
    let started = Arc::new(AtomicUsize::new(0));
    let (count, answer) = (Arc::clone(&started), Arc::new(answer));
    let dial: Dial = Arc::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let (near, far) = duplex(1 << 16);
        tokio::spawn(speak(far, hello, Arc::clone(&answer)));
        Box::pin(async { Ok(Box::new(near) as BoxStream) })
    });
    (dial, started)
}

async fn speak(
    stream: DuplexStream,
    hello: &'static str,
    answer: Arc<impl Fn(Json) -> String + Send + Sync>,
) {
    let (read, mut write) = tokio::io::split(stream);
    if write.write_all(format!("{hello}\n").as_bytes()).await.is_err() {
        return;
    }
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let said = answer(serde_json::from_str(&line).expect("a request in JSON"));
        if said == "end" || write.write_all(said.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn client(dial: &Dial, reply: Duration) -> Box<dyn Client> {
    let limits = Limits { connect: Duration::from_millis(20), reply };
    let options = ClientOptions { limits, retry: RetryPolicy::Never };
    described(DESCRIPTION).expect("well described").client(&endpoint(), dial, options)
}

const LONG: Duration = Duration::from_secs(20);

/// What comes of `invocation` if the program answers with these members besides the id.
async fn completed(invocation: &Invocation, answer: Json) -> (Completion, Vec<String>) {
    let (dial, _) = programs(HELLO, move |request| {
        let mut answer = answer.clone();
        answer["id"] = request["id"].clone();
        format!("{answer}\n")
    });
    let mut client = client(&dial, LONG);
    let completion = client.invoke(invocation).await;
    (completion, client.protocol_violations().into_iter().map(|it| it.what).collect())
}

fn key() -> partita_checker::Value {
    "k1".into()
}

#[tokio::test]
async fn a_request_names_the_operation_its_operands_and_its_limit() {
    let asked: Arc<Mutex<Vec<Json>>> = Arc::default();
    let seen = Arc::clone(&asked);
    let (dial, started) = programs(HELLO, move |request| {
        let id = request["id"].clone();
        seen.lock().expect("no panic").push(request);
        json!({ "id": id, "ok": { "value": 1, "swapped": true, "done": true } }).to_string() + "\n"
    });
    let mut client = client(&dial, Duration::from_secs(1));
    for invocation in [
        Invocation::cas(key(), 3.into(), 4.into()),
        Invocation::write(key(), "a\n\"b\"".into()),
        Invocation::read(key()),
    ] {
        let completion = client.invoke(&invocation).await;
        assert!(completion.is_answer(), "{completion:?}");
    }
    let asked = asked.lock().expect("no panic").clone();
    let expected = [
        json!({ "id": 1, "op": "cas", "key": "k1", "old": 3, "new": 4, "limit-ms": 1000 }),
        json!({ "id": 2, "op": "write", "key": "k1", "value": "a\n\"b\"", "limit-ms": 1000 }),
        json!({ "id": 3, "op": "read", "key": "k1", "limit-ms": 1000 }),
    ];
    assert_eq!(asked, expected);
    assert_eq!(started.load(Ordering::Relaxed), 1, "one process for all");
}

#[tokio::test]
async fn answers_mean_what_they_say() {
    let (read, write) = (Invocation::read(key()), Invocation::write(key(), 7.into()));
    let cas = Invocation::cas(key(), 3.into(), 4.into());
    let acquire = Invocation::of(Kind::Acquire, key(), "me".into());
    let mismatch = |saw| Completion::Mismatch { saw };
    let cases = [
        (&read, json!({ "ok": { "value": 17 } }), Completion::Answered(17.into())),
        // A store gives a text for what was written as a number.
        (&read, json!({ "ok": { "value": "17" } }), Completion::Answered(17.into())),
        (&read, json!({ "ok": { "value": "017" } }), Completion::Answered("017".into())),
        (&read, json!({ "ok": { "value": 17.5 } }), Completion::Answered("17.5".into())),
        (&read, json!({ "ok": { "value": null } }), Completion::Answered(Value::Null)),
        (&read, json!({ "unknown": "lost" }), Completion::Fail("lost".into())),
        (&write, json!({ "ok": {} }), Completion::Done),
        (&write, json!({ "unknown": "lost" }), Completion::Unknown("lost".into())),
        (&write, json!({ "fail": "no leader" }), Completion::Fail("no leader".into())),
        (&cas, json!({ "ok": { "swapped": true } }), Completion::Swapped),
        (&cas, json!({ "ok": { "swapped": true, "saw": 3 } }), Completion::Swapped),
        (&cas, json!({ "ok": { "swapped": false } }), mismatch(None)),
        (&cas, json!({ "ok": { "swapped": false, "saw": null } }), mismatch(Some(Value::Null))),
        (&acquire, json!({ "ok": { "done": true } }), Completion::Done),
        (
            &acquire,
            json!({ "ok": { "done": false } }),
            Completion::Refused("the lock is held".into()),
        ),
    ];
    for (invocation, answer, expected) in cases {
        let (completion, violations) = completed(invocation, answer.clone()).await;
        assert_eq!(completion, expected, "{answer}");
        assert!(violations.is_empty(), "{answer} {violations:?}");
    }
}

#[tokio::test]
async fn an_answer_of_another_form_is_a_violation_and_tells_nothing() {
    let (read, write) = (Invocation::read(key()), Invocation::write(key(), 7.into()));
    let cas = Invocation::cas(key(), 3.into(), 4.into());
    let cases = [
        (&read, json!({ "ok": {} })),
        (&read, json!({ "ok": { "value": true } })),
        (&read, json!({ "ok": { "value": [1] } })),
        (&write, json!({ "ok": true })),
        (&write, json!({ "ok": {}, "fail": "both" })),
        (&write, json!({ "done": true })),
        (&write, json!({ "fail": 7 })),
        (&cas, json!({ "ok": { "saw": 3 } })),
        (&cas, json!({ "ok": { "swapped": 1 } })),
        // It cannot have swapped what was not there.
        (&cas, json!({ "ok": { "swapped": true, "saw": 9 } })),
    ];
    for (invocation, answer) in cases {
        let (completion, violations) = completed(invocation, answer.clone()).await;
        assert!(matches!(completion, Completion::Unknown(_)), "{answer} {completion:?}");
        assert_eq!(violations.len(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_program_that_babbles_or_ends_is_started_again() {
    type Saying = fn(Json) -> String;
    let cases: [(&str, Saying, bool); 7] = [
        ("no JSON", |_| "hello\n".to_owned(), true),
        (
            "another id",
            |request| format!("{{\"id\":{},\"ok\":{{}}}}\n", request["id"].as_u64().unwrap() + 1),
            true,
        ),
        ("no id", |_| "{\"ok\":{}}\n".to_owned(), true),
        (
            "two answers",
            |request| {
                format!("{{\"id\":{0},\"ok\":{{}}}}\n{{\"id\":{0},\"ok\":{{}}}}\n", request["id"])
            },
            true,
        ),
        ("an endless line", |_| "x".repeat((1 << 20) + 2), true),
        ("an end", |_| "end".to_owned(), false),
        ("silence", |_| String::new(), false),
    ];
    for (what, answer, is_violation) in cases {
        let (dial, started) = programs(HELLO, answer);
        let mut client = client(&dial, Duration::from_millis(80));
        for _ in 0..2 {
            let completion = client.invoke(&Invocation::write(key(), 7.into())).await;
            assert!(matches!(completion, Completion::Unknown(_)), "{what}: {completion:?}");
        }
        let violations = client.protocol_violations();
        assert_eq!(violations.len(), if is_violation { 2 } else { 0 }, "{what}: {violations:?}");
        assert_eq!(started.load(Ordering::Relaxed), 2, "{what}");
    }
}

#[tokio::test]
async fn nothing_is_asked_of_a_program_whose_greeting_is_wrong() {
    let cases = [
        ("hello", "no greeting in JSON"),
        (r#"{"operations":["read"]}"#, "without `format`"),
        (r#"{"format":2,"operations":["read"]}"#, "another format than 1"),
        (r#"{"format":1}"#, "without a list of `operations`"),
        (r#"{"format":1,"operations":["read","write","cas"]}"#, "without `delete`"),
    ];
    for (hello, expected) in cases {
        let (dial, _) = programs(hello, |_| panic!("nothing is asked"));
        let mut client = client(&dial, LONG);
        let completion = client.invoke(&Invocation::write(key(), 7.into())).await;
        let Completion::Fail(why) = &completion else { panic!("{hello}: {completion:?}") };
        assert!(why.contains(expected), "{hello}: {why}");
        assert_eq!(client.protocol_violations().len(), 1, "{hello}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_has_done_nothing() {
    let dial: Dial = Arc::new(|_| Box::pin(async { Err(std::io::ErrorKind::NotFound.into()) }));
    let completion = client(&dial, LONG).invoke(&Invocation::write(key(), 7.into())).await;
    assert!(matches!(completion, Completion::Fail(_)), "{completion:?}");
}

async fn status_of(description: &str, answer: Json) -> Result<crate::client::Status, String> {
    let (dial, _) = programs(HELLO, move |request| {
        let mut answer = answer.clone();
        answer["id"] = request["id"].clone();
        format!("{answer}\n")
    });
    let protocol = described(description).expect("well described");
    let mut probe = protocol.probe(&endpoint(), &dial, LONG).expect("a probe");
    probe.status().await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_status_is_what_the_program_says_or_whether_a_read_is_answered() {
    let with_status = DESCRIPTION.replace("\"acquire\"", "\"status\"");
    let told = json!({ "ok": { "role": "leader", "term": 3, "commit-index": 9 } });
    let status = status_of(&with_status, told).await.expect("a status");
    assert!(status.leads());
    assert_eq!((status.term, status.commit_index, status.applied_index), (Some(3), Some(9), None));
    for (answer, expected) in [
        (json!({ "ok": { "ready": false } }), "not ready"),
        (json!({ "ok": { "term": "high" } }), "`term` of the status is no number"),
        (json!({ "fail": "no peer" }), "no peer"),
    ] {
        let error = status_of(&with_status, answer).await.expect_err("no status");
        assert!(error.contains(expected), "{error}");
    }
    let read = status_of(DESCRIPTION, json!({ "ok": { "value": null } })).await;
    assert_eq!(read, Ok(crate::client::Status::default()));
    status_of(DESCRIPTION, json!({ "fail": "no quorum" })).await.expect_err("not ready");
}

#[test]
fn a_description_says_what_is_started_and_what_it_can() {
    let protocol = described(DESCRIPTION).expect("well described");
    let program = protocol.program().expect("a program");
    assert_eq!(program.command_line(&endpoint()), ["python3", "mine.py", "198.18.0.1:4000", "n1"]);
    assert_eq!(program.files, ["mine.py"]);
    assert!(protocol.supports(Kind::Acquire) && !protocol.supports(Kind::Append));
    let usual = described("[client]\ncommand = [\"x\"]").expect("well described");
    assert!(usual.supports(Kind::Cas) && !usual.supports(Kind::Acquire));
}

#[test]
fn a_description_that_makes_no_sense_is_answered_with_its_line() {
    let cases = [
        ("", 1, "names no program; expected `command`"),
        ("[client]\ncommand = []", 2, "an empty command"),
        (
            "[client]\ncommand = [\"x\", \"{addr}\"]",
            2,
            "expected {node}, {ip}, {port}, {port.NAME} or none",
        ),
        ("[client]\ncommand = [\"x\"]\nfiles = [\"../x\"]", 3, "`../x` is no file beside"),
        ("[client]\ncommand = [\"x\"]\noperations = [\"swap\"]", 3, "no operation `swap`"),
        ("[client]\nprogram = [\"x\"]", 2, "unknown field `program`"),
    ];
    for (text, line, expected) in cases {
        let error = described(text).expect_err(text);
        assert!(error.to_string().contains(expected), "{text}\n{error}");
        assert_eq!(error.line(text), line, "{text}");
    }
}
