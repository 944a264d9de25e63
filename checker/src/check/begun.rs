//! Objects that begin with values of their own.

use super::{Checker, Finding, Object};
use crate::check::Options;
use crate::engines::{Monitored, Patience, spans_until};
use crate::initial::{Begins, KeyInitials, candidates};
use crate::model::ModelKind;
use crate::value::Value;
use crate::verdict::Verdict;

impl<'h, M: Monitored + Begins<'h>> Checker<'_, 'h, M> {
    /// Checks an object, with what it holds before the first operation.
    pub(super) fn check_begun(&self, object: &Object, scratch: &mut M::Scratch) -> Finding {
        let Some(options) = self.subject.options() else {
            return self.check_object(object, scratch);
        };
        match &options.initial_by_key {
            KeyInitials::Same => self.check_object(object, scratch),
            KeyInitials::Listed(values) => match values.get(&object.key) {
                Some(initial) if options.model.splits_by_key() => {
                    self.begin((initial, &options.initial), options, object, scratch)
                }
                Some(_) => {
                    let reason = "its objects begin with one value for all keys only".to_owned();
                    self.unknown(object, "none", reason)
                }
                None => self.check_object(object, scratch),
            },
            KeyInitials::Unknown if options.model == ModelKind::Register => {
                self.begin_with_any(options, object, scratch)
            }
            KeyInitials::Unknown => {
                let reason = "an unknown initial value is for registers only".to_owned();
                self.unknown(object, "none", reason)
            }
        }
    }

    /// Checks an object that begins with `initial`.
    fn begin(
        &self,
        (initial, deleted): (&Value, &Value),
        options: &Options,
        object: &Object,
        scratch: &mut M::Scratch,
    ) -> Finding {
        let model = match M::begin(initial, deleted, &self.history.values) {
            Ok(model) => model,
            Err(error) => return self.unknown(object, "none", error.to_string()),
        };
        let options = Options { initial: initial.clone(), ..options.clone() };
        let checker = Checker { model: &model, subject: &options, ..*self };
        let mut finding = checker.check_object(object, scratch);
        finding.analysis.initial = Some(initial.clone());
        finding
    }

    /// Checks an object that may begin with any value: it is valid if it is with one of them, and a
    /// violation if it is with all.
    fn begin_with_any(
        &self,
        options: &Options,
        object: &Object,
        scratch: &mut M::Scratch,
    ) -> Finding {
        let patience = Patience::new(self.stop);
        let Ok(spans) = spans_until(self.history, &object.places, self.model, &patience) else {
            return self.out_of_time(object, "none");
        };
        let mut worst: Option<Finding> = None;
        for initial in candidates(&spans, &self.history.values) {
            let finding = self.begin((&initial, &Value::Null), options, object, scratch);
            match finding.analysis.verdict {
                Verdict::Valid => return finding,
                Verdict::Unknown => worst = Some(finding),
                Verdict::Violation => worst = Some(worst.unwrap_or(finding)),
            }
        }
        worst.unwrap_or_else(|| self.check_object(object, scratch))
    }
}
