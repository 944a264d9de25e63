//! Objects that begin with values of their own.

use super::{BuiltIn, Checker, Finding, Object};
use crate::engines::{Cancellation, Monitored, spans_until};
use crate::initial::{Begins, KeyInitials, candidates};
use crate::model::ModelKind;
use crate::options::Options;
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
        let subject = BuiltIn { options: &options, deleted };
        let checker = Checker { model: &model, subject: &subject, ..*self };
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
        let cancellation = Cancellation::new(self.stop);
        let Ok(spans) = spans_until(self.history, &object.places, self.model, &cancellation) else {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::check::check;
    use crate::event::Event;
    use crate::history::History;
    use crate::verify::{Expected, verify_begun};

    /// A few operations on one register, on few values.
    fn histories() -> impl Strategy<Value = History> {
        let step = (0..3_u32, 0..5_u8, 0..3_i64, 0..3_i64, 0..6_u8);
        prop::collection::vec(step, 1..14).prop_map(|steps| {
            let mut events = Vec::new();
            let mut open: [Option<(String, String)>; 3] = Default::default();
            let mut process = [0_u32, 1, 2];
            for (client, kind, one, other, outcome) in steps {
                let index = events.len();
                let place = client as usize;
                let (kind, f, value, more) = match open[place].take() {
                    None => {
                        let (f, value) = match kind {
                            0 | 1 => ("read", "null".to_owned()),
                            2 => ("write", one.to_string()),
                            3 => ("cas", format!("[{one},{other}]")),
                            _ => ("delete", "null".to_owned()),
                        };
                        open[place] = Some((f.to_owned(), value.clone()));
                        ("invoke", f.to_owned(), value, "")
                    }
                    Some((f, value)) => {
                        let value = match (&*f, outcome) {
                            ("read", 5) => "null".to_owned(),
                            ("read", _) => one.to_string(),
                            _ => value,
                        };
                        match outcome {
                            0 => ("info", f, "null".to_owned(), ""),
                            1 if f == "cas" => ("ok", f, value, ",\"swapped\":false"),
                            _ => ("ok", f, value, ""),
                        }
                    }
                };
                let number = process[place];
                if kind == "info" {
                    process[place] += 3;
                }
                let line = format!(
                    "{{\"index\":{index},\"time\":{index},\"process\":{number},\
                     \"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}{more}}}"
                );
                events.push(serde_json::from_str::<Event>(&line).expect("an event"));
            }
            History::from_events(events).expect("a history")
        })
    }

    fn verdict(history: &History, initial: Value, by_key: KeyInitials) -> Verdict {
        let options = Options { initial, initial_by_key: by_key, ..Options::default() };
        check(history, &options, &|| false).0.verdict
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn unknown_initial_value_is_any_one_value(history in histories()) {
            let all = [Value::Null, 0.into(), 1.into(), 2.into(), 77.into()];
            let any = all.into_iter().map(|value| {
                // A delete leaves nothing, whatever there was first.
                let listed = KeyInitials::Listed([(Value::Null, value)].into_iter().collect());
                verdict(&history, Value::Null, listed)
            });
            let expected = any.min().expect("a verdict");
            let options =
                Options { initial_by_key: KeyInitials::Unknown, ..Options::default() };
            let (analysis, certificate) = check(&history, &options, &|| false);
            prop_assert_eq!(analysis.verdict, expected);
            if let Some(certificate) = certificate {
                let expected = Expected::default();
                let initials = KeyInitials::Unknown;
                let verified =
                    verify_begun(&history, &certificate, &expected, &initials, &|| false);
                prop_assert_eq!(verified, Ok(()));
            }
        }
    }
}
