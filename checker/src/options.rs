//! What a check assumes and may use.

use crate::engines::EngineChoice;
use crate::initial::KeyInitials;
use crate::isolation::IsolationLevel;
use crate::model::{ModelKind, with_model};
use crate::value::{Value, Values};

/// What a check assumes and may use.
///
/// ```
/// use partita_checker::{ModelKind, Options};
///
/// let options = Options::of(ModelKind::Counter).with_initial(5).with_memory(64 << 20);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// What object the history is about.
    pub model: ModelKind,
    /// What every object holds before the first operation.
    pub initial: Value,
    /// What single objects hold instead.
    pub initial_by_key: KeyInitials,
    /// Bytes of memory that all searches may use together; those that run at once share it.
    pub memory: usize,
    /// Which engine is to decide.
    pub engine: EngineChoice,
    /// The level that transactions are to keep.
    pub isolation: IsolationLevel,
}

impl Options {
    /// The defaults, for a history of this object.
    pub fn of(model: ModelKind) -> Self {
        Self { model, ..Self::default() }
    }

    /// Objects hold `initial` before the first operation.
    #[must_use]
    pub fn with_initial(self, initial: impl Into<Value>) -> Self {
        Self { initial: initial.into(), ..self }
    }

    /// Single objects hold something else.
    #[must_use]
    pub fn with_initial_by_key(self, initial_by_key: KeyInitials) -> Self {
        Self { initial_by_key, ..self }
    }

    /// Searches may use that many `bytes` of memory together.
    #[must_use]
    pub fn with_memory(self, bytes: usize) -> Self {
        Self { memory: bytes, ..self }
    }

    /// Transactions must keep this level.
    #[must_use]
    pub fn with_isolation(self, isolation: IsolationLevel) -> Self {
        Self { isolation, ..self }
    }

    /// That engine is to decide.
    #[must_use]
    pub fn with_engine(self, engine: EngineChoice) -> Self {
        Self { engine, ..self }
    }

    /// Why nothing can be checked so, whatever the history is.
    pub fn refusal(&self) -> Option<String> {
        let name = self.model.name();
        match &self.initial_by_key {
            KeyInitials::Unknown if self.model != ModelKind::Register => Some(format!(
                "expected a register for an initial value that is unknown; found {name}"
            )),
            KeyInitials::Listed(_) if !self.model.splits_by_key() => {
                Some(format!("expected one initial value for all keys of a {name}"))
            }
            KeyInitials::Listed(values) => values.values().find_map(|value| self.refuses(value)),
            _ => self.refuses(&self.initial),
        }
    }

    /// Why no object can begin with `initial`.
    fn refuses(&self, initial: &Value) -> Option<String> {
        if self.model.is_transactional() {
            return None;
        }
        let values = Values::default();
        let begun = with_model!(self.model, initial, &values, _model => ());
        begun.err().map(|error| error.to_string())
    }
}

impl Default for Options {
    /// Registers that begin without a value, any engine; searches may use 512 MiB.
    fn default() -> Self {
        Self {
            model: ModelKind::Register,
            initial: Value::Null,
            initial_by_key: KeyInitials::Same,
            memory: 512 << 20,
            engine: EngineChoice::Auto,
            isolation: IsolationLevel::default(),
        }
    }
}
