//! From a history to a verdict: where histories come from, what a cut-off one still proves, and the
//! checker with a deadline. For commands and for the end of a run.

pub mod source;
pub mod unfinished;

use std::time::Instant;

use partita_checker::objects::{self, ObjectKind, ObjectOptions};
use partita_checker::{
    Analysis, Certificate, EngineChoice, History, ModelKind, Options, Progress, Value, Verdict,
    check_watched,
};
use partita_workloads::Judged;

/// Checks a history until `deadline`; `progress` tells other threads how far it has come. The checker
/// verifies its own proofs.
pub fn judge(
    history: &History,
    options: &Options,
    deadline: Instant,
    progress: &Progress,
) -> (Analysis, Option<Certificate>) {
    check_watched(history, options, &|| Instant::now() >= deadline, progress)
}

/// Checks the history of a workload until `deadline`, as [`judge`].
pub fn judge_workload(
    history: &History,
    judged: Judged,
    deadline: Instant,
    progress: &Progress,
) -> (Analysis, Option<Certificate>) {
    match judged {
        Judged::Model(ModelKind::MultiRegister) => {
            judge_transactions(history, deadline, &|options| {
                judge(history, options, deadline, progress)
            })
        }
        Judged::Model(model) => judge(history, &Options::of(model), deadline, progress),
        Judged::Object(kind) => judge_object(history, kind, deadline),
    }
}

/// As [`judge_workload`], but starts no thread.
pub fn judge_workload_alone(
    history: &History,
    judged: Judged,
    deadline: Instant,
) -> (Analysis, Option<Certificate>) {
    match judged {
        Judged::Model(ModelKind::MultiRegister) => {
            judge_transactions(history, deadline, &|options| {
                judge_alone(history, options, deadline)
            })
        }
        Judged::Model(model) => judge_alone(history, &Options::of(model), deadline),
        Judged::Object(kind) => judge_object(history, kind, deadline),
    }
}

/// Decides whether transactions are linearizable, and, if they are not, names it by their isolation: by the
/// cycle of dependencies that they have, and the levels that hold all the same.
fn judge_transactions(
    history: &History,
    deadline: Instant,
    judge: &dyn Fn(&Options) -> (Analysis, Option<Certificate>),
) -> (Analysis, Option<Certificate>) {
    let judged = judge(&Options::of(ModelKind::MultiRegister));
    if judged.0.verdict != Verdict::Violation {
        return judged;
    }
    let by_isolation = check_watched(
        history,
        &Options::of(ModelKind::RwRegister),
        &|| Instant::now() >= deadline,
        &Progress::default(),
    );
    // It may have no answer, in the time that is left.
    if by_isolation.0.verdict == Verdict::Violation { by_isolation } else { judged }
}

fn judge_object(
    history: &History,
    kind: ObjectKind,
    deadline: Instant,
) -> (Analysis, Option<Certificate>) {
    let memory = Options::default().memory;
    let options = ObjectOptions { kind, initial: Value::Null, memory };
    objects::check(history, &options, &|| Instant::now() >= deadline)
}

/// Like [`judge`], but starts no thread.
pub fn judge_alone(
    history: &History,
    options: &Options,
    deadline: Instant,
) -> (Analysis, Option<Certificate>) {
    let check = |engine| {
        let options = options.clone().with_engine(engine);
        judge(history, &options, deadline, &Progress::default())
    };
    // `auto` races engines on threads: here each has its turn.
    let engines = [EngineChoice::Monitor, EngineChoice::Zones, EngineChoice::Frontier];
    let mut judged = engines.into_iter().map(check);
    let first = judged.find(|(analysis, _)| analysis.verdict != Verdict::Unknown);
    first.unwrap_or_else(|| check(EngineChoice::Wgl))
}
