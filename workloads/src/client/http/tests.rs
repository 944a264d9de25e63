//! A store of a few lines answers over a pipe what a test says, or breaks off.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use partita_checker::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::super::admin::{Change, Member};
use super::super::dial::{BoxStream, Dial};
use super::super::probe::ProbeError;
use super::super::protocol::{
    BoxFuture, Client, ClientOptions, Endpoint, Limits, Protocol, RetryPolicy,
};
use super::super::tables::Tables;
use super::open;
use crate::operation::{Completion, Invocation, Kind};

/// A store whose compare-and-set takes a version: a read first, and then an update that it guards.
const DESCRIPTION: &str = r#"
[client.read]
request = { method = "GET", path = "/kv/{key:url}" }
expect = { path = "$.index", exists = true }
value = { path = "$.value", absent = "nothing" }
[client.write]
request = { method = "PUT", path = "/kv/{key:url}", body = { value = "{value:json}" } }
[client.cas.before]
request = { method = "GET", path = "/kv/{key:url}" }
value = { path = "$.value", absent = "nothing" }
capture = { version = { path = "$.index" } }
[client.cas]
request = { method = "PUT", path = "/kv/{key:url}?cas={version}", body = { value = "{new:json}" } }
swapped = { path = "$.swapped", is = true }
saw = { path = "$.saw" }
[[client.outcome]]
when = { status = 503, path = "$.error", contains = ["no leader"] }
means = "fail"
[[client.outcome]]
when = { status = 404 }
means = "nothing"
operations = ["read"]
[[client.outcome]]
when = { status = 412 }
means = "mismatch"
operations = ["cas"]
[status]
request = { method = "GET", path = "/status" }
leader = { path = "$.leader", equals-path = "$.me" }
term = "$.term"
commit-index = "$.index"
"#;

/// What the store does with a request.
#[derive(Clone)]
enum Act {
    /// Answers with this status and body.
    Answer(u16, &'static str),
    /// Answers and closes the connection.
    Last(u16, &'static str),
    /// Sends these bytes.
    Bytes(&'static str),
    /// Closes the connection.
    Close,
    /// Does nothing.
    Hang,
}

use Act::{Answer, Bytes, Close, Hang, Last};

#[derive(Default)]
struct Store {
    acts: VecDeque<Act>,
    requests: Vec<String>,
    dials: usize,
    refuses: bool,
}

type Shared = Arc<Mutex<Store>>;

fn store(acts: impl IntoIterator<Item = Act>) -> Shared {
    Arc::new(Mutex::new(Store { acts: acts.into_iter().collect(), ..Store::default() }))
}

fn dial(store: &Shared) -> Dial {
    let store = Arc::clone(store);
    Arc::new(move |_| {
        let store = Arc::clone(&store);
        Box::pin(async move {
            let refuses = {
                let mut all = store.lock().expect("whole");
                all.dials += 1;
                all.refuses
            };
            if refuses {
                return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
            }
            let (ours, theirs) = duplex(1 << 16);
            tokio::spawn(serve(theirs, store));
            Ok(Box::new(ours) as BoxStream)
        }) as BoxFuture<'static, io::Result<BoxStream>>
    })
}

async fn serve(mut stream: DuplexStream, store: Shared) {
    while let Some(request) = read_request(&mut stream).await {
        let act = {
            let mut store = store.lock().expect("whole");
            store.requests.push(request);
            store.acts.pop_front().unwrap_or(Hang)
        };
        let (sent, closes) = match act {
            Answer(status, body) => (response(status, body), false),
            Last(status, body) => (response(status, body), true),
            Bytes(bytes) => (bytes.to_owned(), false),
            Close => (String::new(), true),
            Hang => return std::future::pending().await,
        };
        let written = stream.write_all(sent.as_bytes()).await;
        if closes || written.is_err() {
            return;
        }
    }
}

fn response(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The first line and the body of the next request.
async fn read_request(stream: &mut DuplexStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
            if read.len() >= end + 4 + length {
                let text = String::from_utf8_lossy(&read);
                let line = text.lines().next().unwrap_or_default();
                let line = line.trim_end_matches(" HTTP/1.1");
                return Some(format!("{line} {}", &text[end + 4..]).trim_end().to_owned());
            }
        }
        let mut bytes = [0; 1024];
        match stream.read(&mut bytes).await {
            Ok(count) if count > 0 => read.extend(&bytes[..count]),
            _ => return None,
        }
    }
}

fn protocol(description: &str) -> Arc<dyn Protocol> {
    let mut tables = Tables::of(description).expect("TOML");
    open(&mut tables).unwrap_or_else(|error| panic!("{error}"))
}

fn endpoint() -> Endpoint {
    Endpoint { node: "n1".into(), address: SocketAddr::from((Ipv4Addr::LOCALHOST, 80)) }
}

fn client(store: &Shared) -> Box<dyn Client> {
    let reply = Duration::from_millis(300);
    let limits = Limits { connect: Duration::from_secs(5), reply };
    let options = ClientOptions { limits, retry: RetryPolicy::Never };
    protocol(DESCRIPTION).client(&endpoint(), &dial(store), options)
}

fn read() -> Invocation {
    Invocation::read("k".into())
}

fn write() -> Invocation {
    Invocation::write("k".into(), Value::from(7))
}

fn cas() -> Invocation {
    Invocation::cas("k".into(), Value::from(7), Value::from(8))
}

/// What comes of one operation, and whether the store broke the protocol.
async fn one(invocation: Invocation, acts: impl IntoIterator<Item = Act>) -> (Completion, bool) {
    let mut client = client(&store(acts));
    let completion = client.invoke(&invocation).await;
    (completion, !client.protocol_violations().is_empty())
}

#[tokio::test]
async fn answers_mean_what_the_description_says() {
    let value = |value: Value| Completion::Answered(value);
    let mismatch = |saw: Option<i64>| Completion::Mismatch { saw: saw.map(Value::from) };
    let found = || Answer(200, r#"{"index": 3, "value": 7}"#);
    let cases = [
        (read(), vec![found()], value(Value::from(7))),
        (read(), vec![Answer(200, r#"{"index": 3}"#)], value(Value::Null)),
        (read(), vec![Answer(404, "")], value(Value::Null)),
        (write(), vec![Answer(200, "")], Completion::Done),
        (cas(), vec![found(), Answer(200, r#"{"swapped": true}"#)], Completion::Swapped),
        (cas(), vec![found(), Answer(200, r#"{"swapped": false}"#)], mismatch(None)),
        (cas(), vec![found(), Answer(412, r#"{"saw": 9}"#)], mismatch(Some(9))),
        // It refused, and saw what was expected: two facts.
        (cas(), vec![found(), Answer(200, r#"{"saw": 7}"#)], mismatch(Some(7))),
        // The read before it decides, and the update is not sent.
        (cas(), vec![Answer(200, r#"{"index": 3, "value": 9}"#)], mismatch(Some(9))),
    ];
    for (invocation, acts, expected) in cases {
        let (completion, broke) = one(invocation.clone(), acts).await;
        assert_eq!((completion, broke), (expected, false), "{invocation:?}");
    }
}

#[tokio::test]
async fn only_what_certainly_did_not_happen_fails() {
    let no_leader = || Answer(503, r#"{"error": "no leader"}"#);
    let found = || Answer(200, r#"{"index": 3, "value": 7}"#);
    let refused = || Answer(503, r#"{"error": "timeout"}"#);
    let fails = [
        (write(), vec![no_leader()]),
        (read(), vec![no_leader()]),
        (read(), vec![refused()]),
        // The update was not sent.
        (cas(), vec![Hang]),
        (cas(), vec![refused()]),
        (cas(), vec![Close]),
        (cas(), vec![found(), no_leader()]),
    ];
    for (invocation, acts) in fails {
        let (completion, broke) = one(invocation.clone(), acts).await;
        assert!(
            matches!(completion, Completion::Fail(_)) && !broke,
            "{invocation:?} {completion:?}"
        );
    }
    let open = [
        (write(), vec![refused()]),
        (write(), vec![Answer(404, "")]),
        (write(), vec![Close]),
        (write(), vec![Hang]),
        (write(), vec![Bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), Hang]),
        (cas(), vec![found(), Close]),
        (read(), vec![Close]),
    ];
    for (invocation, acts) in open {
        let (completion, broke) = one(invocation.clone(), acts).await;
        let is_open = matches!(completion, Completion::Unknown(_));
        assert!(is_open && !broke, "{invocation:?} {completion:?}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_unknown_and_counted() {
    let cases = [
        (read(), vec![Answer(200, r#"{"value": 7}"#)]),
        (read(), vec![Answer(200, "<html>")]),
        (write(), vec![Bytes("+OK\r\n")]),
    ];
    for (invocation, acts) in cases {
        let (completion, broke) = one(invocation.clone(), acts).await;
        assert!(
            matches!(completion, Completion::Unknown(_)) && broke,
            "{invocation:?} {completion:?}"
        );
    }
    // The update was not sent.
    let (completion, broke) = one(cas(), [Answer(200, r#"{"value": 7}"#)]).await;
    assert!(matches!(completion, Completion::Fail(_)) && broke, "{completion:?}");
}

#[tokio::test]
async fn nothing_was_sent_where_nothing_listens() {
    let store = store([]);
    store.lock().expect("whole").refuses = true;
    let completion = client(&store).invoke(&write()).await;
    assert!(matches!(completion, Completion::Fail(_)), "{completion:?}");
}

#[tokio::test]
async fn a_connection_is_kept_and_one_that_was_closed_is_replaced() {
    let store = store([Answer(200, ""), Last(200, ""), Answer(200, "")]);
    let mut client = client(&store);
    for dials in [1, 1, 2] {
        assert_eq!(client.invoke(&write()).await, Completion::Done);
        assert_eq!(store.lock().expect("whole").dials, dials);
        // The other side's end arrives.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn requests_hold_what_was_asked_for() {
    let found = Answer(200, r#"{"index": 3, "value": 7}"#);
    let store = store([Answer(200, ""), found, Answer(200, r#"{"swapped": true}"#)]);
    let mut client = client(&store);
    client.invoke(&Invocation::write("a/b".into(), Value::text("x\"y"))).await;
    client.invoke(&cas()).await;
    let expected =
        [r#"PUT /kv/a%2Fb {"value":"x\"y"}"#, "GET /kv/k", r#"PUT /kv/k?cas=3 {"value":8}"#];
    assert_eq!(store.lock().expect("whole").requests, expected);
}

#[tokio::test]
async fn a_status_tells_who_leads() {
    let leader = Answer(200, r#"{"me": "1", "leader": "1", "term": "12", "index": 40}"#);
    let follower = Answer(200, r#"{"me": "2", "leader": "1", "term": 12}"#);
    let store = store([leader, follower, Answer(500, "starting")]);
    let limit = Duration::from_secs(5);
    let protocol = protocol(DESCRIPTION);
    let mut probe = protocol.probe(&endpoint(), &dial(&store), limit).expect("a probe");
    let status = probe.status().await.expect("ready");
    assert!(status.leads());
    assert_eq!((status.term, status.commit_index), (Some(12), Some(40)));
    let status = probe.status().await.expect("ready");
    assert!(!status.leads() && status.role.is_some());
    assert!(matches!(probe.status().await, Err(ProbeError::Silent(_))));
}

const MEMBERSHIP: &str = r#"
[membership.members]
request = { method = "POST", path = "/members", body = { by = "{node}" } }
rows = "$.members"
member = { path = "$.urls[0]", is = "http://{advertised-ip}:{port.peer}" }
id = "$.ID"
learner = { path = "$.isLearner", is = true }
[membership.transfer]
request = { method = "POST", path = "/transfer", body = { to = "{member}" } }
[membership.add]
request = { method = "POST", path = "/add", body = { urls = ["http://{ip}:{port.peer}"] } }
"#;

const MEMBERS: &str = r#"{"members": [{"ID": "11", "urls": ["http://10.0.0.1:7"]},
    {"ID": 22, "urls": ["http://10.0.0.2:7"], "isLearner": true}, {"ID": "9"}]}"#;

fn member(number: u8) -> Member {
    let address = Ipv4Addr::new(10, 0, 0, number);
    Member {
        name: format!("n{number}"),
        id: number.into(),
        address,
        advertised: address,
        ports: [("peer".to_owned(), 7)].into(),
    }
}

#[tokio::test]
async fn members_are_read_and_leadership_is_handed_over_by_requests() {
    let acts = [Answer(200, MEMBERS), Answer(200, MEMBERS), Answer(200, "done")];
    let store = store(acts);
    let admin = protocol(MEMBERSHIP).admin(&endpoint(), &dial(&store)).expect("an administrator");
    let limit = Duration::from_secs(5);
    let known = [member(1), member(2), member(3)];
    let members = admin.members(&known, limit).await.expect("told");
    assert!(members.voters.iter().eq(["n1"]) && members.learners.iter().eq(["n2"]), "{members:?}");
    let exchange = admin.change(Change::Transfer, &known[1], limit).await;
    assert_eq!(exchange.request, r#"POST /transfer {"to":"22"}"#);
    assert_eq!(exchange.answer.as_deref(), Ok("HTTP 200: done"));
    let asked = r#"POST /members {"by":"n2"}"#;
    let expected = [r#"POST /members {"by":"n1"}"#, asked, r#"POST /transfer {"to":"22"}"#];
    assert_eq!(store.lock().expect("whole").requests, expected);
}

#[tokio::test]
async fn a_member_that_the_store_does_not_know_is_not_asked_about() {
    let store = store([Answer(200, MEMBERS), Answer(200, MEMBERS), Answer(409, "not now")]);
    let admin = protocol(MEMBERSHIP).admin(&endpoint(), &dial(&store)).expect("an administrator");
    let limit = Duration::from_secs(5);
    let exchange = admin.change(Change::Transfer, &member(3), limit).await;
    assert_eq!(exchange.answer, Err("n1 knows no member n3".to_owned()));
    let exchange = admin.change(Change::Add, &member(3), limit).await;
    assert_eq!(exchange.answer, Err("HTTP 409: not now".to_owned()));
    let exchange = admin.change(Change::Remove, &member(3), limit).await;
    assert!(exchange.answer.is_err() && store.lock().expect("whole").requests.len() == 3);
}

#[tokio::test]
async fn commands_of_a_schedule_are_requests() {
    let store = store([Answer(200, "{}")]);
    let admin = protocol(DESCRIPTION).admin(&endpoint(), &dial(&store)).expect("an administrator");
    let limit = Duration::from_secs(5);
    let words = ["PUT", "/x", r#"{"a": {key}}"#].map(str::to_owned);
    assert!(admin.command(&words, limit).await.answer.is_ok());
    assert_eq!(store.lock().expect("whole").requests, [r#"PUT /x {"a": {key}}"#]);
    let refused = admin.command(&["EAT".to_owned(), "/x".to_owned()], limit).await;
    assert!(refused.answer.is_err_and(|why| why.contains("a method")));
}

#[test]
fn a_mistake_in_the_table_of_members_is_answered_with_its_line() {
    let cases = [
        ("{port.peer}\" }\nid", "{port.PEER}\" }\nid", "unknown placeholder {port.PEER}", 5),
        ("id = \"$.ID\"\n", "", "`{member}` needs `id`", 8),
        ("{node}", "{nod}", "unknown placeholder {nod}", 3),
        ("\"{member}\"", "\"{mebmer}\"", "unknown placeholder {mebmer}", 9),
    ];
    for (right, wrong, problem, line) in cases {
        let text = MEMBERSHIP.replacen(right, wrong, 1);
        assert_ne!(text, MEMBERSHIP, "{right}");
        let error = open(&mut Tables::of(&text).expect("TOML")).expect_err(wrong);
        assert!(error.to_string().contains(problem), "{wrong}: {error}");
        assert_eq!(error.line(&text), line, "{wrong}: {error}");
    }
    let lacks = |text: &str, change| protocol(text).lacks(change);
    assert_eq!(lacks(MEMBERSHIP, Change::Transfer), Vec::<&str>::new());
    assert_eq!(lacks(MEMBERSHIP, Change::Add), ["remove"]);
    assert_eq!(lacks("", Change::Remove), ["add", "remove", "members"]);
}

#[test]
fn what_has_a_form_is_supported() {
    let protocol = protocol(DESCRIPTION);
    let fits = Kind::ALL.into_iter().filter(|kind| protocol.supports(*kind));
    assert_eq!(fits.collect::<Vec<_>>(), [Kind::Read, Kind::Write, Kind::Cas]);
}

#[test]
fn a_mistake_in_a_description_is_answered_with_its_line() {
    let cases = [
        ("{key:url}\" }\nexpect", "{kye}\" }\nexpect", "unknown placeholder {kye}", 3),
        ("value = { path = \"$.value\", absent", "valu = { path = \"$.value\", absent", "valu", 5),
        ("\"$.index\", exists", "\"index\", exists", "names no place", 4),
        ("status = 412", "status = 912", "no status", 24),
        (
            "method = \"PUT\", path = \"/kv/{key:url}\",",
            "method = \"PUTT\", path = \"/\",",
            "PUTT",
            7,
        ),
        ("operations = [\"cas\"]", "operations = [\"swap\"]", "no operation `swap`", 24),
    ];
    for (right, wrong, problem, line) in cases {
        let text = DESCRIPTION.replacen(right, wrong, 1);
        assert_ne!(text, DESCRIPTION, "{right}");
        let mut tables = Tables::of(&text).expect("TOML");
        let error = open(&mut tables).expect_err(wrong);
        assert!(error.to_string().contains(problem), "{wrong}: {error}");
        assert_eq!(error.line(&text), line, "{wrong}: {error}");
    }
}
