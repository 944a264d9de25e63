//! Shards that go to an object store and are merged from there: a real S3 server, and a folder as a store.
//!
//! The server is `moto_server` (PyPI: `moto[server]`), which the test starts and ends.
#![cfg(feature = "object-store")]

#[path = "support/campaign.rs"]
#[expect(dead_code, reason = "it needs some of it")]
mod campaign;
#[path = "support/needs.rs"]
mod needs;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use campaign::{TestBed, files, said};
use needs::Need;

/// How long the server may take until it answers: it is an interpreter that loads much.
const PATIENCE: Duration = Duration::from_secs(120);

/// An S3 server on the loopback, with one bucket.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Option<Self> {
        let mut help = Command::new("moto_server");
        let help = help.arg("--help").stdout(Stdio::null()).status();
        if !Need::S3.met(help.is_ok_and(|status| status.success())) {
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut command = Command::new("moto_server");
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        let server = Self { process, port };
        let began = Instant::now();
        while !server.make_bucket() {
            assert!(began.elapsed() < PATIENCE, "the server does not answer");
            sleep(Duration::from_millis(200));
        }
        Some(server)
    }

    fn make_bucket(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let head = "PUT /results HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        let asked =
            stream.write_all(head.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
        asked.is_ok() && answer.starts_with("HTTP/1.1 200")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command that knows the server, if there is one.
fn partita(ground: &TestBed, server: Option<&Server>, line: &str) -> Output {
    let mut command = ground.command(line);
    if let Some(server) = server {
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", server.port));
        command.env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "name").env("AWS_SECRET_ACCESS_KEY", "secret");
    }
    command.output().expect("partita runs")
}

/// Three shards to a store and back.
fn there_and_back(server: Option<&Server>, url: &str, ground: &TestBed) {
    ground.partita("campaign plan c.toml --night 7 --runs 21 -o plan.json");
    let work = |shard: u64| {
        let line = format!("campaign work plan.json --shard {shard}/3 --jobs 2 --out s{shard}");
        let line = format!("{line} --upload {url} --run-program ./run.sh");
        let output = partita(ground, server, &line);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", said(&output));
    };
    (0..3).for_each(work);
    let merge = |from: &str, out: &str| {
        let output = partita(ground, server, &format!("campaign merge {from} -o {out}"));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        files(&ground.path(out))
    };
    let here = merge("s0 s1 s2", "here");
    assert!(here.keys().any(|name| name.starts_with("failing")));
    assert_eq!(merge(url, "there"), here);
    assert_eq!(merge(&format!("s1 {url} s1"), "both"), here, "one shard twice");
    assert!(!ground.path("there.fetched").exists());
    // Another machine goes on with a shard: nothing is left of it to do, and nothing could be done.
    fs::remove_dir_all(ground.path("s1")).expect("removed");
    fs::write(ground.path("failing"), "").expect("written");
    work(1);
    assert_eq!(merge("s0 s1 s2", "again"), here);
}

#[test]
fn shards_go_to_an_s3_server_and_are_merged_from_there() {
    let Some(server) = Server::start() else { return };
    let ground = TestBed::new(&["bug"]);
    there_and_back(Some(&server), "s3://results/nights/7", &ground);
    let line = "campaign merge s3://results/nights/8 -o none";
    let empty = partita(&ground, Some(&server), line);
    assert_eq!(empty.status.code(), Some(4), "{}", said(&empty));
    assert!(said(&empty).contains("there are no shards"), "{}", said(&empty));
    let line = "campaign work plan.json --shard 0/3 --out x --upload s3://nowhere/x";
    let refused = partita(&ground, Some(&server), &format!("{line} --run-program ./run.sh"));
    assert_eq!(refused.status.code(), Some(4), "before anything is run: {}", said(&refused));
    assert!(!ground.path("x").exists());
}

#[test]
fn a_folder_is_a_store_as_well() {
    let ground = TestBed::new(&["bug"]);
    let url = format!("file://{}", ground.path("store").display());
    there_and_back(None, &url, &ground);
    let refused = partita(&ground, None, "campaign merge gs://results/7 -o none");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}
