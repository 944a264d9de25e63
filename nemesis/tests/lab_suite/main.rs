//! Labs on this machine's kernel: real namespaces, sockets and processes.

mod clock;
mod clock_reader;
mod disk;
mod doctor;
mod etcd;
mod faults;
mod harness;
mod lifetime;
mod loopback;
mod members;
#[path = "../../../tests/support/needs.rs"]
mod needs;
mod nemesis;
mod network;
mod probe;
mod process;
mod sidecars;
mod together;
mod victim;

use harness::Part;

const PARTS: &[Part] = &[
    Part {
        name: "lifetime",
        scenarios: lifetime::SCENARIOS,
        unprivileged: lifetime::UNPRIVILEGED,
        loopback: &[],
        helpers: lifetime::HELPERS,
        loopback_helpers: &[],
        tests: lifetime::TESTS,
    },
    Part {
        name: "doctor",
        scenarios: doctor::SCENARIOS,
        unprivileged: doctor::UNPRIVILEGED,
        loopback: &[],
        helpers: &[],
        loopback_helpers: &[],
        tests: &[],
    },
    Part {
        name: "network",
        scenarios: network::SCENARIOS,
        unprivileged: &[],
        loopback: &[],
        helpers: &[],
        loopback_helpers: &[],
        tests: &[],
    },
    Part {
        name: "process",
        scenarios: process::SCENARIOS,
        unprivileged: &[],
        loopback: &[],
        helpers: &[],
        loopback_helpers: &[],
        tests: &[],
    },
    Part {
        name: "sidecars",
        scenarios: sidecars::SCENARIOS,
        unprivileged: &[],
        loopback: &[],
        helpers: &[],
        loopback_helpers: &[],
        tests: &[],
    },
    Part {
        name: "disk",
        scenarios: disk::SCENARIOS,
        unprivileged: &[],
        loopback: &[],
        helpers: &[],
        loopback_helpers: &[],
        tests: &[],
    },
    Part {
        name: "etcd",
        scenarios: etcd::SCENARIOS,
        unprivileged: &[],
        loopback: etcd::LOOPBACK,
        helpers: &[],
        loopback_helpers: &[],
        tests: &[],
    },
    Part {
        name: "loopback",
        scenarios: &[],
        unprivileged: &[],
        loopback: loopback::SCENARIOS,
        helpers: &[],
        loopback_helpers: loopback::HELPERS,
        tests: loopback::TESTS,
    },
    Part {
        name: "clock",
        scenarios: clock::SCENARIOS,
        unprivileged: &[],
        loopback: &[],
        helpers: clock::HELPERS,
        loopback_helpers: &[],
        tests: clock::TESTS,
    },
    Part {
        name: "together",
        scenarios: together::SCENARIOS,
        unprivileged: &[],
        loopback: &[],
        helpers: &[],
        loopback_helpers: &[],
        tests: &[],
    },
    Part {
        name: "faults",
        scenarios: faults::SCENARIOS,
        unprivileged: &[],
        loopback: &[],
        helpers: faults::HELPERS,
        loopback_helpers: &[],
        tests: faults::TESTS,
    },
    Part {
        name: "members",
        scenarios: members::SCENARIOS,
        unprivileged: &[],
        loopback: &[],
        helpers: &[],
        loopback_helpers: &[],
        tests: &[],
    },
    Part {
        name: "nemesis",
        scenarios: nemesis::SCENARIOS,
        unprivileged: &[],
        loopback: &[],
        helpers: &[],
        loopback_helpers: &[],
        tests: &[],
    },
];

fn main() {
    if std::env::var_os(clock::READER).is_some() {
        return clock_reader::main();
    }
    victim::run_if_asked();
    probe::run_if_asked();
    harness::main(PARTS);
}
