//! `partita doctor`: what this machine can do.

use partita_nemesis::doctor::{CLOCKS, DISKS, Outcome, Probe, probe};

use crate::exit::Exit;

/// Either of these kinds of namespaces carries a lab.
const ALTERNATIVES: [&str; 2] = ["user namespaces", "root namespaces"];

/// What a lab can do without, by probe, and which faults it then does without.
const SPECIAL: [(&str, &str); 2] = [(CLOCKS, "clock faults"), (DISKS, "disk faults")];

/// Tries, in child processes that leave nothing behind, every kernel mechanism that the lab needs,
/// and prints what works and what would allow more. Exits with 0 if a lab can be built, else 4.
pub fn perform() -> Exit {
    let probes = probe();
    for probe in &probes {
        match &probe.outcome {
            Outcome::Works => println!("✓ {}: {}", probe.name, probe.tried),
            Outcome::Refused(why) if is_spare(probe, &probes) => {
                println!("– {}: not needed ({why})", probe.name);
            }
            Outcome::Refused(why) => {
                println!("✗ {}: {why}", probe.name);
                if let Some(remedy) = &probe.remedy {
                    println!("    to allow it: {remedy}");
                }
            }
        }
    }
    if can_have_a_lab(&probes) {
        let is_missing = |name| probes.iter().any(|probe| probe.name == name && !works(probe));
        let missing = SPECIAL.iter().filter(|(name, _)| is_missing(*name)).map(|(_, what)| *what);
        let missing: Vec<&str> = missing.collect();
        let without = match missing.is_empty() {
            true => String::new(),
            false => format!(", but for {}", missing.join(" and ")),
        };
        println!("\nThis machine can have the full lab{without}: `partita run` works here.");
        Exit::Valid
    } else {
        println!("\nThis machine cannot have a lab as it is; the lines marked ✗ say why.");
        Exit::Harness
    }
}

fn works(probe: &Probe) -> bool {
    probe.outcome == Outcome::Works
}

/// Whether the other kind of namespaces does what `probe` would.
fn is_spare(probe: &Probe, probes: &[Probe]) -> bool {
    let is_kind = |probe: &Probe| ALTERNATIVES.contains(&probe.name);
    is_kind(probe) && probes.iter().any(|other| is_kind(other) && works(other))
}

fn is_special(probe: &Probe) -> bool {
    SPECIAL.iter().any(|(name, _)| *name == probe.name)
}

fn can_have_a_lab(probes: &[Probe]) -> bool {
    let (kinds, needs): (Vec<&Probe>, Vec<&Probe>) =
        probes.iter().partition(|probe| ALTERNATIVES.contains(&probe.name));
    kinds.into_iter().any(works) && needs.into_iter().filter(|probe| !is_special(probe)).all(works)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(outcomes: [bool; 4]) -> Vec<Probe> {
        let names = [ALTERNATIVES[0], ALTERNATIVES[1], "PID namespaces", "hosts and switch"];
        let probe = |(name, works): (&'static str, bool)| Probe {
            name,
            tried: "tried it",
            outcome: if works { Outcome::Works } else { Outcome::Refused("no".to_owned()) },
            remedy: None,
        };
        names.into_iter().zip(outcomes).map(probe).collect()
    }

    #[test]
    fn a_lab_needs_one_kind_of_namespaces_and_everything_else() {
        assert!(can_have_a_lab(&probes([true, true, true, true])));
        assert!(can_have_a_lab(&probes([true, false, true, true])));
        assert!(can_have_a_lab(&probes([false, true, true, true])));
        assert!(!can_have_a_lab(&probes([false, false, true, true])));
        assert!(!can_have_a_lab(&probes([true, true, false, true])));
        assert!(!can_have_a_lab(&probes([true, true, true, false])));
    }

    #[test]
    fn a_lab_can_be_had_without_clock_and_disk_faults() {
        let mut probes = probes([true, true, false, false]);
        probes[2].name = CLOCKS;
        probes[3].name = DISKS;
        assert!(can_have_a_lab(&probes));
    }

    #[test]
    fn one_kind_of_namespaces_is_spare_if_the_other_works() {
        let some = probes([true, false, true, false]);
        assert!(is_spare(&some[1], &some));
        assert!(!is_spare(&some[3], &some), "nothing stands in for the switch");
        let none = probes([false, false, true, true]);
        assert!(!is_spare(&none[0], &none));
    }
}
