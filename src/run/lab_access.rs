//! How a person reaches the nodes of a run that is held: a command for each, to be typed outside of the lab.

use partita_nemesis::{Cluster, LabKind, NodeProcess};
use partita_workloads::client::Endpoint;

/// The number of the process that the user started, outside of the lab.
pub const OUTER: &str = "PARTITA_OUTER";

/// A command for each node that shows its process to a debugger and its network to a client. Ones that
/// do not run are named.
pub fn commands(cluster: &Cluster, endpoints: &[Endpoint], kind: LabKind) -> Vec<String> {
    let outer = std::env::var(OUTER).ok();
    let way = LabAccess::of(kind, outer.as_deref(), has_own_processes());
    let of_node = |(node, endpoint): (&NodeProcess, &Endpoint)| match node.pid() {
        Some(process) => way.command(node.node(), process, &endpoint.address.to_string()),
        None => format!("{}: it does not run", node.node()),
    };
    cluster.nodes().iter().zip(endpoints).map(of_node).collect()
}

/// Whether processes have numbers of their own in here: then the first is this program too.
fn has_own_processes() -> bool {
    let program = |process: &str| std::fs::read_link(format!("/proc/{process}/exe")).ok();
    program("1").is_some_and(|first| Some(first) == program("self"))
}

/// The way into a lab.
#[derive(Debug)]
struct LabAccess {
    /// What a command begins with, if anything.
    prefix: String,
    /// Whether a node has a network of its own.
    has_network: bool,
}

impl LabAccess {
    fn of(kind: LabKind, outer: Option<&str>, has_own_processes: bool) -> Self {
        let has_network = matches!(kind, LabKind::UserNamespaces | LabKind::RootNamespaces);
        // The first process of a lab is the only child of the one that the user started.
        let first = outer.map(|outer| format!("$(pgrep -P {outer})"));
        let first = first.unwrap_or_else(|| "<the lab's first process>".to_owned());
        let user = match kind {
            LabKind::UserNamespaces => " -U --preserve-credentials",
            LabKind::RootNamespaces | LabKind::Proxies | LabKind::Signals => "",
        };
        let prefix = match has_network || has_own_processes {
            true => format!("nsenter -t {first}{user} -m -p "),
            false => String::new(),
        };
        Self { prefix, has_network }
    }

    fn command(&self, node: &str, process: i32, address: &str) -> String {
        let prefix = &self.prefix;
        let inside = match self.has_network {
            true => format!("{prefix}nsenter -t {process} -n sh"),
            false => format!("{prefix}sh"),
        };
        format!("{node} ({address}): {prefix}gdb -p {process}; its network: {inside}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_enters_what_the_lab_has_and_nothing_else() {
        let root = LabAccess::of(LabKind::RootNamespaces, Some("77"), true);
        let said = root.command("n1", 12, "10.0.0.1:6379");
        let expected = "n1 (10.0.0.1:6379): nsenter -t $(pgrep -P 77) -m -p gdb -p 12; its network: \
                        nsenter -t $(pgrep -P 77) -m -p nsenter -t 12 -n sh";
        assert_eq!(said, expected);
        let user = LabAccess::of(LabKind::UserNamespaces, Some("77"), true);
        assert!(user.command("n1", 12, "").contains("-U --preserve-credentials -m -p gdb -p 12"));
        let bare = LabAccess::of(LabKind::Signals, Some("77"), false);
        assert_eq!(bare.command("n1", 12, "a"), "n1 (a): gdb -p 12; its network: sh");
    }
}
