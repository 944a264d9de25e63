//! What EDN means, what the reader says of bad files, and that nothing is lost on the way there and
//! back.

use proptest::prelude::*;

use super::*;
use crate::event::{Event, EventKind, Function, Nanoseconds, ProcessId};
use crate::formats::{Cut, FailedCas, Format, NilRead, ReadHistory, ReadOptions, jsonl, read};
use crate::generate::{Mix, Plan};
use crate::history::{Action, Response};
use crate::value::Value;

fn options() -> ReadOptions {
    ReadOptions { format: Some(Format::Edn), ..ReadOptions::default() }
}

fn history(text: &str) -> Result<History, ReadError> {
    read("h.edn", text.as_bytes(), &options()).map(|read| read.history)
}

fn refusal(text: &str) -> String {
    history(text).unwrap_err().to_string()
}

/// The value that is written with these words.
fn value(words: &str) -> Value {
    let text = format!("{{:process 0 :type :invoke :f :write :value {words}}}");
    match history(&text).unwrap().operations[0].action {
        Action::Write(id) => history(&text).unwrap().values.get(id).clone(),
        other => panic!("{other:?}"),
    }
}

const READ: &str = "{:process 0, :type :invoke, :f :read, :value nil}\n";
const ANSWER: &str = "{:process 0, :type :ok, :f :read, :value 3}\n";

#[test]
fn series_vector_and_list_of_maps_are_one_history() {
    for text in [
        format!("{READ}{ANSWER}"),
        format!("[{READ}{ANSWER}]"),
        format!("; a list\n ({READ} #_{{:process 7}} {ANSWER}) ; over"),
        format!("[#jepsen.history.Op{READ} #jepsen.history.Op {ANSWER}]"),
    ] {
        assert_eq!(history(&text).unwrap().counts().ok, 1, "{text}");
    }
    assert_eq!(history("").unwrap().operations.len(), 0);
}

#[test]
fn collections_and_scalars_are_read_as_values() {
    let list =
        |items: &[i64]| Value::list(items.iter().copied().map(Value::from).collect::<Vec<_>>());
    assert_eq!(value("nil"), Value::Null);
    assert_eq!(value("-12"), Value::Integer(-12));
    assert_eq!(value("+7N"), Value::Integer(7));
    assert_eq!(value("-1.5e0"), Value::Double((-1.5_f64).to_bits()));
    assert_eq!(value("true"), Value::Bool(true));
    assert_eq!(value("(1,2 [] )"), Value::list([1.into(), 2.into(), list(&[])]));
    assert_eq!(value("#{3 1 2}"), list(&[1, 2, 3]));
    assert_eq!(value("[#{2 1} #a #{} {:a #{4}}]"), value("[[1 2] [] [[:a [4]]]]"));
    assert_eq!(value("{:b 2 :a 1}"), value("[[:a 1] [:b 2]]"));
    assert_eq!(value(r#""a\n\"\u00e9\ud83d\ude00""#), Value::text("a\n\"é😀"));
    assert_eq!(value("#inst \"2020\""), Value::text("2020"));
}

#[test]
fn keyword_and_text_that_looks_like_one_are_two_values() {
    assert_eq!(value(":x"), Value::text(":x"));
    assert_eq!(value("\":x\""), Value::text("::x"));
    assert_eq!(value("\"::x\""), Value::text(":::x"));
    assert_eq!(value("\": x\""), Value::text(": x"));
}

#[test]
fn form_that_is_no_value_matters_only_where_a_value_is_needed() {
    for form in ["x", "1/2", "\\a", "\\]", "##Inf", "12345678901234567890", "[1 {:a x}]", "1.5M"] {
        let nemesis = format!("{{:process :nemesis :type :info :f :start :value {form}}}");
        let failed = ANSWER.replace(":ok", ":fail").replace('3', form);
        let error = READ.replace('}', &format!(" :error {form} :node {form}}}"));
        assert!(history(&format!("{nemesis}{error}{failed}")).is_ok(), "{form}");
        let answer = refusal(&format!("{READ}{}", ANSWER.replace('3', form)));
        assert!(answer.contains("expected nil, a boolean, a number of 64 bits"), "{answer}");
    }
}

#[test]
fn lines_of_others_than_clients_may_hold_anything() {
    let client = format!("{READ}{ANSWER}");
    for form in [
        "1/3",
        "foo",
        "#object[java.lang.Object 0x1 \"x\"]",
        "#inst \"2020\"",
        "\\newline",
        "#:a{:b 1 :c 2}",
        "#_x 5",
        "^{:a 1} [1]",
        "#\"re[gex\"",
        "##NaN",
        "#<Foo bar: [baz <x>>",
        "'(a b)",
        "#'foo/bar",
        "#(+ 1 %)",
        "#=(java.Foo.)",
        "{:a}",
        "\"\\q\"",
        "\"\\ud800\"",
        "::kw",
        "#{1 1}",
        "0x1F",
        "`(a ~b)",
        &format!("{}{}", "[".repeat(90), "]".repeat(90)),
    ] {
        let text = format!(
            "{{:value {form} :time {form}, :process :nemesis :type :info :f {form}}}\n\
             {{:error {form} :process :clock-nemesis, :exception {form} :type :info :f :bump}}\n\
             {{:type :info, :process 7, :f :reconnect :value {form}}}\n{client}\
             {{:process 1 :type :invoke :f :write :value 1 :error {form}}}\n\
             {{:process 1 :type :info :f :write :value {form}}}"
        );
        let ReadHistory { history, reading } = read("h.edn", text.as_bytes(), &options())
            .unwrap_or_else(|error| panic!("{form}: {error}"));
        assert_eq!(history.operations.len(), 2, "{form}");
        let skipped: u64 = reading.notes.iter().map(|note| note.count).sum();
        assert_eq!(skipped, 3, "{form}: {reading:?}");
    }
}

#[test]
fn client_may_have_a_name() {
    let text = format!("{READ}{ANSWER}").replace("process 0", "process \"c1\"") + READ;
    let ReadHistory { history, reading } = read("h.edn", text.as_bytes(), &options()).unwrap();
    let processes: Vec<u32> = history.operations.iter().map(|one| one.process.0).collect();
    assert_eq!(processes, [1, 0]);
    assert_eq!(reading.decisions[0].subject, "processes");
    let orphan = refusal(&ANSWER.replace("process 0", "process :c1"));
    assert!(orphan.contains("expected an invocation by :c1"), "{orphan}");
}

#[test]
fn micro_operations_make_a_transaction_under_any_name() {
    let text = "{:process 0 :type :invoke :f :write :value [[:w :x 1]]}
                {:process 0 :type :ok :f :write :value [[:w :x 1]]}
                {:process 0 :type :invoke :f :do-it :value [[:r :x nil]]}
                {:process 0 :type :info :f :do-it :value :timeout}";
    let ReadHistory { history, reading } = read("h.edn", text.as_bytes(), &options()).unwrap();
    assert!(history.operations.iter().all(|one| one.action.function() == Function::Txn));
    assert_eq!(reading.decisions[0].operations, 2);
}

#[test]
fn nil_is_an_answer_of_all_objects_but_a_register() {
    let nil = ANSWER.replace('3', "nil");
    for (function, left_out) in [("write", 1), ("cas", 1), ("append", 0), ("add", 0), ("delete", 0)]
    {
        let value = if function == "cas" { "[1 2]" } else { "1" };
        let change = format!("{{:process 1 :type :invoke :f :{function} :value {value}}}\n");
        let text = format!("{READ}{nil}{change}");
        let reading = read("h.edn", text.as_bytes(), &options()).unwrap().reading;
        assert_eq!((reading.reads_left_out, reading.completed_reads), (left_out, 1), "{function}");
        assert_eq!(reading.withholds_valid().is_some(), left_out == 1);
    }
    let of_set = ReadOptions { model: Some(crate::ModelKind::Set), ..options() };
    let text = format!("{READ}{nil}");
    assert_eq!(read("h.edn", text.as_bytes(), &of_set).unwrap().reading.reads_left_out, 0);
}

#[test]
fn fields_that_nobody_knows_are_named() {
    let text = READ.replace('}', " :revision 4, :exception \"x\"}");
    let notes = read("h.edn", text.as_bytes(), &options()).unwrap().reading.notes;
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0].text, "field `:revision` is not checked");
    let answer = refusal(&format!("{READ}{}", ANSWER.replace(":value", ":vaule")));
    assert!(answer.starts_with("h.edn:2:1: expected :value"), "{answer}");
}

#[test]
fn numbers_are_exact_or_refused() {
    assert_eq!(value("5.0"), Value::Integer(5));
    assert_eq!(value("-0.0"), Value::Integer(0));
    assert_eq!(value("12M"), Value::Integer(12));
    assert_eq!(value("5.00M"), Value::Integer(5));
    assert_eq!(value("0.30000000000000004"), Value::number(0.300_000_000_000_000_04).unwrap());
    for number in ["1.5M", "9007199254740993.0", "12345678901234567890N", "0.123456789012345678"] {
        let answer = refusal(&format!("{READ}{}", ANSWER.replace('3', number)));
        assert!(answer.contains("a number of 64 bits"), "{answer}");
    }
}

#[test]
fn error_names_file_line_and_column() {
    let change = |from, to| refusal(&format!("[{READ}{}]", ANSWER.replacen(from, to, 1)));
    assert_eq!(
        change("0", "-1"),
        "h.edn:2:1: expected :process to be an integer from 0 to 4294967295, or :nemesis, found `-1`"
    );
    assert_eq!(
        change(":ok", "\"ok\""),
        "h.edn:2:1: expected :type to be :invoke, :ok, :fail or :info, found `ok`"
    );
    assert_eq!(
        change(", :value 3", ""),
        "h.edn:2:1: expected :value in the :ok of a read, found none"
    );
    assert_eq!(
        change("3", "3 :value 4"),
        "h.edn:2:44: expected every field once, found :value again"
    );
    assert_eq!(change("3", "]"), "h.edn:2:42: expected the value of a field, found `]`");
    assert_eq!(change("3", "x"), format!("h.edn:2:42: {NO_VALUE}"));
    assert_eq!(
        change("{:process 0", "{:process 1"),
        "h.edn:2:1: event 1: expected an invocation by process 1 before its completion `ok`"
    );
    assert_eq!(
        refusal(&format!("[{READ}] {ANSWER}")),
        "h.edn:2:3: expected nothing after the list of operations, found `{`"
    );
    assert_eq!(
        refusal(&format!("{}\n{READ}", READ.trim_end().trim_end_matches('}'))),
        "h.edn:2:1: expected a field or `}`, found `{`"
    );
}

#[test]
fn cut_file_keeps_what_is_whole() {
    for (text, line, events) in [
        (format!("[{READ}"), 2, 1),
        (format!("[{READ}{}", &ANSWER[..30]), 2, 1),
        (format!("{READ}{{:process 0, :value \"abc"), 2, 1),
        (format!("{READ}{ANSWER}{{:process"), 3, 2),
        ("(".to_owned(), 1, 0),
    ] {
        let ReadHistory { history, reading } =
            read("h.edn", text.as_bytes(), &options()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(reading.cut, Some(Cut { line, events }), "{text}");
        assert_eq!(history.events().count() as u64, events, "{text}");
    }
}

const NO_VALUE: &str = "expected nil, a boolean, a number of 64 bits, a string, a keyword or a \
                        collection of these, found `x`";

#[test]
fn depth_and_length_are_bounded() {
    let said_of = |text: &str| match read("h.edn", text.as_bytes(), &options()) {
        Err(error) => error.to_string(),
        Ok(read) => format!("cut off: {}", read.reading.cut.unwrap().events),
    };
    for open in ["[", "{", "#{", "#_", "#_[", "{:a "] {
        let deep = format!("{{:process 0 :value {}", open.repeat(100_000));
        let answer = said_of(&deep);
        assert!(answer.contains("expected at most 64") || answer.contains("cut off"), "{answer}");
        let answer = said_of(&deep.replace(":value", ":skipped"));
        assert!(answer.contains("expected at most 64") || answer.contains("cut off"), "{answer}");
    }
    for endless in
        [&b" "[..], b"{:process 0 :value \"", b"{:process 0 :skipped ;", b"{:process 0 :value 1"]
    {
        let last = std::io::repeat(endless[endless.len() - 1]);
        let input = std::io::BufReader::new(std::io::Read::chain(endless, last));
        let answer = read("h.edn", input, &options()).unwrap_err().to_string();
        assert!(answer.ends_with("expected an operation of at most 16777216 bytes"), "{answer}");
    }
}

#[test]
fn failed_compare_and_set_says_nothing_unless_said_otherwise() {
    let text = "{:process 0 :type :invoke :f :cas :value [1 2]}
                {:process 0 :type :fail :f :cas :value [1 2]}";
    assert!(history(text).unwrap().operations[0].is_failed());
    let options = ReadOptions { failed_cas: Some(FailedCas::Mismatch), ..options() };
    let told = read("h.edn", text.as_bytes(), &options).unwrap().history;
    assert_eq!(told.operations[0].response(), Some(Response::Mismatch(None)));
}

#[test]
fn read_of_nil_says_nothing_unless_said_otherwise() {
    let text = format!("{READ}{}", ANSWER.replace('3', "nil"));
    assert!(history(&text).unwrap().operations[0].is_failed());
    let options = ReadOptions { nil_read: Some(NilRead::Value), ..options() };
    let told = read("h.edn", text.as_bytes(), &options).unwrap().history;
    assert_eq!(told.operations[0].response(), Some(Response::Value(crate::ValueId::NULL)));
}

#[test]
fn independent_values_have_their_key_with_them() {
    let text = "{:process 0 :type :invoke :f :cas :value [:k [1 2]]}
                {:process 0 :type :info :f :cas :value :timed-out}
                {:process :nemesis :type :info :f :start :value nil}
                {:process 1 :type :invoke :f :read :value [7 nil]}
                {:process 1 :type :ok :f :read :value [7 5]}
                {:process 1 :type :invoke :f :cas :value [7 [1 2]]}
                {:process 1 :type :fail :f :cas :value [1 2]}";
    let options = ReadOptions { independent: Some(true), ..options() };
    let history = read("h.edn", text.as_bytes(), &options).unwrap().history;
    assert_eq!(history.keys, [Value::text(":k"), Value::Integer(7)]);
    assert_eq!(history.counts().info, 1);
    let bare = text.replace("[7 5]", "5");
    assert_eq!(
        read("h.edn", bare.as_bytes(), &options).unwrap_err().to_string(),
        "h.edn:5:17: expected :value to be [key value], as `independent` has it, found `5`"
    );
}

#[test]
fn times_that_go_back_are_refused_with_their_line() {
    let overlapping = READ.replace('}', " :time 50}") + &ANSWER.replace('}', " :time 40}");
    assert_eq!(history(&overlapping).unwrap().events().last().unwrap().time.0, 50);
    let text = READ.replace('}', " :time 10}")
        + &ANSWER.replace('}', " :time 50}")
        + &READ.replace('}', " :time 40}");
    assert_eq!(
        refusal(&text),
        "h.edn:3:1: event 2: expected a time of at least 50 ns, that of the event before, found \
         40 ns; --sort-by-time puts events in the order of their times"
    );
}

#[test]
fn key_value_log_knows_three_functions_and_needs_keys() {
    let log = "{:process 0, :type :invoke, :f :put, :key \"a\", :value \"x\"}
               {:process 0, :type :ok, :f :put, :key \"a\", :value \"x\"}
               {:process 0, :type :invoke, :f :get, :key \"a\", :value nil}
               {:process 0, :type :ok, :f :get, :key \"a\", :value \"x\"}
               {:process 0, :type :invoke, :f :append, :key \"a\", :value \"y\"}";
    let options = ReadOptions { format: Some(Format::PorcupineKv), ..ReadOptions::default() };
    let history = read("kv.txt", log.as_bytes(), &options).unwrap().history;
    let functions: Vec<Function> = history.operations.iter().map(|o| o.action.function()).collect();
    assert_eq!(functions, [Function::Write, Function::Read, Function::Append]);
    let refusal = |from: &str, to: &str| {
        read("kv.txt", log.replacen(from, to, 1).as_bytes(), &options).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(":put", ":read"),
        "kv.txt:1:1: expected :f to be :get, :put or :append, found `:read`"
    );
    assert_eq!(refusal(":key \"a\",", ""), "kv.txt:1:1: expected :key to be a text, found none");
}

#[test]
fn transaction_has_functions_and_keys() {
    let text = "{:process 0 :type :invoke :f :txn :value [[:read :x nil] [:w \"y\" 2]]}";
    let events: Vec<Event> = history(text).unwrap().events().collect();
    let expected = Value::list([
        Value::list(["read".into(), ":x".into(), Value::Null]),
        Value::list(["w".into(), "y".into(), 2.into()]),
    ]);
    assert_eq!(events[0].value, expected);
    let mut written = Vec::new();
    write_edn(&mut written, &events, Keys::Field).unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "{:index 0, :time 0, :process 0, :type :invoke, :f :txn, \
         :value [[:read :x nil] [:w \"y\" 2]]}\n"
    );
}

#[test]
fn knossos_takes_a_mismatch_for_a_failure() {
    let cas = Event {
        index: 1,
        time: Nanoseconds(5),
        process: ProcessId(2),
        kind: EventKind::Ok,
        function: Function::Cas,
        key: "k".into(),
        value: Value::list([1.into(), 2.into()]),
        swapped: Some(false),
        saw: Some(Value::Null),
        node: Some("n1".into()),
        error: None,
        level: None,
        revision: None,
    };
    let mut written = Vec::new();
    write_edn(&mut written, [&cas], Keys::Tuple).unwrap();
    assert_eq!(
        String::from_utf8(written).unwrap(),
        "{:index 1, :time 5, :process 2, :type :fail, :f :cas, :value [\"k\" [1 2]], \
         :partita/swapped false, :partita/saw nil, :node \"n1\"}\n"
    );
}

/// The history of these events, by way of EDN.
fn there_and_back(history: &History, keys: Keys) -> Vec<Event> {
    let mut file = Vec::new();
    write_edn(&mut file, history.events(), keys).unwrap();
    let options = ReadOptions { independent: Some(keys == Keys::Tuple), ..options() };
    read("h.edn", file.as_slice(), &options).unwrap().history.events().collect()
}

fn value_of_any_kind() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        (-1e15..1e15_f64).prop_map(|number| Value::number(number).unwrap()),
        ".*".prop_map(Value::text),
        ":{0,3}[a-z]?[a/.: \"\\\\\n]?".prop_map(Value::text),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::list))
}

proptest! {
    #[test]
    fn histories_survive_the_way_through_edn(
        seed in any::<u64>(), unknown in 0.0..0.3, failed in 0.0..0.3, tells in any::<bool>(),
        keys in 1..4_u32,
    ) {
        let mix = Mix { reads: 4, writes: 3, swaps: 3, deletes: 1 };
        let plan = Plan { operations: 60, mix, unknown, failed, tells, keys, seed, ..Plan::default() };
        let mut lines = Vec::new();
        jsonl::write_events(&mut lines, &plan.events().collect::<Vec<_>>()).unwrap();
        let history = read("h.jsonl", lines.as_slice(), &ReadOptions::default()).unwrap().history;
        for keys in [Keys::Field, Keys::Tuple] {
            let mut again = Vec::new();
            jsonl::write_events(&mut again, &there_and_back(&history, keys)).unwrap();
            prop_assert_eq!(&lines, &again);
        }
    }

    #[test]
    fn values_and_keys_survive_the_way_through_edn(
        (key, written, read) in (value_of_any_kind(), value_of_any_kind(), value_of_any_kind()),
        saw in prop::option::of(value_of_any_kind()),
    ) {
        let event = |index, kind, function, value: &Value| Event {
            index, time: Nanoseconds(index), process: ProcessId(0), kind, function,
            key: key.clone(), value: value.clone(), swapped: None, saw: None, node: None, error: None,
            level: None, revision: None,
        };
        let swap = Value::list([written.clone(), read.clone()]);
        let mismatch = Event {
            swapped: Some(false), saw, ..event(5, EventKind::Ok, Function::Cas, &swap)
        };
        let events = vec![
            event(0, EventKind::Invoke, Function::Write, &written),
            event(1, EventKind::Ok, Function::Write, &written),
            event(2, EventKind::Invoke, Function::Read, &Value::Null),
            event(3, EventKind::Ok, Function::Read, &read),
            event(4, EventKind::Invoke, Function::Cas, &swap),
            mismatch,
        ];
        let history = History::from_events(events.clone()).unwrap();
        prop_assert_eq!(&there_and_back(&history, Keys::Field), &events);
        prop_assert_eq!(&there_and_back(&history, Keys::Tuple), &events);
    }
}

#[test]
fn argument_that_is_not_there_is_refused() {
    for function in ["write", "cas", "add", "enqueue", "txn"] {
        let text = format!("{{:process 0 :type :invoke :f :{function}}}");
        let error = crate::formats::read("h.edn", text.as_bytes(), &ReadOptions::default());
        let told = error.expect_err("a refusal").to_string();
        let expected = format!("h.edn:1:1: expected :value in the :invoke of a {function}");
        assert!(told.starts_with(&expected), "{told}");
    }
}
