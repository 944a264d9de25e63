//! What a person meets who mistypes something, or hands over a broken file.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

fn partita(arguments: &[&str]) -> (Option<i32>, String) {
    let output: Output = Command::new(PARTITA).args(arguments).output().expect("partita starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

fn file(folder: &Path, content: &str) -> String {
    let path = folder.join("history.jsonl");
    fs::write(&path, content).expect("written");
    path.to_str().expect("a plain path").to_owned()
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    for (arguments, known) in [
        (["run", "--workload", "banking"], "register"),
        (["check", "--engine", "magic"], "frontier"),
        (["run", "--nemesis", "meteor"], "isolate"),
        (["run", "--target", "paxos"], "raft-node"),
        (["run", "--mutation", "no-bug"], "leader-local-read"),
    ] {
        let (code, said) = partita(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(arguments[2]) && said.contains(known), "{said}");
    }
}

#[test]
fn a_slip_is_answered_with_the_name_that_was_meant_in_the_same_words_everywhere() {
    for (arguments, kind, meant) in [
        (&["run", "--target", "raft-nod"][..], "target", "raft-node"),
        (&["run", "--workload", "regsiter"], "workload", "register"),
        (&["run", "--nemesis", "isolate,puase"], "fault", "pause"),
        (&["run", "--schedule", "figure8"], "recipe", "figure-8"),
        (&["run", "--mutation", "leader-local"], "planted bug", "leader-local-read"),
        (&["simulate", "--mutation", "no-dedupe"], "planted bug", "no-dedup"),
        (&["simulate", "--test", "figre-8"], "scenario", "figure-8"),
        (&["check", "--model", "queu", "x"], "model", "queue"),
        (&["check", "--format", "jsnl", "x"], "format", "jsonl"),
        (&["check", "--engine", "frontir", "x"], "engine", "frontier"),
        (&["generate", "--shape", "stedy"], "shape", "steady"),
        (&["generate", "--fault", "lost-writes"], "fault", "lost-write"),
        (&["list", "faults", "isolte"], "fault", "isolate"),
    ] {
        let (code, said) = partita(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(&format!("unknown {kind} `")), "{said}");
        assert!(said.contains(&format!("did you mean `{meant}`")), "{said}");
    }
}

#[test]
fn a_cause_is_told_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let target = folder.path().join("target.toml");
    let target = target.to_str().expect("a plain path");
    fs::create_dir(target).expect("a folder in its place");
    for arguments in [["run", "--target", target], ["run", "--schedule", target]] {
        let (code, said) = partita(&arguments);
        assert_eq!(code, Some(2), "{said}");
        assert_eq!(said.matches("Is a directory").count(), 1, "{said}");
    }
}

#[test]
fn a_node_that_is_none_of_its_peers_is_told_so() {
    let (code, said) = partita(&[
        "node",
        "--id",
        "2",
        "--data",
        "x",
        "--listen",
        "127.0.0.1:1",
        "--peer",
        "1=127.0.0.1:2",
    ]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--id 2 is not among the --peer servers"), "{said}");
}

#[test]
fn a_malformed_line_is_named_by_file_and_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let history = file(
        folder.path(),
        "{\"index\":0,\"time\":1,\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"key\":\"k\"}\n\
         {\"index\":1,\"time\":2,\"process\":0,\"type\":\"okay\",\"f\":\"read\",\"key\":\"k\"}\n",
    );
    let (code, said) = partita(&["check", &history]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("history.jsonl:2"), "{said}");
}

#[test]
fn a_missing_file_is_named() {
    let (code, said) = partita(&["check", "no-such-history.jsonl"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no-such-history.jsonl"), "{said}");
}

#[test]
fn an_empty_history_proves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (code, said) = partita(&["check", &file(folder.path(), "")]);
    assert_eq!(code, Some(3), "{said}");
}

/// A history that ends with a stale read.
fn stale_read() -> String {
    let mut lines = String::new();
    let operations =
        [("write", "1", "1"), ("write", "2", "2"), ("read", "null", "2"), ("read", "null", "1")];
    for (number, (function, asked, answered)) in operations.into_iter().enumerate() {
        for (half, kind, value) in [(0, "invoke", asked), (1, "ok", answered)] {
            let index = 2 * number + half;
            let time = index * 1_000_000;
            lines.push_str(&format!(
                "{{\"index\":{index},\"time\":{time},\"process\":0,\"type\":\"{kind}\",\
                 \"f\":\"{function}\",\"key\":\"k\",\"value\":{value}}}\n"
            ));
        }
    }
    lines
}

#[test]
fn a_stale_read_in_a_file_is_a_violation_with_its_operations() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let history = file(folder.path(), &stale_read());
    let (code, said) = partita(&["check", &history]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stale read"), "{said}");
    let (code, said) = partita(&["check", "--json", &history]);
    assert_eq!(code, Some(1), "{said}");
    let analysis: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(analysis["verdict"], "violation");
}

#[test]
fn a_violation_is_explained_step_by_step_and_key_by_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Knossos' form: told by its content, whatever the file is called.
    let history = file(
        folder.path(),
        "{:process 0 :type :invoke :f :write :value 1}\n{:process 0 :type :ok :f :write :value 1}\n\
         {:process 0 :type :invoke :f :write :value 2}\n{:process 0 :type :ok :f :write :value 2}\n\
         {:process 1 :type :invoke :f :read :value nil}\n{:process 1 :type :ok :f :read :value 1}\n",
    );
    let (code, said) = partita(&["check", "--explain", "--keys", &history]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("#4 before #2: it observed what the other overwrote"), "{said}");
    assert!(said.contains("#2 before #4: it came back before"), "{said}");
    assert!(said.contains("violation (3 operations, zones)"), "{said}");
}

#[test]
fn a_page_about_checked_histories_is_written_on_request() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let history = file(folder.path(), &stale_read());
    let page = folder.path().join("page.html");
    let (code, said) = partita(&["check", "--report", page.to_str().expect("plain"), &history]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stale by "), "{said}");
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("Violation: stale read") && page.contains("<svg"), "{page}");
}

#[test]
fn a_generated_history_is_valid_unless_it_was_damaged_and_the_same_every_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("plain").to_owned();
    for (model, fault) in
        [("cas-register", "stale-read"), ("append", "stale-read"), ("queue", "duplicate")]
    {
        let generate = |name: &str, more: &[&str]| {
            let path = path(name);
            let arguments = ["generate", "--model", model, "--clients", "4", "--out", &path];
            let (code, said) = partita(&[&arguments, more].concat());
            assert_eq!(code, Some(0), "{said}");
            path
        };
        let (good, again) = (generate("good", &[]), generate("again", &[]));
        assert_eq!(fs::read(&good).expect("a file"), fs::read(again).expect("a file"));
        let (code, said) = partita(&["check", "--model", model, &good]);
        assert_eq!(code, Some(0), "{model}: {said}");
        let bad = generate("bad", &["--fault", fault, "--to", "edn"]);
        let (code, said) = partita(&["check", "--model", model, &bad]);
        assert_eq!(code, Some(1), "{model}: {said}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let script =
        format!("{PARTITA} generate --operations 100000 | head -n 1; echo ${{PIPESTATUS[0]}}");
    let output = Command::new("bash").args(["-c", &script]).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("\n141\n"), "ended by SIGPIPE: {said}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn an_exported_history_gets_the_same_verdict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let line = |index: u32, kind: &str, value: &str| {
        format!(
            "{{\"index\":{index},\"time\":{index},\"process\":0,\"type\":\"{kind}\",\
             \"f\":\"read\",\"key\":\"k\",\"value\":{value}}}\n"
        )
    };
    let history = file(folder.path(), &(line(0, "invoke", "null") + &line(1, "ok", "7")));
    let (code, edn) = partita(&["export", &history]);
    assert_eq!(code, Some(0), "{edn}");
    let exported = folder.path().join("history.edn");
    fs::write(&exported, &edn).expect("written");
    for path in [&history, exported.to_str().expect("a plain path")] {
        let (code, said) = partita(&["check", path]);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("value from nowhere"), "{said}");
    }
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    for arguments in [
        ["run", "--time", "20"],
        ["run", "--rate", "0"],
        ["run", "--nodes", "0"],
        ["check", "--max-memory", "1MB"],
        ["check", "--model", "bank"],
        ["check", "--format", "xml"],
    ] {
        let (code, said) = partita(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains(arguments[1]), "{said}");
    }
}

#[test]
fn everything_that_can_be_named_is_listed() {
    let (code, said) = partita(&["list"]);
    assert_eq!(code, Some(0), "{said}");
    for name in ["raft-node", "register", "isolate", "one-way", "pause", "kill", "no-log-check"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    let (_, mutations) = partita(&["list", "mutations"]);
    assert!(!mutations.contains("--nemesis") && mutations.contains("commit-prior-term"));
}

#[test]
fn one_name_is_told_at_length() {
    for (arguments, expected) in [
        (["list", "faults", "delay"], &["partita run --nemesis delay", "default 50ms"][..]),
        (["list", "recipes", "figure-8"], &["fault = \"isolate\"", "nodes:"]),
        (["list", "mutations", "no-dedup"], &["partita simulate --mutation no-dedup"]),
        (["list", "models", "kv"], &["register: ", "cas-register, kv"]),
        (["list", "workloads", "retry"], &["checked as:   append"]),
    ] {
        let (code, said) = partita(&arguments);
        assert_eq!(code, Some(0), "{said}");
        for words in expected {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!said.contains("raft-node:"), "nothing else: {said}");
    }
}

#[test]
fn what_can_be_listed_is_listed_as_json_too() {
    let (code, said) = partita(&["list", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let all: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(all["format"], 1);
    for kind in ["targets", "workloads", "models", "faults", "fault_sets", "recipes", "mutations"] {
        let entries = all[kind].as_array().expect(kind);
        let is_told = |entry: &serde_json::Value| entry["name"].is_string() && entry["about"] != "";
        assert!(!entries.is_empty() && entries.iter().all(is_told), "{kind}: {entries:?}");
    }
    let (_, said) = partita(&["list", "faults", "delay", "--json"]);
    let one: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(one["faults"][0]["family"], "link");
    assert_eq!(one["faults"][0]["labs"], serde_json::json!(["namespaces", "proxies"]));
    let parameters = one["faults"][0]["parameters"].as_array().expect("a list");
    assert!(parameters.iter().any(|it| it["name"] == "target" && it["default"].is_string()));
    assert!(one.get("mutations").is_none());
}

#[test]
fn what_the_machine_can_do_is_told_as_json_too() {
    let (code, said) = partita(&["doctor", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(document["format"], 1);
    let labs = document["labs"].as_array().expect("labs");
    let works = labs.iter().any(|lab| lab["works"] == true);
    assert_eq!(code, Some(if works { 0 } else { 4 }), "{said}");
    assert_eq!(document["best"].is_string(), works, "{said}");
    assert!(document["probes"].as_array().is_some_and(|probes| probes.len() > 4), "{said}");
}

#[test]
fn simulated_runs_are_told_as_json_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().to_str().expect("a plain path");
    let simulate = |more: &[&str]| {
        let arguments = ["simulate", "--json", "--jobs", "1", "--out", out];
        let output = Command::new(PARTITA).args(arguments).args(more).output().expect("starts");
        let document = serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON");
        (output.status.code(), document)
    };
    let (code, good) = simulate(&["--test", "initial-election", "--count", "2", "--seed", "5"]);
    assert_eq!((code, &good["format"], &good["runs"]), (Some(0), &1.into(), &2.into()), "{good}");
    assert_eq!(good["findings"], serde_json::json!([]));
    let (code, bad) = simulate(&["--mutation", "quorum-off-by-one", "--seed", "1"]);
    assert_eq!(code, Some(1), "{bad}");
    assert_eq!(bad["failed"], 1, "{bad}");
    let found = &bad["findings"][0];
    assert!(found["failure"].is_string() && found["again"].is_string(), "{bad}");
    let kept = found["folder"].as_str().expect("a folder");
    assert!(Path::new(kept).join("history.jsonl").exists(), "{bad}");
}

#[test]
fn a_fault_that_the_target_has_no_words_for_is_refused_with_what_is_missing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_owned();
    let plain = "name = \"mine\"\nabout = \"x\"\nprotocol = \"resp\"\nports = { client = 6379 }\n\
                 command = [\"/bin/false\"]\n";
    let table = "[membership]\nadd = [\"ADD\", \"{id}\"]\nmembers = [\"MEMBERS\"]\n";
    let schedule = "faults = [{ at = \"1s\", for = \"2s\", fault = \"replace-node\" }]\n";
    for (name, text) in
        [("bare.toml", plain), ("some.toml", &format!("{plain}{table}")), ("one.toml", schedule)]
    {
        fs::write(path(name), text).expect("written");
    }
    for (target, option, value, expected) in [
        ("bare.toml", "--nemesis", "membership", "transfer-leadership needs transfer in"),
        ("some.toml", "--nemesis", "remove-node", "remove-node needs remove, member, voter in"),
        ("some.toml", "--schedule", &path("one.toml"), "replace-node needs remove, member, voter"),
    ] {
        let (code, said) = partita(&["run", "--target", &path(target), option, value]);
        assert_eq!(code, Some(2), "{said}");
        let words = said.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>();
        assert!(words.join(" ").contains(expected), "{said}");
    }
}
