//! What a lab leaves behind, however it ends: nothing.

#![expect(unsafe_code, reason = "dropping a capability between fork and exec needs pre_exec")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, Stdio, exit};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::harness::{Account, Scenario, Test, command, eventually, wait};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use partita_nemesis::disk::DiskFault;
use partita_nemesis::lab::namespaces::{Entered, LabKind, enter};
use partita_nemesis::{Disk, Lab, NodeProcess, Program};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::victim::SCRIPT;

/// Carries a mark that tells one lab's processes from all others.
const MARK: &str = "PARTITA_TEST_MARK";

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "the_controller_sees_its_own_processes_only", run: own_processes },
    Scenario { name: "a_node_is_no_controller", run: no_controller },
    Scenario { name: "a_step_refused_inside_is_named", run: refused_inside },
    Scenario { name: "a_root_without_power_uses_a_user_namespace", run: powerless_root },
    Scenario { name: "orphans_are_reaped", run: orphans },
];

/// What is tested only where a limit belongs to the lab's user namespace, not to the machine.
pub(crate) const UNPRIVILEGED: &[Scenario] =
    &[Scenario { name: "a_refused_step_is_named", run: refused }];

/// What the tests start.
pub(crate) const HELPERS: &[Scenario] = &[
    Scenario { name: "linger", run: linger },
    Scenario { name: "linger_in_a_sync", run: linger_in_sync },
    Scenario { name: "count_interrupts", run: count_interrupts },
    Scenario { name: "end_with_7", run: || exit(7) },
    Scenario { name: "be_killed", run: be_killed },
];

/// What is tested from outside.
pub(crate) const TESTS: &[Test] = &[
    Test { name: "the_controllers_code_is_the_programs_code", run: codes },
    Test { name: "killing_the_outer_process_leaves_nothing", run: kill_outer },
    Test { name: "killing_init_leaves_nothing", run: kill_init },
    Test { name: "killing_the_controller_leaves_nothing", run: kill_controller },
    Test { name: "killing_the_controller_leaves_no_node_waiting_for_its_disk", run: kill_in_sync },
    Test { name: "killing_the_outer_process_early_leaves_nothing", run: kill_early },
    Test { name: "an_interrupt_reaches_the_controller_once", run: interrupt },
    Test { name: "a_terminals_interrupt_reaches_the_controller_once", run: ctrl_c },
];

/// A lab that was started and can be found in `/proc`.
pub(crate) struct Started {
    child: Child,
    output: BufReader<ChildStdout>,
    mark: String,
}

fn marked(scenario: &str, account: Account) -> (Command, String) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mark = format!("mark-{}-{number}", std::process::id());
    let mut command = command(scenario, account);
    command.env(MARK, &mark).stdout(Stdio::piped());
    (command, mark)
}

impl Started {
    /// Starts a scenario and waits until it says that it is ready.
    pub(crate) fn new(scenario: &str, account: Account) -> Started {
        let (mut command, mark) = marked(scenario, account);
        let mut child = command.process_group(0).spawn().expect("starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut started = Started { child, output, mark };
        assert_eq!(started.line(), "ready");
        started
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    fn outer(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// The only child of a process of this lab.
    fn child_of(&self, parent: Pid) -> Pid {
        let pids = processes(&self.mark);
        let children: Vec<&Pid> =
            pids.iter().filter(|pid| parent_of(**pid) == Some(parent)).collect();
        let [child] = children[..] else { panic!("{parent} has the children {children:?}") };
        *child
    }

    /// The child of init that runs this program.
    pub(crate) fn controller(&self) -> Pid {
        let init = self.child_of(self.outer());
        let pids = processes(&self.mark);
        let is_named = |pid: &&Pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            parent_of(**pid) == Some(init) && !line.starts_with(b"sleep")
        };
        *pids.iter().find(is_named).expect("a controller")
    }

    /// Kills the outer process (0), the lab's first (1) or the controller (2); nothing may be left.
    pub(crate) fn kill_generation(self, generation: u32) {
        let victim = match generation {
            0 => self.outer(),
            1 => self.child_of(self.outer()),
            _ => self.controller(),
        };
        kill(victim, Signal::SIGKILL).expect("killed");
        self.assert_gone();
    }

    /// Kills the outer process and the lab's first at the same moment, so that neither can do
    /// anything about the other's end; nothing may be left.
    pub(crate) fn kill_both(self) {
        let both = [self.child_of(self.outer()), self.outer()];
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for victim in both {
                kill(victim, signal).expect("sent");
            }
        }
        self.assert_gone();
    }

    /// Waits until nothing is left of the lab.
    pub(crate) fn assert_gone(mut self) {
        wait(&mut self.child);
        let left = || Some(processes(&self.mark)).filter(BTreeSet::is_empty);
        assert!(eventually(left).is_some(), "left: {:?}", processes(&self.mark));
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        assert!(!mounts.contains(&self.mark), "a mount is left");
        let interfaces = fs::read_to_string("/proc/self/net/dev").expect("interfaces");
        assert!(!interfaces.contains("lab-"), "an interface is left");
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Only a failed test leaves it running; what it left is then gone with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that carry a mark.
fn processes(mark: &str) -> BTreeSet<Pid> {
    let wanted = format!("{MARK}={mark}\0");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(wanted.len()).any(|window| window == wanted.as_bytes())
    };
    pids.filter(is_marked).map(Pid::from_raw).collect()
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)
}

pub(crate) fn say(line: &str) {
    use std::io::Write;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).expect("somebody listens");
}

/// A node that sleeps, with its files in `/tmp`.
fn sleeper(lab: &Lab, script: &str) -> NodeProcess {
    let program = Program {
        user: None,
        path: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        environment: Vec::new(),
        directory: "/".into(),
        stdout: "/dev/null".into(),
        stderr: "/dev/null".into(),
    };
    NodeProcess::new(&lab.nodes()[0], program)
}

/// A lab with everything that could be left behind: nodes, one that left its group, a mount.
fn linger() {
    let lab = Lab::build(&["n1", "n2", "n3"]).expect("a lab");
    let node = sleeper(&lab, "setsid sleep 1000 & exec sleep 1000");
    node.start().expect("starts");
    let mark = std::env::var(MARK).expect("a mark");
    let nowhere = None::<&str>;
    let flags = nix::mount::MsFlags::empty();
    nix::mount::mount(Some(mark.as_str()), "/mnt", Some("tmpfs"), flags, nowhere).expect("mounts");
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    assert!(mounts.contains(&mark));
    say("ready");
    std::thread::sleep(crate::harness::LIMIT);
}

/// A node that waits for a sync that takes longer than any test. Says where its files are.
fn linger_in_sync() {
    let lab = Lab::build(&["n1"]).expect("a lab");
    let home = tempfile::tempdir().expect("a directory").keep();
    let data = home.join("data");
    fs::create_dir(&data).expect("made");
    let program = Program {
        user: None,
        path: "/proc/self/exe".into(),
        arguments: Vec::new(),
        environment: vec![(SCRIPT.into(), "append a x; fsync a".into())],
        directory: data.clone(),
        stdout: "/dev/null".into(),
        stderr: "/dev/null".into(),
    };
    let disk = Disk::new(&data).expect("a disk");
    let trouble = DiskFault::Slow { delay: crate::harness::LIMIT * 10 };
    let troubled = disk.trouble(trouble, ChaCha8Rng::seed_from_u64(1));
    let mut node = NodeProcess::new(&lab.nodes()[0], program);
    node.watch_disk(disk);
    node.start().expect("starts");
    let waits = || (troubled.tally().delayed > 0).then_some(());
    assert!(eventually(waits).is_some());
    say("ready");
    say(home.to_str().expect("text"));
    std::thread::sleep(crate::harness::LIMIT);
}

fn kill_in_sync(account: Account) {
    let mut started = Started::new("linger_in_a_sync", account);
    let home = started.line();
    let init = started.child_of(started.outer());
    // The node, which is the same program, is the controller's child.
    kill(started.child_of(init), Signal::SIGKILL).expect("killed");
    started.assert_gone();
    let left = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(folder).expect("readable").flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    // The program's own files, and no other.
    assert_eq!(left(&home), ["data", "ran"].map(String::from).into());
    assert_eq!(left(&format!("{home}/data")), ["a".to_owned()].into());
    fs::remove_dir_all(home).expect("removed");
}

fn count_interrupts() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let kind = tokio::signal::unix::SignalKind::interrupt();
        let mut interrupts = tokio::signal::unix::signal(kind).expect("a handler");
        say("ready");
        interrupts.recv().await;
        say("interrupt");
        let again = tokio::time::timeout(Duration::from_millis(300), interrupts.recv()).await;
        say(if again.is_ok() { "again" } else { "once" });
    });
    exit(42);
}

fn be_killed() {
    kill(Pid::this(), Signal::SIGKILL).expect("may kill itself");
    std::thread::sleep(crate::harness::LIMIT);
}

fn codes(account: Account) {
    let code = |scenario| wait(&mut command(scenario, account).spawn().expect("starts")).code();
    assert_eq!(code("end_with_7"), Some(7));
    assert_eq!(code("be_killed"), Some(128 + 9));
}

fn kill_outer(account: Account) {
    let started = Started::new("linger", account);
    // Outer, init, controller, and two that sleep.
    assert!(eventually(|| (processes(&started.mark).len() == 5).then_some(())).is_some());
    kill(started.outer(), Signal::SIGKILL).expect("killed");
    started.assert_gone();
}

fn kill_init(account: Account) {
    let mut started = Started::new("linger", account);
    let init = started.child_of(started.outer());
    kill(init, Signal::SIGKILL).expect("killed");
    assert_eq!(wait(&mut started.child).code(), Some(128 + 9));
    started.assert_gone();
}

fn kill_controller(account: Account) {
    let mut started = Started::new("linger", account);
    kill(started.controller(), Signal::SIGKILL).expect("killed");
    assert_eq!(wait(&mut started.child).code(), Some(128 + 9));
    started.assert_gone();
}

/// Whatever the moment: before the lab exists, while it is made, and after.
fn kill_early(account: Account) {
    for step in 0..24 {
        let (mut command, mark) = marked("linger", account);
        let mut child = command.spawn().expect("starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::sleep(Duration::from_micros(1_500 * step));
        child.kill().expect("killed");
        Started { child, output, mark }.assert_gone();
    }
}

fn interrupt(account: Account) {
    let mut started = Started::new("count_interrupts", account);
    // Ctrl-Z must not suspend the process that passes interrupts on.
    kill(started.outer(), Signal::SIGTSTP).expect("sent");
    kill(started.outer(), Signal::SIGINT).expect("interrupted");
    assert_interrupted_once(&mut started);
}

fn ctrl_c(account: Account) {
    let mut started = Started::new("count_interrupts", account);
    // A terminal interrupts its whole foreground process group.
    killpg(started.outer(), Signal::SIGINT).expect("interrupted");
    assert_interrupted_once(&mut started);
}

fn assert_interrupted_once(started: &mut Started) {
    let mut rest = String::new();
    started.output.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "interrupt\nonce\n");
    let status = wait(&mut started.child);
    assert_eq!((status.code(), status.signal()), (Some(42), None));
}

fn own_processes() {
    assert_eq!(Pid::parent(), Pid::from_raw(1));
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    assert_eq!(pids.collect::<BTreeSet<i32>>(), BTreeSet::from([1, Pid::this().as_raw()]));
}

fn no_controller() {
    // A process below the controller that inherited the marker makes a lab of its own.
    let mut command = command("end_with_7", Account::Own);
    assert_eq!(wait(&mut command.spawn().expect("starts")).code(), Some(7));
    assert!(matches!(enter(), Ok(Entered::Inside(_))), "but the controller remains one");
}

fn refused() {
    assert_eq!(enter().expect("inside"), Entered::Inside(LabKind::UserNamespaces));
    fs::write("/proc/sys/user/max_net_namespaces", "0").expect("root in here");
    assert_refused(command("end_with_7", Account::Own), "making a network namespace");
}

/// The command that runs a scenario as a root that may not make namespaces but in a user namespace.
fn powerless(scenario: &str) -> Command {
    const CAP_SYS_ADMIN: libc::c_ulong = 21;
    let mut command = command(scenario, Account::Own);
    let drop_power = || {
        // SAFETY: takes a number and touches no memory.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) };
        nix::errno::Errno::result(result).map(drop).map_err(Into::into)
    };
    // SAFETY: between fork and exec, this makes one system call.
    unsafe { command.pre_exec(drop_power) };
    command
}

fn powerless_root() {
    let mut command = powerless("end_with_7");
    assert_eq!(wait(&mut command.spawn().expect("starts")).code(), Some(7));
}

fn refused_inside() {
    // Whoever sees /proc with something hidden may not see it whole by mounting it anew from a user
    // namespace (mount_namespaces(7)).
    nix::mount::umount("/proc").expect("the machine's own is below");
    let (nowhere, flags) = (None::<&str>, nix::mount::MsFlags::empty());
    nix::mount::mount(Some("mask"), "/proc/fs", Some("tmpfs"), flags, nowhere).expect("mounts");
    assert_refused(powerless("end_with_7"), "mounting a fresh /proc");
}

fn assert_refused(mut command: Command, step: &str) {
    let output = command.output().expect("starts");
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(step), "{text}");
    assert!(text.contains("partita doctor"), "{text}");
}

fn orphans() {
    let mut parent =
        Command::new("sh").args(["-c", "sleep 0.05 & exit 0"]).spawn().expect("starts");
    wait(&mut parent);
    let only_two = || {
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        (pids.count() == 2).then_some(())
    };
    assert!(eventually(only_two).is_some());
}
