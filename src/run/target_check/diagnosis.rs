//! Why a cluster whose processes run is not ready, as far as its description explains it.

use std::collections::BTreeSet;
use std::path::Path;

use partita_nemesis::Cluster;
use partita_nemesis::lab::Host;

use super::super::plan::Plan;
use super::super::poller::Poller;
use super::cluster_setup;

/// What in the description keeps the cluster from being ready; none if a node has ended.
pub(super) fn of(plan: &Plan, cluster: &Cluster, poller: &Poller) -> Option<String> {
    if cluster.nodes().iter().any(|node| !node.is_running()) {
        return None;
    }
    if let Some(missing) = missing_program(plan, cluster) {
        return Some(missing);
    }
    let told = poller.describe();
    if cluster.names().iter().all(|name| poller.is_up(name)) {
        let why = match poller.leader() {
            None => "no node is ever the leader, as [status] or the plug-in tells it".to_owned(),
            Some(leader) => format!("{leader} leads, and not every node follows"),
        };
        return Some(format!("every node answers, and {why}: {told}"));
    }
    let port = cluster_setup::endpoints(plan, cluster).first()?.address.port();
    for (host, name) in cluster.lab().nodes().iter().zip(cluster.names()) {
        if poller.is_up(name) {
            continue;
        }
        let ports = listening(host);
        if !ports.contains(&port) {
            let others: Vec<String> = ports.iter().map(ToString::to_string).collect();
            let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
            return Some(format!(
                "wrong port: {name} runs and does not listen on {port}, where clients go; it listens on {others}"
            ));
        }
    }
    Some(format!(
        "every node runs and listens, and does not answer as the description says: {told}"
    ))
}

/// That the program which speaks for clients is not there, if it is not.
fn missing_program(plan: &Plan, cluster: &Cluster) -> Option<String> {
    let endpoints = cluster_setup::endpoints(plan, cluster);
    let words = plan.target.protocol.program()?.command_line(endpoints.first()?);
    let program = Path::new(words.first()?);
    // A path is one from the folder in which it runs.
    let is_looked_up = program.components().count() == 1;
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&folders).any(|folder| folder.join(program).is_file());
    (is_looked_up && !is_there).then(|| {
        format!("starting {}: there is no such program in PATH; is it installed?", words.join(" "))
    })
}

/// The ports of the host on which something listens.
fn listening(host: &Host) -> BTreeSet<u16> {
    let table = host.enter(|| std::fs::read_to_string("/proc/thread-self/net/tcp"));
    let address = u32::from_le_bytes(host.address().octets());
    table.ok().and_then(Result::ok).map(|table| ports(&table, address)).unwrap_or_default()
}

/// The ports on which something listens at this address or at every one, as `/proc/net/tcp` has them (proc(5)).
fn ports(table: &str, address: u32) -> BTreeSet<u16> {
    let row = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (ip, port) = fields.next()?.split_once(':')?;
        let is_listening = fields.nth(1)? == "0A";
        let ip = u32::from_str_radix(ip, 16).ok()?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (is_listening && (ip == address || ip == 0)).then_some(port)
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_on_which_something_listens_at_the_address() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 010012C6:0FA2 00000000:0000 0A 00000000:00000000\n\
            1: 00000000:0050 00000000:0000 0A 00000000:00000000\n\
            2: 020012C6:0FA3 00000000:0000 0A 00000000:00000000\n\
            3: 010012C6:0FA4 640012C6:8000 01 00000000:00000000\n";
        let address = u32::from_le_bytes([198, 18, 0, 1]);
        assert_eq!(ports(table, address), BTreeSet::from([80, 4002]));
    }
}
