//! Faults of membership, with real processes and a registrar in place of a store.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use partita_nemesis::administration::Pending;
use partita_nemesis::fault::described::DescribedFault;
use partita_nemesis::{
    Administration, AdministrationError, Cluster, Configuration, Ending, Family, FaultRecord, Lab,
    Moment, Nemesis, Program, Roles, Schedule, Script, Stop, View,
};
use tokio::time::sleep;

use crate::harness::Scenario;

/// What is tested inside a lab.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "a_replaced_node_is_out_and_dead_until_the_heal", run: replaced },
    Scenario { name: "a_removed_node_runs_on_and_comes_back", run: removed },
    Scenario { name: "a_node_that_is_out_is_added_without_being_removed", run: added },
    Scenario { name: "leadership_goes_to_whom_the_fault_names", run: transferred },
    Scenario { name: "a_removal_that_nobody_waited_for_is_seen_through", run: cut_short },
    Scenario { name: "a_shut_down_play_leaves_a_replaced_node_dead", run: shut_down },
    Scenario { name: "three_voters_stay_unless_a_node_is_named", run: too_few },
    Scenario { name: "nobody_administers_nothing", run: no_administrator },
    Scenario {
        name: "a_described_fault_is_injected_and_healed_by_whoever_administers",
        run: described,
    },
    Scenario {
        name: "a_described_fault_that_one_node_refuses_is_healed_on_the_others",
        run: refused,
    },
    Scenario {
        name: "a_described_fault_is_healed_when_everything_is_shut_down",
        run: described_shut_down,
    },
    Scenario {
        name: "a_node_that_ended_under_a_described_fault_is_started_again",
        run: brought_back,
    },
];

const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];

/// Keeps the list of members, as a store would.
#[derive(Debug, Clone)]
struct Registrar(Arc<Mutex<Register>>);

#[derive(Debug)]
struct Register {
    leader: &'static str,
    voters: BTreeSet<String>,
    /// How many requests it still refuses.
    refusals: usize,
    /// How long it takes to do what it was asked, whether or not somebody waits.
    slow: Duration,
    /// What it is at: when it is done, whom it concerns and whether he is to be a member.
    at_work: Vec<(Instant, String, bool)>,
    /// What it was asked to do and did not refuse.
    asked: Vec<String>,
}

impl Registrar {
    fn new(voters: &[&str]) -> Registrar {
        let voters = voters.iter().map(|name| (*name).to_owned()).collect();
        let (at_work, asked) = (Vec::new(), Vec::new());
        let slow = Duration::from_millis(20);
        let register = Register { leader: "n1", voters, refusals: 2, slow, at_work, asked };
        Registrar(Arc::new(Mutex::new(register)))
    }

    fn register(&self) -> MutexGuard<'_, Register> {
        let mut register = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (due, later) =
            register.at_work.drain(..).partition::<Vec<_>, _>(|(due, ..)| *due <= Instant::now());
        register.at_work = later;
        for (_, node, is_member) in due {
            if is_member {
                register.voters.insert(node);
            } else {
                register.voters.remove(&node);
            }
        }
        register
    }

    fn voters(&self) -> String {
        self.register().voters.iter().cloned().collect::<Vec<_>>().join(" ")
    }

    /// Notes what is done about a described fault, unless it refuses; n3 refuses to begin with `picky`.
    fn note<'a>(
        &'a self,
        what: &'a str,
        fault: &'a str,
        node: &'a str,
    ) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(async move {
            let mut register = self.register();
            let is_refused =
                register.refusals > 0 || (what, fault, node) == ("inject", "picky", "n3");
            if is_refused {
                register.refusals = register.refusals.saturating_sub(1);
                let problem = "not now".to_owned();
                return Err(AdministrationError::Failed { node: node.to_owned(), problem });
            }
            register.asked.push(format!("{what} {fault} {node}"));
            Ok(())
        })
    }

    fn change<'a>(
        &'a self,
        node: &'a str,
        is_member: bool,
    ) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(async move {
            let slow = {
                let mut register = self.register();
                let is_so = register.voters.contains(node) == is_member;
                if register.refusals > 0 || !register.at_work.is_empty() || is_so {
                    register.refusals = register.refusals.saturating_sub(1);
                    let answer = "CHANGING".to_owned();
                    return Err(AdministrationError::Refused { node: "n1".to_owned(), answer });
                }
                let due = Instant::now() + register.slow;
                register.at_work.push((due, node.to_owned(), is_member));
                register.asked.push(format!("{} {node}", if is_member { "add" } else { "remove" }));
                register.slow
            };
            sleep(slow + Duration::from_millis(1)).await;
            Ok(())
        })
    }
}

impl Roles for Registrar {
    async fn leader(&self) -> Option<String> {
        Some(self.register().leader.to_owned())
    }
}

impl Administration for Registrar {
    fn transfer<'a>(&'a self, to: &'a str) -> Pending<'a, Result<(), AdministrationError>> {
        Box::pin(async move {
            let mut register = self.register();
            if register.refusals > 0 {
                register.refusals -= 1;
                return Err(AdministrationError::NoLeader);
            }
            register.leader = NODES.iter().find(|name| **name == to).expect("a node");
            Ok(())
        })
    }

    fn add<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), AdministrationError>> {
        self.change(node, true)
    }

    fn remove<'a>(&'a self, node: &'a str) -> Pending<'a, Result<(), AdministrationError>> {
        self.change(node, false)
    }

    fn inject<'a>(
        &'a self,
        fault: &'a str,
        node: &'a str,
    ) -> Pending<'a, Result<(), AdministrationError>> {
        self.note("inject", fault, node)
    }

    fn heal<'a>(
        &'a self,
        fault: &'a str,
        node: &'a str,
    ) -> Pending<'a, Result<(), AdministrationError>> {
        self.note("heal", fault, node)
    }

    fn views(&self) -> Pending<'_, Vec<View>> {
        let members =
            Configuration { voters: self.register().voters.clone(), ..Default::default() };
        let view = |node: &&str| View { node: (*node).to_owned(), members: members.clone() };
        let views = NODES.iter().map(view).collect();
        Box::pin(async move { views })
    }
}

/// Four nodes that sleep.
fn sleepers() -> Cluster {
    let lab = Lab::build(&NODES).expect("a lab");
    let cluster = Cluster::new(lab, |_| Program {
        user: None,
        path: "sleep".into(),
        arguments: vec!["1000".into()],
        environment: Vec::new(),
        directory: "/".into(),
        stdout: "/dev/null".into(),
        stderr: "/dev/null".into(),
    });
    for node in cluster.nodes() {
        node.start().expect("starts");
    }
    cluster
}

/// One fault at the beginning.
fn schedule(fault: &str) -> Schedule {
    let text = format!("faults = [{{ at = \"10ms\", {fault} }}]");
    let script = Script::parse("one.toml", &text).expect(fault);
    script.for_run(Duration::from_secs(70), 3).expect(fault)
}

/// Plays a fault until `stop`; how it ended, what was written down of it last, and what `look` saw
/// meanwhile.
fn play<T>(
    cluster: &Cluster,
    registrar: &Registrar,
    fault: &str,
    stop: impl Future<Output = Stop>,
    look: impl Future<Output = T>,
) -> (Ending, FaultRecord, T) {
    let began = Instant::now();
    let clock = move || u64::try_from(began.elapsed().as_nanos()).expect("a short time");
    let last = RefCell::new(None);
    let nemesis = Nemesis::new(cluster, registrar, clock).administered_by(registrar);
    let schedule = schedule(fault);
    let playing = nemesis.play(&schedule, stop, |moment, record| {
        if moment == Moment::Over {
            *last.borrow_mut() = Some(record.clone());
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let both = async { tokio::join!(playing, look) };
    let (ending, saw) = runtime.expect("a runtime").block_on(both);
    (ending.expect("it fits"), last.into_inner().expect("a fault"), saw)
}

/// What can be seen half a second after the fault began: the voters, and whether n4 runs.
async fn halfway(cluster: &Cluster, registrar: &Registrar) -> (String, bool) {
    sleep(Duration::from_millis(500)).await;
    (registrar.voters(), cluster.node("n4").expect("a node").is_running())
}

fn effects(record: &FaultRecord) -> Vec<&str> {
    record.effects.iter().map(|effect| effect.what.as_str()).collect()
}

fn replaced() {
    let (cluster, registrar) = (sleepers(), Registrar::new(&NODES));
    let fault = "for = \"900ms\", fault = \"replace-node\", target = \"n4\"";
    let look = halfway(&cluster, &registrar);
    let (ending, record, saw) = play(&cluster, &registrar, fault, pending(), look);
    assert_eq!(saw, ("n1 n2 n3".to_owned(), false));
    assert_eq!((ending, record.error.as_deref()), (Ending::Played, None));
    let expected = [
        "voters n1 n2 n3 n4 became n1 n2 n3",
        "killed by signal 9",
        "voters n1 n2 n3 became n1 n2 n3 n4",
    ];
    assert_eq!(effects(&record), expected);
    assert!(record.effects.iter().all(|effect| effect.amount > 0.0), "{record:?}");
    assert_eq!(registrar.voters(), "n1 n2 n3 n4");
    assert_eq!(registrar.register().asked, ["remove n4", "add n4"]);
    assert!(cluster.node("n4").expect("a node").is_running());
    assert!(record.explains_exit());
}

fn removed() {
    let (cluster, registrar) = (sleepers(), Registrar::new(&NODES));
    let fault = "for = \"900ms\", fault = \"remove-node\", target = \"n4\"";
    let look = halfway(&cluster, &registrar);
    let (_, record, saw) = play(&cluster, &registrar, fault, pending(), look);
    assert_eq!(saw, ("n1 n2 n3".to_owned(), true));
    assert_eq!(record.error, None);
    assert_eq!(effects(&record)[0], "voters n1 n2 n3 n4 became n1 n2 n3");
    assert!(record.ended_ns.expect("healed") >= 900_000_000);
    assert_eq!(registrar.voters(), "n1 n2 n3 n4");
    assert!(!record.explains_exit());
}

fn added() {
    let (cluster, registrar) = (sleepers(), Registrar::new(&["n1", "n2", "n3"]));
    let fault = "for = \"900ms\", fault = \"add-node\", target = \"n4\", out = \"10s\"";
    let look = halfway(&cluster, &registrar);
    let (_, record, saw) = play(&cluster, &registrar, fault, pending(), look);
    assert_eq!(saw, ("n1 n2 n3 n4".to_owned(), true), "nobody waits for a node to be out longer");
    assert_eq!(record.error, None);
    assert_eq!(effects(&record), ["voters n1 n2 n3 became n1 n2 n3 n4"]);
    assert_eq!(registrar.register().asked, ["add n4"]);

    let fault = "for = \"900ms\", fault = \"add-node\", target = \"n4\", out = \"100ms\"";
    let look = halfway(&cluster, &registrar);
    let (_, record, saw) = play(&cluster, &registrar, fault, pending(), look);
    assert_eq!(saw.0, "n1 n2 n3 n4", "it came back while the fault was in force");
    assert_eq!(effects(&record).len(), 2, "{record:?}");
    assert_eq!(registrar.register().asked, ["add n4", "remove n4", "add n4"]);
}

fn transferred() {
    let (cluster, registrar) = (sleepers(), Registrar::new(&NODES));
    let fault = "for = \"400ms\", fault = \"transfer-leadership\"";
    let (_, record, ()) = play(&cluster, &registrar, fault, pending(), async {});
    assert_eq!((record.error.as_deref(), record.target.as_str()), (None, "a follower"));
    let to = registrar.register().leader;
    assert_ne!(to, "n1");
    assert_eq!(record.nodes, [to]);
    assert_eq!(effects(&record), [format!("leadership moved from n1 to {to}")]);

    let fault = format!("for = \"100ms\", fault = \"transfer-leadership\", target = \"{to}\"");
    let (_, record, ()) = play(&cluster, &registrar, &fault, pending(), async {});
    assert!(!record.had_effect());
    assert!(record.error.as_deref().is_some_and(|it| it.contains("leads already")), "{record:?}");
}

fn cut_short() {
    let (cluster, registrar) = (sleepers(), Registrar::new(&NODES));
    registrar.register().slow = Duration::from_millis(400);
    let fault = "for = \"60s\", fault = \"remove-node\", target = \"n4\"";
    let stop = async {
        sleep(Duration::from_millis(200)).await;
        Stop::Heal
    };
    let (ending, record, ()) = play(&cluster, &registrar, fault, stop, async {});
    assert_eq!((ending, record.error.as_deref()), (Ending::Stopped, None));
    assert_eq!(registrar.voters(), "n1 n2 n3 n4");
    assert_eq!(registrar.register().asked, ["remove n4", "add n4"]);
}

fn shut_down() {
    let (cluster, registrar) = (sleepers(), Registrar::new(&NODES));
    let fault = "for = \"60s\", fault = \"replace-node\", target = \"n4\"";
    let stop = async {
        sleep(Duration::from_millis(500)).await;
        Stop::ShutDown
    };
    let (ending, record, ()) = play(&cluster, &registrar, fault, stop, async {});
    assert_eq!((ending, record.error.as_deref()), (Ending::ShutDown, None));
    assert!(record.had_effect() && record.ended_ns.is_some());
    assert!(!cluster.node("n4").expect("a node").is_running());
    assert_eq!(registrar.voters(), "n1 n2 n3");
}

fn too_few() {
    let (cluster, registrar) = (sleepers(), Registrar::new(&["n1", "n2", "n3"]));
    let fault = "for = \"300ms\", fault = \"remove-node\", target = \"leader\"";
    let (_, record, ()) = play(&cluster, &registrar, fault, pending(), async {});
    let error = record.error.as_deref().expect("two are too few");
    assert!(error.contains("only 2 voters would stay, and 3 must"), "{error}");
    assert_eq!(registrar.register().asked, Vec::<String>::new());

    let named = "for = \"900ms\", fault = \"remove-node\", target = \"n3\"";
    let look = halfway(&cluster, &registrar);
    let (_, record, saw) = play(&cluster, &registrar, named, pending(), look);
    assert_eq!((record.error.as_deref(), saw.0.as_str()), (None, "n1 n2"));
    assert_eq!(registrar.voters(), "n1 n2 n3");

    let out = "for = \"300ms\", fault = \"replace-node\", target = \"n4\"";
    let (_, record, ()) = play(&cluster, &registrar, out, pending(), async {});
    let error = record.error.as_deref().expect("it is no member");
    assert!(error.contains("out already: the voters are n1 n2 n3"), "{error}");
    assert!(cluster.node("n4").expect("a node").is_running());
}

fn no_administrator() {
    let (cluster, registrar) = (sleepers(), Registrar::new(&NODES));
    let nemesis = Nemesis::new(&cluster, &registrar, || 0);
    let schedule = schedule("for = \"1s\", fault = \"transfer-leadership\"");
    let playing = nemesis.play(&schedule, pending(), |_, _| panic!("nothing happens"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let refused = runtime.expect("a runtime").block_on(playing).expect_err("nobody can");
    assert!(refused.to_string().contains("needs an administrator"), "{refused}");
}

/// Makes a fault of that name known.
fn declare(name: &str, explains_exit: bool) {
    let (name, summary) = (name.to_owned(), "as the store has it".to_owned());
    let fault = DescribedFault { name, summary, target: None, explains_exit };
    partita_nemesis::fault::described::declare(&fault).expect("a name");
}

/// A registrar that refuses so many requests.
fn refusing(refusals: usize) -> Registrar {
    let registrar = Registrar::new(&NODES);
    registrar.register().refusals = refusals;
    registrar
}

fn described() {
    declare("slow-log", false);
    let (cluster, registrar) = (sleepers(), refusing(0));
    let fault = "for = \"400ms\", fault = \"slow-log\", target = \"n1,n2\"";
    let look = async {
        sleep(Duration::from_millis(200)).await;
        let asked = registrar.register().asked.clone();
        // The first tries to heal it fail.
        registrar.register().refusals = 3;
        asked
    };
    let (ending, record, saw) = play(&cluster, &registrar, fault, pending(), look);
    assert_eq!(saw, ["inject slow-log n1", "inject slow-log n2"]);
    assert_eq!((ending, record.error.as_deref(), record.unhealed), (Ending::Played, None, false));
    let mut asked = registrar.register().asked.clone();
    asked[2..].sort();
    assert_eq!(asked[2..], ["heal slow-log n1", "heal slow-log n2"]);
    assert_eq!((record.family, record.nodes.len()), (Family::Described, 2));
    assert_eq!(effects(&record), ["took it on", "in force"]);
    assert!(record.had_effect() && !record.explains_exit());
    assert_eq!(record.in_words(), "n1, n2 were under slow-log");
}

fn refused() {
    declare("picky", false);
    let (cluster, registrar) = (sleepers(), refusing(0));
    let fault = "for = \"400ms\", fault = \"picky\", target = \"n1,n3\"";
    let (_, record, ()) = play(&cluster, &registrar, fault, pending(), async {});
    assert_eq!(record.error.as_deref(), Some("n3: not now"));
    assert!(!record.had_effect());
    assert_eq!(registrar.register().asked, ["inject picky n1", "heal picky n1"]);
}

fn described_shut_down() {
    declare("slow-log", false);
    let (cluster, registrar) = (sleepers(), refusing(0));
    let fault = "for = \"60s\", fault = \"slow-log\", target = \"n4\"";
    let stop = async {
        sleep(Duration::from_millis(200)).await;
        Stop::ShutDown
    };
    let (ending, record, ()) = play(&cluster, &registrar, fault, stop, async {});
    assert_eq!((ending, record.error.as_deref()), (Ending::ShutDown, None));
    assert_eq!(registrar.register().asked, ["inject slow-log n4", "heal slow-log n4"]);
}

fn brought_back() {
    declare("panics", true);
    let (cluster, registrar) = (sleepers(), refusing(0));
    let fault = "for = \"400ms\", fault = \"panics\", target = \"n4\"";
    let node = cluster.node("n4").expect("a node");
    let look = async {
        sleep(Duration::from_millis(100)).await;
        node.kill().await.expect("it ends, as if on its own");
    };
    let (_, record, ()) = play(&cluster, &registrar, fault, pending(), look);
    assert_eq!(record.error, None);
    assert!(record.explains_exit() && node.is_running());
}
