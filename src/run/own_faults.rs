//! Injects and heals the faults that a description names: runs commands on the nodes' hosts, or tells the nodes what
//! they are to do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use partita_nemesis::{AdministrationError, Cluster, Program};
use partita_workloads::client::Admin;

use super::cluster_setup;
use super::folder::RunFolder;
use super::plan::Plan;
use super::preparation::{self, HostSetup, in_words};
use crate::exit::Failure;
use crate::targets::Act;

/// How long one act may take on one node.
const LIMIT: Duration = Duration::from_secs(5);

/// What happens to a fault of a description on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It begins.
    Inject,
    /// It ends.
    Heal,
}

/// The acts of every such fault on every node.
pub struct OwnFaults {
    cluster: Arc<Cluster>,
    acts: BTreeMap<(String, String), [Ready; 2]>,
}

/// An act without a placeholder left.
enum Ready {
    /// A program is run on the host in this place.
    Run(usize, Program),
    /// A node is told something.
    Say(Box<dyn Admin>, Vec<String>),
    /// There is nothing to be done.
    Nothing,
    /// The protocol has no words of that kind.
    Unspoken,
}

/// What was done and what came of it, in words.
pub struct Done {
    /// The command or the request; empty if there was nothing to be done.
    pub what: String,
    /// The answer, or why it did not come about.
    pub outcome: Result<String, AdministrationError>,
}

impl OwnFaults {
    /// Those of the plan's target on the nodes of `cluster`.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the nodes' folders cannot be made.
    pub fn new(plan: &Plan, cluster: &Arc<Cluster>, folder: &RunFolder) -> Result<Self, Failure> {
        let mut acts = BTreeMap::new();
        let ports = cluster_setup::ports(plan, cluster);
        let grounds = HostSetup::new(plan, folder, cluster.lab(), ports.clone())?;
        let nodes = cluster_setup::inside_nodes(plan, cluster);
        for fault in &plan.target.own_faults {
            for (place, (node, host)) in nodes.iter().zip(cluster.lab().nodes()).enumerate() {
                let ready = |act: Option<&Act>| match act {
                    None => Ready::Nothing,
                    Some(Act::Run(command)) => {
                        Ready::Run(place, grounds.once(command, host, &fault.name))
                    }
                    Some(Act::Say(words)) => {
                        let mut endpoint = node.endpoint.clone();
                        let port = words.port.as_ref().and_then(|name| ports.by_name().get(name));
                        endpoint.address.set_port(port.copied().unwrap_or(ports.client()));
                        let admin = plan.target.protocol.admin(&endpoint, &node.dial);
                        let words = grounds.words(words, host);
                        admin.map_or(Ready::Unspoken, |admin| Ready::Say(admin, words))
                    }
                };
                let acts_of = [ready(Some(&fault.inject)), ready(fault.heal.as_ref())];
                acts.insert((fault.name.clone(), node.name().to_owned()), acts_of);
            }
        }
        Ok(Self { cluster: Arc::clone(cluster), acts })
    }

    /// Does what the description says; nothing, if it says nothing for that node.
    pub async fn act(&self, turn: Turn, fault: &str, node: &str) -> Done {
        let [inject, heal] = match self.acts.get(&(fault.to_owned(), node.to_owned())) {
            Some(acts) => acts,
            None => &[Ready::Unspoken, Ready::Unspoken],
        };
        let act = match turn {
            Turn::Inject => inject,
            Turn::Heal => heal,
        };
        let node = node.to_owned();
        match act {
            Ready::Nothing => Done { what: String::new(), outcome: Ok(String::new()) },
            Ready::Unspoken => Done {
                what: String::new(),
                outcome: Err(AdministrationError::Unspoken(format!("{fault} by a command"))),
            },
            Ready::Run(place, program) => {
                let host = &self.cluster.lab().nodes()[*place];
                let what = in_words(program);
                let ran = preparation::run(host, program.clone(), LIMIT).await;
                let outcome = ran.map(|()| "exit code 0".to_owned()).map_err(|problem| {
                    let problem = format!("`{what}` {problem}, see nodes/{node}/{fault}.log");
                    AdministrationError::Failed { node, problem }
                });
                Done { what, outcome }
            }
            Ready::Say(admin, words) => {
                let exchange = admin.command(words, LIMIT).await;
                let refused = |answer| AdministrationError::Refused { node, answer };
                Done { what: exchange.request, outcome: exchange.answer.map_err(refused) }
            }
        }
    }
}
