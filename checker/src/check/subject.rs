//! What differs between the objects that a history can be about, beyond the model of one object.

use super::Options;
use crate::constraints::{self, Explanation};
use crate::engines::auto;
use crate::engines::wgl::{Limits, Search};
use crate::engines::{Monitored, Span, spans};
use crate::history::History;
use crate::model::{ModelKind, Register, with_model};
use crate::value::Value;
use crate::verdict::{Certificate, KeyOrder};
use crate::verify::{Expected, verify_begun};
use crate::verify_error::VerifyError;

/// The object that a history is about, as far as it can be told without that history.
pub(crate) trait Subject: Sync {
    /// Whether every key is an object of its own, to be judged apart.
    fn splits_by_key(&self) -> bool;

    /// Searches the few operations of a counterexample on their own, and explains why they have no
    /// order, if that is possible with little effort.
    ///
    /// # Errors
    ///
    /// If they have an order.
    fn confirm(
        &self,
        history: &History,
        limits: &Limits<'_>,
    ) -> Result<Option<Explanation>, String>;

    /// The operations of a counterexample that are needed, by the positions of their invocations;
    /// nothing if that cannot be told.
    fn tighten(&self, history: &History, limits: &Limits<'_>) -> Option<Vec<u64>>;

    /// The certificate that these orders make.
    fn certificate(&self, keys: Vec<KeyOrder>) -> Certificate;

    /// Whether the certificate proves the history.
    ///
    /// # Errors
    ///
    /// As [`verify_begun`].
    fn verify(
        &self,
        history: &History,
        certificate: &Certificate,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), VerifyError>;

    /// What was asked for, of one of the built-in models. Single objects of these may begin
    /// otherwise, and their violations have the field's names.
    fn options(&self) -> Option<&Options> {
        None
    }
}

/// An object of one of the built-in models.
#[derive(Clone, Copy)]
pub(super) struct BuiltIn<'a> {
    pub options: &'a Options,
    /// What a delete leaves.
    pub deleted: &'a Value,
}

impl<'a> BuiltIn<'a> {
    /// One that is without a value as it was before the first operation.
    pub(super) const fn new(options: &'a Options) -> Self {
        Self { options, deleted: &options.initial }
    }
}

/// As [`with_model`], for a [`BuiltIn`].
macro_rules! with_built_in {
    ($built_in:expr, $history:expr, $model:ident => $result:expr) => {{
        let BuiltIn { options: Options { model, initial, .. }, deleted } = *$built_in;
        match model {
            ModelKind::Register => {
                let $model = Register::begun(initial, deleted, &$history.values);
                Ok($result)
            }
            _ => with_model!(model, initial, &$history.values, $model => $result),
        }
    }};
}

impl Subject for BuiltIn<'_> {
    fn splits_by_key(&self) -> bool {
        self.options.model.splits_by_key()
    }

    fn confirm(
        &self,
        history: &History,
        limits: &Limits<'_>,
    ) -> Result<Option<Explanation>, String> {
        let found = with_built_in!(self, history, model => confirm_model(history, &model, limits));
        found.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn tighten(&self, history: &History, limits: &Limits<'_>) -> Option<Vec<u64>> {
        with_built_in!(self, history, model => tighten_model(history, &model, limits)).ok()
    }

    fn certificate(&self, keys: Vec<KeyOrder>) -> Certificate {
        let Options { model, initial, .. } = self.options;
        Certificate {
            model: model.name().to_owned(),
            level: None,
            initial: initial.clone(),
            consistency: None,
            keys,
            saw: Vec::new(),
        }
    }

    fn verify(
        &self,
        history: &History,
        certificate: &Certificate,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), VerifyError> {
        let Options { model, initial, initial_by_key, .. } = self.options;
        let expected = Expected { model: *model, initial: initial.clone(), ..Expected::default() };
        verify_begun(history, certificate, &expected, initial_by_key, stop)
    }

    fn options(&self) -> Option<&Options> {
        Some(self.options)
    }
}

/// What [`Subject::confirm`] says of the history of a counterexample.
pub(crate) fn confirm_model<M: Monitored>(
    history: &History,
    model: &M,
    limits: &Limits<'_>,
) -> Result<Option<Explanation>, String> {
    let spans = all_spans(history, model);
    match auto::search(model, &spans, limits) {
        Search::Valid(_) => Err("the engines disagree about the counterexample".to_owned()),
        // An operation that no engine looks at has no place in the graph.
        _ if spans.len() < history.operations.len() => Ok(None),
        Search::Violation { .. } | Search::Unknown { .. } => {
            Ok(constraints::explain(model, &spans))
        }
    }
}

/// What [`Subject::tighten`] says of the history of a counterexample.
pub(crate) fn tighten_model<M: Monitored>(
    history: &History,
    model: &M,
    limits: &Limits<'_>,
) -> Vec<u64> {
    let part = model.tighten(&all_spans(history, model), limits);
    let position = |span: &Span| history.operations[span.operation as usize].invoked.position;
    part.iter().map(position).collect()
}

fn all_spans<M: Monitored>(history: &History, model: &M) -> Vec<Span> {
    let places: Vec<u32> = (0..history.operations.len() as u32).collect();
    spans(history, &places, model)
}
