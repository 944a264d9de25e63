//! Says how a server is to run: the command line, checked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::core::units::NodeId;
use crate::core::{Compaction, Config, Lease};
use crate::mutations::{Mutation, Mutations};
use crate::server::{Level, Settings};

/// Run one server of a replicated key/value store that speaks RESP (redis-cli works).
///
/// Reads and writes its data directory, logs to standard error, and runs until SIGTERM or SIGINT;
/// a leader then hands over first. Exits with 0 after a clean stop, with another status when it
/// cannot start or its disk fails.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example, the first of three servers:\n  \
    --id 1 --data /var/lib/store --listen 10.0.0.1:6379 \\\n    \
    --peer 1=10.0.0.1:7001 --peer 2=10.0.0.2:7001 --peer 3=10.0.0.3:7001")]
pub struct Arguments {
    /// This server's number, unique in the cluster and the same on every start
    #[arg(long, value_name = "N", value_parser = node_id)]
    pub id: NodeId,

    /// Where the server keeps its log; created if missing
    #[arg(long, value_name = "DIRECTORY")]
    pub data: PathBuf,

    /// A server of the cluster and where the others reach it; once each, this one included
    #[arg(long = "peer", value_name = "ID=IP:PORT", value_parser = member, required = true)]
    pub peers: Vec<(NodeId, SocketAddr)>,

    /// Where to listen to clients
    #[arg(long, value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// Where to listen to the other servers, if that is not where --peer says they reach this one:
    /// behind a proxy or address translation
    #[arg(long, value_name = "IP:PORT")]
    pub peer_listen: Option<SocketAddr>,

    /// Where clients reach a server, to be named when it leads; this one's is --listen by default
    #[arg(long = "client-address", value_name = "ID=IP:PORT", value_parser = member)]
    pub client_addresses: Vec<(NodeId, SocketAddr)>,

    /// Join a cluster that exists: --peer names some of its servers and this one, which has no vote
    /// until `RAFT ADD` at any of them makes it a member. Once it is one, the flag changes nothing
    #[arg(long)]
    pub join: bool,

    /// Where to serve Prometheus metrics over HTTP, at /metrics; nowhere if not given
    #[arg(long, value_name = "IP:PORT")]
    pub metrics_listen: Option<SocketAddr>,

    /// Clients' connections at once; more are told so and closed
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clients)]
    pub max_clients: u32,

    /// How long a request may take before it is logged as slow
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    pub slow_request: Duration,

    /// Take a snapshot once this much was applied since the last one (more, if that was larger)
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub snapshot_every: u64,

    /// Log entries to keep before a snapshot, for followers that lag a little
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub snapshot_keeps: u64,

    /// Serve reads without asking a quorum while no other server can lead, given that no two
    /// servers' monotonic clocks run apart by more than this many millionths
    #[arg(long, value_name = "PPM", value_parser = clap::value_parser!(u32).range(..=500_000))]
    pub lease_drift: Option<u32>,

    /// How often a leader lets the others hear from it
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = duration)]
    pub heartbeat: Duration,

    /// How long to wait for a leader before standing for election: drawn at random each time
    #[arg(
        long, value_name = "MIN..MAX", default_value = "250ms..400ms", value_parser = duration_range
    )]
    pub election_timeout: RangeInclusive<Duration>,

    /// How long a request may take; past that, a write's outcome is unknown
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub request_timeout: Duration,

    /// How long a request may wait for a leader to be known
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub leader_wait: Duration,

    /// Seeds the election timeouts
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// How much to log
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = Level::Info)]
    pub log: Level,

    /// Switch a planted bug on; may be repeated
    #[cfg(feature = "mutations")]
    #[arg(long = "mutation", value_name = "NAME", value_parser = str::parse::<Mutation>)]
    pub mutations: Vec<Mutation>,
}

/// What is wrong with arguments that each look right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    /// This server has no peer address of its own.
    #[error("--id {id} is not among the --peer servers: add --peer {id}=IP:PORT")]
    NotAMember {
        /// The server's id.
        id: NodeId,
    },
    /// There is no cluster to join.
    #[error("--join needs a --peer for a server of the cluster besides this one")]
    NobodyToJoin,
    /// A server is named twice.
    #[error("{option} names server {id} twice")]
    Twice {
        /// Which option.
        option: &'static str,
        /// The server.
        id: NodeId,
    },
    /// Two servers would share an address.
    #[error("--peer gives {address} to two servers")]
    SharedAddress {
        /// The address.
        address: SocketAddr,
    },
    /// Heartbeats would come too late to keep followers from standing for election.
    #[error(
        "--heartbeat {heartbeat:?} must be positive and less than the least of \
         --election-timeout, {least:?}"
    )]
    HeartbeatTooLong {
        /// The heartbeat.
        heartbeat: Duration,
        /// The least election timeout.
        least: Duration,
    },
}

impl Arguments {
    /// What the server is told.
    ///
    /// # Errors
    ///
    /// When the arguments contradict each other.
    pub fn settings(&self) -> Result<Settings, ArgumentsError> {
        Ok(Settings {
            config: self.config()?,
            data: self.data.clone(),
            peers: self.peers.iter().copied().collect(),
            peer_listen: self.listens_to_peers()?,
            client_listen: self.listen,
            client_addresses: self.clients_reach()?,
            metrics_listen: self.metrics_listen,
            max_clients: self.max_clients,
            slow_request: self.slow_request,
            log: self.log,
        })
    }

    /// What its core is told.
    fn config(&self) -> Result<Config, ArgumentsError> {
        let mut members = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for (id, address) in &self.peers {
            if !members.insert(*id) {
                return Err(ArgumentsError::Twice { option: "--peer", id: *id });
            }
            if !addresses.insert(*address) {
                return Err(ArgumentsError::SharedAddress { address: *address });
            }
        }
        if !members.contains(&self.id) {
            return Err(ArgumentsError::NotAMember { id: self.id });
        }
        if self.join {
            members.remove(&self.id);
            if members.is_empty() {
                return Err(ArgumentsError::NobodyToJoin);
            }
        }
        let least = *self.election_timeout.start();
        if self.heartbeat.is_zero() || self.heartbeat >= least {
            return Err(ArgumentsError::HeartbeatTooLong { heartbeat: self.heartbeat, least });
        }
        Ok(Config {
            id: self.id,
            members,
            heartbeat: self.heartbeat,
            election_timeout: self.election_timeout.clone(),
            request_timeout: self.request_timeout,
            leader_wait: self.leader_wait,
            compaction: Compaction {
                log_bytes: self.snapshot_every,
                keep_entries: self.snapshot_keeps,
                ..Compaction::default()
            },
            lease: self.lease(),
            seed: self.seed,
            mutations: self.mutations(),
        })
    }

    /// Where this server listens to the others: where they reach it, unless told otherwise.
    fn listens_to_peers(&self) -> Result<SocketAddr, ArgumentsError> {
        let reached = self.peers.iter().find(|(id, _)| *id == self.id);
        let reached = reached.map(|(_, address)| *address);
        self.peer_listen.or(reached).ok_or(ArgumentsError::NotAMember { id: self.id })
    }

    /// Where clients reach each server, as far as known.
    fn clients_reach(&self) -> Result<BTreeMap<NodeId, SocketAddr>, ArgumentsError> {
        let mut addresses = BTreeMap::new();
        for (id, address) in &self.client_addresses {
            if addresses.insert(*id, *address).is_some() {
                return Err(ArgumentsError::Twice { option: "--client-address", id: *id });
            }
        }
        addresses.entry(self.id).or_insert(self.listen);
        Ok(addresses)
    }

    /// Planted bugs of the lease need one to be wrong about.
    fn lease(&self) -> Option<Lease> {
        let mutations = self.mutations();
        let planted = [
            Mutation::LeaseWallClock,
            Mutation::LeaseNoMargin,
            Mutation::LeaseNotRechecked,
            Mutation::LeaseKeptOnTransfer,
        ]
        .iter()
        .any(|mutation| mutations.has(*mutation));
        let asked = self.lease_drift.map(|drift_ppm| Lease { drift_ppm });
        asked.or(planted.then_some(Lease::ORDINARY))
    }

    #[cfg(feature = "mutations")]
    fn mutations(&self) -> Mutations {
        Mutations::new(&self.mutations)
    }

    #[cfg(not(feature = "mutations"))]
    fn mutations(&self) -> Mutations {
        Mutations::default()
    }
}

fn node_id(text: &str) -> Result<NodeId, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a number from 1 to 4294967295".to_owned()),
        Ok(number) => Ok(NodeId(number)),
    }
}

fn clients(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number @ 1..=1_000_000) => Ok(number),
        _ => Err("expected a number from 1 to 1000000".to_owned()),
    }
}

fn size(text: &str) -> Result<u64, String> {
    let expected = || "expected a number with B, KiB, MiB or GiB, such as 64MiB".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 = digits.parse().map_err(|_| expected())?;
    let shift = match &text[digits.len()..] {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(expected()),
    };
    Ok(u64::from(number) << shift)
}

fn member(text: &str) -> Result<(NodeId, SocketAddr), String> {
    let expected = || "expected ID=IP:PORT, such as 2=10.0.0.2:7001".to_owned();
    let (id, address) = text.split_once('=').ok_or_else(expected)?;
    Ok((node_id(id)?, address.parse().map_err(|_| expected())?))
}

fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number with ms or s, such as 100ms".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 = digits.parse().map_err(|_| expected())?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number.into())),
        "s" => Ok(Duration::from_secs(number.into())),
        _ => Err(expected()),
    }
}

fn duration_range(text: &str) -> Result<RangeInclusive<Duration>, String> {
    let expected = "expected MIN..MAX, such as 250ms..400ms";
    let (least, greatest) = text.split_once("..").ok_or(expected)?;
    let (least, greatest) = (duration(least)?, duration(greatest)?);
    if least <= greatest { Ok(least..=greatest) } else { Err(expected.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    const GOOD: &str = "x --id 1 --data d --listen 127.0.0.1:1 --peer 1=127.0.0.1:2";

    fn parse(more: &str) -> Result<Arguments, clap::Error> {
        let words = GOOD.split(' ').chain(more.split_whitespace());
        Program::try_parse_from(words).map(|program| program.arguments)
    }

    #[test]
    fn defaults_suit_a_local_network() {
        let config = parse("").expect("good").config().expect("consistent");
        assert_eq!(config.heartbeat, Duration::from_millis(100));
        let range = Duration::from_millis(250)..=Duration::from_millis(400);
        assert_eq!(config.election_timeout, range);
        assert!(config.mutations.none());
    }

    #[test]
    fn bad_values_say_what_was_expected() {
        for (more, expected) in [
            ("--peer 2", "expected ID=IP:PORT"),
            ("--peer 0=127.0.0.1:3", "expected a number from 1"),
            ("--max-clients 0", "expected a number from 1"),
            ("--snapshot-every 5", "such as 64MiB"),
            ("--heartbeat 5", "such as 100ms"),
            ("--heartbeat ms", "such as 100ms"),
            ("--election-timeout 400ms..250ms", "expected MIN..MAX"),
        ] {
            let error = parse(more).expect_err(more).to_string();
            assert!(error.contains(expected), "{more}: {error}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = |more: &str| parse(more).expect("parses").config().expect_err(more);
        let id = NodeId(1);
        let twice = ArgumentsError::Twice { option: "--peer", id };
        assert_eq!(refused("--peer 1=127.0.0.1:3"), twice);
        let address = "127.0.0.1:2".parse().expect("an address");
        assert_eq!(refused("--peer 2=127.0.0.1:2"), ArgumentsError::SharedAddress { address });
        let error = refused("--heartbeat 300ms");
        assert!(matches!(error, ArgumentsError::HeartbeatTooLong { .. }));
        assert_eq!(refused("--join"), ArgumentsError::NobodyToJoin);
        let mut stranger = parse("").expect("good");
        stranger.id = NodeId(9);
        assert_eq!(stranger.config().err(), Some(ArgumentsError::NotAMember { id: NodeId(9) }));
    }

    #[test]
    fn server_behind_a_proxy_listens_elsewhere_than_it_is_reached() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let listens = |more: &str| parse(more).expect("good").listens_to_peers();
        assert_eq!(listens(""), Ok(address("127.0.0.1:2")));
        assert_eq!(listens("--peer-listen 127.0.0.9:3"), Ok(address("127.0.0.9:3")));
        let mut stranger = parse("").expect("good");
        stranger.id = NodeId(9);
        assert_eq!(stranger.listens_to_peers(), Err(ArgumentsError::NotAMember { id: NodeId(9) }));
    }

    #[test]
    fn server_that_joins_is_no_member_yet() {
        let arguments = parse("--join --peer 2=127.0.0.1:3").expect("good");
        let config = arguments.config().expect("consistent");
        assert_eq!(config.members, BTreeSet::from([NodeId(2)]));
    }

    #[cfg(feature = "mutations")]
    #[test]
    fn mutations_are_switched_on_by_name() {
        let arguments = parse("--mutation no-log-check").expect("known");
        let config = arguments.config().expect("consistent");
        assert_eq!(config.mutations, Mutations::new(&[Mutation::NoLogCheck]));
        assert_eq!(config.lease, None);
        let arguments = parse("--mutation lease-wall-clock").expect("known");
        assert_eq!(arguments.config().expect("consistent").lease, Some(Lease::ORDINARY));
        let error = parse("--mutation nonsense").expect_err("unknown").to_string();
        assert!(error.contains("leader-local-read"), "{error}");
    }
}
