//! Decides levels, and puts verdicts together.

use super::confirm::Confirm;
use super::data::{TransactionStatus, Transactions};
use super::evidence::Evidence;
use super::found::{Found, Proof};
use super::judge_lists::Known;
use super::judge_registers::KnownRegisters;
use super::kind::TransactionKind;
use super::order::Order;
use super::read::{ByValue, Unreadable, transactions};
use super::registers::{self, Registers};
use super::verify::{OrderClaim, verify};
use super::{dependencies, explain, internal, lists};
use crate::engines::{Cancellation, Stopped};
use crate::history::History;
use crate::isolation::{IsolationLevel, LevelFindings};
use crate::model::ModelKind;
use crate::options::Options;
use crate::value::Value;
use crate::verdict::{Analysis, Certificate, Counterexample, KeyAnalysis, KeyOrder, Verdict};

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
    let cancellation = Cancellation::new(stop);
    Judge { history, kind, options, cancellation: &cancellation, search }.check()
}

/// Decides levels.
pub(super) struct Judge<'a, 'h> {
    history: &'h History,
    kind: TransactionKind,
    pub(super) options: &'a Options,
    pub(super) cancellation: &'a Cancellation<'a>,
    search: &'a Search<'a>,
}

impl<'h> Judge<'_, 'h> {
    fn check(&self) -> (Analysis, Option<Certificate>) {
        let mut read = match transactions(self.history, self.kind, self.cancellation) {
            Ok(read) => read,
            Err(Unreadable::Stopped) => return self.stopped(),
            Err(Unreadable::NoMeaning(place, why)) => {
                let index = self.history.operations[place].invoked.position;
                return self.undecided(format!("operation #{index}: {why}"));
            }
        };
        if !read.0.all.iter().any(|one| one.fate == TransactionStatus::Committed) {
            return self.undecided("no operation completed: nothing was tested".to_owned());
        }
        if let Some(reason) = self.ambiguous(&read.0) {
            return self.search_strict(reason);
        }
        let judged = match self.kind {
            TransactionKind::ListAppend => self.infer_lists(&mut read),
            TransactionKind::RwRegister => self.infer_registers(&mut read),
        };
        judged.unwrap_or_else(|Stopped| self.stopped())
    }

    /// Why it cannot be told which write a read saw, if it cannot.
    fn ambiguous(&self, read: &Transactions<'_>) -> Option<String> {
        if let Some(two) = read.repeated {
            return Some(repeated(read, two));
        }
        if self.kind == TransactionKind::ListAppend {
            return None;
        }
        let initial = &self.options.initial;
        let again = read.versions.iter().find(|one| {
            let writer = read.all[one.transaction as usize];
            writer.fate != TransactionStatus::Aborted && one.value == initial
        })?;
        Some(format!(
            "#{} writes the initial value {} to {}: which of them a read saw cannot be told",
            read.index(again.transaction),
            initial.in_words(),
            read.keys[again.key as usize].in_words()
        ))
    }

    fn infer_lists(
        &self,
        (read, made): &mut (Transactions<'h>, ByValue<'h>),
    ) -> Result<(Analysis, Option<Certificate>), Stopped> {
        let mut findings = Vec::new();
        let order = lists::order(read, made, &mut findings, self.cancellation)?;
        *made = ByValue::default();
        if findings.is_empty() {
            internal::examine(read, &order, self.kind, &mut findings, self.cancellation)?;
        }
        let mut found = Found::of(findings);
        if found.ladder.of(IsolationLevel::ReadCommitted).is_none() {
            let graph = dependencies::graph(read, &order, self.cancellation)?;
            let unseen = dependencies::unseen_nodes(read, &order, &graph);
            let known = Known { read, order: &order, graph: &graph, unseen: &unseen };
            self.decide_lists(&known, &mut found)?;
        }
        let evidence = Evidence { read, order: &order, registers: None, kind: self.kind };
        self.conclude(&evidence, &found)
    }

    fn infer_registers(
        &self,
        (read, made): &mut (Transactions<'h>, ByValue<'h>),
    ) -> Result<(Analysis, Option<Certificate>), Stopped> {
        let mut findings = Vec::new();
        let initial = &self.options.initial;
        let effective = registers::resolve(read, made, initial, &mut findings, self.cancellation)?;
        *made = ByValue::default();
        let nothing = Order::of_nothing(read, effective);
        if findings.is_empty() {
            internal::examine(read, &nothing, self.kind, &mut findings, self.cancellation)?;
        }
        let mut found = Found::of(findings);
        if found.ladder.of(IsolationLevel::ReadCommitted).is_some() {
            let evidence = Evidence { read, order: &nothing, registers: None, kind: self.kind };
            return self.conclude(&evidence, &found);
        }
        let registers = Registers::new(read, nothing.effective, self.cancellation)?;
        let known = KnownRegisters::new(read, &registers);
        self.decide_registers(&known, &mut found)?;
        let strict = IsolationLevel::StrictSerializable;
        if self.options.isolation == strict && found.ladder.of(strict).is_none() {
            return Ok(self.search_strict(found.reasons.join("; ")));
        }
        let (order, registers) = (&known.guess, Some(&registers));
        let evidence = Evidence { read, order, registers, kind: self.kind };
        let is_tried = |one: &&(IsolationLevel, Proof)| matches!(one.1, Proof::Tried(_));
        let only_tried = found.against.iter().filter(is_tried).count() == found.against.len();
        if self.options.isolation == strict && !found.against.is_empty() && only_tried {
            return Ok(self.try_again(self.conclude(&evidence, &found)?.0));
        }
        self.conclude(&evidence, &found)
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
        let mut proofs: Vec<_> =
            found.against.iter().filter(|(level, _)| asked.implies(*level)).collect();
        // What breaks the weakest level says most, unless it takes inferences to see it.
        proofs.sort_by_key(|(level, proof)| {
            let is_inferred = matches!(proof, Proof::Commits(..) | Proof::Tried(_));
            (is_inferred, *level, !matches!(proof, Proof::Finding(_)))
        });
        for (level, proof) in &proofs {
            let confirm = Confirm {
                read: evidence.read,
                kind: self.kind,
                initial: &self.options.initial,
                keeps: level.keeps(),
            };
            let counterexample = match proof {
                Proof::Cycle(links) if confirm.cycle(links, &[]) => {
                    explain::cycle(evidence, links, &[])
                }
                Proof::Commits(links, inferred) if confirm.cycle(links, inferred) => {
                    explain::cycle(evidence, links, inferred)
                }
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
        let claim = OrderClaim { kind: self.kind, level, initial };
        if let Err(error) = verify(self.history, &order, claim, self.cancellation) {
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

    /// What another search says of a violation of which no cycle is known: it shows fewer operations.
    /// What it cannot decide stays a violation; what it finds an order for, nobody can tell.
    fn try_again(&self, found: Analysis) -> (Analysis, Option<Certificate>) {
        let (again, _) = self.search_strict(String::new());
        match again.verdict {
            Verdict::Valid => self.undecided("two searches contradict each other".to_owned()),
            Verdict::Unknown => (found, None),
            Verdict::Violation => (Analysis { isolation: found.isolation, ..again }, None),
        }
    }

    /// Decides strict serializability of registers by a search for one order of all operations, where
    /// nothing can be inferred for this `reason`.
    fn search_strict(&self, reason: String) -> (Analysis, Option<Certificate>) {
        if self.kind == TransactionKind::ListAppend {
            return self.undecided(reason);
        }
        let (asked, strict) = (self.options.isolation, IsolationLevel::StrictSerializable);
        let options = Options { model: ModelKind::MultiRegister, ..self.options.clone() };
        let (mut analysis, certificate) = (self.search)(&options);
        let mut ladder = LevelFindings::default();
        match analysis.verdict {
            Verdict::Valid => ladder.hold(strict),
            Verdict::Violation => ladder.violate(strict),
            Verdict::Unknown => {
                analysis.reasons.insert(0, reason);
                return (analysis, None);
            }
        }
        if analysis.verdict == Verdict::Violation && asked != strict {
            let (mut undecided, _) = self.undecided(reason);
            undecided.isolation = Some(ladder.summary(asked));
            return (undecided, None);
        }
        analysis.isolation = Some(ladder.summary(asked));
        let model = ModelKind::RwRegister.name().to_owned();
        let certificate = certificate.map(|it| Certificate { model, level: Some(strict), ..it });
        (analysis, certificate)
    }

    fn undecided(&self, reason: String) -> (Analysis, Option<Certificate>) {
        (self.analysis(Verdict::Unknown, None, vec![reason]), None)
    }

    fn stopped(&self) -> (Analysis, Option<Certificate>) {
        self.undecided("the time ran out".to_owned())
    }
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
