//! Runs the body of a test in a lab: the program starts itself again for that one test.
//!
//! Three processes take part. The *runner* is the test's own; it starts the program with the test's
//! name, and the environment says why. The *outer* one finds that out before its `main`, while it has
//! one thread, and makes the lab ([`enter`]). The *controller* is the program once more, inside; its
//! test runner comes to the same test, which now runs the body and leaves what came of it in a file:
//! an exit code alone could come from anywhere.

#![expect(unsafe_code, reason = "code before main, and a signal for the runner's death, need it")]

use std::any::Any;
use std::env;
use std::fmt::Debug;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio, exit};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};

use super::lab::TestLab;
use crate::lab::namespaces::{Entered, enter, inside};

/// Names the runner by its process number, and the folder of the test.
const TEST: &str = "PARTITA_LAB_TEST";
/// What the controller prints before the body does: before it, the test runner in there speaks.
const BEGIN: &str = "partita: the body of the test begins";
/// The file in the test's folder that says what came of the body.
const RESULT: &str = "result";
/// What a test runner ends with if a test fails.
const FAILED: i32 = 101;

/// Runs before `main`, as the dynamic linker or the C library runs every function of this section.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

/// In the outer process, makes the lab, waits for its end and ends. Returns in any other process.
extern "C" fn before_main() {
    let Some(test) = env::var(TEST).ok().as_deref().and_then(Asked::read) else { return };
    if inside().is_some() || test.runner != getppid().as_raw() {
        return;
    }
    match enter() {
        Ok(Entered::Inside(_)) => {}
        Ok(Entered::Finished(code)) => exit(i32::from(code)),
        Err(error) => {
            test.answer(&Answer::NoLab(error.to_string()));
            exit(FAILED);
        }
    }
}

/// Why the program was started.
struct Asked {
    runner: i32,
    folder: PathBuf,
}

impl Asked {
    fn read(text: &str) -> Option<Asked> {
        let (runner, folder) = text.split_once(' ')?;
        Some(Asked { runner: runner.parse().ok()?, folder: folder.into() })
    }

    /// Leaves an answer for the runner.
    fn answer(&self, answer: &Answer) {
        let (kind, text) = match answer {
            Answer::Passed => ("passed", ""),
            Answer::Panicked(text) => ("panicked", &**text),
            Answer::NoLab(text) => ("no-lab", &**text),
        };
        // Without an answer the test fails all the same.
        if let Err(error) = fs::write(self.folder.join(RESULT), format!("{kind} {text}")) {
            eprintln!("writing the result of the test: {error}");
        }
    }
}

/// What came of the body.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Passed,
    Panicked(String),
    NoLab(String),
}

impl Answer {
    fn read(folder: &Path) -> Option<Answer> {
        let answer = fs::read_to_string(folder.join(RESULT)).ok()?;
        match answer.split_once(' ')? {
            ("passed", _) => Some(Answer::Passed),
            ("panicked", text) => Some(Answer::Panicked(text.to_owned())),
            ("no-lab", text) => Some(Answer::NoLab(text.to_owned())),
            _ => None,
        }
    }
}

/// What a test's lab is to have.
#[derive(Debug, Clone)]
pub struct Setup {
    pub(super) nodes: Vec<String>,
    pub(super) has_clocks: bool,
    pub(super) has_disks: bool,
}

impl Default for Setup {
    /// Nodes `n1`, `n2` and `n3`, with the machine's clocks and disks.
    fn default() -> Setup {
        Setup { nodes: Vec::new(), has_clocks: false, has_disks: false }.nodes(3)
    }
}

impl Setup {
    /// So many nodes, called `n1` and so on; at most [99](crate::lab::MOST_NODES).
    #[must_use]
    pub fn nodes(self, count: usize) -> Setup {
        Setup { nodes: (1..=count).map(|number| format!("n{number}")).collect(), ..self }
    }

    /// Nodes of these names.
    #[must_use]
    pub fn named(self, names: &[&str]) -> Setup {
        Setup { nodes: names.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }

    /// Clocks of their own for the nodes, which clock faults need.
    #[must_use]
    pub fn clocks(self) -> Setup {
        Setup { has_clocks: true, ..self }
    }

    /// A watch on each node's [folder](TestLab::folder), which disk faults need.
    #[must_use]
    pub fn disks(self) -> Setup {
        Setup { has_disks: true, ..self }
    }
}

/// What the body of a test may return: nothing, or a result of which an error fails the test.
pub trait Outcome {
    /// Nothing, or what the test fails with.
    ///
    /// # Errors
    ///
    /// If the test failed.
    fn passed(self) -> Result<(), String>;
}

impl Outcome for () {
    fn passed(self) -> Result<(), String> {
        Ok(())
    }
}

impl<T: Outcome, E: Debug> Outcome for Result<T, E> {
    fn passed(self) -> Result<(), String> {
        self.map_err(|error| format!("Error: {error:?}"))?.passed()
    }
}

/// Runs the future of an async test to its end, on a runtime with several threads.
///
/// # Panics
///
/// If the machine gives it no threads.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Runs `body` in a lab: what `#[partita_nemesis::test]` makes of a function. `module` is where the
/// test is written, `name` what it is called there.
///
/// # Panics
///
/// If the test fails.
pub fn run<R: Outcome>(module: &str, name: &str, setup: &Setup, body: impl FnOnce(TestLab) -> R) {
    // What nothing refers to, a linker may leave out.
    std::hint::black_box(&BEFORE_MAIN);
    if inside().is_some()
        && let Some(asked) = env::var(TEST).ok().as_deref().and_then(Asked::read)
    {
        run_inside(&asked, setup, body);
    }
    // Test runners know a test by its path without the crate.
    let name = match module.split_once("::") {
        Some((_, modules)) => format!("{modules}::{name}"),
        None => name.to_owned(),
    };
    match run_outside(&name) {
        Ok(()) => {}
        // It was reported where it happened.
        Err(Failure::Body(message)) => resume_unwind(Box::new(message)),
        Err(Failure::Lab(message)) => panic!("{message}"),
    }
}

/// In the controller: runs the body and ends the process.
fn run_inside<R: Outcome>(asked: &Asked, setup: &Setup, body: impl FnOnce(TestLab) -> R) -> ! {
    println!("\n{BEGIN}");
    let answer = match TestLab::build(setup, &asked.folder) {
        Ok(lab) => match catch_unwind(AssertUnwindSafe(|| body(lab).passed())) {
            Ok(Ok(())) => Answer::Passed,
            Ok(Err(message)) => {
                eprintln!("{message}");
                Answer::Panicked(message)
            }
            Err(panic) => Answer::Panicked(message(&*panic)),
        },
        Err(error) => Answer::NoLab(error.to_string()),
    };
    asked.answer(&answer);
    let _ = io::stdout().flush();
    exit(if answer == Answer::Passed { 0 } else { FAILED })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

/// Why a test failed.
enum Failure {
    /// What its body panicked with or returned.
    Body(String),
    /// What went wrong around the body.
    Lab(String),
}

/// In the runner: has the body run, and says why the test failed, if so.
fn run_outside(name: &str) -> Result<(), Failure> {
    let failed = |what: &str, error: io::Error| Failure::Lab(format!("{what}: {error}"));
    let folder = test_folder().map_err(|error| failed("making a folder for the test", error))?;
    let status = perform(name, &folder).map_err(|error| failed("starting the test", error))?;
    let result = match Answer::read(&folder) {
        Some(Answer::Passed) if status.success() => Ok(()),
        Some(Answer::Panicked(message)) => Err(Failure::Body(message)),
        Some(Answer::NoLab(why)) => no_lab(name, &why).map_err(Failure::Lab),
        Some(Answer::Passed) => {
            Err(Failure::Lab(format!("the test passed, and then ended with {status}")))
        }
        None => {
            let what = format!("{name} did not come to its end in the lab: {status}");
            Err(Failure::Lab(what))
        }
    };
    if result.is_err() && has_output(&folder) {
        println!("what the nodes of {name} left is in {}", folder.display());
    } else {
        // Nothing depends on its being gone.
        let _ = fs::remove_dir_all(&folder);
    }
    result
}

/// Whether something ran on one of the nodes.
fn has_output(folder: &Path) -> bool {
    let nodes = fs::read_dir(folder).into_iter().flatten().flatten();
    nodes.map(|node| node.path()).any(|node| node.join(super::lab::STDOUT).exists())
}

/// Whether a test may pass where there is no lab.
fn no_lab(name: &str, why: &str) -> Result<(), String> {
    let names_lab = |variable| {
        env::var(variable).is_ok_and(|value| value.split(',').any(|it| it.trim() == "lab"))
    };
    if names_lab("PARTITA_SKIP") && !names_lab("PARTITA_REQUIRE") {
        println!("{name} was SKIPPED, for no lab can be made here: {why}");
        return Ok(());
    }
    Err(format!("no lab can be made here: {why}; PARTITA_SKIP=lab skips the tests that need one"))
}

/// A folder that no other test has.
fn test_folder() -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("partita-test-{}-{number}", getpid()));
        match fs::create_dir(&folder) {
            // Left by a process that had this number before.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| folder),
        }
    }
}

/// Starts the program for the one test, prints what it prints, and waits for its end.
fn perform(name: &str, folder: &Path) -> io::Result<ExitStatus> {
    let mut command = Command::new("/proc/self/exe");
    if let Some(own) = env::args_os().next() {
        command.arg0(own);
    }
    command
        .args(["--exact", name, "--nocapture", "--include-ignored", "--test-threads=1"])
        .env(TEST, format!("{} {}", getpid(), folder.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: between fork and exec, this makes one system call.
    unsafe {
        command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?));
    }
    let mut child = command.spawn()?;
    let (sender, pieces) = mpsc::channel();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let readers = [
        stdout.map(|pipe| forward(pipe, sender.clone(), false)),
        stderr.map(|pipe| forward(pipe, sender, true)),
    ];
    // Printed by this thread, whose output its test runner captures.
    let mut preamble = Some(String::new());
    for (is_error, piece) in pieces {
        if is_error {
            eprint!("{piece}");
        } else if let Some(text) = past_preamble(&mut preamble, &piece) {
            print!("{text}");
        }
    }
    for reader in readers.into_iter().flatten() {
        let _ = reader.join();
    }
    child.wait()
}

/// What of a piece comes after the words with which a body begins. `preamble` is what came before.
fn past_preamble(preamble: &mut Option<String>, piece: &str) -> Option<String> {
    let Some(before) = preamble else { return Some(piece.to_owned()) };
    before.push_str(piece);
    let begin = format!("{BEGIN}\n");
    let text = before.split_once(&begin)?.1.to_owned();
    *preamble = None;
    Some(text)
}

/// Sends what comes through a pipe, line by line.
fn forward(
    pipe: impl Read + Send + 'static,
    sender: mpsc::Sender<(bool, String)>,
    is_error: bool,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut lines = io::BufReader::new(pipe);
        let mut line = Vec::new();
        while io::BufRead::read_until(&mut lines, b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            line.clear();
            if sender.send((is_error, text)).is_err() {
                return;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_inner_test_runner_says_first_is_not_the_bodys() {
        let mut preamble = Some(String::new());
        assert_eq!(past_preamble(&mut preamble, "\nrunning 1 test\n"), None);
        assert_eq!(past_preamble(&mut preamble, "test it ... \n"), None);
        let begun = past_preamble(&mut preamble, &format!("{BEGIN}\nfirst\n"));
        assert_eq!(begun.as_deref(), Some("first\n"));
        assert_eq!(past_preamble(&mut preamble, "second\n").as_deref(), Some("second\n"));
    }

    #[test]
    fn an_answer_reads_back_and_none_is_made_up() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(Answer::read(folder.path()), None);
        let asked = Asked { runner: 1, folder: folder.path().to_owned() };
        let answers = [
            Answer::Passed,
            Answer::Panicked("two\nlines".to_owned()),
            Answer::NoLab("making a user namespace: refused".to_owned()),
        ];
        for answer in answers {
            asked.answer(&answer);
            assert_eq!(Answer::read(folder.path()), Some(answer));
        }
    }

    #[test]
    fn a_result_that_is_an_error_fails_the_test() {
        assert_eq!(Ok::<(), ()>(()).passed(), Ok(()));
        assert_eq!(Err::<(), _>("no").passed(), Err("Error: \"no\"".to_owned()));
    }
}
