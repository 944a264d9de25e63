//! A server is cut off from its clients, heals, and must not have sold a seat twice.

use std::io::{self, BufRead, BufReader, Write};
use std::process::Command;
use std::thread;
use std::time::Duration;

use partita_checker::{Recorder, Spec};
use partita_nemesis::fault::process::Pause;
use partita_nemesis::testing::TestLab;

const PORT: u16 = 7000;
const SEATS: u32 = 3;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long anything may take that must work.
const LIMIT: Duration = Duration::from_secs(30);

struct Seats;

impl Spec for Seats {
    type State = u32;
    type Op = &'static str;
    type Ret = bool;

    fn initial(&self) -> u32 {
        SEATS
    }

    fn apply(&self, left: &u32, _reserve: &&'static str) -> (u32, bool) {
        (left.saturating_sub(1), *left > 0)
    }
}

fn start(lab: &TestLab, options: &[&str]) {
    let address = format!("{}:{PORT}", lab.host("n1").address());
    let mut server = Command::new(env!("CARGO_BIN_EXE_lab-test"));
    server.args([&*address, &SEATS.to_string()]).args(options);
    lab.start("n1", &server).expect("the server starts");
    lab.wait_for("n1", PORT, LIMIT).expect("the server listens");
}

/// Reserves a seat over a connection of its own. Nothing was asked for if there is none.
fn reserve(lab: &TestLab, recorder: &Recorder<Seats>, limit: Duration) -> io::Result<bool> {
    let mut connected = false;
    let mut attempt = || {
        let mut server = lab.connect("n1", PORT, limit)?;
        server.set_read_timeout(Some(limit))?;
        connected = true;
        writeln!(server, "reserve")?;
        let mut answer = String::new();
        BufReader::new(server).read_line(&mut answer)?;
        match answer.trim() {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    };
    let pending = recorder.invoke("reserve").via("n1");
    let result = attempt();
    match &result {
        Ok(answer) => drop(pending.answered(*answer)),
        Err(_) if !connected => pending.failed(),
        Err(_) => pending.unknown(),
    }
    result
}

#[partita_nemesis::test(nodes = 1)]
fn seats_are_sold_once_though_the_server_is_cut_off(lab: TestLab) {
    start(&lab, &[]);
    let recorder = Recorder::default();
    assert!(reserve(&lab, &recorder, LIMIT).expect("an answer"), "there are three");

    let partition = lab.partition(["clients"], ["n1"]).expect("a partition");
    let error = reserve(&lab, &recorder, PATIENCE).expect_err("the server cannot be reached");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    let happened = partition.heal().expect("healed");
    assert!(happened.had_effect(), "frames were dropped: {happened:?}");

    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| reserve(&lab, &recorder, LIMIT).expect("it healed"));
        }
    });
    let report = recorder.check(&Seats, LIMIT).expect("linearizable");
    let answers = report.history.counts();
    assert_eq!((answers.ok, answers.fail), (5, 1), "one never came to ask");
    assert!(lab.output("n1").expect("its output").contains("selling 3 seats"));
}

#[partita_nemesis::test(nodes = 1)]
fn an_oversold_seat_is_found(lab: TestLab) {
    start(&lab, &["--oversell"]);
    let recorder = Recorder::default();
    for _ in 0..8 {
        reserve(&lab, &recorder, LIMIT).expect("an answer");
    }
    let error = recorder.check(&Seats, LIMIT).expect_err("oversold");
    println!("{error}");
    let counterexample = error.counterexample().expect("a violation");
    assert_eq!(counterexample.operations.len(), 4, "four for three seats, and no other");
}

#[partita_nemesis::test(nodes = 1)]
fn a_paused_server_answers_late(lab: TestLab) {
    start(&lab, &[]);
    let recorder = Recorder::default();
    let pause = lab.fault(Pause::default()).on(["n1"]).inject().expect("paused");
    // The kernel takes the connection, the server does not answer.
    let error = reserve(&lab, &recorder, PATIENCE).expect_err("no answer");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
    drop(pause);
    for _ in 0..4 {
        reserve(&lab, &recorder, LIMIT).expect("it goes on");
    }
    let report = recorder.check(&Seats, LIMIT).expect("linearizable");
    assert_eq!(report.history.counts().info, 1, "it may have got the seat");
}
