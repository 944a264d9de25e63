//! A schedule as a person writes it, in TOML, and what it comes to in one run.
//!
//! ```toml
//! about = "isolates the leader again and again while clients write"
//! every = "6s"
//! faults = [
//!   { at = "1s", for = "2s..3s", fault = "isolate", target = "leader" },
//! ]
//! ```
//!
//! `at` counts from the moment at which clients begin. A range stands for a time in it that the
//! run's seed draws. `read-only` lists times in which clients only read. With `every`, the list is
//! played again and again until the run's time is over. What else stands in a fault are its
//! parameters; `partita list faults` names them. A run writes its schedule in the same language,
//! with every time settled, so that it can be played again as it was, edited, and cut down.

mod read;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand::RngExt;
use serde::Deserialize;

use super::{PlannedFault, ReadOnlyPhase, Schedule, Trigger};
use crate::fault::values::{Value, text_value};
use crate::fault::{Fault, FaultKind, Target, Victims};
use crate::random::stream;
use crate::units::{self, written};

pub use read::ScriptError;

/// How long before the end of the run the last fault is healed.
const BEFORE_THE_END: Duration = Duration::from_millis(500);

/// A schedule as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Where it was read: a file, or the name of a recipe.
    pub name: String,
    /// What it is for, in a line.
    pub about: String,
    /// How many nodes it is meant for.
    pub nodes: Option<u32>,
    /// What the nodes' command is given beside what the target says, by the target's name.
    pub arguments: BTreeMap<String, Vec<String>>,
    /// What clients do under it, by the name of a workload.
    pub workload: Option<String>,
    /// How many clients there are.
    pub clients: Option<u32>,
    /// The rate that all clients together aim at, in operations a second.
    pub rate: Option<u32>,
    /// What victims are drawn from, if that is not the run's seed.
    pub seed: Option<u64>,
    /// How often the list is played, if it is not played once.
    pub every: Option<Duration>,
    /// The list.
    pub faults: Vec<ScriptedFault>,
    /// When clients only read.
    pub read_only: Vec<ScriptedPhase>,
    /// What an operator tells the store meanwhile, by the target's name.
    pub commands: BTreeMap<String, Vec<ScriptedCommand>>,
}

/// One command of a [`Script`], in the words of the target's protocol.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCommand {
    /// When it is given.
    at: Span,
    /// The words, separated by blanks.
    say: String,
}

/// One command to come, for whoever leads then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedCommand {
    /// When it is given, since the schedule began.
    pub at: Duration,
    /// Its words.
    pub words: Vec<String>,
}

/// One read-only phase of a [`Script`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptedPhase {
    /// When it begins.
    at: Span,
    /// How long it lasts.
    #[serde(rename = "for")]
    duration: Span,
}

/// One fault of a [`Script`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedFault {
    /// Its number, if it has one of its own.
    id: Option<u32>,
    /// When it begins, or begins to wait.
    at: Span,
    /// What it waits for, if it waits.
    trigger: Option<Trigger>,
    /// For how long it is in force.
    duration: Span,
    fault: Fault,
    target: Target,
    /// The line it begins in.
    line: usize,
}

/// A time, or two between which one is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    least: Duration,
    most: Duration,
}

/// The longest time of a script: past any run.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);

impl Value for Span {
    fn expected() -> String {
        "a time such as \"2s\", or two such as \"1s..2s\"".to_owned()
    }

    fn read(text: &str) -> Option<Span> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let (least, most) = units::duration(least).zip(units::duration(most))?;
        (least <= most && most < LONGEST).then_some(Span { least, most })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.least == self.most {
            true => f.write_str(&written(self.least)),
            false => write!(f, "{}..{}", written(self.least), written(self.most)),
        }
    }
}

text_value!(Span);

impl Span {
    fn draw(self, rng: &mut impl rand::Rng) -> Duration {
        rng.random_range(self.least..=self.most)
    }
}

impl Script {
    /// What it comes to in a run of `duration` with this seed: every time settled, and every fault
    /// over half a second before the run's time is.
    ///
    /// # Errors
    ///
    /// If a fault of a list that is played once does not fit into the run.
    pub fn for_run(&self, duration: Duration, seed: u64) -> Result<Schedule, ScriptError> {
        let end = duration.saturating_sub(BEFORE_THE_END.min(duration / 20));
        let mut faults = Vec::new();
        for round in 0.. {
            let base = self.every.unwrap_or_default() * round;
            if base >= end {
                break;
            }
            for (place, scripted) in (0..).zip(&self.faults) {
                let number = |id| round * u32::try_from(self.faults.len()).unwrap_or(u32::MAX) + id;
                let id = scripted.id.unwrap_or_else(|| number(place));
                let mut rng = stream(seed, &format!("times of fault {id} of a script"));
                let at = base + scripted.at.draw(&mut rng);
                let lasts = scripted.duration.draw(&mut rng);
                let begins = at + scripted.wait();
                if begins + lasts <= end {
                    faults.push(scripted.planned(id, at, lasts));
                } else if self.every.is_none() {
                    return Err(self.too_late(scripted, begins + lasts, duration));
                } else if begins < end && lasts.min(end - begins) * 2 >= scripted.duration.least {
                    faults.push(scripted.planned(id, at, end - begins));
                }
            }
            if self.every.is_none() {
                break;
            }
        }
        faults.sort_by_key(|planned| (planned.at_ms, planned.id));
        let read_only = self.read_only_until(end, seed);
        Ok(Schedule { seed: self.seed.unwrap_or(seed), faults, read_only })
    }

    /// When clients only read, in a run of which the last fault ends before `end`.
    fn read_only_until(&self, end: Duration, seed: u64) -> Vec<ReadOnlyPhase> {
        let mut phases = Vec::new();
        for round in 0..self.rounds(end) {
            let base = self.every.unwrap_or_default() * round;
            for (place, phase) in self.read_only.iter().enumerate() {
                // The name of the stream is that of the first version: times stay as they were.
                let mut rng = stream(seed, &format!("times of lull {place}, round {round}"));
                let at_ms = milliseconds(base + phase.at.draw(&mut rng));
                let duration_ms = milliseconds(phase.duration.draw(&mut rng));
                phases.push(ReadOnlyPhase { at_ms, duration_ms });
            }
        }
        phases
    }

    /// What an operator of `target` says in a run of `duration` with this seed, by time.
    pub fn commands_for_run(
        &self,
        target: &str,
        duration: Duration,
        seed: u64,
    ) -> Vec<PlannedCommand> {
        let end = duration.saturating_sub(BEFORE_THE_END.min(duration / 20));
        let scripted = self.commands.get(target).map_or(&[][..], Vec::as_slice);
        let mut planned = Vec::new();
        for round in 0..self.rounds(end) {
            let base = self.every.unwrap_or_default() * round;
            // What one command of a round begins, a later one may have to end.
            if self.every.is_some_and(|every| base + every > end) {
                break;
            }
            for (place, command) in scripted.iter().enumerate() {
                let mut rng = stream(seed, &format!("time of command {place}, round {round}"));
                let words = command.say.split_whitespace().map(str::to_owned).collect();
                planned.push(PlannedCommand { at: base + command.at.draw(&mut rng), words });
            }
        }
        planned.retain(|command| command.at < end);
        planned.sort_by_key(|command| command.at);
        planned
    }

    /// How often the list is begun in a run of which the last fault ends before `end`.
    fn rounds(&self, end: Duration) -> u32 {
        let rounds = self.every.map_or(1, |every| end.as_nanos() / every.as_nanos().max(1) + 1);
        u32::try_from(rounds).unwrap_or(u32::MAX)
    }

    /// Names the victims of the faults whose numbers `victims` has, in place of how they were chosen, and lets
    /// those whose numbers `waited` has begin after so long, in place of what they waited for.
    pub fn name_victims(
        &mut self,
        victims: &BTreeMap<u32, Vec<String>>,
        waited: &BTreeMap<u32, Duration>,
    ) {
        for scripted in &mut self.faults {
            if let Some(waited) = scripted.id.and_then(|id| waited.get(&id)) {
                let Span { least, most } = scripted.at;
                scripted.at = Span { least: least + *waited, most: most + *waited };
                scripted.trigger = None;
            }
            let takes_target =
                matches!(scripted.fault.kind().description().victims, Victims::Chosen { .. });
            let named = scripted.id.and_then(|id| victims.get(&id));
            if let Some(named) = named.filter(|named| takes_target && !named.is_empty()) {
                scripted.target = Target::Nodes(named.clone());
            }
        }
    }

    /// The faults it holds, each as often as it is listed.
    pub fn kinds(&self) -> impl Iterator<Item = FaultKind> + '_ {
        self.faults.iter().map(|scripted| scripted.fault.kind())
    }

    /// The least time of a run in which a list that is played once has room.
    pub fn needs(&self) -> Duration {
        let ends = self.faults.iter().map(|it| it.at.most + it.wait() + it.duration.most);
        let end = ends.max().unwrap_or_default();
        if self.every.is_some() { Duration::ZERO } else { end + 2 * BEFORE_THE_END }
    }

    fn too_late(
        &self,
        scripted: &ScriptedFault,
        ends: Duration,
        duration: Duration,
    ) -> ScriptError {
        ScriptError::new(
            &self.name,
            scripted.line,
            format!(
                "this fault ends {} after clients begin, but the run lasts {}: give it more --time",
                written(ends),
                written(duration)
            ),
        )
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl ScriptedFault {
    /// For how long it may wait.
    fn wait(&self) -> Duration {
        Duration::from_millis(self.trigger.map_or(0, |trigger| trigger.wait_ms))
    }

    fn planned(&self, id: u32, at: Duration, lasts: Duration) -> PlannedFault {
        PlannedFault {
            id,
            at_ms: milliseconds(at),
            trigger: self.trigger,
            duration_ms: milliseconds(lasts),
            fault: self.fault.clone(),
            target: self.target.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::partition::Isolate;
    use crate::schedule::When;

    const EVERY_FOUR: &str = "about = \"rotates\"\nnodes = 5\nevery = \"4s\"\nfaults = [\n  \
        { at = \"1s..2s\", for = \"1s\", fault = \"isolate\", target = \"leader\" },\n  \
        { at = \"1s\", for = \"500ms\", fault = \"one-way\", direction = \"in\" },\n]\n";

    fn script(text: &str) -> Script {
        Script::parse("mine.toml", text).expect(text)
    }

    #[test]
    fn a_list_is_played_until_the_time_is_over() {
        let script = script(EVERY_FOUR);
        assert_eq!((script.nodes, script.about.as_str()), (Some(5), "rotates"));
        let schedule = script.for_run(Duration::from_secs(10), 7).expect("fits");
        let isolates =
            schedule.faults.iter().filter(|planned| planned.fault.kind() == Isolate::KIND);
        let begin: Vec<u64> = isolates.map(|planned| planned.at_ms).collect();
        assert_eq!(begin.len(), 2, "{schedule:?}");
        assert!((1_000..=2_000).contains(&begin[0]) && (5_000..=6_000).contains(&begin[1]));
        assert_ne!(begin[0] + 4_000, begin[1], "each round draws its own times");
        assert_eq!(schedule, script.for_run(Duration::from_secs(10), 7).expect("fits"));
        let nodes: Vec<String> = (1..=5).map(|i| format!("n{i}")).collect();
        assert_eq!(schedule.check(&nodes), Ok(()));
        let end = schedule.faults.iter().map(|it| it.at_ms + it.duration_ms).max();
        assert!(end <= Some(9_500));
    }

    #[test]
    fn a_fault_that_does_not_fit_into_the_run_is_named_with_its_line() {
        let once = script("faults = [\n\n  { at = \"9s\", for = \"2s\", fault = \"kill\" },\n]\n");
        assert_eq!(once.needs(), Duration::from_secs(12));
        let error = once.for_run(Duration::from_secs(10), 1).expect_err("too late").to_string();
        assert!(error.starts_with("mine.toml:3: ") && error.contains("11s"), "{error}");
        assert!(once.for_run(once.needs(), 1).is_ok());
    }

    #[test]
    fn read_only_phases_are_played_with_the_list_and_read_back() {
        let script = script(
            "every = \"2s\"\nread-only = [{ at = \"500ms..700ms\", for = \"1s\" }]\nfaults = []\n",
        );
        let schedule = script.for_run(Duration::from_secs(6), 7).expect("fits");
        assert_eq!(schedule.read_only.len(), 3);
        for (round, phase) in (0..).zip(&schedule.read_only) {
            assert!((2_000 * round + 500..=2_000 * round + 700).contains(&phase.at_ms));
            assert!(phase.is_on(phase.at_ms + 999) && !phase.is_on(phase.at_ms + 1_000));
            assert!(!phase.is_on(phase.at_ms - 1));
        }
        let again = Script::parse("mine.toml", &schedule.written("it")).expect("a script");
        assert_eq!(
            again.for_run(Duration::from_secs(6), 9).expect("fits").read_only,
            schedule.read_only
        );
    }

    #[test]
    fn a_fault_that_waits_is_written_as_it_was_read_and_can_be_settled() {
        let text = "faults = [\n  { id = 3, at = \"1s\", for = \"2s\", when = \"new-leader\", \
                    wait = \"700ms\", fault = \"isolate\", target = \"leader\" },\n]";
        let mut script = script(text);
        assert_eq!(script.needs(), Duration::from_millis(3_700) + 2 * BEFORE_THE_END);
        let schedule = script.for_run(Duration::from_secs(20), 7).expect("fits");
        let trigger = Trigger { when: When::NewLeader, wait_ms: 700 };
        assert_eq!(schedule.faults[0].trigger, Some(trigger));
        assert_eq!(schedule.end(), Duration::from_millis(3_700));
        let again = self::script(&schedule.written("it"));
        assert_eq!(
            again.for_run(Duration::from_secs(20), 8).expect("fits").faults,
            schedule.faults
        );
        let waited = BTreeMap::from([(3, Duration::from_millis(250))]);
        script.name_victims(&BTreeMap::from([(3, vec!["n2".to_owned()])]), &waited);
        let exact = &script.for_run(Duration::from_secs(20), 7).expect("fits").faults[0];
        assert_eq!((exact.at_ms, exact.trigger), (1_250, None));
        assert_eq!(exact.target, Target::Nodes(vec!["n2".to_owned()]));
        let usual = self::script("faults = [{ fault = \"kill\", when = \"restart\" }]");
        let usual = usual.faults[0].trigger.expect("it waits");
        assert_eq!(usual.wait_ms, super::super::USUAL_WAIT_MS);
    }

    #[test]
    fn commands_are_for_one_target_and_given_in_every_round() {
        let script = script(
            "every = \"2s\"\nfaults = []\n\
             commands = { mine = [{ at = \"500ms..700ms\", say = \"HAND OVER\" }] }\n",
        );
        let commands = script.commands_for_run("mine", Duration::from_secs(5), 7);
        assert_eq!(commands.len(), 2, "the third would come after the end");
        for (round, command) in (0..).zip(&commands) {
            let at = command.at.checked_sub(Duration::from_secs(2) * round).expect("its round");
            assert!((500..=700).contains(&at.as_millis()));
            assert_eq!(command.words, ["HAND", "OVER"]);
        }
        assert!(script.commands_for_run("other", Duration::from_secs(5), 7).is_empty());
        let settled = format!("faults = []\n{}", Script::commands_written("mine", &commands));
        let again = self::script(&settled).commands_for_run("mine", Duration::from_secs(5), 8);
        assert_eq!(again, commands, "as it was written");
    }

    #[test]
    fn a_schedule_reads_back_as_it_was_written() {
        for set in ["all", "default", "bit-flip", "none"] {
            let nodes: Vec<String> = (1..=3).map(|i| format!("n{i}")).collect();
            let set = set.parse().expect("a set");
            let drawn = Schedule::draw(&set, &nodes, Duration::from_secs(60), 11);
            let text = drawn.written("as it was \"drawn\"");
            let again = script(&text).for_run(Duration::from_secs(60), 99).expect("fits");
            // Faults without victims of their own choosing have no target to write.
            let targets = |schedule: &Schedule| {
                schedule
                    .faults
                    .iter()
                    .map(|it| (it.id, it.fault.clone(), it.at_ms))
                    .collect::<Vec<_>>()
            };
            assert_eq!((again.seed, targets(&again)), (drawn.seed, targets(&drawn)));
            assert_eq!(again.written("as it was \"drawn\""), text);
        }
    }
}
