//! Checks a certificate against a history, without trusting its source.
//!
//! Replays the order of every key on the model and looks at nothing else: that each completed
//! operation stands there once and no failed one does, that the model answers as the clients were
//! answered, and that no operation stands after one that was invoked after it had returned. Linear
//! in the size of the history, but for what a step of the model costs. Shares nothing with the
//! engines but the model, and how loops end when the time is up.
//!
//! What the object is and what it holds at the beginning, the caller says: a certificate that
//! assumes anything else proves nothing.

use rustc_hash::FxHashMap;

use crate::engines::{Cancellation, Stopped};
use crate::event::Level;
use crate::history::{History, KeyId, Operation, Outcome};
use crate::initial::{Begins, KeyInitials};
use crate::isolation::IsolationLevel;
use crate::model::{Call, Model, ModelKind, with_model};
use crate::transactions::{self, OrderClaim, TransactionKind};
use crate::value::Value;
use crate::verdict::{Certificate, KeyOrder};
use crate::verify_error::VerifyError;

/// What a certificate has to assume of the object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// What it is.
    pub model: ModelKind,
    /// What every object holds before the first operation.
    pub initial: Value,
    /// For transactions: the level that it has to prove.
    pub isolation: IsolationLevel,
}

/// Whether `certificate` proves that `history` is linearizable as what is `expected`.
///
/// # Errors
///
/// If it does not: that it is about something else, or the first operation, in the order listed,
/// that is out of place, and why.
pub fn verify(
    history: &History,
    certificate: &Certificate,
    expected: &Expected,
) -> Result<(), VerifyError> {
    verify_until(history, certificate, expected, &|| false)
}

/// As [`verify`], unless `stop` says true before it is through; it is asked every few thousand
/// operations.
///
/// # Errors
///
/// As [`verify`], and [`VerifyError::Stopped`].
pub fn verify_until(
    history: &History,
    certificate: &Certificate,
    expected: &Expected,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(), VerifyError> {
    verify_begun(history, certificate, expected, &KeyInitials::Same, stop)
}

/// As [`verify_until`], where objects begin with values of their own as `initials` says. With
/// [`KeyInitials::Unknown`], each begins with what the certificate says.
///
/// # Errors
///
/// As [`verify_until`].
pub fn verify_begun(
    history: &History,
    certificate: &Certificate,
    expected: &Expected,
    initials: &KeyInitials,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(), VerifyError> {
    let Expected { model, initial, isolation } = expected;
    if certificate.model.parse() != Ok(*model) {
        let found = certificate.model.clone();
        return Err(VerifyError::OtherModel { expected: model.name().to_owned(), found });
    }
    if let Some(level) = certificate.consistency.filter(|level| *level != Level::Linearizable) {
        return Err(VerifyError::Weaker(level));
    }
    if certificate.initial != *initial {
        let (expected, found) = (initial.clone(), certificate.initial.clone());
        return Err(VerifyError::OtherInitial { expected, found });
    }
    if let Some(kind) = TransactionKind::of(*model) {
        let claim = OrderClaim { kind, level: *isolation, initial };
        return transactions::verify_certificate(history, certificate, claim, stop);
    }
    let beginnings = Beginnings { initials, initial, model: *model };
    let by_key = model.splits_by_key();
    with_model!(model, initial, &history.values, model => {
        replay(history, certificate, (&model, &beginnings, by_key), stop)
    })?
}

/// Like [`verify_until`], for any model whose keys are objects that all begin with `initial`. That
/// the certificate is about that model is left to the caller.
pub(crate) fn verify_model<'a, M: Model + Begins<'a>>(
    history: &'a History,
    certificate: &'a Certificate,
    (model, initial): (&M, &Value),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(), VerifyError> {
    let initials = &KeyInitials::Same;
    let beginnings = Beginnings { initials, initial, model: ModelKind::default() };
    replay(history, certificate, (model, &beginnings, true), stop)
}

/// Replays all orders.
fn replay<'a, M: Model + Begins<'a>>(
    history: &'a History,
    certificate: &'a Certificate,
    (model, beginnings, by_key): (&M, &Beginnings<'_>, bool),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(), VerifyError> {
    let cancellation = Cancellation::new(stop);
    let stopped = |replayed| VerifyError::Stopped { replayed, listed: listed(certificate) };
    let verifier =
        Verifier::new(history, certificate, by_key, &cancellation).map_err(|Stopped| stopped(0))?;
    verifier.run(model, beginnings)
}

/// What objects have to begin with.
struct Beginnings<'a> {
    initials: &'a KeyInitials,
    initial: &'a Value,
    model: ModelKind,
}

impl Beginnings<'_> {
    /// What the object of this order begins with and what a delete leaves in it, if that is not what
    /// all objects begin with.
    fn of(&self, order: &KeyOrder) -> Result<Option<(Value, Value)>, VerifyError> {
        let listed = match self.initials {
            KeyInitials::Same => None,
            KeyInitials::Listed(values) => values.get(&order.key),
            KeyInitials::Unknown if self.model == ModelKind::Register => {
                return Ok(order.initial.clone().map(|initial| (initial, Value::Null)));
            }
            KeyInitials::Unknown => None,
        };
        let expected = listed.unwrap_or(self.initial);
        match &order.initial {
            Some(found) if found != expected => {
                Err(VerifyError::OtherInitial { expected: expected.clone(), found: found.clone() })
            }
            _ => Ok(listed.map(|listed| (listed.clone(), self.initial.clone()))),
        }
    }
}

/// How many operations the certificate orders.
fn listed(certificate: &Certificate) -> usize {
    certificate.keys.iter().map(|key| key.order.len()).sum()
}

struct Verifier<'p, 'a> {
    cancellation: &'p Cancellation<'p>,
    /// How many operations were found in their places.
    replayed: usize,
    history: &'a History,
    certificate: &'a Certificate,
    /// The objects by their names. If there is one only, every key is another name of it.
    objects: FxHashMap<&'a Value, u32>,
    object_of: Vec<u32>,
    places: Places,
    seen_objects: Vec<bool>,
    seen: Vec<bool>,
}

impl<'p, 'a> Verifier<'p, 'a> {
    fn new(
        history: &'a History,
        certificate: &'a Certificate,
        by_key: bool,
        cancellation: &'p Cancellation<'p>,
    ) -> Result<Self, Stopped> {
        let (objects, object_of): (FxHashMap<_, _>, Vec<u32>) = if by_key {
            let numbers = 0..history.keys.len() as u32;
            (history.keys.iter().zip(numbers.clone()).collect(), numbers.collect())
        } else {
            ([(&Value::Null, 0)].into_iter().collect(), vec![0; history.keys.len()])
        };
        let places = Places::of(&history.operations, cancellation)?;
        Ok(Self {
            cancellation,
            replayed: 0,
            history,
            certificate,
            object_of,
            places,
            seen_objects: vec![false; objects.len()],
            objects,
            seen: vec![false; history.operations.len()],
        })
    }

    fn run<M: Model + Begins<'a>>(
        mut self,
        model: &M,
        beginnings: &Beginnings<'_>,
    ) -> Result<(), VerifyError> {
        for order in &self.certificate.keys {
            match beginnings.of(order)? {
                Some((initial, deleted)) => {
                    let own = M::begin(&initial, &deleted, &self.history.values)?;
                    self.replay(order, &own)?;
                }
                None => self.replay(order, model)?,
            }
        }
        self.demand_all()
    }

    fn replay<M: Model>(&mut self, order: &KeyOrder, model: &M) -> Result<(), VerifyError> {
        let Some(&object) = self.objects.get(&order.key) else {
            return Err(VerifyError::UnknownKey(order.key.clone()));
        };
        if std::mem::replace(&mut self.seen_objects[object as usize], true) {
            return Err(VerifyError::RepeatedKey(order.key.clone()));
        }
        let mut state = model.initial();
        let mut last_invoked = 0;
        for &index in &order.order {
            self.keep_on()?;
            self.replayed += 1;
            let operation = self.admit(index, &order.key, object)?;
            state = self.step(model, &state, operation)?;
            if let Outcome::Ok(returned, _) = operation.outcome
                && returned.position < last_invoked
            {
                return Err(VerifyError::AgainstRealTime { index, before: last_invoked });
            }
            last_invoked = last_invoked.max(index);
        }
        Ok(())
    }

    /// Takes a step, if there is time.
    fn keep_on(&self) -> Result<(), VerifyError> {
        self.cancellation.step().map_err(|Stopped| {
            let (replayed, listed) = (self.replayed, listed(self.certificate));
            VerifyError::Stopped { replayed, listed }
        })
    }

    fn admit(
        &mut self,
        index: u64,
        listed: &Value,
        object: u32,
    ) -> Result<&'a Operation, VerifyError> {
        let Some(place) = self.places.find(index) else {
            return Err(VerifyError::UnknownOperation(index));
        };
        let operation = &self.history.operations[place];
        if self.object_of[operation.key.0 as usize] != object {
            let (listed, actual) = (listed.clone(), self.key(operation.key));
            return Err(VerifyError::ForeignOperation { index, listed, actual });
        }
        if operation.is_failed() {
            return Err(VerifyError::FailedOperation(index));
        }
        if std::mem::replace(&mut self.seen[place], true) {
            return Err(VerifyError::RepeatedOperation(index));
        }
        Ok(operation)
    }

    fn step<M: Model>(
        &self,
        model: &M,
        state: &M::State,
        operation: &Operation,
    ) -> Result<M::State, VerifyError> {
        let call = Call { action: operation.action, response: operation.response() };
        let index = operation.invoked.position;
        let (function, name) = (operation.action.function().name(), model.name());
        if !model.knows(call) {
            return Err(VerifyError::NoMeaning { index, function, model: name });
        }
        model.step(state, call).ok_or_else(|| {
            let held = if *state == model.initial() {
                self.certificate.initial.clone()
            } else {
                model.shown(state, &self.history.values)
            };
            VerifyError::WrongAnswer { index, function, model: name, held }
        })
    }

    fn demand_all(&self) -> Result<(), VerifyError> {
        for (operation, seen) in self.history.operations.iter().zip(&self.seen) {
            self.keep_on()?;
            if operation.is_ok() && !seen {
                let index = operation.invoked.position;
                let key = self.key(operation.key);
                return Err(VerifyError::MissingOperation { index, key });
            }
        }
        Ok(())
    }

    fn key(&self, key: KeyId) -> Value {
        self.history.key(key).clone()
    }
}

/// The places of the operations by the index of their invocation.
enum Places {
    /// Where indices have few gaps, as in every file that numbers its events: a table of them all,
    /// with [`NOWHERE`] for what is no invocation.
    Table(Vec<u32>),
    Map(FxHashMap<u64, usize>),
}

const NOWHERE: u32 = u32::MAX;

impl Places {
    /// How many indices of a table there may be for each operation. Two is usual.
    const SPREAD: u64 = 4;

    fn of(operations: &[Operation], cancellation: &Cancellation<'_>) -> Result<Self, Stopped> {
        let indices = operations.iter().map(|operation| operation.invoked.position);
        let length = indices.clone().max().map_or(0, |last| last.saturating_add(1));
        let many = operations.len() as u64;
        if many >= u64::from(NOWHERE) || length > Self::SPREAD.saturating_mul(many) {
            let mut map = FxHashMap::default();
            map.reserve(operations.len());
            for (place, index) in indices.enumerate() {
                cancellation.step()?;
                map.insert(index, place);
            }
            return Ok(Self::Map(map));
        }
        let mut table = vec![NOWHERE; length as usize];
        for (place, index) in (0..NOWHERE).zip(indices) {
            cancellation.step()?;
            table[index as usize] = place;
        }
        Ok(Self::Table(table))
    }

    fn find(&self, index: u64) -> Option<usize> {
        match self {
            Self::Table(table) => {
                let place = *table.get(usize::try_from(index).ok()?)?;
                (place != NOWHERE).then_some(place as usize)
            }
            Self::Map(map) => map.get(&index).copied(),
        }
    }
}
