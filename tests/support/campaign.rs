//! A campaign whose runs are played by a program in place of `partita run` that is done in no time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use partita::campaign::CampaignPlan;
use serde_json::Value;
use tempfile::TempDir;

/// A run as a campaign sees one: every fifth seed is a stale read, if the file `bug` is there, and every seed
/// is if the target's version is not less than what the file `since` says, or if its specification holds what the
/// file `only` says; if `failing` is there, nothing can be
/// started. What is found is of the kind in the file `kind`, and shrinks to one fault.
const RUN: &str = r#"#!/bin/sh
here=$(dirname "$0")
if [ "$1" = shrink ]; then
    echo "$*" >"$here/shrunk"
    echo 'faults = [{ id = 0, at = "1s", for = "100ms", fault = "kill", target = "leader" }]' >"$2/shrunk.toml"
    echo 'shrunk: 1 fault, 100 ms in all; a crash in 4 of 5 replays'
    exit 1
fi
[ "$1" = run ] || exit 2
spec=$(cat)
seed=$(printf '%s' "$spec" | sed 's/.*"seed":\([0-9]*\).*/\1/')
sleep "$(cat "$here/sleep" 2>/dev/null || echo 0)"
if [ -e "$here/failing" ]; then
    echo '{"format":1,"error":"n1: Address already in use (os error 98)"}'
    exit 4
fi
mkdir -p "$6/run"
printf '%s' "$spec" >"$6/run/spec.json"
echo 'faults = []' >"$6/run/schedule.toml"
kind=$(cat "$here/kind" 2>/dev/null || echo violation)
bug=
if [ -e "$here/bug" ] && [ $((seed % 5)) = 0 ]; then bug=1; fi
if [ -s "$here/since" ]; then
    version=$(printf '%s' "$spec" | sed 's/.*version \([0-9]\).*/\1/')
    if [ "$version" -ge "$(cat "$here/since")" ]; then bug=1; fi
fi
if [ -s "$here/only" ]; then
    case $spec in *"$(cat "$here/only")"*) bug=1 ;; *) bug= ;; esac
fi
if [ -n "$bug" ]; then
    echo '{"verdict":"violation","folder":"'"$6"'/run","findings":[{"kind":"'"$kind"'","title":"stale read","sentence":"Seed '"$seed"' read <b>."}]}' |
        tee "$6/run/run.json"
    exit 1
fi
echo '{"verdict":"valid","folder":"'"$6"'/run","counts":{"invoked":9,"ok":9,"fail":0,"info":0,"ok_during_faults":3}}'
"#;

/// The campaign.
pub(crate) const FILE: &str = "canary = false\ncontrol = false\nreplays = 2\nshrink = \"0s\"\n[[matrix]]\n\
                    workloads = [\"register\", \"append\"]\nfaults = [\"process\"]\n";

/// A folder with a program, and a campaign of it.
pub(crate) struct TestBed(TempDir);

impl TestBed {
    pub(crate) fn new(with: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ground = Self(folder);
        fs::write(ground.path("run.sh"), RUN).expect("written");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(ground.path("run.sh"), executable).expect("executable");
        fs::write(ground.path("c.toml"), FILE).expect("written");
        for name in with {
            fs::write(ground.path(name), "").expect("written");
        }
        ground
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
        command.args(line.split_whitespace()).current_dir(self.0.path());
        command
    }

    pub(crate) fn partita(&self, line: &str) -> Output {
        self.command(line).output().expect("partita runs")
    }

    /// Does a campaign with the program, which must end with this code.
    pub(crate) fn campaign(&self, line: &str, code: i32) -> String {
        let output = self.partita(&format!("campaign {line} --run-program ./run.sh"));
        assert_eq!(output.status.code(), Some(code), "{line}: {}", said(&output));
        said(&output)
    }

    pub(crate) fn start(&self, line: &str) -> Child {
        let mut command = self.command(&format!("campaign {line} --run-program ./run.sh"));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("partita runs")
    }

    /// Index and seed of each run, in order.
    pub(crate) fn runs(&self, folder: &str) -> Vec<(u64, u64)> {
        let text = fs::read_to_string(self.path(folder).join("runs.jsonl")).unwrap_or_default();
        let number = |line: &Value, name: &str| line[name].as_u64().expect("a number");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line"));
        let mut runs: Vec<_> =
            lines.map(|line: Value| (number(&line, "index"), number(&line, "seed"))).collect();
        runs.sort_unstable();
        runs
    }

    pub(crate) fn overview(&self, folder: &str) -> Value {
        let text = fs::read_to_string(self.path(folder).join("buckets.json")).expect("buckets");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Index and seed of the first runs of the plan in a folder.
    pub(crate) fn planned(&self, folder: &str, runs: u64) -> Vec<(u64, u64)> {
        let text = fs::read_to_string(self.path(folder).join("campaign.json")).expect("a campaign");
        let campaign: Value = serde_json::from_str(&text).expect("JSON");
        let plan = CampaignPlan::parse(&campaign["plan"].to_string()).expect("a plan");
        (0..runs).map(|index| (index, plan.spec(index).seed)).collect()
    }
}

pub(crate) fn said(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

/// The files of a folder, by name from there on.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_owned();
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

/// At how many moments a campaign is killed.
pub(crate) fn kills() -> u64 {
    std::env::var("PARTITA_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4)
}
