//! Where `partita check` takes histories from, as a person types it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const LINES: &str = r#"{"index":0,"time":0,"process":0,"type":"invoke","f":"write","key":"k","value":1}
{"index":1,"time":1,"process":0,"type":"ok","f":"write","key":"k","value":1}
{"index":2,"time":2,"process":0,"type":"invoke","f":"read","key":"k","value":null}
{"index":3,"time":3,"process":0,"type":"ok","f":"read","key":"k","value":1}
"#;

fn partita(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
    command.args(arguments).current_dir(folder);
    let piped = || Stdio::piped();
    let mut child =
        command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().expect("partita starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads its input");
    child.wait_with_output().expect("partita ends")
}

fn printed(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

#[test]
fn standard_input_file_and_folder_hold_one_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    fs::create_dir(&run).expect("a folder");
    fs::write(run.join("history.jsonl"), LINES).expect("a file");
    std::os::unix::fs::symlink(&run, folder.path().join("latest")).expect("a link");
    for (argument, input) in [("-", LINES), ("run", ""), ("latest", ""), ("run/history.jsonl", "")]
    {
        let output = partita(folder.path(), &["check", argument], input.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{argument}: {}", printed(&output));
        assert!(printed(&output).contains("2 operations on 1 key"), "{}", printed(&output));
    }
    let output = partita(folder.path(), &["check", "."], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(printed(&output).contains("history.jsonl"), "{}", printed(&output));
}

#[test]
fn cut_history_is_never_valid_and_its_violation_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let stale =
        LINES.replace("\"read\",\"key\":\"k\",\"value\":1", "\"read\",\"key\":\"k\",\"value\":2");
    for (text, code) in [(LINES, 3), (&*stale, 1)] {
        let cut = format!("{text}{{\"index\":4,\"ti");
        let output = partita(folder.path(), &["check", "-"], cut.as_bytes());
        assert_eq!(output.status.code(), Some(code), "{}", printed(&output));
        assert!(printed(&output).contains("cut off at event 4"), "{}", printed(&output));
    }
}

#[test]
fn pipe_without_a_writer_ends_with_the_timeout() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let output = partita(folder.path(), &["check", "--timeout", "200ms", "pipe"], b"");
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(printed(&output).contains("time ran out"), "{}", printed(&output));
}
