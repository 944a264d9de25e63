//! Faults that a description names, `[[fault]]`: injected and healed by commands and by what nodes are told, drawn
//! where the description says so, and reported where they fail.

use std::path::Path;
use std::process::Command;

use run_json::run_json;
use serde_json::Value;
use tempfile::TempDir;

#[path = "support/run_json.rs"]
mod run_json;

const PARTITA: &str = env!("CARGO_BIN_EXE_partita");

/// What raft-node's description has besides: commands that write down that they ran, something that nodes are told,
/// and what cannot be done.
const FAULTS: &str = r#"
[[fault]]
name = "slow-log"
about = "the log is slow"
target = "leader"
in-all = true
inject = ["sh", "-c", "echo begins >> {data}/../slow-log.txt"]
heal = ["sh", "-c", "echo ends on {node} >> {data}/../slow-log.txt"]

[[fault]]
name = "asked"
target = "n2"
inject = { say = ["RAFT", "DIGEST"], port = "client" }

[[fault]]
name = "refused"
inject = { say = ["NOSUCH", "{node}"] }

[[fault]]
name = "impossible"
target = "n3"
inject = ["sh", "-c", "exit 3"]
"#;

/// A folder with the description in it.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/targets/raft-node.toml");
    let text = std::fs::read_to_string(own).expect("raft-node's description") + FAULTS;
    std::fs::write(folder.path().join("mine.toml"), text).expect("written");
    folder
}

/// The lines of a file of the run's folder.
fn lines(result: &Value, file: &str) -> Vec<String> {
    let path = Path::new(result["folder"].as_str().expect("a folder")).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The faults of a run as they ended.
fn records(result: &Value) -> Vec<Value> {
    let lines = lines(result, "schedule.jsonl");
    let records = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
    records.filter(|record: &Value| !record["ended_ns"].is_null()).collect()
}

#[test]
fn commands_and_requests_inject_and_heal_what_the_description_names() {
    let folder = folder();
    let schedule = "faults = [\n  { at = \"1s\", for = \"1s\", fault = \"slow-log\" },\n  \
                    { at = \"2500ms\", for = \"500ms\", fault = \"asked\" },\n]\n";
    std::fs::write(folder.path().join("own.toml"), schedule).expect("written");
    let words = "--target mine.toml --schedule own.toml --time 4s --seed 3 --keep-data";
    let result = run_json(folder.path(), words);
    assert_eq!(result["verdict"], "valid", "{result:#}");
    let records = records(&result);
    assert_eq!(records.len(), 2, "{records:#?}");
    for record in &records {
        assert_eq!((&record["family"], &record["error"]), (&"described".into(), &Value::Null));
    }
    assert_eq!(records[0]["target"], "leader");
    let victim = records[0]["nodes"][0].as_str().expect("a victim");
    let told = lines(&result, &format!("nodes/{victim}/slow-log.txt"));
    assert_eq!(told, ["begins".to_owned(), format!("ends on {victim}")]);
    let commands = lines(&result, "commands.jsonl").join("\n");
    assert!(commands.contains("RAFT DIGEST") && commands.contains("echo begins"), "{commands}");
}

#[test]
fn what_cannot_be_injected_is_reported() {
    let folder = folder();
    let schedule = "faults = [\n  { at = \"500ms\", for = \"1s\", fault = \"refused\", target = \"n1\" },\n  \
                    { at = \"700ms\", for = \"1s\", fault = \"impossible\" },\n]\n";
    std::fs::write(folder.path().join("own.toml"), schedule).expect("written");
    let words = "--target mine.toml --schedule own.toml --time 3s --seed 3";
    let result = run_json(folder.path(), words);
    assert_ne!(result["verdict"], "valid", "{result:#}");
    let records = records(&result);
    let error = |fault: &str| {
        let record = records.iter().find(|record| record["fault"] == fault).expect("a record");
        record["error"].as_str().unwrap_or_default().to_owned()
    };
    assert!(error("refused").starts_with("n1 answered "), "{records:#?}");
    assert!(error("impossible").contains("failed (exit status: 3)"), "{records:#?}");
}

#[test]
fn they_are_drawn_by_their_names_and_in_all_where_the_description_says_so() {
    let folder = folder();
    let words = "--target mine.toml --nemesis slow-log --time 5s --seed 3";
    let result = run_json(folder.path(), words);
    let faults: Vec<Value> = records(&result).iter().map(|it| it["fault"].clone()).collect();
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault == "slow-log"), "{faults:?}");
    assert_eq!(result["verdict"], "valid", "{result:#}");
}

#[test]
fn they_are_listed_with_their_target_and_refused_elsewhere() {
    let folder = folder();
    let partita = |words: &str| {
        let mut command = Command::new(PARTITA);
        let output = command.args(words.split(' ')).current_dir(folder.path()).output();
        let output = output.expect("partita runs");
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&text).into_owned(), output.status.code())
    };
    let (said, _) = partita("list faults --target mine.toml");
    assert!(said.contains("slow-log") && said.contains("the log is slow"), "{said}");
    let (said, _) = partita("list faults slow-log --target mine.toml");
    assert!(said.contains("in `all`") && said.contains("target:"), "{said}");
    let (said, code) = partita("run --target mine.toml --nemesis slow-lgo");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("did you mean `slow-log`?"), "{said}");
    let (said, code) = partita("run --nemesis slow-log");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("unknown fault `slow-log`"), "{said}");
}
