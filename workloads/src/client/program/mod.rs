//! A program in any language that speaks for clients: a request in a line of JSON on its standard input, an
//! answer in a line on its standard output, one at a time.
//!
//! It runs on the clients' host, so that faults reach it; one runs for every client. Nothing that it says is
//! trusted more than what a store says: a line that is no answer to what was asked leaves the outcome unknown,
//! is counted as a violation of the protocol, and the program is started again. `docs/plugins.md` is the
//! contract.

mod client;
mod client_table;
mod connection;
mod messages;
mod probe;

use std::sync::Arc;
use std::time::Duration;

use super::admin::{Admin, Change};
use super::dial::{ClientProgram, Dial};
use super::probe::Probe;
use super::protocol::{Client, ClientOptions, Endpoint, Protocol, ProtocolEntry, RetryPolicy};
use super::tables::{TableError, Tables};
use crate::operation::Kind;

use client::ProgramClient;
use client_table::ClientTable;
use probe::ProgramProbe;

/// The row of the table of protocols.
pub const ENTRY: ProtocolEntry = ProtocolEntry {
    name: "program",
    about: "JSON lines of a program of your own, on its standard input and output",
    open,
};

/// The row of programs that were written for Maelstrom. The nodes are adapters of this program's, which speak to clients
/// as plug-ins do.
pub const MAELSTROM: ProtocolEntry = ProtocolEntry {
    name: "maelstrom",
    about: "lin-kv of a program that was written for Maelstrom",
    open: |_| Ok(Arc::new(Spoken { form: Arc::new(ClientTable::lin_kv()), program: None })),
};

fn open(tables: &mut Tables<'_>) -> Result<Arc<dyn Protocol>, TableError> {
    let form: ClientTable = tables.take("client")?;
    let program = form.program()?;
    Ok(Arc::new(Spoken { form: Arc::new(form), program: Some(program) }))
}

/// The protocol as a target speaks it.
#[derive(Debug)]
struct Spoken {
    form: Arc<ClientTable>,
    /// What is started; none where lines are exchanged with the node itself.
    program: Option<ClientProgram>,
}

impl Protocol for Spoken {
    fn supports(&self, kind: Kind) -> bool {
        self.form.has(kind.word())
    }

    fn supports_retry(&self, policy: RetryPolicy) -> bool {
        policy == RetryPolicy::Never
    }

    fn client(&self, endpoint: &Endpoint, dial: &Dial, options: ClientOptions) -> Box<dyn Client> {
        Box::new(ProgramClient::new(&self.form, endpoint, dial, options.limits))
    }

    fn probe(&self, endpoint: &Endpoint, dial: &Dial, limit: Duration) -> Option<Box<dyn Probe>> {
        Some(Box::new(ProgramProbe::new(&self.form, endpoint, dial, limit)))
    }

    fn admin(&self, _endpoint: &Endpoint, _dial: &Dial) -> Option<Box<dyn Admin>> {
        None
    }

    fn program(&self) -> Option<&ClientProgram> {
        self.program.as_ref()
    }

    fn lacks(&self, change: Change) -> Vec<&'static str> {
        match change {
            Change::Transfer => vec!["transfer"],
            Change::Add | Change::Remove => vec!["add", "remove", "members"],
        }
    }
}

#[cfg(test)]
mod tests;
