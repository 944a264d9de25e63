//! Campaigns from the command line to their files, with a program in place of `partita run` that is done
//! in no time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use partita::campaign::CampaignPlan;
use serde_json::Value;
use tempfile::TempDir;

/// A run as a campaign sees one: every fifth seed is a stale read, if the file `bug` is there, and every seed
/// is if the target's version is not less than what the file `since` says; if `failing` is there, nothing can be
/// started.
const RUN: &str = r#"#!/bin/sh
here=$(dirname "$0")
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
bug=
if [ -e "$here/bug" ] && [ $((seed % 5)) = 0 ]; then bug=1; fi
if [ -s "$here/since" ]; then
    version=$(printf '%s' "$spec" | sed 's/.*version \([0-9]\).*/\1/')
    if [ "$version" -ge "$(cat "$here/since")" ]; then bug=1; fi
fi
if [ -n "$bug" ]; then
    echo '{"verdict":"violation","folder":"'"$6"'/run","findings":[{"kind":"violation","title":"stale read","sentence":"Seed '"$seed"' read <b>."}]}' |
        tee "$6/run/run.json"
    exit 1
fi
echo '{"verdict":"valid","folder":"'"$6"'/run","counts":{"invoked":9,"ok":9,"fail":0,"info":0,"ok_during_faults":3}}'
"#;

const FILE: &str = "canary = false\ncontrol = false\nreplays = 2\nshrink = \"0s\"\n[[matrix]]\n\
                    workloads = [\"register\", \"append\"]\nfaults = [\"process\"]\n";

/// A folder with a program, and a campaign of it.
struct Ground(TempDir);

impl Ground {
    fn new(with: &[&str]) -> Self {
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

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
        command.args(line.split_whitespace()).current_dir(self.0.path());
        command
    }

    fn partita(&self, line: &str) -> Output {
        self.command(line).output().expect("partita runs")
    }

    /// Does a campaign with the program, which must end with this code.
    fn campaign(&self, line: &str, code: i32) -> String {
        let output = self.partita(&format!("campaign {line} --run-program ./run.sh"));
        assert_eq!(output.status.code(), Some(code), "{line}: {}", said(&output));
        said(&output)
    }

    fn start(&self, line: &str) -> Child {
        let mut command = self.command(&format!("campaign {line} --run-program ./run.sh"));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("partita runs")
    }

    /// Index and seed of each run, in order.
    fn runs(&self, folder: &str) -> Vec<(u64, u64)> {
        let text = fs::read_to_string(self.path(folder).join("runs.jsonl")).unwrap_or_default();
        let number = |line: &Value, name: &str| line[name].as_u64().expect("a number");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line"));
        let mut runs: Vec<_> =
            lines.map(|line: Value| (number(&line, "index"), number(&line, "seed"))).collect();
        runs.sort_unstable();
        runs
    }

    fn overview(&self, folder: &str) -> Value {
        let text = fs::read_to_string(self.path(folder).join("buckets.json")).expect("buckets");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Index and seed of the first runs of the plan in a folder.
    fn planned(&self, folder: &str, runs: u64) -> Vec<(u64, u64)> {
        let text = fs::read_to_string(self.path(folder).join("campaign.json")).expect("a campaign");
        let campaign: Value = serde_json::from_str(&text).expect("JSON");
        let plan = CampaignPlan::parse(&campaign["plan"].to_string()).expect("a plan");
        (0..runs).map(|index| (index, plan.spec(index).seed)).collect()
    }
}

fn said(output: &Output) -> String {
    [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat()
}

/// The files of a folder, by name from there on.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
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

#[test]
fn a_campaign_leaves_its_buckets_and_nothing_of_what_was_valid() {
    let ground = Ground::new(&["bug"]);
    let text = ground.campaign("c.toml --night 7 --runs 20 --jobs 2 --out night", 1);
    assert!(text.contains("new bucket: raft-node, "), "{text}");
    assert_eq!(ground.runs("night"), ground.planned("night", 20));
    let overview = ground.overview("night");
    let buckets = overview["buckets"].as_array().expect("buckets");
    // One for each workload: their histories are of different kinds.
    assert_eq!(buckets.len(), 2, "{buckets:?}");
    for bucket in buckets {
        assert_eq!(bucket["is"], "new");
        assert_eq!(bucket["signature"]["what"], "stale read");
        assert_eq!(bucket["replayed"], serde_json::json!({"k": 2, "n": 2}), "the seed decides");
        let id = bucket["id"].as_str().expect("a name");
        let kept = fs::read_dir(ground.path("night/failing").join(id)).expect("kept").count();
        assert!((1..=4).contains(&kept), "{kept} of {}", bucket["runs"]);
    }
    assert!(!ground.path("night/work").exists(), "nothing of valid runs is left");
    let page = fs::read_to_string(ground.path("night/index.html")).expect("a page");
    assert!(page.contains("2 new buckets") && page.contains("&#60;b&#62;"), "{page}");
    let summary = fs::read_to_string(ground.path("night/summary.md")).expect("a summary");
    assert!(summary.contains("❌") && summary.contains("&lt;b&gt;"), "{summary}");
    // The same folder is not begun again, and is gone on with if that is asked.
    let text = ground.campaign("c.toml --night 7 --runs 20 --out night", 2);
    assert!(text.contains("--resume"), "{text}");
    ground.campaign("c.toml --resume --out night", 1);
    assert_eq!(ground.runs("night").len(), 20);
}

#[test]
fn a_campaign_that_is_killed_goes_on_with_the_same_runs_once_each() {
    let moments: u64 =
        std::env::var("PARTITA_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let ground = Ground::new(&["bug"]);
    fs::write(ground.path("sleep"), "0.04").expect("written");
    let runs = 10 * moments;
    for moment in 0..moments {
        let line = format!("c.toml --night 7 --runs {runs} --jobs 3 --out night --resume");
        let mut campaign = ground.start(&line);
        sleep(Duration::from_millis(60 + moment * 97 % 240));
        campaign.kill().expect("killed");
        campaign.wait().expect("waited for");
        let torn = ground.path("night/runs.jsonl");
        if moment % 2 == 0 && torn.exists() {
            let mut text = fs::read(&torn).expect("a log");
            text.extend(b"{\"index\":3,\"conf");
            fs::write(&torn, text).expect("written");
        }
    }
    let _ = fs::remove_file(ground.path("sleep"));
    ground.campaign(&format!("c.toml --night 7 --runs {runs} --jobs 3 --out night --resume"), 1);
    assert_eq!(ground.runs("night"), ground.planned("night", runs));
    ground.campaign(&format!("c.toml --night 7 --runs {runs} --jobs 3 --out whole"), 1);
    assert_eq!(ground.runs("night"), ground.runs("whole"));
    let ids = |folder: &str| -> Vec<(String, u64)> {
        let overview = ground.overview(folder);
        let rows = overview["buckets"].as_array().expect("buckets").iter();
        rows.map(|row| (row["id"].to_string(), row["runs"].as_u64().expect("runs"))).collect()
    };
    assert_eq!(ids("night"), ids("whole"));
}

#[test]
fn shards_in_any_order_and_one_twice_merge_to_the_same_files() {
    let ground = Ground::new(&["bug"]);
    let plan = ground.partita("campaign plan c.toml --night 7 --runs 21 -o plan.json");
    assert_eq!(plan.status.code(), Some(0), "{}", said(&plan));
    let work = |shard: u64| {
        let line = format!("work plan.json --shard {shard}/3 --jobs 2 --out s{shard}");
        let output = ground.partita(&format!("campaign {line} --run-program ./run.sh"));
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", said(&output));
    };
    (0..3).for_each(work);
    // Once more: nothing is left to do.
    work(1);
    let merge =
        |folders: &str, out: &str| ground.partita(&format!("campaign merge {folders} -o {out}"));
    let whole = merge("s0 s1 s2", "a");
    assert_eq!(whole.status.code(), Some(1), "{}", said(&whole));
    merge("s2 s0 s1 s2", "b");
    merge("s1 s2", "part");
    merge("part s0", "c");
    assert_eq!(ground.runs("a"), ground.planned("a", 21));
    let files = |name: &str| files(&ground.path(name));
    assert!(files("a").keys().any(|name| name.starts_with("failing")));
    assert_eq!(files("a"), files("b"));
    assert_eq!(files("a"), files("c"));
    let problems = ground.overview("part")["problems"].to_string();
    assert!(problems.contains("1 of 3 shards are missing: 0"), "{problems}");
    let other = ground.partita("campaign plan c.toml --night 8 --runs 21 -o other.json");
    assert_eq!(other.status.code(), Some(0));
    ground.partita("campaign work other.json --shard 0/3 --out o0 --run-program ./run.sh");
    let refused = merge("s1 o0", "d");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}

#[test]
fn the_engine_says_which_shard_a_process_is() {
    let ground = Ground::new(&[]);
    ground.partita("campaign plan c.toml --night 7 --runs 8 -o plan.json");
    let mut command = ground.command("campaign work plan.json --out s --run-program ./run.sh");
    command.env("SLURM_ARRAY_TASK_ID", "3").env("SLURM_ARRAY_TASK_COUNT", "4");
    let output = command.output().expect("partita runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let indices: Vec<u64> = ground.runs("s").into_iter().map(|(index, _)| index).collect();
    assert_eq!(indices, [3, 7]);
}

#[test]
fn a_second_night_knows_the_buckets_and_a_mended_one_is_gone_then_closed() {
    let ground = Ground::new(&["bug"]);
    let night = |number: u64, code| {
        let line = format!("c.toml --night {number} --runs 20 --jobs 2 --history history");
        ground.campaign(&format!("{line} --out night-{number}"), code);
        let overview = ground.overview(&format!("night-{number}"));
        let rows = overview["buckets"].as_array().expect("buckets").clone();
        rows.iter().map(|row| row["is"].as_str().expect("a word").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(night(7, 1), ["new", "new"]);
    assert_eq!(night(8, 0), ["known", "known"], "nothing is new");
    fs::remove_file(ground.path("bug")).expect("mended");
    // Two of two replays: five clean trials a night do, or not.
    let after = night(9, 0);
    assert!(after.iter().all(|is| is == "gone" || is == "closed"), "{after:?}");
    fs::write(ground.path("bug"), "").expect("written");
    let again = night(10, if after.contains(&"closed".to_owned()) { 1 } else { 0 });
    assert!(again.iter().all(|is| is == "back" || is == "known"), "{again:?}");
}

#[test]
fn a_bucket_that_somebody_deals_with_fails_no_night_until_it_is_overdue() {
    let ground = Ground::new(&["bug"]);
    ground.campaign("c.toml --night 7 --runs 20 --out a", 1);
    let overview = ground.overview("a");
    let list = |until: &str| {
        let rows = overview["buckets"].as_array().expect("buckets").iter();
        let entry = |row: &Value| {
            let id = &row["id"];
            format!("[[known]]\nbucket = {id}\nissue = \"issue 7\"\nuntil = \"{until}\"\n")
        };
        let text = rows.map(entry).collect::<String>();
        fs::write(ground.path("known.toml"), format!("format = 1\n{text}")).expect("written");
    };
    list("9999-12-31");
    ground.campaign("c.toml --night 7 --runs 20 --out b --known known.toml", 0);
    ground.campaign("c.toml --night 7 --runs 20 --out c --known known.toml --fail-on any", 1);
    list("2000-01-01");
    ground.campaign("c.toml --night 7 --runs 20 --out d --known known.toml", 1);
}

#[test]
fn a_night_in_which_nothing_could_be_started_is_a_failed_one() {
    let ground = Ground::new(&["failing"]);
    let text = ground.campaign("c.toml --night 7 --runs 12 --jobs 2 --out night", 4);
    assert!(text.contains("12 of 12 runs failed alike: port taken"), "{text}");
    let overview = ground.overview("night");
    let buckets = overview["buckets"].as_array().expect("buckets");
    assert_eq!(buckets.len(), 1, "one finding about the environment, not twelve: {buckets:?}");
    assert_eq!(buckets[0]["is_environment"], true);
}

#[test]
fn a_campaign_of_a_newer_format_is_refused_and_left_alone() {
    let ground = Ground::new(&[]);
    ground.campaign("c.toml --night 7 --runs 4 --out night", 0);
    let path = ground.path("night/campaign.json");
    let text = fs::read_to_string(&path).expect("a campaign");
    fs::write(&path, text.replacen("\"format\": 1", "\"format\": 2", 1)).expect("written");
    let before = files(&ground.path("night"));
    let text = ground.campaign("c.toml --resume --out night", 2);
    assert!(text.contains("format 2"), "{text}");
    assert_eq!(files(&ground.path("night")), before);
}

#[test]
fn two_nights_have_the_same_test_cases_and_other_seeds() {
    let ground = Ground::new(&["bug"]);
    let names = |night: u64| {
        ground.campaign(&format!("c.toml --night {night} --runs 20 --out n{night}"), 1);
        let text = fs::read_to_string(ground.path(&format!("n{night}/junit.xml"))).expect("XML");
        let cases = text.lines().filter(|line| line.contains("<testcase "));
        let name = |line: &str| line.split(" time=").next().unwrap_or_default().trim().to_owned();
        let names: Vec<String> = cases.map(name).collect();
        (names, text)
    };
    let ((first, one), (second, two)) = (names(7), names(8));
    assert_eq!(first, second);
    assert_eq!(first.len(), 2);
    assert!(
        first[0].contains("name=\"process\" classname=\"partita.raft-node.append\""),
        "{first:?}"
    );
    assert_ne!(one, two);
}

#[test]
fn bisection_finds_the_first_version_that_gives_what_a_bucket_holds() {
    let ground = Ground::new(&[]);
    let described = include_str!("../src/targets/raft-node.toml");
    let about = described.lines().find(|line| line.starts_with("about")).expect("a line");
    for version in 1..=9 {
        let text = described.replace(about, &format!("about = \"version {version}\""));
        fs::write(ground.path(&format!("v{version}.toml")), text).expect("written");
    }
    fs::write(ground.path("since"), "4").expect("written");
    let file = FILE.replace("[[matrix]]", "[[matrix]]\ntargets = [\"v9.toml\"]");
    fs::write(ground.path("c.toml"), file).expect("written");
    ground.campaign("c.toml --night 7 --runs 2 --out night", 1);
    let overview = ground.overview("night");
    let bucket = overview["buckets"][0]["id"].as_str().expect("a bucket");
    assert_eq!(overview["buckets"][0]["versions"][0], "v9");
    let bisect = |versions: &str| {
        let line = format!("bisect night/failing/{bucket} {versions} --run-program ./run.sh");
        let output = ground.partita(&line);
        (output.status.code(), said(&output))
    };
    let (code, text) =
        bisect("--good v1.toml --bad v9.toml v2.toml v3.toml v4.toml v5.toml v6.toml v7.toml");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("first bad: v4.toml; the last good one is v3.toml"), "{text}");
    assert!(text.contains("v9.toml: 10 of 10") && text.contains("v3.toml: good, 0 of 3"), "{text}");
    let (code, text) = bisect("--good v5.toml --bad v9.toml");
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("the oldest version gives it as well"), "{text}");
    let (code, text) = bisect("--good v1.toml --bad v3.toml");
    assert_eq!(code, Some(3), "{text}");
}
