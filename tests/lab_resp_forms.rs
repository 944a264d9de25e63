//! Stores that speak RESP in other forms than raft-node, by their descriptions. The tests need a
//! `redis-server` on the path.

use std::path::Path;

use serde_json::Value;

use needs::Need;
use run_json::run_json;

#[path = "support/needs.rs"]
mod needs;
#[path = "support/run_json.rs"]
mod run_json;

/// The example in the documentation.
const REDIS: &str = include_str!("../docs/examples/redis-alone.toml");

/// The result of `partita run` of the description with these words.
fn run(folder: &Path, description: &str, words: &str) -> Value {
    std::fs::write(folder.join("mine.toml"), description).expect("written");
    run_json(folder, &format!("--target mine.toml --nodes 1 {words}"))
}

#[test]
fn redis_is_described_without_a_change_of_code() {
    if !Need::Redis.met_by_program("redis-server") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for workload in ["register", "lock"] {
        let words =
            format!("--time 4s --seed 1 --nemesis pause-loop --rate 200 --workload {workload}");
        let result = run(folder.path(), REDIS, &words);
        assert_eq!(result["verdict"], "valid", "{workload} {result:#}");
        let kinds = result["outcomes"]["kinds"].as_array().expect("kinds").clone();
        let worked = kinds.iter().all(|kind| kind["effective"].as_u64() > Some(0));
        assert!(worked, "{workload} {kinds:#?}");
    }
}

/// A script that answers what it left instead of what it found reads each mismatch as a swap.
#[test]
fn a_script_that_swaps_whatever_stands_there_is_convicted() {
    if !Need::Redis.met_by_program("redis-server") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let condition = "if saw ~= ARGV[1] then return { 0, saw } end";
    let blind = REDIS.replacen(condition, "saw = ARGV[1]", 1);
    assert_ne!(blind, REDIS);
    let result = run(folder.path(), &blind, "--time 2s --seed 1 --nemesis none --rate 300");
    assert_eq!(result["verdict"], "violation", "{result:#}");
}
