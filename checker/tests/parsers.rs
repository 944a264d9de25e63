//! Valid files, changed at random, never break a reader: the fuzz targets on fixed seeds.

#[path = "../fuzz/one.rs"]
mod one;

use partita_checker::formats::{Format, Keys, jsonl, write_edn};
use partita_checker::generate::{Mix, Plan};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

const ROUNDS: usize = 10_000;

/// Pieces that mean something in one of the formats.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "#{",
    "#_",
    "#",
    "\"",
    "\\",
    ":",
    ",",
    "\n",
    "\t",
    " ",
    "-",
    "0",
    "1",
    "9223372036854775808",
    "1.5",
    "1e400",
    "nil",
    "null",
    "true",
    ":ok",
    ":fail",
    ":info",
    ":invoke",
    ":read",
    ":nemesis",
    ":value",
    "\\u0041",
    "\\ud800",
    "\"info\"",
    "\"fail\"",
    "é",
    ";",
    "\u{0}",
    "jepsen.util",
    "# queue",
    "\"client\":\"c\",",
    "\"start\":1,",
    "\"end\":2.5,",
    "\"key\":\"k\",",
    "}\n]",
    ":partita/known true",
    "\"saw\":null,",
    "push",
    "deq",
];

fn fuzz(seed: u64, valid: &[&[u8]], format: Option<Format>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for text in valid {
        one::one(format, text);
    }
    for _ in 0..ROUNDS {
        let mut text = valid[random.random_range(0..valid.len())].to_vec();
        for _ in 0..random.random_range(1..6) {
            change(&mut random, &mut text);
        }
        one::one(format, &text);
    }
}

fn change(random: &mut ChaCha8Rng, text: &mut Vec<u8>) {
    let place = |random: &mut ChaCha8Rng| random.random_range(0..=text.len());
    let start = place(random);
    let end = (start + random.random_range(0..10)).min(text.len());
    match random.random_range(0..6) {
        0 => text.truncate(start),
        1 => drop(text.drain(start..end)),
        2 if start < text.len() => text[start] = random.random(),
        3 => {
            let copy = text[start..end].repeat(random.random_range(1..40));
            text.splice(start..start, copy);
        }
        _ => {
            let piece = PIECES[random.random_range(0..PIECES.len())];
            text.splice(start..end, piece.bytes());
        }
    }
}

fn plan() -> Plan {
    let mix = Mix { reads: 2, writes: 2, swaps: 2, deletes: 1 };
    Plan { operations: 12, clients: 3, keys: 2, mix, unknown: 0.1, failed: 0.1, ..Plan::default() }
}

fn json() -> Vec<u8> {
    let mut text = Vec::new();
    let events: Vec<_> = plan().events().collect();
    jsonl::write_events(&mut text, &events).unwrap();
    text
}

fn written(keys: Keys) -> Vec<u8> {
    let mut text = Vec::new();
    write_edn(&mut text, plan().events(), keys).unwrap();
    text
}

const JSON: &[u8] =
    br#"{"index":0,"time":1,"process":0,"type":"invoke","f":"cas","value":[null,"a"]}
{"index":1,"time":1,"process":0,"type":"ok","f":"cas","swapped":false,"saw":[1.5,true],"node":"n1"}
{ "index":2,"time":1,"process":1,"type":"invoke","f":"txn","key":"\u0041","value":[["r","x",null]]}
"#;

const OF_OTHERS: &[u8] = br#"[{"client":"a","type":"invoke","op":"put","key":"x","value":1.0},
  {"level": "info", "msg": "{\"}, {"process":"nemesis","value":{"a":[]}},
  {"client":"a","type":":ok","op":"put","revision":7}]
"#;

const OPERATIONS: &[u8] =
    br#"{"ClientId":0,"Input":{"op":"put","key":"x","value":1},"Call":10,"Return":20}
{"ClientId":0,"Input":{"op":"get","key":"x"},"Call":20,"Output":{"value":null},"Return":2e1}
{"ClientId":1,"Input":{"op":"cas","old":1,"new":2},"Call":0.5,"Output":false,"Return":50}
{"f":"read","value":1,"start":-3}
"#;

const TABLE: &[u8] = b"0\t:invoke\t:write\t3\n7 0 :ok :write 3\n:nemesis\t:info\t:start\t{x y}\n";

/// The text as gzip has it.
fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

/// The text as zstd has it.
fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

const EDN: &[u8] = b"; a list
[{:process 0, :type :invoke, :f :read, :value nil, :time 5, :index 0} #_{:process 1}
 #jepsen.history.Op{:process 0, :type :ok, :f :read, :value #{1 :x \"y\\n\"}, :error #object[a 1]}
 {:process :nemesis, :type :info, :f :start, :value {:a (1/2 \\c ##Inf)}}
 {:process 3 :type :invoke :f :txn :value [[:r \"x\" nil] [:w :y -1.5e3]]}
 {:process 3 :type :info :f :txn :value :timed-out}]";

const INDEPENDENT: &[u8] = b"{:process 0, :type :invoke, :f :cas, :value [:k [1 2]]}
{:process 0, :type :fail, :f :cas, :value [:k [1 2]]}
{:process 1, :type :invoke, :f :read, :value [:k nil]}
{:process 1, :type :ok, :f :read, :value [:k nil]}
";

const LOG: &[u8] = b"INFO  jepsen.core - Worker 0 starting
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 1\t:invoke\t:cas\t[1 2]
INFO  jepsen.util - :nemesis\t:info\t:start\t\"cut off\"
INFO  jepsen.util - 0\t:ok\t:read\tnil
INFO  jepsen.util - 1\t:fail\t:cas\t[1 2]\t:no
INFO [2024-01-01] jepsen worker 1 - jepsen.util 1\t:invoke\t:write\t3
INFO  jepsen.util - 1\t:info\t:write\t:timed-out
";

const KEY_VALUE: &[u8] = b"{:process 0, :type :invoke, :f :append, :key \"0\", :value \"x 0\"}
{:process 1, :type :invoke, :f :get, :key \"0\", :value nil}
{:process 0, :type :ok, :f :append, :key \"0\", :value \"x 0\"}
{:process 1, :type :ok, :f :get, :key \"0\", :value \"\"}
{:process 1, :type :invoke, :f :put, :key \"1\", :value \":x\"}
";

const INTERVALS: &[u8] = b"# queue\nenq 1 0 4\ndeq -1 1 1\n# more\nenq 2 4 6\ndeq 1 5 9\n";

const STACK: &[u8] = b"# stack\npush 1 0 4\npop 1 3 9223372036854775807\n";

#[test]
fn changed_json_lines_never_break_the_reader() {
    fuzz(1, &[&json(), JSON, OF_OTHERS, OPERATIONS], Some(Format::JsonLines));
}

#[test]
fn changed_edn_never_breaks_the_reader() {
    fuzz(2, &[EDN, INDEPENDENT, &written(Keys::Field), &written(Keys::Tuple)], Some(Format::Edn));
}

#[test]
fn changed_log_lines_never_break_the_reader() {
    fuzz(3, &[LOG, TABLE], Some(Format::JepsenLog));
}

#[test]
fn changed_key_value_logs_never_break_the_reader() {
    fuzz(4, &[KEY_VALUE], Some(Format::PorcupineKv));
}

#[test]
fn changed_intervals_never_break_the_reader() {
    fuzz(5, &[INTERVALS, STACK], Some(Format::Fastlin));
}

#[test]
fn changed_files_of_any_format_never_break_the_detection() {
    let valid =
        [JSON, OF_OTHERS, OPERATIONS, TABLE, EDN, INDEPENDENT, LOG, KEY_VALUE, INTERVALS, STACK];
    fuzz(6, &valid, None);
}

#[test]
fn changed_packed_files_never_break_the_reader() {
    let mark = [b"\xef\xbb\xbf", JSON].concat();
    fuzz(7, &[&gzip(JSON), &zstd(EDN), &gzip(&json()), &zstd(&json()), &mark], None);
}
