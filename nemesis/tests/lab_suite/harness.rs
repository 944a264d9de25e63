//! Runs scenarios inside labs and shows them to test runners as ordinary tests.
//!
//! A scenario runs in a process of its own that enters a lab as the `partita` program does. As
//! root, every scenario runs twice, as root and as `nobody`, since the two kinds of lab differ.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, exit};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use nix::unistd::geteuid;
use partita_nemesis::lab::LabBackend;
use partita_nemesis::lab::namespaces::{Entered, enter_backend};

/// Names the scenario that a process shall run.
const SCENARIO: &str = "PARTITA_TEST_SCENARIO";
/// The user and group `nobody`, without any rights.
const NOBODY: u32 = 65_534;
/// How long any test may take, building included, before it counts as hung.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What happens inside a lab. Panics if a fact does not hold.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
}

/// What happens outside; it starts scenarios by name.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Account),
}

/// Who makes the lab.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    Own,
    Nobody,
}

impl Account {
    fn all() -> &'static [Account] {
        if geteuid().is_root() { &[Account::Own, Account::Nobody] } else { &[Account::Own] }
    }

    fn is_root(self) -> bool {
        self == Account::Own && geteuid().is_root()
    }

    fn name(self) -> &'static str {
        match self {
            Account::Own if self.is_root() => "root",
            Account::Own => "user",
            Account::Nobody => "nobody",
        }
    }
}

/// A part of the suite.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Tests by themselves.
    pub(crate) scenarios: &'static [Scenario],
    /// Tests by themselves that would change the machine if root ran them.
    pub(crate) unprivileged: &'static [Scenario],
    /// Tests by themselves, in labs without namespaces.
    pub(crate) loopback: &'static [Scenario],
    /// Scenarios that only `tests` start.
    pub(crate) helpers: &'static [Scenario],
    /// The same, in labs without namespaces.
    pub(crate) loopback_helpers: &'static [Scenario],
    pub(crate) tests: &'static [Test],
}

/// Lists or runs tests, or runs the one scenario this process was started for.
pub(crate) fn main(parts: &'static [Part]) {
    if let Ok(name) = std::env::var(SCENARIO) {
        let known = parts
            .iter()
            .flat_map(|part| part.scenarios.iter().chain(part.unprivileged).chain(part.helpers));
        let mut known = known.filter(|scenario| scenario.name == name);
        let of_part = |part: &'static Part| part.loopback.iter().chain(part.loopback_helpers);
        let mut lesser = parts.iter().flat_map(of_part);
        if let Some(scenario) = lesser.find(|scenario| scenario.name == name) {
            run_inside(scenario, LabBackend::Proxies);
        }
        run_inside(known.next().expect("a scenario of this program"), LabBackend::Namespaces);
    }
    let mut trials = Vec::new();
    for (account, part) in Account::all().iter().flat_map(|a| parts.iter().map(move |p| (*a, p))) {
        let called = |name| format!("{}::{}::{name}", part.name, account.name());
        let unprivileged = if account.is_root() { &[] } else { part.unprivileged };
        for scenario in part.scenarios.iter().chain(unprivileged).chain(part.loopback) {
            trials.push(Trial::test(called(scenario.name), move || succeed(scenario, account)));
        }
        for test in part.tests {
            let run = move || {
                (test.run)(account);
                Ok(())
            };
            trials.push(Trial::test(called(test.name), run));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn run_inside(scenario: &Scenario, backend: LabBackend) -> ! {
    match enter_backend(backend) {
        Ok(Entered::Inside(_)) => {
            (scenario.run)();
            exit(0)
        }
        Ok(Entered::Finished(code)) => exit(i32::from(code)),
        Err(error) => {
            eprintln!("{error}");
            exit(4)
        }
    }
}

fn succeed(scenario: &Scenario, account: Account) -> Result<(), Failed> {
    let mut child = command(scenario.name, account).spawn()?;
    let status = wait(&mut child);
    if status.success() { Ok(()) } else { Err(format!("the scenario ended with {status}").into()) }
}

/// The command that runs a scenario as an account.
pub(crate) fn command(scenario: &str, account: Account) -> Command {
    // By descriptor: `nobody` may not be able to look the file up by its path.
    let own = File::open("/proc/self/exe").expect("this program can be read");
    let mut command = Command::new(format!("/proc/self/fd/{}", own.as_raw_fd()));
    // The command does not own the file, so it must stay open until this process ends.
    std::mem::forget(own);
    command.env(SCENARIO, scenario).current_dir("/");
    if account == Account::Nobody {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Waits for a process to end, and kills it if it does not.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let ended = eventually(|| child.try_wait().expect("a child can be waited for"));
    ended.unwrap_or_else(|| {
        child.kill().expect("a child can be killed");
        panic!("the process did not end: {:?}", child.wait());
    })
}

/// Looks again and again until there is something to see, or the limit has passed.
pub(crate) fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(seen) = look() {
            return Some(seen);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}
