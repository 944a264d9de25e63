//! A node that is stopped by SIGSTOP.

use std::time::Duration;

use crate::lab::process::{NodeProcess, SignalError};

/// A node that is stopped until this is dropped.
pub(super) struct PausedNode<'a> {
    node: &'a NodeProcess,
    is_paused: bool,
}

impl<'a> PausedNode<'a> {
    pub(super) async fn begin(node: &'a NodeProcess) -> Result<PausedNode<'a>, SignalError> {
        node.pause().await?;
        Ok(PausedNode { node, is_paused: true })
    }

    /// Continues it; how long it was stopped.
    pub(super) fn end(mut self) -> Result<Duration, SignalError> {
        self.is_paused = false;
        self.node.resume()
    }
}

impl Drop for PausedNode<'_> {
    fn drop(&mut self) {
        if self.is_paused {
            // Fails only if the process has ended meanwhile.
            let _ = self.node.resume();
        }
    }
}
