//! Says to the store what its operator would, when a schedule says so.
//!
//! A schedule has such commands in the words of one target, each for whoever leads at its moment and
//! given once, whatever comes of it. A name like `{n4}` in them stands for the address where others
//! reach that node. Where a change is to be seen through and measured, there are faults of membership
//! ([`administration`](super::administration)).

use partita_nemesis::PlannedCommand;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::console::Console;

/// Gives `commands` at their times from now on, whatever the ones before them came to. Ends when the
/// last was answered.
pub async fn give(commands: &[PlannedCommand], console: &std::sync::Arc<Console>) {
    let began = Instant::now();
    let addressed = |word: &String| {
        console.nodes().iter().fold(word.clone(), |word, node| {
            word.replace(&format!("{{{}}}", node.name), &node.advertised.to_string())
        })
    };
    let mut under_way = JoinSet::new();
    for planned in commands {
        sleep_until(began + planned.at).await;
        let words: Vec<String> = planned.words.iter().map(addressed).collect();
        let console = std::sync::Arc::clone(console);
        under_way.spawn(async move {
            // Refused or not, it is in the log.
            let _ = console.tell_leader(&words).await;
        });
    }
    while under_way.join_next().await.is_some() {}
}
