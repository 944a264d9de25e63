//! What the lines of Jepsen's log mean.

use crate::formats::{Cut, FailedCas, Format, ReadError, ReadOptions, read};
use crate::history::{History, Response};

fn history(log: &str, failed_cas: Option<FailedCas>) -> Result<History, ReadError> {
    let options =
        ReadOptions { format: Some(Format::JepsenLog), failed_cas, ..ReadOptions::default() };
    read("etcd.log", log.as_bytes(), &options).map(|read| read.history)
}

const CAS: &str = "INFO  jepsen.util - 3\t:invoke\t:cas\t[1 2]\n\
                   INFO  jepsen.util - 3\t:fail\t:cas\t[1 2]\n";

#[test]
fn failed_compare_and_set_is_an_answer_unless_said_otherwise() {
    let response = |failed_cas| history(CAS, failed_cas).unwrap().operations[0].response();
    assert_eq!(response(None), Some(Response::Mismatch(None)));
    assert_eq!(response(Some(FailedCas::Mismatch)), Some(Response::Mismatch(None)));
    assert_eq!(response(Some(FailedCas::Ignore)), None);
}

#[test]
fn operation_that_timed_out_may_have_happened() {
    let log = "INFO  jepsen.util - 3\t:invoke\t:write\t1\n\
               INFO  jepsen.util - 3\t:info\t:write\t:timed-out\n";
    assert_eq!(history(log, None).unwrap().counts().info, 1);
}

#[test]
fn read_that_failed_is_no_read_and_its_process_goes_on() {
    let log = "INFO  jepsen.util - 3\t:invoke\t:read\tnil\n\
               INFO  jepsen.util - 3\t:fail\t:read\t:timed-out\n\
               INFO  jepsen.util - 3\t:invoke\t:read\tnil\n\
               INFO  jepsen.util - 3\t:ok\t:read\tnil\n";
    let counts = history(log, None).unwrap().counts();
    assert_eq!((counts.fail, counts.ok), (1, 1));
}

#[test]
fn lines_of_others_are_skipped() {
    let log = format!(
        "INFO  jepsen.core - Worker 0 starting\n\
         INFO  jepsen.util - Waiting\n\
         INFO  jepsen.util - :nemesis\t:info\t:start\tnothing yet\n\
         {}",
        CAS.replace(" - ", " ").replace("INFO ", "INFO [2024-01-01 00:00:00] jepsen worker 3 -")
    );
    assert_eq!(history(&log, None).unwrap().operations.len(), 1);
}

#[test]
fn error_names_file_line_and_column() {
    let refusal = |from: &str, to: &str| history(&CAS.replace(from, to), None).unwrap_err();
    assert_eq!(
        refusal(":fail", ":failed").to_string(),
        "etcd.log:2:21: expected :type to be :invoke, :ok, :fail or :info, found `:failed`"
    );
    assert_eq!(
        refusal("[1 2]\nINFO", "[1 2\nINFO").to_string(),
        "etcd.log:1: expected an item or `]`, found the end of the line"
    );
    let known = crate::Function::ALL.map(|function| format!(":{function}")).join(", ");
    assert_eq!(
        refusal(":cas\t", ":swap\t").to_string(),
        format!("etcd.log:1:21: expected :f to be one of {known}, found `:swap`")
    );
}

#[test]
fn last_line_without_an_end_is_cut() {
    for log in [
        CAS.trim_end().to_owned(),
        format!("{}INFO  jeps", CAS.lines().next().unwrap().to_owned() + "\n"),
    ] {
        let read = read("etcd.log", log.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(read.reading.cut, Some(Cut { line: 2, events: 1 }));
        assert_eq!(read.history.counts().info, 1);
    }
}

#[test]
fn table_of_operations_is_the_log_without_its_loggers() {
    let log = format!("{CAS}INFO  jepsen.util - :nemesis\t:info\t:start\t{{:n1 [x y]}}\n");
    let expected: Vec<_> = history(&log, None).unwrap().events().collect();
    let table = log.replace("INFO  jepsen.util - ", "");
    let timed: String =
        (100..).zip(table.lines()).map(|(time, line)| format!("{time}\t{line}\r\n")).collect();
    for text in [table.clone(), timed, table.replace('\t', "   ")] {
        let read = read("history.txt", text.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(read.reading.format, Some(Format::JepsenLog));
        assert!(read.history.events().eq(expected.clone()), "{text}");
    }
}

#[test]
fn failed_compare_and_set_that_names_its_error_says_why() {
    let response = |error: &str| {
        let log = CAS.replace(":fail\t:cas\t[1 2]", &format!(":fail\t:cas\t{error}"));
        history(&log, None).unwrap().operations[0].response()
    };
    for error in ["[1 2]\t:no-leader", "[1 2]\t[:conn-refused \"n1\"]", ":timeout", "[1 2]\t#<E x>"]
    {
        assert_eq!(response(error), None, "{error}");
    }
    for error in ["[1 2]\t:mismatch", "[1 2]\t[:precondition-failed \"x\"]", "[1 2]", "[1 2]\tnil"]
    {
        assert_eq!(response(error), Some(Response::Mismatch(None)), "{error}");
    }
}

#[test]
fn other_words_of_the_logger_are_no_operations() {
    let log = format!(
        "INFO  jepsen.util - 5 nodes are (up\n\
         INFO  jepsen.util - :nemesis\t:info\t:start\t\"Cut off {{n1 [\n{CAS}\
         INFO  jepsen.util - 4\t:invoke\t:write\t1\n\
         INFO  jepsen.util - 4\t:info\t:write\t1\tindeterminate: (timed out\n"
    );
    assert_eq!(history(&log, None).unwrap().operations.len(), 2);
}

#[test]
fn error_in_a_vector_or_a_map_may_name_a_mismatch() {
    let response = |error: &str| {
        let log = CAS.replace(":fail\t:cas\t[1 2]", &format!(":fail\t:cas\t{error}"));
        history(&log, None).unwrap().operations[0].response()
    };
    for error in [
        "[1 2]\t{:type :mismatch}",
        "[1 2]\t{:code 101, :kind :value-mismatch}",
        "[1 2]\t[:cas-mismatch 3]",
        "[1 2]\t[:txn-fail :mismatch]",
        "[:txn-fail :mismatch]",
        "{:type :mismatch}",
    ] {
        assert_eq!(response(error), Some(Response::Mismatch(None)), "{error}");
    }
    for error in [
        "[1 2]\t{:type :timeout}",
        "[1 2]\t[:conn-refused \"mismatch\"]",
        "[1 2]\t[:txn-fail :no-leader]",
        "[1 :timeout]",
    ] {
        assert_eq!(response(error), None, "{error}");
    }
}

#[test]
fn keywords_that_a_compare_and_set_names_are_no_error() {
    let log = CAS.replace("[1 2]", "[:a :b]");
    let response = |failed_cas| history(&log, failed_cas).unwrap().operations[0].response();
    assert_eq!(response(None), Some(Response::Mismatch(None)));
    assert_eq!(response(Some(FailedCas::Ignore)), None);
}
