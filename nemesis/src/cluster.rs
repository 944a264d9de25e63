//! The system under test as the nemesis sees it: a lab, and a process on each of its nodes.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::{ClockError, NodeClock};
use crate::disk::{Disk, DiskError};
use crate::lab::Lab;
use crate::lab::process::{NodeProcess, Program, Sidecar};

/// A lab with a program for every node. Dropping it kills the nodes and ends the switch.
#[derive(Debug)]
pub struct Cluster {
    // Dropped first: nodes end before their network does.
    processes: Vec<NodeProcess>,
    names: Vec<String>,
    lab: Lab,
}

impl Cluster {
    /// Gives every node of `lab` the program that `program` says for it; starts none.
    pub fn new(lab: Lab, program: impl Fn(&crate::lab::Host) -> Program) -> Cluster {
        let nodes = lab.nodes();
        let processes = nodes.iter().map(|host| NodeProcess::new(host, program(host))).collect();
        let names = nodes.iter().map(|host| host.name().to_owned()).collect();
        Cluster { processes, names, lab }
    }

    /// Gives every node the sidecars that `sidecars` says for it, from its next start on.
    pub fn add_sidecars(&mut self, sidecars: impl Fn(&crate::lab::Host) -> Vec<Sidecar>) {
        for (process, host) in self.processes.iter_mut().zip(self.lab.nodes()) {
            for sidecar in sidecars(host) {
                process.add_sidecar(host, sidecar);
            }
        }
    }

    /// Has every node asked to end by the command that `command` says for it, in place of SIGTERM.
    pub fn stop_by(&mut self, command: impl Fn(&crate::lab::Host) -> Program) {
        for (process, host) in self.processes.iter_mut().zip(self.lab.nodes()) {
            process.stop_by(host, command(host));
        }
    }

    /// Gives every node clocks of its own, for clock faults. Call it before any node is started.
    ///
    /// # Errors
    ///
    /// If this machine cannot have such clocks.
    pub fn give_clocks(&mut self) -> Result<(), ClockError> {
        for process in &mut self.processes {
            let clock = NodeClock::new(process.node())?;
            process.give_clock(Arc::new(clock));
        }
        Ok(())
    }

    /// Watches every node's disk, the directory that `directory` names, for disk faults. Call it
    /// before any node is started.
    ///
    /// # Errors
    ///
    /// If a directory cannot be read.
    pub fn watch_disks(&mut self, directory: impl Fn(&str) -> PathBuf) -> Result<(), DiskError> {
        for process in &mut self.processes {
            let disk = Disk::new(&directory(process.node()))?;
            process.watch_disk(disk);
        }
        Ok(())
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The nodes' names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The nodes, in order.
    pub fn nodes(&self) -> &[NodeProcess] {
        &self.processes
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&NodeProcess> {
        self.processes.iter().find(|process| process.node() == name)
    }
}
