//! How intervals become events.

use crate::event::EventKind;
use crate::formats::{Format, ReadError, ReadOptions, read};
use crate::history::History;

fn history(text: &str) -> Result<History, ReadError> {
    let options = ReadOptions { format: Some(Format::Fastlin), ..ReadOptions::default() };
    read("queue.log", text.as_bytes(), &options).map(|read| read.history)
}

/// The events as process, type, function and value.
fn events(text: &str) -> Vec<String> {
    let history = history(text).unwrap();
    let tell = |event: crate::Event| {
        let kind = if event.kind == EventKind::Invoke { "invoke" } else { "ok" };
        format!("{} {kind} {} {}", event.process, event.function, event.value)
    };
    history.events().map(tell).collect()
}

#[test]
fn end_comes_before_a_start_at_the_same_time() {
    assert_eq!(
        events("# queue\nenq 1 1 2\nenq 2 0 1\n"),
        ["0 invoke enqueue 2", "0 ok enqueue 2", "0 invoke enqueue 1", "0 ok enqueue 1"]
    );
}

#[test]
fn operations_of_one_moment_overlap() {
    assert_eq!(
        events("# stack\npush 1 5 5\npush 2 5 5\npop 2 5 6\n"),
        [
            "0 invoke push 1",
            "1 invoke push 2",
            "0 ok push 1",
            "1 ok push 2",
            "0 invoke pop nothing",
            "0 ok pop 2",
        ]
    );
}

#[test]
fn process_number_is_used_again_once_it_is_idle() {
    assert_eq!(
        events("# stack\npush 1 0 3\npush 2 1 2\npush 3 4 5"),
        [
            "0 invoke push 1",
            "1 invoke push 2",
            "1 ok push 2",
            "0 ok push 1",
            "0 invoke push 3",
            "0 ok push 3",
        ]
    );
}

#[test]
fn minus_one_is_taken_from_an_empty_object() {
    assert_eq!(events("# queue\ndeq -1 0 1\n")[1], "0 ok dequeue nothing");
    assert_eq!(
        history("# queue\nenq -1 0 1\n").unwrap_err().to_string(),
        "queue.log:2:5: expected a value other than -1, which stands for none, found `-1`"
    );
}

#[test]
fn error_names_file_line_and_column() {
    let refusal = |text: &str| history(text).unwrap_err().to_string();
    assert_eq!(
        refusal("# deque\n"),
        "queue.log:1: expected `# stack` or `# queue`, found `# deque`"
    );
    assert_eq!(
        refusal("# stack\npush 1 0 1\n peek 1 1 2\n"),
        "queue.log:3:2: expected `push` or `pop`, found `peek`"
    );
    assert_eq!(
        refusal("# stack\npush 1 2\n"),
        "queue.log:2:9: expected an end, found the line's end"
    );
    assert_eq!(
        refusal("# stack\npush 1 2 1\n"),
        "queue.log:2:10: expected an end that is not before 2, found `1`"
    );
    assert_eq!(
        refusal("# stack\npush 1 2 3 4\n"),
        "queue.log:2:12: expected nothing after the end, found `4`"
    );
}
