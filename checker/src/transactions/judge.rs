//! Decides levels, and puts verdicts together.

use super::causal::{self, Causality};
use super::confirm::Confirm;
use super::cycles::{self, Link, Pattern};
use super::data::Lists;
use super::data::{Fate, Transactions};
use super::evidence::Evidence;
use super::explain;
use super::finding::Finding;
use super::graph::{Graph, kind};
use super::kind::TransactionKind;
use super::order::Order;
use super::read::{Unreadable, transactions};
use super::snapshot::{self, Snapshots};
use super::verify::{Claim, verify};
use super::visible::{self, Visibility};
use super::{dependencies, internal, lists};
use crate::engines::{Patience, Stopped};
use crate::history::History;
use crate::isolation::{IsolationLevel, Ladder};
use crate::model::ModelKind;
use crate::options::Options;
use crate::value::Value;
use crate::verdict::{Analysis, Certificate, Counterexample, KeyAnalysis, KeyOrder, Verdict};

/// Why a level does not hold.
#[derive(Debug, Clone)]
enum Proof {
    Cycle(Vec<Link>),
    Finding(Finding),
    /// All orders of what these transactions wrote unseen were tried.
    Tried(Vec<u32>),
}

/// What was found of the levels.
#[derive(Default)]
struct Found {
    ladder: Ladder,
    /// Why levels do not hold, for the weakest each.
    against: Vec<(IsolationLevel, Proof)>,
    /// Orders that show that levels hold.
    orders: Vec<(IsolationLevel, Vec<u32>)>,
    /// Why levels are undecided.
    reasons: Vec<String>,
}

impl Found {
    fn hold(&mut self, level: IsolationLevel, order: Vec<u32>) {
        self.ladder.hold(level);
        self.orders.push((level, order));
    }

    fn violate(&mut self, level: IsolationLevel, proof: Option<Proof>) {
        self.ladder.violate(level);
        self.against.extend(proof.map(|proof| (level, proof)));
    }
}

/// What was inferred.
struct Known<'a, 'h> {
    read: &'a Transactions<'h>,
    order: &'a Order,
    graph: &'a Graph,
    /// Of every key the nodes of those who wrote what nobody saw.
    unseen: &'a Lists,
}

/// The transactions among nodes.
fn transactions_of(graph: &Graph, order: &[u32]) -> Vec<u32> {
    let nodes = order.iter().filter(|node| graph.is_transaction(**node));
    nodes.map(|node| graph.transactions[*node as usize]).collect()
}

/// What decides whether the history is linearizable as the object of some options.
type Search<'a> = dyn Fn(&Options) -> (Analysis, Option<Certificate>) + 'a;

/// Which levels the history keeps, with a proof for the one that was asked for.
pub(crate) fn check(
    history: &History,
    kind: TransactionKind,
    options: &Options,
    stop: &(dyn Fn() -> bool + Sync),
    search: &Search<'_>,
) -> (Analysis, Option<Certificate>) {
    let patience = Patience::new(stop);
    let judge = Judge { history, kind, options, patience: &patience };
    match kind {
        TransactionKind::ListAppend => judge.check(),
        TransactionKind::RwRegister => strict_registers(options, search),
    }
}

struct Judge<'a, 'h> {
    history: &'h History,
    kind: TransactionKind,
    options: &'a Options,
    patience: &'a Patience<'a>,
}

impl<'h> Judge<'_, 'h> {
    fn check(&self) -> (Analysis, Option<Certificate>) {
        let mut read = match transactions(self.history, self.kind, self.patience) {
            Ok(read) => read,
            Err(Unreadable::Stopped) => return self.stopped(),
            Err(Unreadable::NoMeaning(place, why)) => {
                let index = self.history.operations[place].invoked.position;
                return self.undecided(format!("operation #{index}: {why}"));
            }
        };
        if !read.0.all.iter().any(|one| one.fate == Fate::Committed) {
            return self.undecided("no operation completed: nothing was tested".to_owned());
        }
        if let Some(two) = read.0.repeated {
            return self.undecided(repeated(&read.0, two));
        }
        self.infer(&mut read).unwrap_or_else(|Stopped| self.stopped())
    }

    fn infer(
        &self,
        (read, made): &mut (Transactions<'h>, super::read::ByValue<'h>),
    ) -> Result<(Analysis, Option<Certificate>), Stopped> {
        let mut found = Found::default();
        let mut findings = Vec::new();
        let order = lists::order(read, made, &mut findings, self.patience)?;
        *made = super::read::ByValue::default();
        if findings.is_empty() {
            internal::examine(read, &order, self.kind, &mut findings, self.patience)?;
        }
        for finding in findings {
            found.ladder.violate(finding.breaks());
            found.against.push((finding.breaks(), Proof::Finding(finding)));
        }
        if found.ladder.of(IsolationLevel::ReadCommitted).is_none() {
            let graph = dependencies::graph(read, &order, self.patience)?;
            let unseen = dependencies::unseen_nodes(read, &order, &graph);
            let known = Known { read, order: &order, graph: &graph, unseen: &unseen };
            self.decide(&known, &mut found)?;
        }
        let evidence = Evidence { read, order: &order, kind: self.kind };
        self.conclude(&evidence, &found)
    }

    /// Decides levels by orders and cycles.
    fn decide(&self, known: &Known<'_, 'h>, found: &mut Found) -> Result<(), Stopped> {
        self.serial(known, found)?;
        for (level, kinds) in [
            (IsolationLevel::StrongSessionSnapshotIsolation, kind::SESSION),
            (IsolationLevel::SnapshotIsolation, 0),
        ] {
            if found.ladder.of(level).is_none() {
                self.snapshots(known, (level, kind::DEPENDENCIES | kinds), found)?;
            }
        }
        self.visible(known, found)
    }

    /// Serializability in all its forms: an order that all edges follow.
    fn serial(&self, known: &Known<'_, 'h>, found: &mut Found) -> Result<(), Stopped> {
        let tries = [
            (IsolationLevel::StrictSerializable, kind::REAL_TIME),
            (IsolationLevel::StrongSessionSerializable, kind::SESSION),
            (IsolationLevel::Serializable, 0),
        ];
        for (level, besides) in tries {
            self.patience.ask()?;
            if found.ladder.of(level) == Some(false) {
                continue;
            }
            if let Some(order) = known.graph.sorted(kind::DEPENDENCIES | besides) {
                found.hold(level, transactions_of(known.graph, &order));
                return Ok(());
            }
            found.violate(level, named_cycle(known.graph, besides).map(Proof::Cycle));
        }
        Ok(())
    }

    /// Snapshot isolation: an order of starts and commits.
    fn snapshots(
        &self,
        known: &Known<'_, 'h>,
        (level, kinds): (IsolationLevel, u8),
        found: &mut Found,
    ) -> Result<(), Stopped> {
        match snapshot::examine(known.graph, known.unseen, kinds, self.patience)? {
            Snapshots::Kept(order) => {
                let count = known.graph.transactions.len() as u32;
                let events = order.into_iter().filter(|event| *event < 2 * count);
                let events = events.map(|event| known.graph.transactions[event as usize / 2]);
                found.hold(level, events.collect());
            }
            Snapshots::Broken(Some(links)) => found.violate(level, Some(Proof::Cycle(links))),
            Snapshots::Broken(None) => {
                let shown = snapshot::contested(known.graph, known.unseen);
                found.violate(level, Some(Proof::Tried(shown)));
            }
            Snapshots::Undecided(tried) => found.reasons.push(format!(
                "{level}: of the orders in which writes that nobody saw can have happened, the                  {tried} that were tried do not fit"
            )),
        }
        Ok(())
    }

    /// The levels that say what must be seen.
    fn visible(&self, known: &Known<'_, 'h>, found: &mut Found) -> Result<(), Stopped> {
        let graph = known.graph;
        let wants = |found: &Found, level: IsolationLevel| found.ladder.of(level).is_none();
        if !IsolationLevel::all().any(|level| wants(found, level)) {
            return Ok(());
        }
        let visibility = Visibility { read: known.read, order: known.order, graph };
        let Some(order) = self.acyclic(known, IsolationLevel::ReadCommitted, 0, found)? else {
            return Ok(());
        };
        for (level, past) in [
            (IsolationLevel::MonotonicAtomicView, visible::Past::EarlierReads),
            (IsolationLevel::ReadAtomic, visible::Past::AllReads),
        ] {
            if wants(found, level) {
                match visibility.missed(past, self.patience)? {
                    Some(links) => found.violate(level, Some(Proof::Cycle(links))),
                    None => found.hold(level, transactions_of(graph, &order)),
                }
            }
        }
        let causal = IsolationLevel::Causal;
        if !wants(found, causal) {
            return Ok(());
        }
        let Some(order) = self.acyclic(known, causal, kind::SESSION, found)? else {
            return Ok(());
        };
        let all = (known.read, known.order, graph);
        match causal::examine(all, &order, self.options.memory, self.patience)? {
            Causality::Kept => found.hold(causal, transactions_of(graph, &order)),
            Causality::Missed(links) => found.violate(causal, Some(Proof::Cycle(links))),
            Causality::TooLarge => found.reasons.push(format!(
                "{causal}: the clocks of all processes need more than {} MiB",
                self.options.memory >> 20
            )),
        }
        Ok(())
    }

    /// An order that follows what was read and overwritten, which a level needs at least.
    fn acyclic(
        &self,
        known: &Known<'_, 'h>,
        level: IsolationLevel,
        besides: u8,
        found: &mut Found,
    ) -> Result<Option<Vec<u32>>, Stopped> {
        self.patience.ask()?;
        let kinds = kind::WW | kind::WR | besides;
        let order = known.graph.sorted(kinds);
        match &order {
            None => {
                let tries = [kind::WW | besides, kinds].map(|rest| Pattern { first: rest, rest });
                let links = tries.into_iter().find_map(|one| cycles::shortest(known.graph, one));
                found.violate(level, links.map(Proof::Cycle));
            }
            Some(order) if level == IsolationLevel::ReadCommitted => {
                found.hold(level, transactions_of(known.graph, order));
            }
            Some(_) => {}
        }
        Ok(order)
    }

    /// The verdict on the level that was asked for.
    fn conclude(
        &self,
        evidence: &Evidence<'_, 'h>,
        found: &Found,
    ) -> Result<(Analysis, Option<Certificate>), Stopped> {
        let asked = self.options.isolation;
        let isolation = found.ladder.summary(asked);
        let (mut analysis, certificate) = match found.ladder.of(asked) {
            Some(false) => (self.violation(evidence, found), None),
            Some(true) => self.valid(evidence, found),
            None => (self.analysis(Verdict::Unknown, None, self.reasons(found)), None),
        };
        analysis.isolation = (analysis.verdict != Verdict::Unknown || !isolation.holds.is_empty())
            .then_some(isolation);
        Ok((analysis, certificate))
    }

    fn reasons(&self, found: &Found) -> Vec<String> {
        if found.reasons.is_empty() {
            return vec![format!("{} was not decided", self.options.isolation)];
        }
        found.reasons.clone()
    }

    fn violation(&self, evidence: &Evidence<'_, 'h>, found: &Found) -> Analysis {
        let asked = self.options.isolation;
        let confirm = Confirm { read: evidence.read, kind: self.kind };
        let mut proofs: Vec<_> =
            found.against.iter().filter(|(level, _)| asked.implies(*level)).collect();
        // What breaks the weakest level says most.
        proofs.sort_by_key(|(level, proof)| (*level, matches!(proof, Proof::Cycle(_))));
        for (_, proof) in &proofs {
            let counterexample = match proof {
                Proof::Cycle(links) if confirm.cycle(links) => explain::cycle(evidence, links),
                Proof::Finding(finding) if confirm.finding(finding) => {
                    explain::finding(evidence, finding)
                }
                Proof::Tried(transactions) => explain::tried(evidence, transactions),
                _ => continue,
            };
            return self.analysis(Verdict::Violation, Some(counterexample), Vec::new());
        }
        let reason = "what was found to be wrong is not there when looked at again".to_owned();
        self.analysis(Verdict::Unknown, None, vec![reason])
    }

    fn valid(&self, evidence: &Evidence<'_, 'h>, found: &Found) -> (Analysis, Option<Certificate>) {
        let asked = self.options.isolation;
        let (level, order) = found
            .orders
            .iter()
            .find(|(level, _)| level.implies(asked))
            .map_or((asked, &[][..]), |(level, order)| (*level, order));
        let order: Vec<u64> = order.iter().map(|one| evidence.read.index(*one)).collect();
        let initial = &self.options.initial;
        let claim = Claim { kind: self.kind, level, initial };
        if let Err(error) = verify(self.history, &order, claim, self.patience) {
            let what = match error {
                crate::verify_error::VerifyError::Stopped { .. } => {
                    "the order found was not verified"
                }
                _ => "the verifier rejects the order found",
            };
            let analysis = self.analysis(Verdict::Unknown, None, vec![format!("{what}: {error}")]);
            return (analysis, None);
        }
        let certificate = Certificate {
            model: self.options.model.name().to_owned(),
            level: Some(level),
            consistency: None,
            saw: Vec::new(),
            initial: initial.clone(),
            keys: vec![KeyOrder { key: Value::Null, order, initial: None }],
        };
        (self.analysis(Verdict::Valid, None, Vec::new()), Some(certificate))
    }

    fn analysis(
        &self,
        verdict: Verdict,
        counterexample: Option<Counterexample>,
        reasons: Vec<String>,
    ) -> Analysis {
        let counts = self.history.counts();
        let key = KeyAnalysis {
            key: Value::Null,
            verdict,
            engine: "transactions".to_owned(),
            operations: counts.invoked - counts.fail,
            reason: reasons.first().cloned(),
            initial: None,
            counterexample: counterexample.clone().map(Box::new),
        };
        Analysis { verdict, keys: vec![key], counterexample, reasons, isolation: None }
    }

    fn undecided(&self, reason: String) -> (Analysis, Option<Certificate>) {
        (self.analysis(Verdict::Unknown, None, vec![reason]), None)
    }

    fn stopped(&self) -> (Analysis, Option<Certificate>) {
        self.undecided("the time ran out".to_owned())
    }
}

/// A cycle that says most: one with the fewest reads of what was overwritten, then the shortest.
fn named_cycle(graph: &Graph, besides: u8) -> Option<Vec<Link>> {
    let patterns = [
        Pattern { first: kind::WW, rest: kind::WW | besides },
        Pattern { first: kind::WR, rest: kind::WW | kind::WR | besides },
        Pattern { first: kind::RW, rest: kind::WW | kind::WR | besides },
        Pattern { first: kind::RW, rest: kind::DEPENDENCIES | besides },
    ];
    patterns.into_iter().find_map(|pattern| cycles::shortest(graph, pattern))
}

fn repeated(read: &Transactions<'_>, two: [u32; 2]) -> String {
    let version = &read.versions[two[0] as usize];
    let [a, b] = two.map(|one| read.index(read.versions[one as usize].transaction));
    format!(
        "#{a} and #{b} both write {} to {}: which of them a read saw cannot be told",
        version.value.in_words(),
        read.keys[version.key as usize].in_words()
    )
}

/// Strict serializability of registers by search: that they are linearizable as one object.
fn strict_registers(options: &Options, search: &Search<'_>) -> (Analysis, Option<Certificate>) {
    let asked = options.isolation;
    let options = Options { model: ModelKind::MultiRegister, ..options.clone() };
    let (mut analysis, certificate) = search(&options);
    let level = IsolationLevel::StrictSerializable;
    let mut ladder = Ladder::default();
    match analysis.verdict {
        Verdict::Valid => ladder.hold(level),
        Verdict::Violation => ladder.violate(level),
        Verdict::Unknown => return (analysis, None),
    }
    analysis.isolation = Some(ladder.summary(asked));
    if analysis.verdict == Verdict::Violation && asked != level {
        analysis.counterexample = None;
        analysis.verdict = Verdict::Unknown;
        analysis.reasons = vec![format!("{asked} was not decided")];
    }
    let model = ModelKind::RwRegister.name().to_owned();
    let certificate = certificate.map(|it| Certificate { model, level: Some(level), ..it });
    (analysis, certificate)
}
