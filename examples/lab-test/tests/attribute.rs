//! What an ordinary test with a lab can do.

use std::fs;
use std::io;
use std::process::Command;
use std::time::{Duration, SystemTime};

use partita_nemesis::fault::clock::{ClockStep, Jump};
use partita_nemesis::fault::membership::TransferLeadership;
use partita_nemesis::fault::partition::MajoritiesRing;
use partita_nemesis::fault::process::Pause;
use partita_nemesis::testing::{TestError, TestLab};

/// How long anything may take that must work.
const LIMIT: Duration = Duration::from_secs(30);

#[partita_nemesis::test]
fn it_has_three_nodes_whose_processes_come_to_their_end(lab: TestLab) -> Result<(), TestError> {
    assert_eq!(lab.names(), ["n1", "n2", "n3"]);
    lab.start("n2", Command::new("sh").args(["-c", "echo $GREETING"]).env("GREETING", "hello"))?;
    let ended = partita_nemesis::testing::block_on(lab.node("n2").ended());
    assert!(ended.is_some_and(|status| status.success()));
    assert_eq!(lab.output("n2")?, "hello\n");
    Ok(())
}

#[partita_nemesis::test(nodes = ["left", "right"])]
fn its_body_runs_once_and_has_a_network_of_its_own(lab: TestLab) {
    let once = lab.folder("left").join("ran");
    fs::File::create_new(&once).expect("it did not run before");
    let refused = lab.connect_from("left", "right", 1, LIMIT).expect_err("nothing listens");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    // Of all that this process can see, the lab's first process is the first.
    assert!(fs::read_to_string("/proc/1/cmdline").expect("readable").contains("attribute"));
}

#[partita_nemesis::test]
fn it_needs_no_lab_to_run_in_one() {
    println!("in a lab");
}

mod modules {
    #[partita_nemesis::test(nodes = 1)]
    async fn can_be_async_and_in_a_module(lab: partita_nemesis::testing::TestLab) {
        let mut sleeper = std::process::Command::new("sleep");
        lab.start("n1", sleeper.arg("1000")).expect("started");
        let ended = lab.node("n1").kill().await.expect("killed");
        assert!(!ended.success());
    }
}

#[partita_nemesis::test]
#[should_panic(expected = "with these words")]
fn a_panic_passes_through(_lab: TestLab) {
    panic!("it fails, with these words");
}

#[partita_nemesis::test]
#[should_panic(expected = "Error: \"refused\"")]
fn an_error_fails_it(_lab: TestLab) -> Result<(), &'static str> {
    Err("refused")
}

#[partita_nemesis::test]
#[should_panic(expected = "exit status: 3")]
fn an_exit_code_passes_through(_lab: TestLab) {
    std::process::exit(3);
}

#[partita_nemesis::test]
#[should_panic(expected = "did not come to its end")]
fn ending_without_an_error_is_not_passing(_lab: TestLab) {
    std::process::exit(0);
}

#[partita_nemesis::test]
#[should_panic(expected = "no host is called n9")]
fn a_host_that_is_not_there_is_named(lab: TestLab) {
    lab.host("n9");
}

#[partita_nemesis::test]
#[ignore = "asked for by name only"]
fn it_can_be_ignored(_lab: TestLab) {
    panic!("a test that is to be ignored was run");
}

#[partita_nemesis::test(nodes = 1, clocks)]
fn clocks_can_be_moved(lab: TestLab) -> Result<(), Box<dyn std::error::Error>> {
    let script = "while true; do date +%s; sleep 0.01; done";
    lab.start("n1", Command::new("sh").args(["-c", script]))?;
    let jump = lab.fault(ClockStep { by: "2h".parse::<Jump>()? }).on(["n1"]).inject()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let begun = std::time::Instant::now();
    let is_late = |line: &str| line.parse().is_ok_and(|seconds: u64| seconds > now + 3_600);
    while !lab.output("n1")?.lines().any(is_late) {
        assert!(begun.elapsed() < LIMIT, "{}", lab.output("n1")?);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(jump.heal()?.had_effect());
    Ok(())
}

#[partita_nemesis::test]
fn what_a_fault_cannot_be_given_is_refused(lab: TestLab) {
    let error = |injection: partita_nemesis::testing::Injection<'_>| {
        injection.inject().expect_err("refused").to_string()
    };
    let ring = error(lab.fault(MajoritiesRing::default()).on(["n1"]));
    assert_eq!(ring, "majorities-ring: it cannot be aimed at n1");
    let stopped = error(lab.fault(Pause::default()).on(["n1"]));
    assert_eq!(stopped, "pause: n1 is not running");
    let administered = error(lab.fault(TransferLeadership::default()));
    assert!(administered.starts_with("transfer-leadership: "), "{administered}");
}
