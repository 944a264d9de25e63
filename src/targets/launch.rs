//! What a description comes to for the nodes of one run.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use partita_workloads::client::secrets::{SECRET, secret};
use partita_workloads::client::template::PORT;

use super::command::{Command, FileText};
use super::words::{Names, expand};
use super::{Ports, SidecarForm, Target};

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub ip: Ipv4Addr,
    /// Where others reach it: behind a relay, if it is not where it listens.
    pub advertised: Ipv4Addr,
}

/// What programs are made of besides the description.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The program that runs the controller.
    pub partita: &'a Path,
    /// The nodes of the cluster, in order. A node's id is its place, from 1.
    pub nodes: &'a [NodeAddress],
    /// The ports that they listen on.
    pub ports: &'a Ports,
    /// The node's data directory.
    pub data: &'a Path,
    /// The run's seed.
    pub seed: u64,
    /// The planted bugs to switch on.
    pub mutations: &'a [String],
    /// What the command is given at its end.
    pub arguments: &'a [String],
}

/// A program of one node, without a placeholder left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What is added to its environment.
    pub environment: Vec<(String, String)>,
    /// Where it runs, if not in the node's folder.
    pub directory: Option<String>,
}

impl Target {
    /// The node's own program, for the node in place `index` of `launch.nodes`.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn program(&self, index: usize, launch: &Launch<'_>) -> Launched {
        let (mut own, all) = names(index, launch);
        let mut words = self.command.line(&own, &all);
        for other in &all {
            words.extend(self.each_node.line(other, &all));
        }
        for mutation in launch.mutations {
            own.insert("mutation".to_owned(), mutation.clone());
            words.extend(self.each_mutation.line(&own, &all));
        }
        words.extend(launch.arguments.iter().cloned());
        self.launched(words, None, index, launch)
    }

    /// A command of the description that is run on that node's host.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn command_on(&self, command: &Command, index: usize, launch: &Launch<'_>) -> Launched {
        let (own, all) = names(index, launch);
        self.launched(command.line(&own, &all), None, index, launch)
    }

    /// The sidecars that run on that node's host, by name.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn sidecars_on(&self, index: usize, launch: &Launch<'_>) -> Vec<(&SidecarForm, Launched)> {
        let (own, all) = names(index, launch);
        let sidecars = self.sidecars.iter().map(|sidecar| {
            let words = sidecar.command.line(&own, &all);
            (sidecar, self.launched(words, Some(sidecar), index, launch))
        });
        sidecars.filter(|(_, launched)| !launched.words.is_empty()).collect()
    }

    /// The files that are written for that node, and what is in them.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn files_on(&self, index: usize, launch: &Launch<'_>) -> Vec<(String, String)> {
        let (own, all) = names(index, launch);
        let file =
            |(path, text): (&String, &FileText)| (expand(path, &own, &all), text.text(&own, &all));
        self.files.iter().map(file).collect()
    }

    /// `words` with environment and directory, those of the node's own program or of a sidecar.
    fn launched(
        &self,
        words: Vec<String>,
        sidecar: Option<&SidecarForm>,
        index: usize,
        launch: &Launch<'_>,
    ) -> Launched {
        let (own, all) = names(index, launch);
        let directory = sidecar.map_or(&self.directory, |sidecar| &sidecar.directory);
        let more = sidecar.into_iter().flat_map(|sidecar| &sidecar.environment);
        let environment = self.environment.iter().chain(more);
        // Secrets reach nodes in their environment alone, of which nothing is written down.
        let mut secret_names = own.clone();
        for name in &self.secrets {
            let value = secret(name).unwrap_or_default();
            secret_names.insert(format!("{SECRET}{name}"), value);
        }
        let value = |value: &String| expand(value, &secret_names, &all);
        let environment = environment.map(|(name, text)| (name.clone(), value(text))).collect();
        let directory = directory.as_ref().map(|directory| expand(directory, &own, &all));
        Launched { words, environment, directory }
    }
}

/// What placeholders stand for: for the node in place `index`, and for every node.
pub(super) fn names(index: usize, launch: &Launch<'_>) -> (Names, Vec<Names>) {
    let common = common_names(launch);
    let of = |(place, node): (usize, &NodeAddress)| {
        let NodeAddress { name, ip, advertised } = node;
        let mut names = common.clone();
        names.extend(named([
            ("node", name.clone()),
            ("id", (place + 1).to_string()),
            ("ip", ip.to_string()),
            ("advertised-ip", advertised.to_string()),
        ]));
        names
    };
    let all: Vec<Names> = launch.nodes.iter().enumerate().map(of).collect();
    (all[index].clone(), all)
}

/// What is the same for all nodes.
fn common_names(launch: &Launch<'_>) -> Names {
    let mut names: Names = BTreeMap::new();
    names.extend(named([
        ("partita", launch.partita.display().to_string()),
        ("data", launch.data.display().to_string()),
        ("seed", launch.seed.to_string()),
    ]));
    for (name, port) in launch.ports.by_name() {
        names.insert(format!("{PORT}{name}"), port.to_string());
    }
    for NodeAddress { name, ip, advertised } in launch.nodes {
        names.insert(format!("{name}.ip"), ip.to_string());
        names.insert(format!("{name}.advertised-ip"), advertised.to_string());
    }
    names
}

fn named<const N: usize>(
    names: [(&'static str, String); N],
) -> impl Iterator<Item = (String, String)> {
    names.into_iter().map(|(name, value)| (name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_of_every_node_and_every_planted_bug() {
        let target = Target::find("raft-node").expect("built in");
        let node = |number| NodeAddress {
            name: format!("n{number}"),
            ip: Ipv4Addr::new(127, 20, 30, number),
            advertised: Ipv4Addr::new(127, 20, 30, 100 + number),
        };
        let nodes = [node(1), node(2)];
        let launch = Launch {
            partita: Path::new("/bin/partita"),
            nodes: &nodes,
            ports: &target.ports.with_numbers(&[6379, 7001]),
            data: Path::new("/run/n2/data"),
            seed: 7,
            mutations: &["no-log-check".to_owned()],
            arguments: &["--heartbeat=50ms".to_owned()],
        };
        let words = target.program(1, &launch).words.join(" ");
        assert_eq!(
            words,
            "/bin/partita node --id 2 --data /run/n2/data --listen 127.20.30.2:6379 \
             --peer-listen 127.20.30.2:7001 --seed 7 \
             --peer 1=127.20.30.101:7001 --client-address 1=127.20.30.101:6379 \
             --peer 2=127.20.30.102:7001 --client-address 2=127.20.30.102:6379 \
             --mutation no-log-check --heartbeat=50ms"
        );
    }

    #[test]
    fn relays_need_a_description_that_says_where_others_are_reached() {
        assert!(Target::find("raft-node").expect("built in").can_be_relayed());
        let text = include_str!("raft-node.toml").replace("{advertised-ip}", "{ip}");
        assert!(!Target::parse("mine.toml", &text).expect("parses").can_be_relayed());
    }

    #[test]
    fn files_environment_and_sidecars_are_filled_for_each_node() {
        let text = r#"
            name = "mine"
            about = "x"
            protocol = "resp"
            ports = { client = 6380, sentinel = 26379 }
            environment = { A = "x{secret.PATH}", CLUSTER = "{nodes:,:{node}={ip}:{port.client}}" }
            directory = "{data}"
            command = ["redis", { not = ["n1"], words = ["--replicaof", "{n1.ip}"] }]
            [files]
            "{data}/r.conf" = ["at {ip}", { not = ["n1"], words = ["of {n1.ip}", "x"] }]
            "{data}/s.conf" = "monitor {n1.ip} {port.sentinel} { {\"a\": 1} }"
            [[sidecar]]
            name = "sentinel"
            command = [{ not = ["n2"], words = ["sentinel", "{data}/s.conf"] }]
            environment = { WHO = "{node}" }
            "#;
        let target = Target::parse("mine.toml", text).expect("a target");
        let node = |number| NodeAddress {
            name: format!("n{number}"),
            ip: Ipv4Addr::new(10, 0, 0, number),
            advertised: Ipv4Addr::new(10, 0, 0, number),
        };
        let launch = Launch {
            partita: Path::new("/bin/partita"),
            nodes: &[node(1), node(2)],
            ports: &target.ports,
            data: Path::new("/d"),
            seed: 7,
            mutations: &[],
            arguments: &[],
        };
        let own = target.program(1, &launch);
        assert_eq!(own.words, ["redis", "--replicaof", "10.0.0.1"]);
        assert_eq!(own.directory.as_deref(), Some("/d"));
        let cluster = "n1=10.0.0.1:6380,n2=10.0.0.2:6380";
        assert_eq!(own.environment[1], ("CLUSTER".to_owned(), cluster.to_owned()));
        let path = std::env::var("PATH").expect("a path");
        assert_eq!(own.environment[0], ("A".to_owned(), format!("x{path}")));
        let lines = |index: usize| target.files_on(index, &launch)[0].1.clone();
        assert_eq!([lines(0), lines(1)], ["at 10.0.0.1\n", "at 10.0.0.2\nof 10.0.0.1\nx\n"]);
        let file = ("/d/s.conf".to_owned(), "monitor 10.0.0.1 26379 { {\"a\": 1} }".to_owned());
        assert_eq!(target.files_on(0, &launch)[1], file);
        assert!(target.sidecars_on(1, &launch).is_empty(), "no words, no sidecar");
        let sidecars = target.sidecars_on(0, &launch);
        assert_eq!(sidecars[0].1.words, ["sentinel", "/d/s.conf"]);
        assert_eq!(sidecars[0].1.environment[2], ("WHO".to_owned(), "n1".to_owned()));
        assert_eq!(sidecars[0].1.directory, None);
    }
}
