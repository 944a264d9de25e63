//! A client that performs each operation by the requests of its form.
//!
//! What decides between *fail* and *unknown*, the one thing a client must never get wrong:
//!
//! | what happened | outcome |
//! | --- | --- |
//! | no connection came about, or no byte of the request was sent | `fail` |
//! | the read before an update failed in any way | `fail`: the update was not sent |
//! | an answer of which a rule of the description says what it means | that |
//! | any other answer whose status is not 2xx | `unknown`; `fail` for a read, which has no effect |
//! | no answer in time, connection lost | `unknown` |
//! | an answer that makes no sense | `unknown`, and a [`ProtocolViolation`] |

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request as HttpRequest;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use partita_checker::Value;

use super::super::dial::Dial;
use super::super::protocol::{BoxFuture, Client, ClientOptions, Endpoint};
use super::super::violation::ProtocolViolation;
use super::answer::Answer;
use super::connection::{Connection, NoAnswer};
use super::forms::{Before, Form, Forms, Meaning, Method, Request};
use super::template::{Bindings, Body};
use super::watch::Watched;
use crate::operation::{Completion, Invocation, Kind};

/// A client bound to one node. A broken connection is dropped, and the next operation makes another.
pub(super) struct HttpClient {
    forms: Arc<Forms>,
    dial: Dial,
    endpoint: Endpoint,
    options: ClientOptions,
    connection: Option<Connection>,
    watched: Watched,
    violations: Vec<ProtocolViolation>,
}

impl Client for HttpClient {
    /// Takes at most the sum of both limits for each request of the operation's form.
    fn invoke<'a>(&'a mut self, invocation: &'a Invocation) -> BoxFuture<'a, Completion> {
        Box::pin(async {
            match self.perform(invocation).await {
                Ok(completion) | Err(completion) => completion,
            }
        })
    }

    fn protocol_violations(&mut self) -> Vec<ProtocolViolation> {
        std::mem::take(&mut self.violations)
    }
}

impl HttpClient {
    /// A client of the node at `endpoint`. Connects when first needed.
    pub(super) fn new(
        forms: &Arc<Forms>,
        endpoint: &Endpoint,
        dial: &Dial,
        options: ClientOptions,
    ) -> Self {
        Self {
            forms: Arc::clone(forms),
            dial: dial.clone(),
            endpoint: endpoint.clone(),
            options,
            connection: None,
            watched: Watched::new(),
            violations: Vec::new(),
        }
    }

    /// What came of the operation; `Err` where it ended before its own request was answered.
    async fn perform(&mut self, invocation: &Invocation) -> Result<Completion, Completion> {
        let forms = Arc::clone(&self.forms);
        match (invocation.kind, &forms.transaction, &forms.watch) {
            (Kind::Transaction | Kind::Transfer | Kind::Balances, Some(form), _) => {
                return self.transact(form.get_ref(), invocation).await;
            }
            (Kind::Watch, _, Some(form)) => return self.watch(form, &invocation.key).await,
            _ => {}
        }
        let Some(form) = forms.of(invocation.kind) else {
            return Err(Completion::Fail("the description has no such operation".into()));
        };
        let mut bindings = bindings_of(invocation);
        if let Some(before) = &form.before {
            self.read_before(invocation, before, &mut bindings).await?;
        }
        let answer = self.send(form.request.get_ref(), &bindings).await;
        let answer = answer.map_err(|none| self.unanswered(none))?;
        interpret(&forms, form, invocation, &answer)
            .map_err(|problem| self.senseless(invocation.kind, &problem, &answer.sample()))
    }

    /// What came of an operation whose own request has no answer.
    fn unanswered(&mut self, none: NoAnswer) -> Completion {
        match none {
            NoAnswer::Unsent(why) => Completion::Fail(why.into()),
            NoAnswer::Lost(why) => Completion::Unknown(why.into()),
            NoAnswer::Malformed(why) => {
                self.distrust("a response that is no HTTP", &why);
                Completion::Unknown(why.into())
            }
        }
    }

    /// What came of an operation whose answer makes no sense.
    fn senseless(&mut self, kind: Kind, problem: &str, sample: &str) -> Completion {
        let what = format!("the answer to a {} makes no sense: {problem}", kind.name());
        self.distrust(&what, sample);
        Completion::Unknown(what.into())
    }

    /// Does the read before an update, whose answer the update needs. Whatever goes wrong, the update
    /// is not sent.
    async fn read_before(
        &mut self,
        invocation: &Invocation,
        before: &Before,
        bindings: &mut Bindings,
    ) -> Result<(), Completion> {
        let fail = |why: &str| Completion::Fail(format!("the read before it: {why}").into());
        let answer = match self.send(before.request.get_ref(), bindings).await {
            Ok(answer) => answer,
            Err(NoAnswer::Unsent(why) | NoAnswer::Lost(why)) => return Err(fail(&why)),
            Err(NoAnswer::Malformed(why)) => {
                self.distrust("a response that is no HTTP", &why);
                return Err(fail(&why));
            }
        };
        let meaning = self.forms.meaning(Kind::Read, &answer);
        if !matches!(meaning, Meaning::Ok | Meaning::Nothing) {
            return Err(fail(&answer.in_words()));
        }
        let mut makes_no_sense = |problem: &str| {
            let what = format!("the answer to the read before an update makes no sense: {problem}");
            self.distrust(&what, &answer.sample());
            fail(problem)
        };
        for (name, capture) in &before.capture {
            let text = capture.get_ref().text(&answer).map_err(|it| makes_no_sense(&it))?;
            bindings.insert(name.clone(), Value::text(text));
        }
        let (Some(source), Value::List(operands)) = (&before.value, &invocation.value) else {
            return Ok(());
        };
        let saw = match meaning {
            Meaning::Nothing => Value::Null,
            _ => source.get_ref().value(&answer).map_err(|it| makes_no_sense(&it))?,
        };
        if operands.first() == Some(&saw) {
            return Ok(());
        }
        // At the moment of the read it would not have matched; so it did not, and changed nothing.
        Err(Completion::Mismatch { saw: Some(saw) })
    }

    /// Sends one request once, over the connection that there is or another.
    async fn send(&mut self, request: &Request, bindings: &Bindings) -> Result<Answer, NoAnswer> {
        let http = self.request(request, bindings)?;
        let reply = self.options.limits.reply;
        if let Some(mut connection) = self.connection.take_if(|it| !it.is_closed()) {
            match connection.request(http.clone(), reply).await {
                // A connection that was idle may have been closed meanwhile: no byte was sent.
                Err(NoAnswer::Unsent(_)) => {}
                done => {
                    self.connection = done.is_ok().then_some(connection);
                    return done;
                }
            }
        }
        let mut connection =
            Connection::open(&self.dial, &self.endpoint, self.options.limits.connect)
                .await
                .map_err(|error| NoAnswer::Unsent(error.to_string()))?;
        let done = connection.request(http, reply).await;
        self.connection = done.is_ok().then_some(connection);
        done
    }

    fn request(
        &self,
        request: &Request,
        bindings: &Bindings,
    ) -> Result<HttpRequest<Full<Bytes>>, NoAnswer> {
        build(request, &self.forms, &self.endpoint, bindings)
            .map_err(|error| NoAnswer::Unsent(format!("the request cannot be made: {error}")))
    }

    /// Notes that the node's answer makes no sense. What else comes on that connection cannot be told
    /// apart from an answer.
    fn distrust(&mut self, what: &str, sample: &str) {
        self.connection = None;
        self.violations.push(ProtocolViolation::new(what, sample));
    }
}

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error(transparent)]
    Http(#[from] hyper::http::Error),
    /// A header whose value no header can have; what it is stays here, since it may hold a secret.
    #[error("the value of the header {0} is none")]
    Header(String),
    #[error("{0}")]
    Secret(String),
}

/// The request for these values.
pub(super) fn build(
    request: &Request,
    forms: &Forms,
    endpoint: &Endpoint,
    bindings: &Bindings,
) -> Result<HttpRequest<Full<Bytes>>, BuildError> {
    let method = match request.method {
        Method::Get => hyper::Method::GET,
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
        Method::Patch => hyper::Method::PATCH,
        Method::Delete => hyper::Method::DELETE,
    };
    let mut builder = HttpRequest::builder()
        .method(method)
        .uri(request.path.fill(bindings))
        .header(HOST, endpoint.address.to_string());
    if matches!(request.body, Some(Body::Json(_))) {
        builder = builder.header(CONTENT_TYPE, "application/json");
    }
    let body = request.body.as_ref().map_or(String::new(), |body| body.fill(bindings));
    let mut built = builder.body(Full::new(Bytes::from(body)))?;
    for (name, value) in forms.headers.iter().chain(&request.headers) {
        let filled = value.fill_with_secrets(bindings).map_err(BuildError::Secret)?;
        let mut value =
            HeaderValue::from_str(&filled).map_err(|_| BuildError::Header(name.clone()))?;
        value.set_sensitive(true);
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(hyper::http::Error::from)?;
        built.headers_mut().insert(name, value);
    }
    Ok(built)
}

/// What the placeholders of an operation's requests stand for.
fn bindings_of(invocation: &Invocation) -> Bindings {
    let mut bindings = Bindings::from([("key".to_owned(), invocation.key.clone())]);
    match (&invocation.value, invocation.kind) {
        (Value::List(operands), Kind::Cas) => {
            for (name, operand) in ["old", "new"].iter().zip(operands.iter()) {
                bindings.insert((*name).to_owned(), operand.clone());
            }
            bindings.insert("value".to_owned(), operands.last().cloned().unwrap_or(Value::Null));
        }
        (value, _) => {
            bindings.insert("value".to_owned(), value.clone());
        }
    }
    bindings
}

/// What the answer says of the operation; why it makes no sense, if it does not.
fn interpret(
    forms: &Forms,
    form: &Form,
    invocation: &Invocation,
    answer: &Answer,
) -> Result<Completion, String> {
    let is_cas = invocation.kind == Kind::Cas;
    let saw = || form.saw.as_ref().and_then(|source| source.get_ref().value(answer).ok());
    Ok(match forms.meaning(invocation.kind, answer) {
        Meaning::Fail => Completion::Fail(answer.in_words().into()),
        Meaning::Unknown if invocation.kind.is_read() => Completion::Fail(answer.in_words().into()),
        Meaning::Unknown => Completion::Unknown(answer.in_words().into()),
        Meaning::Mismatch if is_cas => Completion::Mismatch { saw: saw() },
        Meaning::Mismatch => return Err("it says that a compare-and-set did not match".to_owned()),
        Meaning::Nothing => match invocation.kind {
            Kind::Read | Kind::StaleRead => Completion::Answered(Value::Null),
            Kind::Delete => Completion::Done,
            Kind::Cas => Completion::Mismatch { saw: Some(Value::Null) },
            _ => return Err("it says that the key has no value".to_owned()),
        },
        Meaning::Ok => {
            if form.expect.as_ref().is_some_and(|expect| !expect.get_ref().holds(answer)) {
                return Err("it is not what the description expects".to_owned());
            }
            match (&form.swapped, &form.value) {
                (None, _) if is_cas => Completion::Swapped,
                (Some(swapped), _) if !is_cas && !swapped.get_ref().holds(answer) => {
                    Completion::Refused(refusal_of(invocation.kind).into())
                }
                (Some(swapped), _) if is_cas && swapped.get_ref().holds(answer) => {
                    Completion::Swapped
                }
                (Some(_), _) if is_cas => Completion::Mismatch { saw: saw() },
                (_, Some(source)) => Completion::Answered(source.get_ref().value(answer)?),
                (_, None) => Completion::Done,
            }
        }
    })
}

/// Why a lock refuses.
const fn refusal_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Acquire => "the lock is held",
        _ => "the owner does not hold the lock",
    }
}

mod several;
