//! `partita doctor`: what this machine can do.

use partita_nemesis::doctor::{Outcome, Probe, probe};

use crate::exit::Exit;

/// Either of these kinds of namespaces carries a lab.
const ALTERNATIVES: [&str; 2] = ["user namespaces", "root namespaces"];

/// Tries, in child processes that leave nothing behind, every kernel mechanism that the lab needs,
/// and prints what works and what would allow more. Exits with 0 if a lab can be built, else 4.
pub fn perform() -> Exit {
    let probes = probe();
    for probe in &probes {
        match &probe.outcome {
            Outcome::Works => println!("✓ {}: {}", probe.name, probe.tried),
            Outcome::Refused(why) => println!("✗ {}: {why}", probe.name),
        }
        if let Some(remedy) = &probe.remedy {
            println!("    to allow it: {remedy}");
        }
    }
    if can_have_a_lab(&probes) {
        println!("\nThis machine can have the full lab: `partita run` works here.");
        Exit::Valid
    } else {
        println!("\nThis machine cannot have a lab as it is; the lines marked ✗ say why.");
        Exit::Harness
    }
}

fn can_have_a_lab(probes: &[Probe]) -> bool {
    let works = |probe: &&Probe| probe.outcome == Outcome::Works;
    let (kinds, needs): (Vec<&Probe>, Vec<&Probe>) =
        probes.iter().partition(|probe| ALTERNATIVES.contains(&probe.name));
    kinds.iter().any(works) && needs.iter().all(works)
}
