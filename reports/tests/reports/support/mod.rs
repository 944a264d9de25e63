//! Makes up whole runs from a seed: a small cluster that elects, stalls under faults and answers
//! clients truthfully, unless a stale read is asked for.

mod clients;
mod cluster;
mod verdicts;

use partita_checker::{Analysis, Certificate, History, Nanoseconds, Outcome, Verdict};
use partita_nemesis::FaultRecord;
use partita_reports::{
    Counts, ErrorCount, HostRecord, KindCounts, NodeRecord, Outcomes, Phase,
    ProtocolViolationCount, Recovery, Run, RunRecord,
};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// What to make up.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) clients: u32,
    /// Operations a second of all clients together.
    pub(crate) rate: u64,
    pub(crate) keys: usize,
    pub(crate) nodes: usize,
    /// Seconds between the begins of two faults; 0 for no faults.
    pub(crate) fault_every: u64,
    pub(crate) finding: Finding,
}

/// What the checker shall have found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    Valid,
    StaleRead,
    /// Four operations, two compare-and-sets and a write that never came back.
    Contradiction,
    Vacuous,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            seed: 42,
            seconds: 20,
            clients: 10,
            rate: 500,
            keys: 12,
            nodes: 3,
            fault_every: 4,
            finding: Finding::Valid,
        }
    }
}

/// One run, owned.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) record: RunRecord,
    pub(crate) history: History,
    pub(crate) faults: Vec<FaultRecord>,
    pub(crate) analysis: Analysis,
    pub(crate) certificate: Option<Certificate>,
}

impl Fixture {
    pub(crate) fn run(&self) -> Run<'_> {
        Run {
            record: &self.record,
            history: &self.history,
            faults: &self.faults,
            analysis: &self.analysis,
            certificate: self.certificate.as_ref(),
        }
    }
}

pub(crate) const SECOND: u64 = 1_000_000_000;

/// A run of `plan`; the same for the same plan.
pub(crate) fn fixture(plan: &Plan) -> Fixture {
    let mut random = ChaCha8Rng::seed_from_u64(plan.seed);
    let phases = phases(plan);
    let faults = cluster::faults(plan, &mut random);
    let (roles, stalls) = cluster::roles(plan, &faults, &mut random);
    let mut history = clients::history(plan, &stalls, &mut random);
    let analysis = verdicts::analysis(plan, &mut history);
    let counts = counts(&history, &faults);
    let vacuous = plan.finding == Finding::Vacuous;
    let record = RunRecord {
        version: "0.1.0".into(),
        name: format!("2026-11-20T02-13-45Z-raft-node-register-{}", plan.seed),
        folder: format!("partita-runs/2026-11-20T02-13-45Z-raft-node-register-{}", plan.seed),
        started_at: "2026-11-20T02:13:45Z".into(),
        command: format!(
            "partita run --target raft-node --workload register --nemesis default \
             --duration {}s --seed {}",
            plan.seconds, plan.seed
        ),
        seed: plan.seed,
        target: "raft-node".into(),
        workload: "register".into(),
        nemesis: if plan.fault_every == 0 { "none" } else { "default" }.into(),
        mutation: (plan.finding == Finding::StaleRead).then(|| "leader-local-read".into()),
        clients: plan.clients,
        rate: plan.rate as f64,
        rate_reached: Some(plan.rate as f64 * 0.75),
        duration_s: plan.seconds as f64,
        host: HostRecord { kernel: "6.8.0-48".into(), cores: 4, lab: "user namespaces".into() },
        nodes: (1..=plan.nodes)
            .map(|number| NodeRecord {
                name: format!("n{number}"),
                address: format!("198.18.0.{number}"),
                restarts: 0,
                version: None,
            })
            .collect(),
        phases,
        counts,
        outcomes: outcomes(),
        roles: roles.clone(),
        findings: Vec::new(),
        verdict: if vacuous { Verdict::Unknown } else { analysis.verdict },
        remarks: if vacuous {
            vec!["No fault had a measured effect: fault 0 (isolate) dropped no frame.".into()]
        } else {
            Vec::new()
        },
        notes: Vec::new(),
        faults_counted: 0,
        recovery: Recovery::of(&history, &faults, &roles),
        elections: None,
        stalls: Vec::new(),
        failure: None,
    };
    Fixture { record, history, faults, analysis, certificate: None }
}

fn outcomes() -> Outcomes {
    let kind = |kind: &str, effective| KindCounts {
        kind: kind.into(),
        sent: 320,
        ok: 300,
        effective,
        fail: 15,
        info: 5,
    };
    let error = |node: &str, outcome: &str, text: &str, count| ErrorCount {
        kind: "write".into(),
        node: node.into(),
        outcome: outcome.into(),
        text: text.into(),
        count,
    };
    Outcomes {
        kinds: vec![kind("compare-and-set", 214), kind("read", 300), kind("write", 300)],
        errors: vec![
            error("n2", "fail", "NOLEADER no leader is known", 15),
            error("n1", "info", "no reply within 1000 ms", 5),
        ],
        protocol_violations: Vec::new(),
        arrivals: None,
    }
}

fn phases(plan: &Plan) -> Vec<Phase> {
    let whole = plan.seconds * SECOND;
    let edges = [
        ("start", 0),
        ("lead-in", whole / 40),
        ("faults", whole / 10),
        ("heal", whole * 80 / 100),
        ("settle", whole * 84 / 100),
        ("final reads", whole * 96 / 100),
        ("", whole),
    ];
    edges
        .windows(2)
        .map(|pair| Phase {
            name: pair[0].0.into(),
            began_ns: Nanoseconds(pair[0].1),
            ended_ns: Nanoseconds(pair[1].1),
        })
        .collect()
}

fn counts(history: &History, faults: &[FaultRecord]) -> Counts {
    let mut counts = Counts { invoked: history.operations().len() as u64, ..Counts::default() };
    for operation in history.operations() {
        match operation.outcome {
            Outcome::Ok(moment, _) => {
                counts.ok += 1;
                let at = moment.time.0;
                let during = faults.iter().any(|fault| {
                    fault.began_ns <= at && fault.ended_ns.is_none_or(|ended| at <= ended)
                });
                counts.ok_during_faults += u64::from(during);
            }
            Outcome::Fail(_) => counts.fail += 1,
            Outcome::Info(_) => counts.info += 1,
        }
    }
    counts
}

/// A run whose nodes never started: nothing at all is on record.
pub(crate) fn empty() -> Fixture {
    let mut empty = fixture(&Plan { seconds: 0, fault_every: 0, ..Plan::default() });
    empty.history = History::default();
    empty.record.phases.clear();
    empty.record.roles.clear();
    empty.record.counts = Counts::default();
    empty.record.outcomes = Outcomes::default();
    empty.record.rate_reached = None;
    empty.record.verdict = Verdict::Unknown;
    empty.record.remarks = vec!["No client operation was invoked: no node became ready.".into()];
    empty.analysis.keys.clear();
    empty
}

/// `fixture` with markup, control characters and endless text wherever a store or a person can put
/// text.
pub(crate) fn hostile(fixture: &Fixture) -> Fixture {
    use partita_checker::Value;
    let mut hostile = fixture.clone();
    let evil = HOSTILE.to_owned();
    let endless = format!("{evil}{}", "x".repeat(20_000));
    hostile.record.target = evil.clone();
    hostile.record.workload = evil.clone();
    hostile.record.mutation = Some(evil.clone());
    hostile.record.name = format!("run {evil}");
    hostile.record.command = format!("partita run '{evil}'");
    hostile.record.remarks = vec![endless.clone()];
    hostile.record.host.kernel = evil.clone();
    for fault in &mut hostile.faults {
        fault.fault = evil.clone();
        fault.target = evil.clone();
        fault.nodes = vec![evil.clone()];
        fault.parameters.insert(evil.clone(), endless.clone());
        fault.error = Some(endless.clone());
    }
    for change in &mut hostile.record.roles {
        if change.node == "n1" {
            change.role = evil.clone();
        }
    }
    for phase in &mut hostile.record.phases {
        phase.name = evil.clone();
    }
    hostile.record.nodes[1].name = evil.clone();
    for error in &mut hostile.record.outcomes.errors {
        error.node = evil.clone();
        error.text = endless.clone();
    }
    let violation = ProtocolViolationCount {
        node: evil.clone(),
        what: evil.clone(),
        sample: endless.clone(),
        count: 3,
    };
    hostile.record.outcomes.protocol_violations = vec![violation];
    if let Some(found) = &mut hostile.analysis.counterexample {
        let key = Value::from(evil.as_str());
        hostile.history = verdicts::with(&hostile.history, |event| {
            if event.key == found.key {
                event.key = key.clone();
            }
        });
        for analysis in &mut hostile.analysis.keys {
            if analysis.key == found.key {
                analysis.key = key.clone();
                analysis.reason = Some(evil.clone());
            }
        }
        found.key = key;
        found.sentence = format!("{evil} was read");
        for witness in &mut found.operations {
            witness.value = Value::from(endless.as_str());
            witness.node = Some(evil.clone());
        }
    }
    hostile
}

/// Closes every element it may stand in, and opens some that would run or load something.
pub(crate) const HOSTILE: &str = "</title></style></text></svg>\"'><script>alert(1)</script>\
    <img src=http://example.org/x onerror=alert(2)>&amp;\u{202e}\u{0}\x1b[31m]]>-->{{ 7 }}";
