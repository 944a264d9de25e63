//! Redis, Redis with Sentinel and Valkey, by their descriptions alone. The tests need the programs on the path.

use std::path::Path;

use serde_json::Value;

use needs::Need;
use run_json::run_json;

#[path = "support/needs.rs"]
mod needs;
#[path = "support/run_json.rs"]
mod run_json;

/// What the run's record has.
fn record(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("runs/latest/run.json")).expect("a record");
    serde_json::from_str(&text).expect("JSON")
}

/// The words of a run that any honest store survives.
const MILD: &str =
    "--time 8s --seed 1 --nemesis isolate,kill --rate 200 --nodes 3 --workload register";

fn is_linearizable(target: &str, version: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let result = run_json(folder.path(), &format!("--target {target} {MILD}"));
    assert_eq!(result["verdict"], "valid", "{result:#}");
    let nodes = record(folder.path())["nodes"].clone();
    let told = nodes[2]["version"].as_str().expect("a version");
    assert!(told.starts_with(version), "{told}");
}

#[test]
fn redis_is_linearizable_under_partitions_and_kills() {
    if Need::Redis.met_by_program("redis-server") {
        is_linearizable("redis", "Redis server v=");
    }
}

#[test]
fn valkey_is_linearizable_under_partitions_and_kills() {
    if Need::Valkey.met_by_program("valkey-server") {
        is_linearizable("valkey", "Valkey server v=");
    }
}

/// The primary is cut off from its replicas and Sentinels and goes on to acknowledge writes until it is told
/// that another took its place. The Sentinels must have asked their replicas once, which they do every 10 s.
#[test]
fn sentinel_fails_over_and_loses_what_was_acknowledged() {
    if !Need::Redis.met_by_program("redis-server") || !Need::Redis.met_by_program("redis-sentinel")
    {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let schedule =
        "faults = [{ at = \"11s\", for = \"10s\", fault = \"leader-from-followers\" }]\n";
    std::fs::write(folder.path().join("cut.toml"), schedule).expect("written");
    let words = "--target redis-sentinel --time 24s --seed 1 --schedule cut.toml --rate 200";
    let result = run_json(folder.path(), words);
    assert_eq!(result["verdict"], "violation", "{result:#}");
    let roles = record(folder.path())["roles"].clone();
    let roles = roles.as_array().expect("roles");
    let led = |node: &str| roles.iter().any(|it| it["node"] == node && it["role"] == "leader");
    assert!(led("n1") && (led("n2") || led("n3")), "{roles:?}");
}

#[test]
fn a_set_of_faults_leaves_out_what_sentinel_does_not_promise_to_survive() {
    if !Need::Redis.met_by_program("redis-server") || !Need::Redis.met_by_program("redis-sentinel")
    {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let words = "--target redis-sentinel --time 6s --seed 1 --nemesis all --rate 200 --nodes 3 \
                 --workload register";
    run_json(folder.path(), words);
    let record = record(folder.path());
    let notes = record["notes"].to_string();
    assert!(notes.contains("isolate") && notes.contains("does not promise to survive"), "{notes}");
    let faults = std::fs::read_to_string(folder.path().join("runs/latest/schedule.toml"));
    assert!(!faults.expect("a schedule").contains("fault = \"isolate\""));
}
