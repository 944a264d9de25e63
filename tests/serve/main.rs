//! `partita serve`: what it shows, what it does not, and that no client can harm it.

#[path = "../../reports/tests/reports/chromium.rs"]
mod chromium;
#[path = "../support/stored.rs"]
mod stored;

mod browser;
mod load;
mod server;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::process::Command;

use server::{SECRET, Server};

const LOOPBACK: &str = "127.0.0.1:0";

#[test]
fn the_list_leads_to_runs_files_and_reports() {
    let server = Server::start(LOOPBACK);
    let list = server.get("/");
    assert_eq!(list.status, 200, "{list:?}");
    assert!(list.body.contains("2 runs: 1 finding, 1 valid"), "{}", list.body);
    assert!(server.get("/?verdict=finding").body.contains("1 of 2 runs"));
    let run = server.get("/run/bad");
    assert!(run.body.contains("/files/bad/history.jsonl"), "{}", run.body);
    assert!(!run.body.contains("/files/bad/report.html\""), "there is none");
    fs::write(server.site().join("bad/report.html"), "<title>r</title>").expect("written");
    let report = server.get("/files/bad/report.html");
    assert!(report.head.contains("content-type: text/html"), "{report:?}");
    assert!(report.head.contains("sandbox"), "{report:?}");
    let history = server.get("/files/bad/history.jsonl");
    let file = fs::read_to_string(server.site().join("bad/history.jsonl")).expect("a file");
    assert_eq!((history.status, history.body), (200, file));
    assert!(history.head.contains("content-type: text/plain"), "{}", history.head);
    assert!(history.head.contains("nosniff"), "{}", history.head);
    let listed = server.get("/files/bad");
    assert_eq!((listed.status, listed.head.contains("location: /files/bad/")), (303, true));
    assert!(server.get("/files/bad/").body.contains("run.json"));
    assert_eq!(server.get("/trends").status, 200);
    assert_eq!(server.get("/latest").status, 303);
}

#[test]
fn two_runs_are_put_side_by_side() {
    let server = Server::start(LOOPBACK);
    let page = server.get("/compare?a=good&b=bad");
    assert_eq!(page.status, 200, "{page:?}");
    for wanted in ["Linearizable", "Violation", "n3 leader of term 1", "class=\"differs\""] {
        assert!(page.body.contains(wanted), "{wanted}: {}", page.body);
    }
    assert_eq!(server.get("/compare?a=good&b=bad").body, page.body, "the second time as well");
    assert_eq!(server.get("/compare?a=good").status, 400);
    assert_eq!(server.get("/compare?a=good&b=none").status, 404);
    assert_eq!(server.get("/compare?a=good&b=..%2Fgood").status, 400);
    // A run whose files are links is not read.
    let linked = server.site().join("linked");
    fs::create_dir(&linked).expect("a folder");
    for name in ["run.json", "verdict.json", "schedule.jsonl"] {
        fs::copy(server.site().join("good").join(name), linked.join(name)).expect("copied");
    }
    symlink(server.home.path().join("secret.txt"), linked.join("history.jsonl")).expect("linked");
    let server_sees = || server.get("/compare?a=good&b=linked");
    let answer = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        server_sees()
    });
    let answer = answer.take(100).find(|answer| answer.status != 404).expect("it is seen");
    assert_eq!(answer.status, 422, "{answer:?}");
    assert!(!answer.body.contains(SECRET));
}

#[test]
fn nothing_outside_of_runs_is_sent() {
    let server = Server::start(LOOPBACK);
    let site = server.site();
    symlink(server.home.path().join("secret.txt"), site.join("good/link.txt")).expect("linked");
    symlink(server.home.path(), site.join("good/up")).expect("linked");
    symlink("/", site.join("root")).expect("linked");
    fs::write(site.join("good/.hidden"), SECRET).expect("written");
    for address in [
        "/files/../secret.txt",
        "/../secret.txt",
        "/files/good/../../secret.txt",
        "/files/good/..%2f..%2fsecret.txt",
        "/files/good/%2e%2e/%2e%2e/secret.txt",
        "/files/good/link.txt",
        "/files/good/up/secret.txt",
        "/files/good/up/",
        "/files/root/etc/passwd",
        "/files//etc/passwd",
        "/files/beside.txt",
        "/files/good/.hidden",
        "/files/good/\\..\\..\\secret.txt",
        "/files/good/%00",
        "/run/..",
        "/events/../secret.txt",
        "http://localhost/files/../secret.txt",
        "//secret.txt",
    ] {
        let answer = server.get(address);
        assert!([400, 404].contains(&answer.status), "{address}: {answer:?}");
        assert!(!answer.body.contains(SECRET) && !answer.body.contains("root:"), "{address}");
    }
    assert!(!server.get("/files/good/").body.contains("link.txt"), "links are not listed");
}

#[test]
fn it_is_only_read_and_only_by_a_name_of_this_machine() {
    let server = Server::start(LOOPBACK);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request =
            format!("{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = server.send(request.as_bytes());
        assert_eq!(answer.status, 405, "{method}: {answer:?}");
        assert!(answer.head.contains("allow: get, head"), "{answer:?}");
    }
    let head = server.send(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for host in ["evil.example", "localhost.evil.example:80", "192.168.0.1"] {
        assert_eq!(server.ask("/", &format!("Host: {host}\r\n")).status, 421, "{host}");
    }
    let page = server.get("/");
    for wanted in
        ["content-security-policy: default-src 'none'", "nosniff", "no-referrer", "no-store"]
    {
        assert!(page.head.contains(wanted), "{wanted}: {}", page.head);
    }
}

#[test]
fn elsewhere_than_on_loopback_a_token_is_needed() {
    let server = Server::start("0.0.0.0:0");
    let (_, token) = server.url.split_once("?token=").expect("a token in the address");
    assert_eq!(token.len(), 32);
    for address in ["/", "/run/good", "/files/good/run.json", "/events/good", "/style.css"] {
        assert_eq!(server.get(address).status, 401, "{address}");
        assert_eq!(server.get(&format!("{address}?token=0{token}")).status, 401, "{address}");
    }
    let answer = server.get(&format!("/run/good?token={token}"));
    assert_eq!(answer.status, 303, "{answer:?}");
    assert!(answer.head.contains("location: /run/good\r\n"), "the token leaves the address");
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).expect("a cookie");
    let answer = server.ask("/run/good", &format!("Cookie: {cookie}\r\n"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.ask("/", &format!("Authorization: Bearer {token}\r\n")).status, 200);
}

#[test]
fn events_come_as_they_are_written_and_go_on_where_a_client_left() {
    let server = Server::start(LOOPBACK);
    let run = server.site().join("now");
    fs::create_dir(&run).expect("a folder");
    let mut file = fs::File::create(run.join("events.jsonl")).expect("a file");
    let phase = |name: &str| format!("{{\"at_ns\":1,\"type\":\"phase\",\"phase\":\"{name}\"}}\n");
    write!(file, "{}", phase("lead-in")).expect("written");
    let begun = std::time::Instant::now();
    while server.get("/live/now").status != 200 {
        assert!(begun.elapsed().as_secs() < 60, "the run is never seen");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let mut stream = server.connect();
    stream.write_all(b"GET /events/now HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("a line"));
    let mut next = |wanted: &str| lines.find(|line| line.contains(wanted)).expect("it comes");
    next("text/event-stream");
    let first = next("id: ");
    next("lead-in");
    // The next line comes in two parts; the client has it when it is whole.
    let text = phase("faults");
    let (one, other) = text.split_at(20);
    write!(file, "{one}").and_then(|()| file.flush()).expect("written");
    write!(file, "{other}").expect("written");
    next("\"faults\"");
    let finished = "{\"at_ns\":2,\"type\":\"finished\",\"verdict\":\"valid\",\"exit\":\"valid\"}\n";
    write!(file, "{finished}").expect("written");
    next("finished");
    next("event: over");
    let id = first.trim_start_matches("id: ").to_owned();
    let rest = server.ask("/events/now", &format!("Last-Event-ID: {id}\r\n"));
    assert!(rest.body.contains("faults") && !rest.body.contains("lead-in"), "{}", rest.body);
}

#[test]
fn open_prints_where_the_report_is() {
    let home = tempfile::tempdir().expect("a folder");
    let run = home.path().join("run");
    stored::write_run(&run, 1, "n1");
    let open = |arguments: &[&str], browser: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
        command.arg("open").args(arguments).current_dir(home.path()).env("BROWSER", browser);
        command.output().expect("partita starts")
    };
    let none = open(&["run", "--print"], "false");
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("report.html"));
    fs::write(run.join("report.html"), "").expect("written");
    let found = open(&["run", "--print"], "false");
    assert_eq!(found.status.code(), Some(0));
    let path = run.join("report.html").canonicalize().expect("a file");
    assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), path.display().to_string());
    assert_eq!(open(&["run"], "true").status.code(), Some(0));
    assert_eq!(open(&["run"], "false").status.code(), Some(4));
    assert_eq!(open(&["run"], "no-such-browser").status.code(), Some(4));
}
