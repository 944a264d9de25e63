//! Keeps what the kernel tells of the threads of nodes that do not go on: what each waits for, and its stack
//! inside the kernel where that may be read.

use std::fmt::Write as _;
use std::path::Path;

use partita_nemesis::NodeProcess;

use super::folder::RunFolder;

/// The file in a node's folder.
pub const FILE: &str = "stacks.txt";

/// Writes the file of each of these nodes that runs. What cannot be read or written is left out: it is no
/// reason to stop.
pub fn keep(nodes: &[NodeProcess], folder: &RunFolder) {
    for node in nodes {
        let text: String = node.members().into_iter().map(of_process).collect();
        if let Err(error) = std::fs::write(folder.node(node.node()).join(FILE), text) {
            tracing::warn!(node = node.node(), %error, "its stacks cannot be kept");
        }
    }
}

fn of_process(process: i32) -> String {
    let mut text = format!("process {process}\n");
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"));
    for task in tasks.into_iter().flatten().flatten() {
        let _ = writeln!(text, "thread {}", task.file_name().to_string_lossy());
        for about in ["comm", "wchan", "syscall", "stack"] {
            let _ = writeln!(text, "  {about}: {}", read(&task.path().join(about)));
        }
    }
    text
}

fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().replace('\n', "\n    "),
        Err(error) => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_of_a_process_is_told_by_name() {
        let process = i32::try_from(std::process::id()).expect("a process id");
        let text = of_process(process);
        assert!(text.starts_with(&format!("process {process}\nthread ")), "{text}");
        assert!(text.contains("  comm: ") && text.contains("  wchan: "), "{text}");
    }
}
