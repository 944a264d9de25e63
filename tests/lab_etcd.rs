//! A store that is not ours, by its description alone. The tests need an `etcd` on the path.

use needs::Need;
use run_json::run_json;

#[path = "support/needs.rs"]
mod needs;
#[path = "support/run_json.rs"]
mod run_json;

#[test]
fn etcd_is_linearizable_under_partitions_and_kills() {
    if !Need::Etcd.met_by_program("etcd") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let result = run_json(
        folder.path(),
        "--target etcd --time 8s --seed 1 --nemesis isolate,kill --rate 200",
    );
    assert_eq!(result["verdict"], "valid", "{result:#}");
    let history = folder.path().join("runs/latest/history.jsonl");
    let history = std::fs::read_to_string(history).expect("a history");
    for kind in ["\"f\":\"read\"", "\"f\":\"write\"", "\"f\":\"cas\""] {
        let is_answered = |line: &str| line.contains(kind) && line.contains("\"type\":\"ok\"");
        assert!(history.lines().any(is_answered), "{kind}");
    }
}

/// A read that asks no quorum is served by a node that is cut off from those who write.
#[test]
fn reads_of_etcd_that_ask_no_quorum_are_stale() {
    if !Need::Etcd.met_by_program("etcd") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let described = include_str!("../src/targets/etcd.toml");
    let body = "body = { key = \"{key:base64}\" } }\nexpect";
    let serializable = "body = { key = \"{key:base64}\", serializable = true } }\nexpect";
    let stale = described.replacen(body, serializable, 1);
    assert_ne!(stale, described);
    std::fs::write(folder.path().join("stale.toml"), stale).expect("written");
    let schedule = r#"faults = [{ at = "1s", for = "6s", fault = "isolate", target = "n3" }]"#;
    std::fs::write(folder.path().join("cut.toml"), schedule).expect("written");
    let words = "--target stale.toml --time 8s --seed 1 --schedule cut.toml --stop-on-finding";
    let result = run_json(folder.path(), words);
    assert_eq!(result["verdict"], "violation", "{result:#}");
}
