//! A run's specification as the command that one would type.

use partita_nemesis::Script;
use partita_reports::RunSpec;
use partita_reports::spec::{FaultsSpec, LabChoice, OnFinding, TargetSpec, defaults};

use super::left_out::LeftOut;
use crate::campaign::guided;
use crate::targets::Target;

/// The command that does the run of `spec` again. What a schedule says for itself is left out, and so
/// are defaults where they do not depend on anything.
pub fn of(spec: &RunSpec) -> String {
    let words = arguments(spec).into_iter().map(|word| partita_reports::quoted(&word));
    std::iter::once("partita run".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// What `partita run` is given to do it.
fn arguments(spec: &RunSpec) -> Vec<String> {
    // A schedule may have faults that only the description names.
    let Ok(described) = Target::of(&spec.target) else { return Vec::new() };
    let (kind, faults, script) = match &spec.faults {
        FaultsSpec::Draw(set) => ("nemesis", set.replace(' ', ""), Script::default()),
        FaultsSpec::Schedule(document) => {
            let script = Script::parse(&document.name, &document.toml).unwrap_or_default();
            // What a guide drew has no file but the one in the run's folder.
            let is_guided = document.name == guided::NAME;
            let file = if is_guided { "schedule.toml" } else { &document.name };
            ("schedule", file.to_owned(), script)
        }
    };
    let target = match &spec.target {
        TargetSpec::BuiltIn(name) => name,
        TargetSpec::Described(document) => &document.name,
    };
    let lab = match spec.lab {
        // The lab that a run has where it can: what one types need not say so.
        LabChoice::Auto | LabChoice::Namespaces => "",
        LabChoice::Proxies => "proxies",
        LabChoice::Signals => "signals",
    };
    let left = LeftOut::of(&spec.faults, &script, &described, spec.seed);
    let mut words = Vec::new();
    let mut option = |name: &str, value: &dyn ToString, default: &dyn ToString| {
        if value.to_string() != default.to_string() {
            words.extend([format!("--{name}"), value.to_string()]);
        }
    };
    option("lab", &lab, &"");
    option("target", target, &defaults::TARGET);
    option("nodes", &spec.nodes, &left.nodes);
    option("workload", &spec.workload, &left.workload);
    option(kind, &faults, &defaults::FAULTS);
    option("time", &spec.time, &"");
    option("seed", &spec.seed, &"");
    option("rate", &spec.rate, &left.rate);
    option("clients", &spec.clients, &left.clients(spec.rate));
    option("load", &spec.load.name(), &left.load.name());
    option("pipeline", &spec.pipeline, &left.pipeline);
    option("reply-timeout", &spec.reply_timeout, &defaults::REPLY_TIMEOUT);
    option("check-timeout", &spec.check_timeout, &defaults::CHECK_TIMEOUT);
    option("node-log-limit", &spec.node_log_limit, &defaults::NODE_LOG_LIMIT);
    for mutation in &spec.mutations {
        option("mutation", mutation, &"");
    }
    let own = left.to_be_given(&spec.node_arguments).into_iter();
    words.extend(own.map(|word| format!("--node-argument={word}")));
    match spec.on_finding {
        OnFinding::Continue => {}
        OnFinding::Stop => words.push("--stop-on-finding".to_owned()),
        OnFinding::Hold => words.push("--on-finding=hold".to_owned()),
    }
    for limit in &spec.limits {
        words.extend(["--limit".to_owned(), limit.to_string()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use partita_reports::spec::{Document, Milliseconds};

    use super::*;

    #[test]
    fn defaults_are_left_out_unless_they_depend_on_something() {
        let faults = FaultsSpec::Draw("kill".to_owned());
        let spec = RunSpec { seed: 7, faults, ..RunSpec::default() };
        assert_eq!(of(&spec), "partita run --nemesis kill --time 20s --seed 7");
        let spec = RunSpec {
            lab: LabChoice::Proxies,
            time: Milliseconds(1_500),
            rate: 0.5,
            mutations: vec!["a".to_owned(), "b".to_owned()],
            node_arguments: vec!["--every=1 s".to_owned()],
            on_finding: OnFinding::Stop,
            ..spec
        };
        assert_eq!(
            of(&spec),
            "partita run --lab proxies --nemesis kill --time 1500ms --seed 7 --rate 0.5 --mutation a --mutation b \
             '--node-argument=--every=1 s' --stop-on-finding"
        );
    }

    #[test]
    fn what_a_schedule_says_for_itself_is_left_out() {
        let toml = "nodes = 5\nworkload = \"append\"\nrate = 200\nclients = 40\n\
                    arguments = { raft-node = [\"--fast\"] }\nfaults = []\n";
        let document = Document { name: "my schedule.toml".to_owned(), toml: toml.to_owned() };
        let spec = RunSpec {
            faults: FaultsSpec::Schedule(document),
            nodes: 5,
            workload: "append".to_owned(),
            rate: 200.0,
            clients: 40,
            node_arguments: vec!["--fast".to_owned(), "--more".to_owned()],
            ..RunSpec::default()
        };
        assert_eq!(
            of(&spec),
            "partita run --schedule 'my schedule.toml' --time 20s --seed 0 \
             --node-argument=--more"
        );
        let spec = RunSpec { nodes: 3, node_arguments: Vec::new(), ..spec };
        assert!(of(&spec).contains("--nodes 3 "), "{}", of(&spec));
    }
}
