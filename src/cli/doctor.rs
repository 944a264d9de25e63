//! `partita doctor`: what this machine can do.

use clap::Args;
use partita_nemesis::LabBackend;
use partita_nemesis::doctor::{CLOCKS, DISKS, Outcome, PROXIES, Probe, SIGNALS, probe};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::{outln, terminal};

/// The kinds of namespaces, either of which carries a lab, best first.
const KINDS: [&str; 2] = ["user namespaces", "root namespaces"];

/// What a lab can do without, by probe, and which faults it then does without.
const SPECIAL: [(&str, &str); 2] = [(CLOCKS, "clock faults"), (DISKS, "disk faults")];

/// A kind of lab.
struct Lab {
    /// What its hosts are made of.
    name: &'static str,
    backend: LabBackend,
    /// What it can do.
    about: &'static str,
}

/// Every kind of lab, best first.
const LABS: [Lab; 4] = [
    Lab { name: KINDS[0], backend: LabBackend::Namespaces, about: "every fault" },
    Lab { name: KINDS[1], backend: LabBackend::Namespaces, about: "every fault, for root" },
    Lab {
        name: PROXIES,
        backend: LabBackend::Proxies,
        about: "partitions, delay, rate, hold and reset by link; processes, clocks, disks",
    },
    Lab { name: SIGNALS, backend: LabBackend::Signals, about: "processes, clocks, disks" },
];

/// Tries, in child processes that leave nothing behind, every kernel mechanism that a lab needs, and
/// says what works, which labs can be had, and what would allow a better one.
///
/// Exits with 0 if any lab can be had, else with 4.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print a JSON document instead of text: `format`, the `probes`, the `labs` and the `best` of
    /// them.
    #[arg(long)]
    json: bool,
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if the document cannot be made.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let probes = probe();
    let has_lab = LABS.iter().any(|lab| obstacle(lab, &probes).is_none());
    if arguments.json {
        terminal::document(&document(&probes))?;
    } else {
        tell(&probes);
    }
    Ok(if has_lab { Exit::Valid } else { Exit::Harness })
}

/// The form of the document that `--json` prints.
const FORMAT: u32 = 1;

fn document(probes: &[Probe]) -> Value {
    let of_probe = |probe: &Probe| {
        let refused = match &probe.outcome {
            Outcome::Works => None,
            Outcome::Refused(why) => Some(why),
        };
        json!({
            "name": probe.name, "tried": probe.tried, "works": works(probe),
            "needed": works(probe) || !is_spare(probe, probes),
            "refused": refused, "remedy": probe.remedy,
        })
    };
    let of_lab = |lab: &Lab| {
        let obstacle = obstacle(lab, probes).map(|probe| probe.name);
        json!({
            "name": lab.name, "lab": lab.backend.name(), "about": lab.about,
            "works": obstacle.is_none(), "fails_at": obstacle,
        })
    };
    let best = LABS.iter().find(|lab| obstacle(lab, probes).is_none());
    json!({
        "format": FORMAT,
        "probes": probes.iter().map(of_probe).collect::<Vec<_>>(),
        "labs": LABS.iter().map(of_lab).collect::<Vec<_>>(),
        "best": best.map(|lab| lab.name),
        "without": best.map(|_| missing(probes)),
    })
}

fn tell(probes: &[Probe]) {
    for probe in probes {
        match &probe.outcome {
            Outcome::Works => outln!("✓ {}: {}", probe.name, probe.tried),
            Outcome::Refused(why) if is_spare(probe, probes) => {
                outln!("– {}: not needed ({why})", probe.name);
            }
            Outcome::Refused(why) => {
                outln!("✗ {}: {why}", probe.name);
                if let Some(remedy) = &probe.remedy {
                    outln!("    to allow it: {remedy}");
                }
            }
        }
    }
    outln!("");
    outln!("Labs, best first:");
    for lab in &LABS {
        let obstacle = obstacle(lab, probes);
        let (mark, more) = obstacle
            .map_or(("✓", String::new()), |probe| ("✗", format!(" (fails at: {})", probe.name)));
        outln!("  {mark} {:<17}{}{more}", lab.name, lab.about);
    }
    outln!("");
    conclude(probes);
}

/// What labs must do without here.
fn missing(probes: &[Probe]) -> Vec<&'static str> {
    let fails = |name: &str| probes.iter().any(|probe| probe.name == name && !works(probe));
    SPECIAL.iter().filter(|(name, _)| fails(name)).map(|(_, what)| *what).collect()
}

/// Says which lab a run has here, and how to get the next better one.
fn conclude(probes: &[Probe]) {
    let Some(place) = LABS.iter().position(|lab| obstacle(lab, probes).is_none()) else {
        outln!("This machine cannot have a lab as it is; the lines marked ✗ say why.");
        return;
    };
    let best = &LABS[place];
    let missing = missing(probes);
    let without = match missing.is_empty() {
        true => String::new(),
        false => format!(", but for {}", missing.join(" and ")),
    };
    if best.backend == LabBackend::Namespaces {
        outln!("This machine can have the full lab{without}: `partita run` works here.");
        return;
    }
    outln!("`partita run` has a lab of {} here{without}.", best.name);
    if best.backend == LabBackend::Proxies {
        outln!("A target whose description has no {{advertised-ip}} has one of {SIGNALS}.");
    }
    match next(best, probes) {
        Some((lab, Some(remedy))) => outln!("To have one of {}: {remedy}", lab.name),
        Some((lab, None)) => outln!("How to have one of {} is not known.", lab.name),
        None => {}
    }
}

/// The least of the labs that are better than `best` and of another backend, and the command that allows
/// it, if one is known. Of labs of one backend, one with a command.
fn next<'a>(best: &Lab, probes: &'a [Probe]) -> Option<(&'static Lab, Option<&'a String>)> {
    let backend =
        LABS.iter().map(|lab| lab.backend).filter(|backend| *backend < best.backend).max()?;
    let labs = LABS.iter().filter(|lab| lab.backend == backend);
    let mut ways =
        labs.map(|lab| (lab, obstacle(lab, probes).and_then(|probe| probe.remedy.as_ref())));
    let first = ways.next()?;
    if first.1.is_some() { Some(first) } else { ways.find(|way| way.1.is_some()).or(Some(first)) }
}

fn works(probe: &Probe) -> bool {
    probe.outcome == Outcome::Works
}

/// The first of the probes that keeps this machine from having a lab.
fn obstacle<'a>(lab: &Lab, probes: &'a [Probe]) -> Option<&'a Probe> {
    let needs = |probe: &&Probe| match lab.backend {
        LabBackend::Namespaces => {
            let is_other = KINDS.contains(&probe.name) && probe.name != lab.name;
            let is_lesser = [PROXIES, SIGNALS].contains(&probe.name);
            !is_other && !is_lesser && !is_special(probe)
        }
        // What signals need, every lab needs.
        LabBackend::Proxies => [PROXIES, SIGNALS].contains(&probe.name),
        LabBackend::Signals => probe.name == SIGNALS,
    };
    probes.iter().filter(needs).find(|probe| !works(probe))
}

/// Whether the other kind of namespaces does what `probe` would.
fn is_spare(probe: &Probe, probes: &[Probe]) -> bool {
    let is_kind = |probe: &Probe| KINDS.contains(&probe.name);
    is_kind(probe) && probes.iter().any(|other| is_kind(other) && works(other))
}

fn is_special(probe: &Probe) -> bool {
    SPECIAL.iter().any(|(name, _)| *name == probe.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The probes, of which those named fail, each with a command of its own.
    fn probes(failing: &[&str]) -> Vec<Probe> {
        let needed = [KINDS[0], KINDS[1], "hosts and switch", PROXIES, SIGNALS, CLOCKS, DISKS];
        let probe = |name: &'static str| {
            let fails = failing.contains(&name);
            Probe {
                name,
                tried: "tried it",
                outcome: if fails { Outcome::Refused("no".into()) } else { Outcome::Works },
                remedy: fails.then(|| format!("allow {name}")),
            }
        };
        needed.into_iter().map(probe).collect()
    }

    fn can_have(failing: &[&str]) -> Vec<&'static str> {
        let probes = probes(failing);
        let possible = LABS.iter().filter(|lab| obstacle(lab, &probes).is_none());
        possible.map(|lab| lab.name).collect()
    }

    #[test]
    fn a_lab_of_namespaces_needs_one_kind_of_them_and_everything_else() {
        assert_eq!(can_have(&[]), [KINDS[0], KINDS[1], PROXIES, SIGNALS]);
        assert_eq!(can_have(&[KINDS[1]]), [KINDS[0], PROXIES, SIGNALS]);
        assert_eq!(can_have(&[KINDS[0]]), [KINDS[1], PROXIES, SIGNALS]);
        assert_eq!(can_have(&[KINDS[0], KINDS[1]]), [PROXIES, SIGNALS]);
        assert_eq!(can_have(&["hosts and switch"]), [PROXIES, SIGNALS]);
    }

    #[test]
    fn every_lab_can_be_had_without_clock_and_disk_faults() {
        assert_eq!(can_have(&[CLOCKS, DISKS]).len(), LABS.len());
    }

    #[test]
    fn the_next_better_lab_comes_with_the_command_that_allows_it() {
        let told = |best: usize, failing: &[&str]| {
            let probes = probes(failing);
            next(&LABS[best], &probes).map(|(lab, remedy)| (lab.name, remedy.cloned()))
        };
        let neither = [KINDS[0], KINDS[1]];
        assert_eq!(told(2, &neither), Some((KINDS[0], Some(format!("allow {}", KINDS[0])))));
        let relays = Some(format!("allow {PROXIES}"));
        assert_eq!(told(3, &[KINDS[0], KINDS[1], PROXIES]), Some((PROXIES, relays)));
        assert_eq!(told(0, &[]), None, "there is none better");
    }

    #[test]
    fn one_kind_of_namespaces_is_spare_if_the_other_works() {
        let some = probes(&[KINDS[1], "hosts and switch"]);
        assert!(is_spare(&some[1], &some));
        assert!(!is_spare(&some[2], &some), "nothing stands in for the switch");
        let none = probes(&[KINDS[0], KINDS[1]]);
        assert!(!is_spare(&none[0], &none));
    }
}
