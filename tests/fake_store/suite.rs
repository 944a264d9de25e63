//! Runs `partita` against every mode, several at a time, and looks at what it makes of them.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use crate::modes::{CRASH, FAILED, MODES, Mode, UNKNOWN, VALID, VIOLATION};

/// The first argument of this program where it is a store.
pub(crate) const STORE: &str = "store";

/// Runs at a time. They sleep most of the time.
const AT_ONCE: usize = 12;

/// Longer than any run takes, those included that wait for a store which never comes up.
const LIMIT: Duration = Duration::from_secs(180);

/// What must reach neither a terminal nor a page as it is.
const HIDDEN: [&str; 3] = ["\x1b", "\u{202e}", "\x07"];

/// What must not stand in a page as it is; scripts of the page itself have a type.
const MARKUP: [&str; 2] = ["<script>", "<img"];

/// Runs all modes and compares each with the table.
pub(crate) fn every_mode_has_its_verdict() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let wanted = std::env::var("PARTITA_FAKE_STORE_MODES").ok();
    let is_wanted = |mode: &&Mode| {
        wanted.as_ref().is_none_or(|wanted| wanted.split(',').any(|name| name == mode.name))
    };
    let waiting: Mutex<VecDeque<&Mode>> = Mutex::new(MODES.iter().filter(is_wanted).collect());
    let problems = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                // By a function, so that the lock is not held while a run is on.
                let next = || lock(&waiting).pop_front();
                while let Some(mode) = next() {
                    if let Err(problem) = try_mode(mode, folder.path()) {
                        lock(&problems).push(format!("{}: {problem}", mode.name));
                    }
                }
            });
        }
    });
    let mut problems = lock(&problems);
    let left = left_behind(&folder.path().display().to_string());
    if !left.is_empty() {
        problems.push(format!("left behind: {left:?}"));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n\n").into()) }
}

/// The page for readers has a row for every mode, with its verdict.
pub(crate) fn the_page_lists_every_mode() -> Result<(), Failed> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fake-store.md");
    let page = fs::read_to_string(page)?;
    let listed = page.lines().filter(|line| line.starts_with("| `")).count();
    for mode in MODES {
        let verdict = verdict(mode);
        let row = format!("| `{}` | {verdict} |", mode.name);
        if !page.lines().any(|line| line.starts_with(&row)) {
            return Err(format!("docs/fake-store.md lacks the row {row}").into());
        }
    }
    if listed == MODES.len() { Ok(()) } else { Err(format!("{listed} rows").into()) }
}

fn verdict(mode: &Mode) -> &'static str {
    match mode.exit {
        CRASH if mode.says.starts_with("crash") => "crash",
        VALID => "valid",
        VIOLATION => "violation",
        UNKNOWN => "unknown",
        FAILED => "failed",
        other => panic!("no such exit code: {other}"),
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_mode(mode: &Mode, folder: &Path) -> Result<(), String> {
    let home = folder.join(mode.name);
    fs::create_dir(&home).map_err(|error| error.to_string())?;
    let code = run(mode, &home)?;
    let read = |name: &str| fs::read(home.join(name)).unwrap_or_default();
    let said = [read("stdout"), read("stderr")].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if code != i32::from(mode.exit) {
        return Err(format!("exit code {code} instead of {}:\n{said}", mode.exit));
    }
    if !in_one_line(&said).contains(mode.says) {
        return Err(format!("does not say `{}`:\n{said}", mode.says));
    }
    if let Some(raw) = HIDDEN.iter().find(|raw| said.contains(**raw)) {
        return Err(format!("{raw:?} on the terminal: {said:?}"));
    }
    for name in ["report.html", "junit.xml", "summary.md"] {
        let path = home.join("runs/latest").join(name);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let raw = HIDDEN.iter().chain(&MARKUP).find(|raw| text.contains(**raw));
                if let Some(raw) = raw {
                    return Err(format!("{raw:?} in {name}"));
                }
            }
            Err(error) if mode.exit != FAILED => return Err(format!("{name}: {error}")),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Runs `partita` against the store in this mode; its exit code.
fn run(mode: &Mode, home: &Path) -> Result<i32, String> {
    let text = |error: std::io::Error| error.to_string();
    let target = home.join("store.toml");
    fs::write(&target, description(mode)).map_err(text)?;
    let output = |name: &str| fs::File::create(home.join(name)).map_err(text);
    let mut child = Command::new(env!("CARGO_BIN_EXE_partita"))
        .arg("run")
        .arg(format!("--target={}", target.display()))
        .arg(format!("--out={}", home.join("runs").display()))
        .arg(format!("--workload={}", mode.workload))
        .args(["--nodes=1", "--nemesis=none", "--time=2s", "--rate=120", "--clients=5"])
        .args(["--reply-timeout=400ms", "--seed=1"])
        .stdin(Stdio::null())
        .stdout(output("stdout")?)
        .stderr(output("stderr")?)
        .spawn()
        .map_err(text)?;
    wait(&mut child)
}

fn wait(child: &mut Child) -> Result<i32, String> {
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                return status.code().ok_or_else(|| format!("the controller: {status}"));
            }
            Ok(None) if begun.elapsed() < LIMIT => thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no end within {} s", LIMIT.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// The description of this program as a store.
fn description(mode: &Mode) -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.display().to_string();
    let store = [&program, STORE, mode.name, "{ip}", "{port.client}", "{data}"];
    let shell = ["sh", "-c", "trap '' TERM INT HUP; exec \"$0\" \"$@\""];
    let words: Vec<&str> = match mode.name {
        "ignores-sigterm" => shell.into_iter().chain(store).collect(),
        _ => store.into(),
    };
    format!(
        "name = \"fake\"\nabout = \"a store that misbehaves\"\nprotocol = \"resp\"\n\
         ports = {{ client = 6379 }}\ncommand = {words:?}\n"
    )
}

/// A terminal's output without its line ends, indents and frames.
fn in_one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || "│├╰─▶×".contains(c));
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Processes whose command line holds `mark`, a while after all should have ended.
fn left_behind(mark: &str) -> Vec<PathBuf> {
    let begun = Instant::now();
    loop {
        let left = processes_with(mark);
        if left.is_empty() || begun.elapsed() > Duration::from_secs(5) {
            return left;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn processes_with(mark: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let lines = entries.flatten().map(|entry| entry.path().join("cmdline"));
    let is_marked = |path: &PathBuf| {
        fs::read(path).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    };
    lines.filter(is_marked).collect()
}
