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
    assert!(!printed(&output).contains("read as"), "{}", printed(&output));
}

#[test]
fn standard_input_is_read_once() {
    let folder = tempfile::tempdir().expect("a folder");
    // It is told before anything is read.
    let output = partita(folder.path(), &["check", "-", "-"], b"");
    assert_eq!(output.status.code(), Some(2), "{}", printed(&output));
    assert!(printed(&output).contains("more than once"), "{}", printed(&output));
}

#[test]
fn name_that_is_no_key_of_the_history_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |key: &str| LINES.replace("\"key\":\"k\"", &format!("\"key\":{key}"));
    for (history, initial, code, said) in [
        (text("\"k\""), "{\"k\":7}", 0, "valid"),
        (text("12"), "{\"12\":7}", 0, "valid"),
        (text("\":k\""), "{\"k\":7}", 0, "valid"),
        (
            text("\"k\""),
            "{\"k\":7,\"K\":7}",
            2,
            "`K`, which is no key of the history; its keys are k",
        ),
        (
            text("\"12\""),
            "{\"13\":7}",
            2,
            "`13`, which is no key of the history; its keys are \"12\"",
        ),
        (text("null"), "{\"k\":7}", 2, "its operations name no keys"),
    ] {
        let arguments = ["check", "--initial", initial, "-"];
        let output = partita(folder.path(), &arguments, history.as_bytes());
        assert_eq!(output.status.code(), Some(code), "{initial}: {}", printed(&output));
        assert!(printed(&output).contains(said), "{initial}: {}", printed(&output));
    }
}

#[test]
fn certificate_does_not_prove_a_history_that_is_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("whole.jsonl"), LINES).expect("a file");
    let arguments = ["check", "--certificate", "proof.json", "whole.jsonl"];
    assert_eq!(partita(folder.path(), &arguments, b"").status.code(), Some(0));
    let verify = |history: &str, initial: &str| {
        fs::write(folder.path().join("history.jsonl"), history).expect("a file");
        let arguments = ["verify", "--initial", initial, "history.jsonl", "proof.json"];
        let output = partita(folder.path(), &arguments, b"");
        (output.status.code(), printed(&output))
    };
    let (code, said) = verify(LINES, "null");
    assert!(code == Some(0) && said.contains("accepted: an order of 2 operations"), "{said}");
    let (code, said) = verify(&format!("{LINES}{{\"index\":4,\"ti"), "null");
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("explains the 4 whole events; the history is cut off at event 4"),
        "{said}"
    );
    let (code, said) = verify(LINES, "{\"j\":1}");
    assert!(code == Some(2) && said.contains("`j`, which is no key"), "{said}");
    // The text "1" is no number.
    let (code, said) = verify(&LINES.replace("\"key\":\"k\"", "\"key\":\"1\""), "null");
    assert!(code == Some(3) && said.contains("key k is not in the history"), "{said}");
}

#[test]
fn certificate_does_not_prove_a_history_whose_reads_were_all_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "{:process 0 :type :invoke :f :read :value nil}\n\
                {:process 0 :type :ok :f :read :value nil}\n\
                {:process 0 :type :invoke :f :write :value 3}\n\
                {:process 0 :type :ok :f :write :value 3}\n";
    fs::write(folder.path().join("h.edn"), text).expect("a file");
    let proof = "{\"model\":\"register\",\"initial\":null,\"keys\":[{\"key\":null,\"order\":[2]}]}";
    fs::write(folder.path().join("proof.json"), proof).expect("a file");
    let output = partita(folder.path(), &["verify", "h.edn", "proof.json"], b"");
    assert_eq!(output.status.code(), Some(3), "{}", printed(&output));
    assert!(printed(&output).contains("the only completed read"), "{}", printed(&output));
}

#[test]
fn text_keys_are_told_from_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let number = LINES.replace("\"key\":\"k\"", "\"key\":1");
    let shown = "\"read\",\"key\":\"1\",\"value\":1";
    let text = LINES.replace("\"key\":\"k\"", "\"key\":\"1\"");
    let text = text.replace(shown, &shown.replace("\"value\":1", "\"value\":2"));
    let later = (0..4).fold(text, |text, at| {
        let index = |at: usize| format!("\"index\":{at},\"time\":{at}");
        text.replace(&index(at), &format!("\"index\":1{at},\"time\":1{at}"))
    });
    let arguments = ["check", "--keys", "-"];
    let output = partita(folder.path(), &arguments, format!("{number}{later}").as_bytes());
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    assert!(printed(&output).contains("key \"1\""), "{}", printed(&output));
    assert!(printed(&output).contains("2 keys"), "{}", printed(&output));
}
