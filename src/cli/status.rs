//! What a person sees while a run is on: a live line on a terminal, plain lines elsewhere.
//!
//! It goes to standard error, so that standard output holds the verdict alone.

use std::io;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use partita_nemesis::FaultRecord;
use partita_reports::event::{CheckProgress, RunEvent, Stamped, Started, Tally};
use partita_reports::text::fault::effect;

use super::progress;
use crate::run::events::Sink;
use crate::{errln, terminal};

/// How often a log is told how far a check has come.
const LOG_STEP: Duration = Duration::from_secs(10);

/// Shows the events of a run.
pub struct StatusLine {
    bar: ProgressBar,
    /// When a log was last told of a check.
    told_at: Option<Instant>,
}

impl StatusLine {
    /// A status line on standard error; hidden unless that is a terminal.
    pub fn new() -> Self {
        Self { bar: live_line(), told_at: None }
    }

    /// Says that something happened, with the time since the run began.
    fn say(&self, at_s: f64, text: &str) {
        errln!("[{at_s:6.2} s] {text}");
    }

    /// Refreshes the live line.
    fn refresh(&self, tally: &Tally) {
        let leader = tally.leader.as_deref().unwrap_or("none");
        let faults = match tally.in_force.is_empty() {
            true => "no fault".to_owned(),
            false => tally.in_force.join(", "),
        };
        let line = format!(
            "{:.0} s left  {} ok  {} fail  {} unknown  leader {leader}  {faults}",
            Duration::from_millis(tally.left_ms).as_secs_f64(),
            HumanCount(tally.ok),
            HumanCount(tally.fail),
            HumanCount(tally.info),
        );
        self.bar.set_message(terminal::shown(&line));
        self.bar.tick();
    }

    fn check(&mut self, checking: &CheckProgress) {
        let line = progress::line("history.jsonl", checking);
        if !self.bar.is_hidden() {
            self.bar.set_message(terminal::shown(&line));
            self.bar.tick();
        } else if self.told_at.is_none_or(|told| told.elapsed() >= LOG_STEP) {
            self.told_at = Some(Instant::now());
            errln!("{line}");
        }
    }
}

impl Default for StatusLine {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        terminal::set_live_line(None);
    }
}

impl Sink for StatusLine {
    fn name(&self) -> &str {
        "the terminal"
    }

    fn take(&mut self, Stamped { at_ns, event }: &Stamped) -> io::Result<()> {
        let at_s = at_ns.as_seconds();
        match event {
            RunEvent::Started(Started { run, lab, seed, .. }) => {
                self.say(at_s, &format!("run {run} in a lab of {lab}, again with --seed {seed}"));
            }
            RunEvent::ClusterUp { nodes, leader } => {
                let leader = leader.as_deref().unwrap_or_default();
                self.say(at_s, &format!("{nodes} nodes are up, {leader} leads"));
            }
            RunEvent::Phase { phase } if phase == "heal" => {
                self.say(at_s, "all faults are healed, clients go on");
            }
            RunEvent::Phase { phase } if phase == "judging" => {
                self.bar.finish_and_clear();
                self.bar = live_line();
            }
            RunEvent::FaultInjected(fault)
            | RunEvent::FaultHealed(fault)
            | RunEvent::FaultSkipped(fault) => self.say(at_s, &sentence(fault)),
            RunEvent::Remark { text } => self.say(at_s, text),
            RunEvent::Found { finding } => {
                self.say(at_s, &format!("finding: {}: {}", finding.in_words(), finding.sentence));
            }
            RunEvent::NodeRestarted { node, restarts } => {
                self.say(at_s, &format!("{node} is started again, restart {restarts}"));
            }
            RunEvent::Holding { commands } => {
                self.say(
                    at_s,
                    "the cluster is held as it is until Ctrl-C; its nodes are reached by:",
                );
                for command in commands {
                    self.say(at_s, &format!("  {command}"));
                }
            }
            RunEvent::Tally(tally) => self.refresh(tally),
            RunEvent::Checking(checking) => self.check(checking),
            RunEvent::Judged { .. } | RunEvent::Finished { .. } => self.bar.finish_and_clear(),
            // Told at the end, with the verdict, or of no interest to a person.
            RunEvent::Phase { .. }
            | RunEvent::RoleChanged { .. }
            | RunEvent::NodeEnded { .. }
            | RunEvent::Stopping { .. }
            | RunEvent::Unrecognized => {}
        }
        Ok(())
    }
}

fn live_line() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg}");
    let bar = match terminal::is_quiet() {
        true => ProgressBar::hidden(),
        false => ProgressBar::new_spinner(),
    };
    let bar = bar.with_style(style.expect("a well-formed template"));
    terminal::set_live_line(Some(&bar));
    bar
}

/// What became of a fault, as far as its record goes.
pub fn sentence(fault: &FaultRecord) -> String {
    let what = format!("{} {} ({})", fault.fault, fault.nodes.join(", "), fault.target);
    match (&fault.error, fault.ended_ns) {
        (Some(error), _) => format!("{what} went wrong: {error}"),
        (None, None) => format!("{what} begins"),
        (None, Some(_)) => {
            let effects: Vec<String> = fault.effects.iter().map(effect).collect();
            format!("{what} healed; {}", effects.join(", "))
        }
    }
}
