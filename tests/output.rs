//! What the program prints: whoever reads it, whatever stands in it, and however many files it is
//! about.

#[path = "support/needs.rs"]
mod needs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use needs::Need;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// Runs a script of the shell, in which `$P` is the program, in `folder`.
fn shell(folder: &Path, script: &str) -> Output {
    Command::new("bash")
        .args(["-c", script])
        .env("P", PARTITA)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("a shell")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("only UTF-8 is printed")
}

/// Both outputs as text, and the exit code.
fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn partita(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(PARTITA);
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.output().expect("partita starts")
}

/// An operation as two lines, of a process of its own.
fn operation(index: usize, function: &str, asked: &str, answered: &str) -> String {
    let half = |index, kind: &str, value: &str| {
        let time = index * 1_000_000;
        format!(
            "{{\"index\":{index},\"time\":{time},\"process\":0,\"type\":\"{kind}\",\
             \"f\":\"{function}\",\"key\":\"k\",\"value\":{value},\"node\":\"n1\"}}\n"
        )
    };
    half(2 * index, "invoke", asked) + &half(2 * index + 1, "ok", answered)
}

/// Writes a history with a stale read of `value`, and one that is linearizable.
fn histories(folder: &Path, value: &str) -> [PathBuf; 2] {
    let writes = operation(0, "write", value, value) + &operation(1, "write", "2", "2");
    let bad = writes.clone() + &operation(2, "read", "null", value);
    let good = writes + &operation(2, "read", "null", "2");
    let paths = ["bad.jsonl", "good.jsonl"].map(|name| folder.join(name));
    for (path, text) in paths.iter().zip([bad, good]) {
        fs::write(path, text).expect("written");
    }
    paths
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// What a terminal would obey, or what would rearrange or hide something.
fn has_hidden(text: &str) -> bool {
    let without_lines = text.replace('\n', "");
    without_lines
        .chars()
        .any(|it| it.is_control() || "\u{202e}\u{2066}\u{61c}\u{200b}".contains(it))
}

#[test]
fn a_verdict_needs_no_reader() {
    let folder = folder();
    let folder = folder.path();
    histories(folder, "1");
    for (verdict, file) in [(1, "bad.jsonl"), (0, "good.jsonl"), (2, "nosuch.jsonl")] {
        for nobody in
            ["> /dev/full", "> /dev/full 2> /dev/full", "2> /dev/full", ">&-", ">&- 2>&-", "2>&-"]
        {
            let script = format!("$P check --explain --keys {file} {nobody}");
            let (code, said) = said(&shell(folder, &script));
            assert_eq!(code, Some(verdict), "{script}: {said}");
            assert!(!said.contains("panicked"), "{script}: {said}");
        }
        for reader in ["head -n 1", "true"] {
            let script = format!("$P check --keys {file} | {reader}; exit ${{PIPESTATUS[0]}}");
            let (code, said) = said(&shell(folder, &script));
            assert_eq!(code, Some(verdict), "{script}: {said}");
            assert!(!said.contains("panicked"), "{script}: {said}");
        }
    }
    let (_, said) = said(&shell(folder, "$P check --keys bad.jsonl good.jsonl > /dev/full"));
    let once = "standard output cannot be written: No space left on device";
    assert_eq!(said.matches(once).count(), 1, "{said}");
}

#[test]
fn every_command_bears_an_output_that_is_closed_or_full() {
    let folder = folder();
    let folder = folder.path();
    histories(folder, "1");
    for (arguments, code) in [
        ("list", 0),
        ("list --json", 0),
        ("--help", 0),
        ("--version", 0),
        ("run --nemesis meteor", 2),
        ("check --model", 2),
        ("verify good.jsonl proof.json", 0),
        ("simulate --test initial-election --count 1 --seed 1", 0),
        ("simulate --test initial-election --count 1 --seed 1 --json", 0),
        ("generate --operations 100", 2),
    ] {
        shell(folder, "$P check --certificate proof.json good.jsonl");
        let script = format!("$P {arguments} > /dev/full 2> /dev/full");
        assert_eq!(shell(folder, &script).status.code(), Some(code), "{script}");
    }
}

#[test]
fn values_cannot_move_the_cursor_hide_or_flood() {
    let folder = folder();
    let folder = folder.path();
    let hostile = "\"\\u001b]0;owned\\u0007\\u009b2J\\n\u{202e}\u{2066}\u{61c}\u{200b}\u{9b}\"";
    histories(folder, hostile);
    for arguments in
        [&["check", "--explain", "--keys", "bad.jsonl"][..], &["check", "--json", "bad.jsonl"]]
    {
        let (code, said) = said(&partita(folder, arguments));
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("owned") && !has_hidden(&said), "{said:?}");
    }
    let long = format!("\"{}\"", "x".repeat(4 << 20));
    histories(folder, &long);
    let (code, said) = said(&partita(folder, &["check", "--explain", "--keys", "bad.jsonl"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.len() < 20_000, "{} bytes are printed", said.len());
}

#[test]
fn names_of_files_cannot_move_the_cursor_either() {
    let folder = folder();
    let folder = folder.path();
    let [bad, _] = histories(folder, "1");
    let name = "a\u{1b}[2J\u{7}\n  × b\u{202e}.jsonl";
    for (content, verdict) in [(fs::read_to_string(bad).expect("read"), 1), ("{".to_owned(), 2)] {
        fs::write(folder.join(name), content).expect("written");
        let missing = format!("{name}.missing");
        let certificate = format!("{name}/certificate");
        for arguments in [
            &["check", name][..],
            &["check", "--json", name],
            &["check", "--certificate", &certificate, name],
            &["check", "--report", &certificate, name],
        ] {
            let (code, said) = said(&partita(folder, arguments));
            assert_eq!(code, Some(verdict), "{said}");
            assert!(said.contains("a\\u") && !has_hidden(&said), "{said:?}");
            assert!(!said.contains("\n  × b"), "no line of its own: {said}");
        }
        for arguments in [
            &["check", &missing][..],
            &["verify", name],
            &["verify", name, &missing],
            &["export", &missing],
            &["run", "--target", &missing],
            &["run", "--schedule", name],
            &["replay", &missing],
            &["check", "--model", name, "x"],
            &["check", name, "--nosuch", name],
            &[name],
        ] {
            let (code, said) = said(&partita(folder, arguments));
            assert_eq!(code, Some(2), "{arguments:?}: {said}");
            assert!(!has_hidden(&said), "{arguments:?}: {said:?}");
        }
    }
}

#[test]
fn a_violation_in_one_of_several_files_wins() {
    let folder = folder();
    let folder = folder.path();
    histories(folder, "1");
    fs::write(folder.join("broken.jsonl"), "{").expect("written");
    fs::write(folder.join("empty.jsonl"), "").expect("written");
    fs::create_dir(folder.join("folder")).expect("made");
    let files =
        ["nosuch.jsonl", "broken.jsonl", "good.jsonl", "bad.jsonl", "empty.jsonl", "folder"];
    let check = |options: &[&str], files: &[&str]| {
        let output = partita(folder, &[&["check"], options, files].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, err) = check(&[], &files);
    assert_eq!(code, Some(1), "{out}{err}");
    let last = out.lines().last().expect("lines");
    assert_eq!(last, "6 files: 1 valid, 1 violation, 1 unknown, 3 unreadable");
    for file in files {
        assert!(out.contains(file) || err.contains(file), "{file}: {out}{err}");
    }
    for (files, expected) in [
        (&["nosuch.jsonl", "good.jsonl"][..], 2),
        (&["empty.jsonl", "nosuch.jsonl"], 2),
        (&["empty.jsonl", "good.jsonl"], 3),
        (&["good.jsonl", "good.jsonl"], 0),
        (&["nosuch.jsonl", "bad.jsonl"], 1),
        (&["bad.jsonl", "empty.jsonl"], 1),
    ] {
        assert_eq!(check(&[], files).0, Some(expected), "{files:?}");
    }
    let nowhere = "no/such/folder/page.html";
    assert_eq!(check(&["--report", nowhere], &["bad.jsonl"]).0, Some(1));
    assert_eq!(check(&["--report", nowhere], &["good.jsonl"]).0, Some(2));
    assert_eq!(check(&["--certificate", nowhere], &["good.jsonl"]).0, Some(2));
}

#[test]
fn every_file_is_named_as_json_and_in_the_report() {
    let folder = folder();
    let folder = folder.path();
    histories(folder, "1");
    let arguments =
        ["check", "--json", "--report", "page.html", "nosuch.jsonl", "bad.jsonl", "good.jsonl"];
    let output = partita(folder, &arguments);
    assert_eq!(output.status.code(), Some(1));
    let documents: Vec<serde_json::Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a document a line"))
        .collect();
    let files: Vec<_> = documents.iter().map(|it| it["file"].as_str().expect("a name")).collect();
    assert_eq!(files, ["nosuch.jsonl", "bad.jsonl", "good.jsonl"]);
    assert!(documents.iter().all(|document| document["format"] == 1));
    assert!(documents[0]["error"].as_str().is_some_and(|why| why.contains("No such file")));
    assert_eq!(documents[1]["verdict"], "violation");
    let anomaly = &documents[1]["counterexample"]["anomaly"];
    assert_eq!(&documents[1]["violations"]["groups"][0]["anomaly"], anomaly);
    assert_eq!(documents[2]["verdict"], "valid");
    let page = fs::read_to_string(folder.join("page.html")).expect("a page");
    assert!(page.contains("1 violation, 1 valid, 1 unreadable."), "{page}");
    assert!(page.contains("<li>nosuch.jsonl: nosuch.jsonl: No such file"), "{page}");
}

#[test]
fn a_runs_folder_is_verified_by_itself() {
    let folder = folder();
    let folder = folder.path();
    let [_, good] = histories(folder, "1");
    let run = folder.join("run");
    fs::create_dir(&run).expect("made");
    fs::copy(good, run.join("history.jsonl")).expect("copied");
    let verify = || said(&partita(folder, &["verify", "run"]));
    let (code, told) = verify();
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("no certificate.json"), "{told}");
    partita(folder, &["check", "--certificate", "run/certificate.json", "good.jsonl"]);
    let (code, told) = verify();
    assert_eq!((code, told.starts_with("accepted: ")), (Some(0), true), "{told}");
    let path = run.join("certificate.json");
    let certificate = fs::read_to_string(&path).expect("a certificate");
    fs::write(&path, certificate.replace("[0,2,4]", "[0,4,2]")).expect("written");
    let (code, told) = verify();
    assert_eq!((code, told.starts_with("rejected: ")), (Some(3), true), "{told}");
    let (code, told) = said(&partita(folder, &["verify", "good.jsonl"]));
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("expected a certificate"), "{told}");
}

#[test]
fn what_is_no_history_is_told_so_without_harm() {
    let folder = folder();
    let folder = folder.path();
    let socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).expect("bound");
    fs::write(folder.join("line"), "x".repeat(100 << 20)).expect("written");
    for file in ["socket", "/dev/zero", "line", "/proc/self/mem", "."] {
        let (code, said) = said(&partita(folder, &["check", "--timeout", "20s", file]));
        assert_eq!(code, Some(2), "{file}: {said}");
        assert!(said.contains(file) && said.len() < 10_000, "{file}: {said}");
        assert!(!has_hidden(&said), "{file}: {said:?}");
    }
    drop(socket);
}

#[test]
fn a_pipe_that_nobody_writes_is_waited_for_no_longer_than_allowed() {
    let folder = folder();
    let folder = folder.path();
    let [bad, _] = histories(folder, "1");
    let (code, told) = said(&shell(folder, "mkfifo pipe && $P check --timeout 300ms pipe"));
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("the time ran out"), "{told}");
    let script = format!("mkfifo full && (cat {} > full &) ; $P check full", bad.display());
    assert_eq!(said(&shell(folder, &script)).0, Some(1));
}

#[test]
fn a_file_that_must_not_be_read_is_one_that_cannot() {
    let folder = folder();
    // Only root can become another user, and may itself read everything.
    if !Need::Root.met(nix::unistd::geteuid().is_root()) {
        return;
    }
    let [bad, good] = histories(folder.path(), "1");
    let program = folder.path().join("partita");
    fs::copy(PARTITA, &program).expect("copied");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("set");
    fs::set_permissions(&good, fs::Permissions::from_mode(0o600)).expect("set");
    let user = nix::unistd::User::from_name("nobody").expect("users").expect("a user nobody");
    let mut command = Command::new(program);
    command.arg("check").args([&good, &bad]).uid(user.uid.as_raw()).gid(user.gid.as_raw());
    let (code, said) = said(&command.stdin(Stdio::null()).output().expect("partita starts"));
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.matches("Permission denied").count(), 1, "{said}");
    assert!(said.contains("2 files: 1 violation, 1 unreadable"), "{said}");
}
