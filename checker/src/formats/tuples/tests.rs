//! Which shapes of values are tuples.

use crate::formats::{Format, ReadHistory, ReadOptions, read};

/// The events of these operations, each of which comes back before the next is invoked.
fn events(operations: &[(&str, &str, &str)]) -> String {
    let one = |(function, asked, answered): &(&str, &str, &str)| {
        format!(
            "{{:process 0 :type :invoke :f :{function} :value {asked}}}\n\
             {{:process 0 :type :ok :f :{function} :value {answered}}}\n"
        )
    };
    operations.iter().map(one).collect()
}

fn told(text: &str) -> Result<ReadHistory, String> {
    let options = ReadOptions { format: Some(Format::Edn), ..ReadOptions::default() };
    read("h.edn", text.as_bytes(), &options).map_err(|error| error.to_string())
}

#[test]
fn reads_that_name_their_key_tell_tuples() {
    for operations in [
        &[
            ("write", "[1 5]", "[1 5]"),
            ("read", "[1 nil]", "[1 5]"),
            ("cas", "[2 [5 6]]", "[2 [5 6]]"),
        ][..],
        &[("add", "[1 5]", "[1 5]"), ("read", "[2 nil]", "[2 #{}]")],
        &[("enqueue", "[:a 5]", "[:a 5]"), ("dequeue", "[:b nil]", "[:b nil]")],
        &[("acquire", "[1 nil]", "[1 nil]"), ("release", "[2 nil]", "[2 nil]")],
        &[("read", "[1 [nil nil]]", "[1 [3 4]]"), ("write", "[2 [nil 4]]", "[2 [nil 4]]")],
    ] {
        let text = format!(
            "{{:process :nemesis :type :info :f :start :value \"x\"}}\n{}",
            events(operations)
        );
        let ReadHistory { history, reading } = told(&text).unwrap();
        assert_eq!(
            history.keys.len(),
            if operations.len() == 3 { 2 } else { operations.len() },
            "{text}"
        );
        assert_eq!(reading.decisions[0].chosen, "[key value] tuples");
        assert_eq!(reading.decisions[0].operations, operations.len() as u64);
    }
}

#[test]
fn register_of_pairs_is_left_alone() {
    for operations in [
        &[("write", "[1 5]", "[1 5]"), ("read", "nil", "[1 5]")][..],
        &[
            ("write", "[1 5]", "[1 5]"),
            ("cas", "[[1 5] [2 6]]", "[[1 5] [2 6]]"),
            ("read", "nil", "[2 6]"),
        ],
        &[("cas", "[1 5]", "[1 5]"), ("read", "nil", "5")],
        &[("write", "[1 5]", "[1 5]")],
    ] {
        let ReadHistory { history, reading } = told(&events(operations)).unwrap();
        assert_eq!(history.keys.len(), 1);
        assert!(reading.decisions.is_empty(), "{reading:?}");
    }
}

#[test]
fn what_contradicts_the_other_values_is_named() {
    for (operations, line) in [
        (&[("read", "[1 nil]", "[1 5]"), ("write", "7", "7")][..], 3),
        (&[("read", "[1 nil]", "[2 5]")], 2),
        (&[("read", "[1 nil]", "5")], 2),
        (&[("read", "[1 nil]", "[1 5]"), ("read", "nil", "[1 5]")], 3),
        (&[("write", "[0 4]", "[0 4]"), ("cas", "[0 [4 5]]", "[0 [4 5]]")], 3),
    ] {
        let error = told(&events(operations)).expect_err("a refusal");
        assert!(error.starts_with(&format!("h.edn:{line}:1: ")), "{error}");
        assert!(error.contains("--independent=no"), "{error}");
    }
}
