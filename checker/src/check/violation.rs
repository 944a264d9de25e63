//! Counterexamples: each is searched again on its own, made as small as it gets, explained and named.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Checker, Finding, Object, Options, Proof};
use crate::constraints::{self, Explanation};
use crate::diagnosis::{self, Diagnosis};
use crate::engines::wgl::Limits;
use crate::engines::{Cancellation, Monitored};
use crate::history::History;
use crate::initial::Begins;
use crate::verdict::{Anomaly, Counterexample, Verdict};

/// Bytes of memory that the search on a counterexample may use.
const CONFIRMATION: usize = 16 << 20;
/// Of more operations than this, none is left out again.
const TIGHTENED: usize = 128;

impl<'h, M: Monitored + Begins<'h>> Checker<'_, 'h, M> {
    pub(super) fn violation(
        &self,
        object: &Object,
        engine: &str,
        mut found: Counterexample,
    ) -> Finding {
        let mut explanation = match self.confirm(&found) {
            Ok(explanation) => explanation,
            Err(reason) => return self.unknown(object, engine, reason),
        };
        if let Some(fewer) = self.tighten(&found)
            && let Ok(explained) = self.confirm(&fewer)
        {
            (found, explanation) = (fewer, explained);
        }
        self.explain(&mut found, explanation);
        self.name(object, &mut found);
        let analysis = self.analysis(object, engine, Verdict::Violation, None);
        Finding { analysis, proof: Proof::Counterexample(Box::new(found)) }
    }

    /// Adds the plainest cycle, and what follows from it. What an engine says besides, stays.
    fn explain(&self, found: &mut Counterexample, explanation: Option<Explanation>) {
        if let Some(Explanation { cycle, impasse, .. }) = explanation {
            found.impasse = impasse;
            if !cycle.is_empty() {
                found.cycle = cycle;
            }
        }
        let unnamed = found.anomaly == Anomaly::NotLinearizable;
        let late = [Anomaly::StaleRead, Anomaly::LostWrite, Anomaly::LostElement];
        if (unnamed || late.contains(&found.anomaly))
            && let Some(stale) = constraints::stale(self.history, found)
        {
            found.stale_for = found.stale_for.or(stale.duration);
            found.stale_by_versions = found.stale_by_versions.max(stale.versions);
            if unnamed {
                (found.anomaly, found.sentence) = (Anomaly::StaleRead, stale.sentence);
            }
        }
    }

    /// The counterexample without the operations that are not needed, if there are such.
    fn tighten(&self, found: &Counterexample) -> Option<Counterexample> {
        if found.operations.len() > TIGHTENED {
            return None;
        }
        let history = History::from_events(found.events()).ok()?;
        let kept = self.subject.tighten(&history, &self.limits_of_confirmation())?;
        if kept.len() == found.operations.len() {
            return None;
        }
        let operations = found.operations.iter().filter(|it| kept.contains(&it.index));
        let (cycle, impasse) = (Vec::new(), None);
        Some(Counterexample {
            operations: operations.cloned().collect(),
            cycle,
            impasse,
            ..found.clone()
        })
    }

    /// Calls it what the whole history says that it is, as soon as that is certain. A violation that
    /// is found in the last moment is named, too. Of objects of one's own nothing is known by name.
    fn name(&self, object: &Object, found: &mut Counterexample) {
        let Some(Options { model, initial, .. }) = self.subject.options() else { return };
        let (grace, polls) = (self.grace(object.places.len()), AtomicUsize::new(0));
        let stop = || (self.stop)() && polls.fetch_add(1, Ordering::Relaxed) >= grace;
        let cancellation = Cancellation::new(&stop);
        let of_place = |&place: &u32| &self.history.operations[place as usize];
        let key = diagnosis::Key {
            history: self.history,
            operations: object.places.iter().map(of_place).collect(),
            initial,
            model: *model,
            cancellation: &cancellation,
        };
        if let Some(fewer) = diagnosis::fewer(&key, found) {
            let mut shown = Counterexample { operations: Vec::new(), ..found.clone() };
            let operations = fewer.iter().map(|&place| key.operations[place]);
            shown.operations = operations.map(|it| self.history.witness(it)).collect();
            (shown.cycle, shown.impasse) = (Vec::new(), None);
            if let Ok(explanation) = self.confirm(&shown) {
                self.explain(&mut shown, explanation);
                *found = shown;
            }
        }
        let Ok(Some(diagnosis)) = diagnosis::diagnose(&key, found) else { return };
        let Diagnosis { anomaly, sentence, stale_for, versions, context } = diagnosis;
        found.anomaly = anomaly;
        found.sentence = sentence;
        found.stale_for = stale_for;
        found.stale_by_versions = versions.or(found.stale_by_versions).filter(|_| {
            let late = [Anomaly::StaleRead, Anomaly::LostWrite, Anomaly::LostElement];
            versions.is_some() || late.contains(&anomaly)
        });
        if let Some(context) = context {
            found.add_context(self.history.witness(key.operations[context]));
        }
    }

    /// Searches the counterexample on its own, if that is possible with little effort, and
    /// explains why it has no order.
    fn confirm(&self, counterexample: &Counterexample) -> Result<Option<Explanation>, String> {
        let history = History::from_events(counterexample.events())
            .map_err(|error| format!("the counterexample is no history: {error}"))?;
        self.subject.confirm(&history, &self.limits_of_confirmation())
    }

    fn limits_of_confirmation(&self) -> Limits<'_> {
        Limits { memory: self.memory.min(CONFIRMATION), stop: self.stop }
    }
}
