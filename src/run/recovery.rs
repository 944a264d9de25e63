//! Whether a cluster that could work does: answers an update within a limit, or has a leader where there are no
//! clients.
//!
//! It could work while a majority of its nodes is up, has been ready since its last start, has no fault in
//! force on it, and is linked both ways with each other and with clients, whereas every other node is
//! linked with all of these or cut off from all of them. Nothing of that may change meanwhile: any change
//! begins a new count. Whatever else is the case, nothing is said, but that it could not be judged.

use partita_checker::Nanoseconds;
use partita_reports::{Finding, FindingKind};

/// What a cluster that works is seen to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It answers updates.
    Updates,
    /// It has a leader: `sent` are looks for one, `answered` are those that found one.
    Leaders,
}

/// Updates that must have been sent in vain before that says anything.
const FEWEST_UPDATES: u64 = 10;

/// The largest part of the time that the controller may have stood still, as one of so many.
const STOOD_STILL: u64 = 4;

/// How two nodes are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Both ways, with nothing done to what passes.
    Linked,
    /// Nothing passes either way.
    Cut,
    /// Anything else.
    Impaired,
}

/// A node at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeNow {
    /// Its name.
    pub name: String,
    /// The number of its process, if it runs.
    pub process: Option<i32>,
    /// Why nothing can be asked of it, if so.
    pub excused: Option<&'static str>,
    /// How it is linked with each node, in order, itself included.
    pub bonds: Vec<Connectivity>,
    /// Whether it is linked with clients both ways.
    pub has_clients: bool,
    /// What it says of itself, in words.
    pub says: String,
}

/// The cluster at one moment.
#[derive(Debug, Clone)]
pub struct Now {
    /// When.
    pub at: Nanoseconds,
    /// The nodes, in order.
    pub nodes: Vec<NodeNow>,
    /// Why nothing can be asked of the cluster as a whole, if so.
    pub excused: Option<&'static str>,
    /// Updates sent so far that are over.
    pub sent: u64,
    /// Updates answered so far.
    pub answered: u64,
    /// How long the controller stood still so far, in nanoseconds.
    pub stood_still: u64,
}

/// A cluster that is watched.
#[derive(Debug)]
pub struct RecoveryWatch {
    progress: Progress,
    /// In nanoseconds.
    limit: u64,
    began: Option<Began>,
    /// When an update was answered last, and how many were by then.
    last: (Nanoseconds, u64),
    /// Whether what is the case since then was told.
    told: bool,
    /// Why the latest time without an answer could not be judged.
    excuse: &'static str,
    /// The longest time that could not be judged: from when, how long, and why.
    unjudged: Option<(Nanoseconds, u64, &'static str)>,
}

/// Since when a cluster could work, and how all was then.
#[derive(Debug, PartialEq, Eq)]
struct Began {
    at: Nanoseconds,
    sent: u64,
    stood_still: u64,
    state: State,
}

/// What must not change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    /// The places of the majority.
    majority: Vec<usize>,
    /// What can be seen of all nodes.
    nodes: Vec<(Option<i32>, bool, Vec<Connectivity>)>,
}

impl RecoveryWatch {
    /// A cluster that is to make progress within `limit_ms`.
    pub fn new(progress: Progress, limit_ms: u64) -> Self {
        Self {
            progress,
            limit: limit_ms.saturating_mul(1_000_000),
            began: None,
            last: (Nanoseconds(0), 0),
            told: false,
            excuse: "clients had only begun",
            unjudged: None,
        }
    }

    /// Looks at the cluster; a finding if it has not recovered in time, once for each time.
    pub fn look(&mut self, now: &Now) -> Option<Finding> {
        if now.answered != self.last.1 || self.last.0 == Nanoseconds(0) {
            self.end_silence(now.at);
            self.last = (now.at, now.answered);
            self.told = false;
            self.began = None;
        }
        let state = match state(now, self.progress) {
            Ok(state) => state,
            Err(excuse) => {
                self.excuse = excuse;
                self.began = None;
                return None;
            }
        };
        let begin =
            |state| Began { at: now.at, sent: now.sent, stood_still: now.stood_still, state };
        let began = match &mut self.began {
            Some(began) if began.state == state => began,
            other => {
                self.excuse = "nodes, links or faults kept changing";
                return {
                    *other = Some(begin(state));
                    None
                };
            }
        };
        let lasted = now.at.0 - began.at.0;
        let still = now.stood_still - began.stood_still;
        if lasted < self.limit + still || self.told {
            return None;
        }
        if still > lasted / STOOD_STILL {
            self.excuse = "the machine starved";
            *began = begin(state);
            return None;
        }
        if self.progress == Progress::Updates && now.sent - began.sent < FEWEST_UPDATES {
            self.excuse = "clients asked for too little";
            return None;
        }
        self.told = true;
        Some(finding(self.progress, now, began, (self.last.0, self.limit)))
    }

    /// Notes a time without an answer that is over and of which nothing was said.
    fn end_silence(&mut self, now: Nanoseconds) {
        let length = now.0 - self.last.0.0;
        let is_longest = self.unjudged.is_none_or(|(_, longest, _)| length > longest);
        if self.last.0 != Nanoseconds(0) && !self.told && length >= self.limit && is_longest {
            self.unjudged = Some((self.last.0, length, self.excuse));
        }
    }

    /// A sentence on the longest time without an answer that could not be judged, now that clients have
    /// ended.
    pub fn finish(&mut self, now: Nanoseconds) -> Option<String> {
        self.end_silence(now);
        self.last = (Nanoseconds(0), 0);
        let (from, length, why) = self.unjudged?;
        Some(format!(
            "{} for {:.1} s from {:.1} s on, and that says nothing of recovery: {why}",
            self.progress.lacking(),
            Nanoseconds(length).as_seconds(),
            from.as_seconds()
        ))
    }
}

/// The majority that could work, or why there is none.
fn state(now: &Now, progress: Progress) -> Result<State, &'static str> {
    if let Some(excuse) = now.excused {
        return Err(excuse);
    }
    if now.answered == 0 {
        // A description that is wrong looks the same.
        return Err(match progress {
            Progress::Updates => "no update was ever answered",
            Progress::Leaders => "no leader was ever seen",
        });
    }
    let count = now.nodes.len();
    let fit: Vec<usize> = (0..count).filter(|&place| is_fit(&now.nodes[place])).collect();
    let majority = largest(&fit, now);
    let Some(majority) = majority.filter(|it| it.len() > count / 2) else {
        let excuse = now.nodes.iter().find_map(|node| node.excused);
        return Err(excuse.unwrap_or("no majority was up, linked and reached by clients"));
    };
    let seen = |node: &NodeNow| (node.process, node.excused.is_some(), node.bonds.clone());
    Ok(State { majority, nodes: now.nodes.iter().map(seen).collect() })
}

fn is_fit(node: &NodeNow) -> bool {
    node.process.is_some() && node.excused.is_none() && node.has_clients
}

/// The most nodes of `fit` that are linked with each other, with each other node linked with or cut off
/// from all of them.
fn largest(fit: &[usize], now: &Now) -> Option<Vec<usize>> {
    let sets = (1_u32..1 << fit.len()).map(|set| {
        let has = |it: &usize| {
            fit.iter().position(|one| one == it).is_some_and(|bit| set >> bit & 1 == 1)
        };
        fit.iter().copied().filter(has).collect::<Vec<_>>()
    });
    let works = |set: &Vec<usize>| {
        let all = |place: usize, bond| {
            set.iter().all(|&other| other == place || now.nodes[place].bonds[other] == bond)
        };
        (0..now.nodes.len()).all(|place| {
            all(place, Connectivity::Linked)
                || (!set.contains(&place) && all(place, Connectivity::Cut))
        })
    };
    sets.filter(works).max_by_key(Vec::len)
}

impl Progress {
    /// What is said of a time without it.
    const fn lacking(self) -> &'static str {
        match self {
            Self::Updates => "no update was answered",
            Self::Leaders => "no leader was seen",
        }
    }
}

fn finding(
    progress: Progress,
    now: &Now,
    began: &Began,
    (last, limit): (Nanoseconds, u64),
) -> Finding {
    let names = |places: &[usize]| {
        let names: Vec<&str> = places.iter().map(|&it| now.nodes[it].name.as_str()).collect();
        names.join(", ")
    };
    let majority = &began.state.majority;
    let others: Vec<usize> =
        (0..now.nodes.len()).filter(|place| !majority.contains(place)).collect();
    let others = match &others[..] {
        [] => String::new(),
        others => format!(" ({} was not needed)", names(others)),
    };
    let says: Vec<&str> = now.nodes.iter().map(|node| node.says.as_str()).collect();
    let (linked, last, title) = match progress {
        Progress::Updates => {
            let sent = now.sent - began.sent;
            let last = last.as_seconds();
            let last = format!("answered at {last:.1} s, and {sent} were sent since in vain");
            (" and with clients", last, "no update is answered")
        }
        Progress::Leaders => {
            ("", format!("seen at {:.1} s", last.as_seconds()), "no leader is elected")
        }
    };
    let sentence = format!(
        "{} for {:.1} s, from {:.1} s on, although {} were up and linked with each \
         other{linked}{others}; the limit is {:.1} s; the last one was {last}. \
         What nodes said of themselves: {}",
        progress.lacking(),
        Nanoseconds(now.at.0 - began.at.0).as_seconds(),
        began.at.as_seconds(),
        names(majority),
        Nanoseconds(limit).as_seconds(),
        says.join(", ")
    );
    Finding { at_ns: Some(now.at), ..Finding::new(FindingKind::NoRecovery, title, sentence) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_MS: u64 = 5_000;

    /// What is done to a healthy cluster in each second.
    type Change<'a> = &'a dyn Fn(u64, &mut Now);

    fn node(number: usize) -> NodeNow {
        NodeNow {
            name: format!("n{number}"),
            process: Some(100),
            excused: None,
            bonds: vec![Connectivity::Linked; 3],
            has_clients: true,
            says: format!("n{number} follower in term 7"),
        }
    }

    fn healthy(second: u64) -> Now {
        Now {
            at: Nanoseconds(second * 1_000_000_000),
            nodes: (1..=3).map(node).collect(),
            excused: None,
            sent: second * 15,
            answered: 40,
            stood_still: 0,
        }
    }

    /// What is found in seconds 1 to 30 of a cluster that answers nothing; `change` breaks it.
    fn watched(change: impl Fn(u64, &mut Now)) -> (Option<Finding>, Option<String>) {
        watched_for(Progress::Updates, change)
    }

    fn watched_for(
        progress: Progress,
        change: impl Fn(u64, &mut Now),
    ) -> (Option<Finding>, Option<String>) {
        let mut watch = RecoveryWatch::new(progress, LIMIT_MS);
        let found = (1..=30).filter_map(|second| {
            let mut now = healthy(second);
            change(second, &mut now);
            watch.look(&now)
        });
        let found: Vec<_> = found.collect();
        assert!(found.len() <= 1, "told once");
        (found.into_iter().next(), watch.finish(Nanoseconds(31_000_000_000)))
    }

    fn cut(now: &mut Now, one: usize, other: usize, bond: Connectivity) {
        now.nodes[one].bonds[other] = bond;
        now.nodes[other].bonds[one] = bond;
    }

    #[test]
    fn a_cluster_that_could_work_and_does_not_is_found_within_its_limit() {
        let (found, unjudged) = watched(|_, _| {});
        let found = found.expect("found");
        assert_eq!(found.at_ns, Some(Nanoseconds(6_000_000_000)));
        for part in ["n1, n2, n3 were up", "limit is 5.0 s", "n2 follower in term 7"] {
            assert!(found.sentence.contains(part), "{part}: {}", found.sentence);
        }
        assert_eq!(unjudged, None);
    }

    #[test]
    fn a_majority_beside_a_node_that_is_dead_or_cut_off_is_enough() {
        let dead = watched(|_, now| now.nodes[0].process = None).0.expect("found");
        assert!(dead.sentence.contains("n2, n3 were up"), "{}", dead.sentence);
        let cut_off = watched(|_, now| {
            cut(now, 0, 1, Connectivity::Cut);
            cut(now, 0, 2, Connectivity::Cut);
        });
        assert!(cut_off.0.is_some());
    }

    #[test]
    fn what_a_fault_explains_is_no_finding_and_is_said() {
        let changes: [(&str, Change<'_>); 10] = [
            ("no majority", &|_, now| {
                now.nodes[0].process = None;
                now.nodes[1].process = None;
            }),
            ("frozen", &|_, now| {
                now.nodes[0].excused = Some("frozen");
                now.nodes[1].excused = Some("frozen");
            }),
            ("no majority", &|_, now| {
                cut(now, 0, 1, Connectivity::Cut);
                cut(now, 0, 2, Connectivity::Cut);
                cut(now, 1, 2, Connectivity::Cut);
            }),
            ("no majority", &|_, now| cut(now, 0, 1, Connectivity::Impaired)),
            ("no majority", &|_, now| {
                now.nodes[0].has_clients = false;
                now.nodes[1].has_clients = false;
            }),
            ("members", &|_, now| now.excused = Some("members")),
            ("kept changing", &|second, now| {
                now.nodes[0].process = Some(if second % 4 < 2 { 1 } else { 2 });
            }),
            ("starved", &|second, now| now.stood_still = second * 500_000_000),
            ("ever answered", &|_, now| now.answered = 0),
            ("too little", &|_, now| now.sent = 7),
        ];
        for (why, change) in changes {
            let (found, unjudged) = watched(change);
            assert_eq!(found, None, "{why}");
            let unjudged = unjudged.expect(why);
            assert!(unjudged.contains(why), "{why}: {unjudged}");
        }
    }

    #[test]
    fn a_bridge_between_two_nodes_is_not_judged_unless_they_are_cut_off_from_all_or_none() {
        // n1 hears n2 alone: whoever of these leads may be deposed by the third again and again.
        let (found, _) = watched(|_, now| cut(now, 0, 2, Connectivity::Cut));
        assert_eq!(found, None);
    }

    #[test]
    fn a_majority_without_a_leader_is_found_whatever_clients_do() {
        let (found, _) = watched_for(Progress::Leaders, |_, now| now.sent = 0);
        let found = found.expect("found");
        assert_eq!(found.title, "no leader is elected");
        for part in ["no leader was seen for 5.0 s", "each other; the limit", "seen at 1.0 s."] {
            assert!(found.sentence.contains(part), "{part}: {}", found.sentence);
        }
        let (found, unjudged) = watched_for(Progress::Leaders, |_, now| now.answered = 0);
        assert_eq!(found, None);
        assert!(unjudged.expect("told").contains("no leader was ever seen"));
    }

    #[test]
    fn answers_begin_a_new_count() {
        let (found, unjudged) = watched(|second, now| now.answered = 40 + second / 4);
        assert_eq!((found, unjudged), (None, None));
    }
}
