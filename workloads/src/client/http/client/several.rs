//! Operations that are not one request with one answer: transactions, transfers, reads of several keys, and
//! watches.

use partita_checker::Value;

use super::super::super::optimistic::{CHANGED, Optimistic, balances};
use super::super::answer::Answer;
use super::super::connection::{Connection, NoAnswer};
use super::super::forms::Meaning;
use super::super::transaction::{Found, Step, TransactionForm};
use super::super::watch::{LISTENS, WatchForm};
use super::HttpClient;
use crate::operation::{Completion, Invocation, Kind};

impl HttpClient {
    /// Performs what is made of the transactions of the store.
    pub(super) async fn transact(
        &mut self,
        form: &TransactionForm,
        invocation: &Invocation,
    ) -> Result<Completion, Completion> {
        if form.has_checks()
            && let Some(update) = Optimistic::of(invocation)
        {
            return self.update(form, invocation.kind, &update).await;
        }
        match (invocation.kind, &invocation.value) {
            (Kind::Balances, Value::List(accounts)) => {
                let found = self.read_all(form, accounts).await?;
                Ok(balances(&invocation.value, &values(&found)))
            }
            (Kind::Transaction, steps) => self.carry_out(form, steps).await,
            _ => Err(Completion::Fail("the description has no such operation".into())),
        }
    }

    /// Does an update by reads, and then by writes on the condition that nothing has changed.
    async fn update(
        &mut self,
        form: &TransactionForm,
        kind: Kind,
        update: &Optimistic<'_>,
    ) -> Result<Completion, Completion> {
        let keys = update.reads();
        let found = self.read_all(form, &keys).await?;
        let seen = values(&found);
        let writes = update.writes(&seen)?;
        let bindings = form.guarded(&keys, &found, &writes);
        let answer = self.send(form.request().get_ref(), &bindings).await;
        let answer = answer.map_err(|none| self.unanswered(none))?;
        match self.is_done(form, kind, &answer)? {
            true => Ok(update.done(&seen)),
            false => Ok(Completion::Refused(CHANGED.into())),
        }
    }

    /// Reads several keys at one moment, or says why an operation that begins with that did not happen.
    async fn read_all(
        &mut self,
        form: &TransactionForm,
        keys: &[Value],
    ) -> Result<Vec<Found>, Completion> {
        let steps: Vec<Step<'_>> = keys.iter().map(Step::Read).collect();
        let answer = self.send(form.request().get_ref(), &form.steps(&steps)).await;
        let read = match answer.map_err(|none| self.unanswered(none)) {
            Ok(answer) => self.found(form, (Kind::Balances, &steps), &answer),
            Err(ended) => Err(ended),
        };
        // It changes nothing, whatever became of it.
        read.map_err(|ended| match ended {
            Completion::Unknown(why) => Completion::Fail(why),
            other => other,
        })
    }

    /// Carries out the steps of a transaction in one request.
    async fn carry_out(
        &mut self,
        form: &TransactionForm,
        value: &Value,
    ) -> Result<Completion, Completion> {
        let Some(steps) = Step::all(value) else {
            return Err(Completion::Fail("this client cannot express the operation".into()));
        };
        let answer = self.send(form.request().get_ref(), &form.steps(&steps)).await;
        let answer = answer.map_err(|none| self.unanswered(none))?;
        let found = self.found(form, (Kind::Transaction, &steps), &answer)?;
        let mut found = found.into_iter();
        let answered = steps.iter().map(|step| {
            let (function, key, value) = match step {
                Step::Read(key) => ("r", *key, found.next().map_or(Value::Null, |it| it.value)),
                Step::Write(key, value) => ("w", *key, (*value).clone()),
            };
            Value::list([Value::text(function), key.clone(), value])
        });
        Ok(Completion::Answered(Value::list(answered.collect::<Vec<_>>())))
    }

    /// What the reads of a transaction without checks found.
    fn found(
        &mut self,
        form: &TransactionForm,
        (kind, steps): (Kind, &[Step<'_>]),
        answer: &Answer,
    ) -> Result<Vec<Found>, Completion> {
        if !self.is_done(form, kind, answer)? {
            return Err(self.senseless(kind, "nothing was to be checked", &answer.sample()));
        }
        let found = form.found(steps, answer);
        found.map_err(|problem| self.senseless(kind, &problem, &answer.sample()))
    }

    /// Whether a transaction was carried out, or what came of it else.
    fn is_done(
        &mut self,
        form: &TransactionForm,
        kind: Kind,
        answer: &Answer,
    ) -> Result<bool, Completion> {
        match self.forms.meaning(kind, answer) {
            Meaning::Ok => form
                .is_done(answer)
                .map_err(|problem| self.senseless(kind, &problem, &answer.sample())),
            Meaning::Fail => Err(Completion::Fail(answer.in_words().into())),
            Meaning::Mismatch => Ok(false),
            Meaning::Unknown | Meaning::Nothing => {
                Err(Completion::Unknown(answer.in_words().into()))
            }
        }
    }

    /// Listens for a while to the changes of `key`, from where this client last ended.
    pub(super) async fn watch(
        &mut self,
        form: &WatchForm,
        key: &Value,
    ) -> Result<Completion, Completion> {
        // It changes nothing, whatever goes wrong.
        let fail = |why: &str| Completion::Fail(why.into());
        let bindings = WatchForm::bindings(key, &self.watched);
        let limits = self.options.limits;
        let opened = Connection::open(&self.dial, &self.endpoint, limits.connect).await;
        let connection = opened.map_err(|error| fail(&error.to_string()))?;
        let request = self.request(form.request.get_ref(), &bindings);
        let request = request.map_err(|none| self.unanswered(none))?;
        let (status, lines) = match connection.lines(request, limits.reply, LISTENS).await {
            Ok(told) => told,
            Err(NoAnswer::Unsent(why) | NoAnswer::Lost(why)) => return Err(fail(&why)),
            Err(NoAnswer::Malformed(why)) => {
                self.distrust("a response that is no HTTP", &why);
                return Err(fail(&why));
            }
        };
        if !status.is_success() {
            return Err(fail(&format!("HTTP {}", status.as_u16())));
        }
        let followed = self.watched.entry(key.clone()).or_default();
        form.take(&lines, followed).map_err(|problem| fail(&problem))?;
        Ok(followed.answer())
    }
}

fn values(found: &[Found]) -> Vec<Value> {
    found.iter().map(|it| it.value.clone()).collect()
}
