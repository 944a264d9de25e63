//! Writes reports of made-up runs into a folder, for whoever works on their looks.
//!
//! `cargo run -p partita-reports --example gallery -- /tmp/gallery`

#[path = "../tests/reports/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};

use support::{Finding, Fixture, Plan, fixture};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("the folder to write to")?.into();
    let plan = Plan::default();
    let stale = Plan { finding: Finding::StaleRead, ..plan.clone() };
    let vacuous = Plan { finding: Finding::Vacuous, ..plan.clone() };
    let contradiction = Plan { finding: Finding::Contradiction, ..plan.clone() };
    let busy = Plan { rate: 2_000, clients: 24, nodes: 5, ..plan.clone() };
    let long = Plan { seconds: 600, nodes: 5, fault_every: 15, ..stale.clone() };
    let million = Plan { seconds: 200, rate: 5_000, clients: 40, nodes: 5, ..stale.clone() };
    let calm = Plan { fault_every: 0, ..plan.clone() };
    for (name, plan) in [
        ("valid", plan),
        ("stale", stale.clone()),
        ("vacuous", vacuous),
        ("contradiction", contradiction),
        ("busy", busy),
        ("long", long),
        ("calm", calm),
        ("million", million),
    ] {
        write(&folder, name, &fixture(&plan))?;
    }
    let mut own_write = fixture(&stale);
    if let Some(found) = &mut own_write.analysis.counterexample {
        found.operations[2].process = found.operations[1].process;
    }
    write(&folder, "own-write", &own_write)?;
    write(&folder, "empty", &support::empty())?;
    write(&folder, "hostile", &support::hostile(&fixture(&stale)))
}

fn write(folder: &Path, name: &str, fixture: &Fixture) -> Result<(), Box<dyn std::error::Error>> {
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder)?;
    partita_reports::write_all(&folder, &fixture.run())?;
    Ok(())
}
