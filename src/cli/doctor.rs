//! `partita doctor`: what this machine can do.

use crate::exit::Exit;

/// Tries, in child processes that leave nothing behind, every kernel mechanism that the lab needs,
/// and prints what works and what would allow more. Exits with 0 if a lab can be built, else 4.
pub fn perform() -> Exit {
    let diagnosis = partita_nemesis::doctor::probe();
    for probe in &diagnosis {
        println!("{} {}: {}", if probe.works { "✓" } else { "✗" }, probe.name, probe.found);
        if let Some(remedy) = &probe.remedy {
            println!("    to allow it: {remedy}");
        }
    }
    let lab = diagnosis.iter().filter(|probe| probe.required).all(|probe| probe.works);
    if lab {
        println!("\nThis machine can have the full lab: `partita run` will work.");
        Exit::Valid
    } else {
        println!("\nThis machine cannot have the lab as it is; see the lines marked ✗.");
        Exit::Harness
    }
}
