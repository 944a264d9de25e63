//! An object of one's own: its states, its operations and what they answer.
//!
//! A [`Spec`] is written in the types of the program under test. A [`Recorder`](crate::Recorder)
//! keeps what clients asked and what they were answered in these types, and
//! [checks](crate::Recorder::check) it with the searches, the verifier and the counterexamples that
//! the built-in models have.
//!
//! For the engines, an operation and an answer each get a name, which is how [`Debug`] shows them;
//! where two that differ look alike, the name gets a number. So two operations are one for an
//! engine exactly if they are equal.

pub(crate) mod minimise;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::check::{Subject, check_model, confirm_model, tighten_model};
use crate::constraints::Explanation;
use crate::engines::wgl::{self, Limits};
use crate::engines::{Cancellation, Decision, EngineChoice, Monitored, Span};
use crate::event::Function;
use crate::history::{Action, History, Response};
use crate::initial::Begins;
use crate::model::{BadInitial, Call, Model};
use crate::progress::Progress;
use crate::streaming::Judge;
use crate::value::{Value, ValueId, Values};
use crate::verdict::{Analysis, Certificate, KeyOrder};
use crate::verify::verify_model;
use crate::verify_error::VerifyError;

/// An object when it is used by one client at a time: the meaning of *correct*.
///
/// It is a pure function: [`Spec::apply`] must give the same result for the same arguments, or no
/// verdict means anything.
///
/// ```
/// use partita_checker::{Spec, Value};
///
/// /// A key/value store that tells what it replaced.
/// struct Store;
///
/// #[derive(Debug, Clone, PartialEq)]
/// enum Op {
///     Get(String),
///     Set(String, u64),
/// }
///
/// impl Spec for Store {
///     /// One key's value: every key is an object of its own.
///     type State = Option<u64>;
///     type Op = Op;
///     type Ret = Option<u64>;
///
///     fn initial(&self) -> Option<u64> {
///         None
///     }
///
///     fn apply(&self, held: &Option<u64>, op: &Op) -> (Option<u64>, Option<u64>) {
///         match op {
///             Op::Get(_) => (*held, *held),
///             Op::Set(_, value) => (Some(*value), *held),
///         }
///     }
///
///     fn key(&self, op: &Op) -> Value {
///         let (Op::Get(key) | Op::Set(key, _)) = op;
///         Value::text(&**key)
///     }
///
///     fn is_read_only(&self, op: &Op) -> bool {
///         matches!(op, Op::Get(_))
///     }
/// }
/// ```
pub trait Spec: Send + Sync {
    /// What the object holds. Searches keep many states: they should be cheap to clone and to hash.
    type State: Clone + Eq + Hash + Debug + Send + 'static;
    /// What a client asks for, with its arguments.
    type Op: Clone + PartialEq + Debug + Send + Sync + 'static;
    /// What a client is answered.
    type Ret: Clone + PartialEq + Debug + Send + Sync + 'static;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after `op`, and what it answers.
    fn apply(&self, state: &Self::State, op: &Self::Op) -> (Self::State, Self::Ret);

    /// The name that stands in certificates and reports; that of the type unless said otherwise.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path)
    }

    /// The part of the object that `op` works on. Parts are judged apart, each from the
    /// [initial](Self::initial) state, which is much faster: an operation must neither see nor
    /// change anything of another part. Unless said otherwise there is one part only.
    fn key(&self, _op: &Self::Op) -> Value {
        Value::Null
    }

    /// Whether `op` never changes any state. True must be certain; searches are faster for it. A
    /// state that changes all the same makes the verdict unknown.
    fn is_read_only(&self, _op: &Self::Op) -> bool {
        false
    }

    /// About how many bytes a state takes beyond its own size, for the limit on memory.
    fn heap_bytes(&self, _state: &Self::State) -> usize {
        0
    }
}

/// The names of operations and answers.
pub(crate) struct Names<S: Spec> {
    meanings: FxHashMap<Arc<str>, Meaning<S>>,
}

/// What a name means. An operation and an answer may have the same.
struct Meaning<S: Spec> {
    op: Option<S::Op>,
    ret: Option<S::Ret>,
}

impl<S: Spec> Default for Names<S> {
    fn default() -> Self {
        Self { meanings: FxHashMap::default() }
    }
}

impl<S: Spec> Names<S> {
    /// The name of an operation, new if none is equal to it.
    pub(crate) fn op(&mut self, op: &S::Op) -> Value {
        self.name(op, |meaning| &mut meaning.op)
    }

    /// The name of an answer, new if none is equal to it.
    pub(crate) fn ret(&mut self, ret: &S::Ret) -> Value {
        self.name(ret, |meaning| &mut meaning.ret)
    }

    fn name<T: Clone + PartialEq + Debug>(
        &mut self,
        thing: &T,
        slot: impl Fn(&mut Meaning<S>) -> &mut Option<T>,
    ) -> Value {
        let shown = format!("{thing:?}");
        for number in 1_usize.. {
            let name: Arc<str> = match number {
                1 => shown.as_str().into(),
                number => format!("{shown} #{number}").into(),
            };
            let empty = || Meaning { op: None, ret: None };
            let slot = slot(self.meanings.entry(name.clone()).or_insert_with(empty));
            match slot {
                Some(known) if known == thing => return Value::Text(name),
                Some(_) => {}
                None => {
                    *slot = Some(thing.clone());
                    return Value::Text(name);
                }
            }
        }
        unreachable!("there is always another number")
    }
}

/// A spec with the names that its operations bear in histories.
pub(crate) struct Named<'a, S: Spec> {
    pub(crate) spec: &'a S,
    pub(crate) names: &'a Names<S>,
}

impl<'a, S: Spec> Named<'a, S> {
    /// The model for a history, whose values are these names.
    fn model(&self, history: &History) -> SpecModel<'a, S> {
        let values = &history.values;
        let meaning = |id: u32| match values.get(ValueId(id)) {
            Value::Text(name) => self.names.meanings.get(name),
            _ => None,
        };
        let by_value = (0..values.len() as u32).map(meaning).collect();
        SpecModel { spec: self.spec, by_value }
    }

    /// Whether `history` is linearizable, with the proof, as [`check`](crate::check()) has it.
    pub(crate) fn check(
        &self,
        history: &History,
        budget: (usize, EngineChoice),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> (Analysis, Option<Certificate>) {
        check_model(history, &self.model(history), self, budget, stop, &Progress::default())
    }

    fn initial(&self) -> Value {
        Value::text(format!("{:?}", self.spec.initial()))
    }
}

impl<S: Spec> Subject for Named<'_, S> {
    fn splits_by_key(&self) -> bool {
        true
    }

    fn confirm(
        &self,
        history: &History,
        limits: &Limits<'_>,
    ) -> Result<Option<Explanation>, String> {
        confirm_model(history, &self.model(history), limits)
    }

    fn tighten(&self, history: &History, limits: &Limits<'_>) -> Option<Vec<u64>> {
        Some(tighten_model(history, &self.model(history), limits))
    }

    fn certificate(&self, keys: Vec<KeyOrder>) -> Certificate {
        Certificate {
            model: self.spec.name().to_owned(),
            level: None,
            initial: self.initial(),
            keys,
            consistency: None,
            saw: Vec::new(),
        }
    }

    fn verify(
        &self,
        history: &History,
        certificate: &Certificate,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), VerifyError> {
        let (expected, found) = (self.spec.name(), certificate.model.clone());
        if found != expected {
            return Err(VerifyError::OtherModel { expected: expected.to_owned(), found });
        }
        let (expected, found) = (self.initial(), certificate.initial.clone());
        if found != expected {
            return Err(VerifyError::OtherInitial { expected, found });
        }
        verify_model(history, certificate, (&self.model(history), &expected), stop)
    }
}

/// How the prefix of a history is judged.
pub(crate) struct Streamed<'a, S: Spec> {
    pub(crate) named: Named<'a, S>,
    pub(crate) budget: (usize, EngineChoice),
}

impl<S: Spec> Judge for Streamed<'_, S> {
    fn splits_by_key(&self) -> bool {
        true
    }

    fn analyse(&self, history: &History, stop: &(dyn Fn() -> bool + Sync)) -> Analysis {
        self.named.check(history, self.budget, stop).0
    }
}

/// A spec as engines see it, for one history.
struct SpecModel<'a, S: Spec> {
    spec: &'a S,
    /// What the history's values mean.
    by_value: Vec<Option<&'a Meaning<S>>>,
}

impl<'a, S: Spec> SpecModel<'a, S> {
    fn op(&self, call: Call) -> Option<&'a S::Op> {
        match call.action {
            Action::Other(Function::Apply, name) => self.by_value[name.index()]?.op.as_ref(),
            _ => None,
        }
    }

    /// What was answered. Nothing if that means nothing, none if nothing was answered.
    fn ret(&self, call: Call) -> Option<Option<&'a S::Ret>> {
        match call.response {
            None => Some(None),
            Some(Response::Value(name)) => self.by_value[name.index()]?.ret.as_ref().map(Some),
            Some(_) => None,
        }
    }
}

impl<S: Spec> Model for SpecModel<'_, S> {
    type State = S::State;

    fn name(&self) -> &'static str {
        self.spec.name()
    }

    fn initial(&self) -> S::State {
        self.spec.initial()
    }

    fn knows(&self, call: Call) -> bool {
        self.op(call).is_some() && self.ret(call).is_some()
    }

    fn step(&self, state: &S::State, call: Call) -> Option<S::State> {
        let (op, expected) = (self.op(call)?, self.ret(call)?);
        let (after, ret) = self.spec.apply(state, op);
        assert!(
            after == *state || !self.spec.is_read_only(op),
            "the spec says that {op:?} is read-only, but it changes {state:?} to {after:?}"
        );
        expected.is_none_or(|expected| *expected == ret).then_some(after)
    }

    fn is_pure(&self, call: Call) -> bool {
        self.op(call).is_some_and(|op| self.spec.is_read_only(op))
    }

    fn heap_bytes(&self, state: &S::State) -> usize {
        self.spec.heap_bytes(state)
    }
}

/// All objects of a spec begin with its own state.
impl<'h, S: Spec> Begins<'h> for SpecModel<'_, S> {
    fn begin(initial: &Value, _: &Value, _: &'h Values) -> Result<Self, BadInitial> {
        let expected = "nothing but the initial state of the spec";
        Err(BadInitial { model: "spec", expected, found: initial.clone() })
    }
}

impl<S: Spec> Monitored for SpecModel<'_, S> {
    const ENGINE: &'static str = "none";

    type Scratch = ();

    fn scratch(&self, _: &History) {}

    fn monitor(&self, _: &History, _: &[Span], (): &mut (), _: &Cancellation<'_>) -> Decision {
        Decision::Inexact("there is no monitor for such objects")
    }

    fn minimise(&self, spans: &[Span], proven_at: u64, limits: &Limits<'_>) -> Vec<Span> {
        minimise::minimise(self, spans, proven_at, limits)
            .unwrap_or_else(|| wgl::minimise(self, spans, proven_at, limits))
    }

    fn tighten(&self, spans: &[Span], limits: &Limits<'_>) -> Vec<Span> {
        minimise::tighten(self, spans, limits).unwrap_or_else(|| wgl::tighten(self, spans, limits))
    }
}
