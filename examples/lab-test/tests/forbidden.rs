//! What becomes of a test with a lab on a machine that forbids labs.

use std::env;
use std::process::{Command, Output, Stdio};

use partita_nemesis::testing::TestLab;

#[partita_nemesis::test(nodes = 1)]
fn it_needs_a_lab(_lab: TestLab) {
    println!("the body ran");
}

/// Runs that one test of this program again, with these variables in the environment.
fn run_again(mut command: Command, variables: &[(&str, &str)]) -> (bool, String) {
    command
        .args(["--exact", "it_needs_a_lab", "--nocapture"])
        .env_remove("PARTITA_SKIP")
        .env_remove("PARTITA_REQUIRE")
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let said = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (status.success(), said)
}

/// This program, in a user namespace in which no network namespace can be made.
fn forbidden() -> Command {
    let mut command = Command::new("unshare");
    let script = "echo 0 > /proc/sys/user/max_net_namespaces && exec \"$0\" \"$@\"";
    command.args(["--user", "--map-root-user", "sh", "-c", script]);
    command.arg(env::current_exe().expect("a path"));
    command
}

#[test]
fn it_fails_where_there_is_no_lab_and_says_what_was_refused() {
    for variables in [&[][..], &[("PARTITA_SKIP", "redis")], &[("PARTITA_REQUIRE", "lab")]] {
        let (passed, said) = run_again(forbidden(), variables);
        assert!(!passed, "{variables:?}: {said}");
        assert!(said.contains("no lab can be made here: making a network namespace"), "{said}");
        assert!(said.contains("PARTITA_SKIP=lab skips the tests that need one"), "{said}");
        assert!(!said.contains("the body ran"), "{variables:?}: {said}");
    }
}

#[test]
fn it_can_be_skipped_where_there_is_no_lab_and_says_so() {
    for list in ["lab", "redis, lab"] {
        let (passed, said) = run_again(forbidden(), &[("PARTITA_SKIP", list)]);
        assert!(passed, "{list}: {said}");
        assert!(said.contains("it_needs_a_lab was SKIPPED, for no lab can be made here"), "{said}");
        assert!(!said.contains("the body ran"), "{list}: {said}");
    }
}

#[test]
fn it_cannot_be_skipped_where_a_lab_is_required() {
    for required in ["lab", "redis,lab"] {
        let variables = [("PARTITA_SKIP", "lab"), ("PARTITA_REQUIRE", required)];
        let (passed, said) = run_again(forbidden(), &variables);
        assert!(!passed, "{required}: {said}");
        assert!(said.contains("no lab can be made here"), "{said}");
        assert!(!said.contains("SKIPPED"), "{said}");
    }
    // What is required of another kind does not count.
    let variables = [("PARTITA_SKIP", "lab"), ("PARTITA_REQUIRE", "redis")];
    let (passed, said) = run_again(forbidden(), &variables);
    assert!(passed && said.contains("SKIPPED"), "{said}");
}

#[test]
fn it_runs_wherever_there_is_a_lab() {
    for variables in [&[][..], &[("PARTITA_SKIP", "lab")], &[("PARTITA_REQUIRE", "lab")]] {
        let this = Command::new(env::current_exe().expect("a path"));
        let (passed, said) = run_again(this, variables);
        assert!(passed && said.contains("the body ran"), "{variables:?}: {said}");
        assert!(!said.contains("SKIPPED"), "{variables:?}: {said}");
    }
}
