//! Labs on this machine's kernel: real namespaces, sockets and processes.

mod clock;
mod clock_reader;
mod disk;
mod doctor;
mod etcd;
mod faults;
mod harness;
mod lifetime;
mod members;
mod nemesis;
mod network;
mod probe;
mod process;
mod together;
mod victim;

use harness::Part;

const PARTS: &[Part] = &[
    Part {
        name: "lifetime",
        scenarios: lifetime::SCENARIOS,
        unprivileged: lifetime::UNPRIVILEGED,
        helpers: lifetime::HELPERS,
        tests: lifetime::TESTS,
    },
    Part {
        name: "doctor",
        scenarios: doctor::SCENARIOS,
        unprivileged: doctor::UNPRIVILEGED,
        helpers: &[],
        tests: &[],
    },
    Part {
        name: "network",
        scenarios: network::SCENARIOS,
        unprivileged: &[],
        helpers: &[],
        tests: &[],
    },
    Part {
        name: "process",
        scenarios: process::SCENARIOS,
        unprivileged: &[],
        helpers: &[],
        tests: &[],
    },
    Part { name: "disk", scenarios: disk::SCENARIOS, unprivileged: &[], helpers: &[], tests: &[] },
    Part { name: "etcd", scenarios: etcd::SCENARIOS, unprivileged: &[], helpers: &[], tests: &[] },
    Part {
        name: "clock",
        scenarios: clock::SCENARIOS,
        unprivileged: &[],
        helpers: clock::HELPERS,
        tests: clock::TESTS,
    },
    Part {
        name: "together",
        scenarios: together::SCENARIOS,
        unprivileged: &[],
        helpers: &[],
        tests: &[],
    },
    Part {
        name: "faults",
        scenarios: faults::SCENARIOS,
        unprivileged: &[],
        helpers: faults::HELPERS,
        tests: faults::TESTS,
    },
    Part {
        name: "members",
        scenarios: members::SCENARIOS,
        unprivileged: &[],
        helpers: &[],
        tests: &[],
    },
    Part {
        name: "nemesis",
        scenarios: nemesis::SCENARIOS,
        unprivileged: &[],
        helpers: &[],
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
