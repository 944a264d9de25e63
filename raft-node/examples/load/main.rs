//! Loads a store with a closed loop of clients and measures what it answers.
//!
//! Every client has one request under way at a time and sends the next as soon as the reply is
//! there. The same loop drives both protocols, so that two stores can be compared: RESP for
//! raft-node, gRPC for etcd (its own protocol, by a small client on the `h2` crate; the JSON gateway
//! would measure the gateway). Latency runs from the moment a request is handed to its connection
//! to the moment its reply is decoded. Prints one line of `name=value` pairs. A closed loop slows
//! down with the store, so its percentiles are those of a store at its limit, not at a given rate.

mod etcd;
mod measure;
mod resp;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use measure::Plan;

/// Load a store and print operations per second and latency percentiles.
#[derive(Debug, Parser)]
struct Arguments {
    /// What the store speaks
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Where to connect; clients are dealt out to the addresses in turn
    #[arg(long = "target", required = true)]
    targets: Vec<SocketAddr>,
    /// Clients, each with one request under way
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// Connections; clients of one connection share it (HTTP/2 only; RESP has one per client)
    #[arg(long)]
    connections: Option<usize>,
    /// What to do
    #[arg(long, value_enum, default_value_t = Operation::Write)]
    operation: Operation,
    /// Seconds that count
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds before that, which do not
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Bytes of each value
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// Keys, taken in a scattered order
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    /// Write every key once, in order, instead of for a time
    #[arg(long)]
    fill: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Resp,
    Etcd,
}

/// What each request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Operation {
    /// Set one key
    Write,
    /// Get one key, linearizably
    Read,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    match runtime.block_on(load(&arguments)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn load(arguments: &Arguments) -> std::io::Result<measure::Report> {
    let plan = Plan::new(
        arguments.operation,
        arguments.keys,
        arguments.value_bytes,
        arguments.fill,
        Duration::from_secs_f64(arguments.warm_up),
        Duration::from_secs_f64(arguments.seconds),
    );
    let mut clients = tokio::task::JoinSet::new();
    let shared = arguments.connections.unwrap_or(arguments.clients).clamp(1, arguments.clients);
    let mut connections = Vec::new();
    if arguments.protocol == Protocol::Etcd {
        for connection in 0..shared {
            let target = arguments.targets[connection % arguments.targets.len()];
            connections.push(etcd::connect(target).await?);
        }
    }
    for client in 0..arguments.clients {
        let target = arguments.targets[client % arguments.targets.len()];
        match arguments.protocol {
            Protocol::Resp => {
                let connection = resp::Connection::open(target).await?;
                clients.spawn(plan.clone().drive(client, connection));
            }
            Protocol::Etcd => {
                let connection = connections[client % shared].clone();
                clients.spawn(plan.clone().drive(client, connection));
            }
        }
    }
    plan.begin();
    let mut report = measure::Report::new(&plan);
    while let Some(tally) = clients.join_next().await {
        report.add(tally.map_err(std::io::Error::other)?);
    }
    Ok(report.finish())
}
