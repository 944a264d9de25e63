//! Campaigns from the command line to their files, with a program in place of `partita run` that is done
//! in no time.

#[path = "support/needs.rs"]
mod needs;
#[path = "support/campaign.rs"]
mod support;

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use needs::Need;
use partita::campaign::{CampaignPlan, Configuration};
use partita_reports::RunSpec;
use partita_reports::spec::OnFinding;
use serde_json::Value;

use support::{FILE, TestBed, files, said};

#[test]
fn a_campaign_leaves_its_buckets_and_nothing_of_what_was_valid() {
    let ground = TestBed::new(&["bug"]);
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
    let moments = support::kills();
    let ground = TestBed::new(&["bug"]);
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
fn shards_that_are_killed_go_on_and_merge_to_the_same_runs() {
    let ground = TestBed::new(&["bug"]);
    ground.partita("campaign plan c.toml --night 7 --runs 60 -o plan.json");
    fs::write(ground.path("sleep"), "0.03").expect("written");
    let line = |shard: u64| format!("work plan.json --shard {shard}/3 --jobs 2 --out s{shard}");
    for moment in 0..support::kills() {
        let mut shards: Vec<_> = (0..3).map(|shard| ground.start(&line(shard))).collect();
        for (place, shard) in shards.iter_mut().enumerate() {
            sleep(Duration::from_millis(30 + (moment * 61 + place as u64 * 37) % 110));
            shard.kill().expect("killed");
            shard.wait().expect("waited for");
        }
    }
    let _ = fs::remove_file(ground.path("sleep"));
    for shard in 0..3 {
        let output = ground.start(&line(shard)).wait().expect("waited for");
        assert!(matches!(output.code(), Some(0 | 1)), "{output}");
    }
    let merged = ground.partita("campaign merge s2 s0 s1 -o night");
    assert_eq!(merged.status.code(), Some(1), "{}", said(&merged));
    assert_eq!(ground.runs("night"), ground.planned("night", 60));
}

#[test]
fn shards_in_any_order_and_one_twice_merge_to_the_same_files() {
    let ground = TestBed::new(&["bug"]);
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
    let ground = TestBed::new(&[]);
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
    let ground = TestBed::new(&["bug"]);
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
    let ground = TestBed::new(&["bug"]);
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
    let ground = TestBed::new(&["failing"]);
    let text = ground.campaign("c.toml --night 7 --runs 12 --jobs 2 --out night", 4);
    assert!(text.contains("12 of 12 runs failed alike: port taken"), "{text}");
    let overview = ground.overview("night");
    let buckets = overview["buckets"].as_array().expect("buckets");
    assert_eq!(buckets.len(), 1, "one finding about the environment, not twelve: {buckets:?}");
    assert_eq!(buckets[0]["is_environment"], true);
}

#[test]
fn a_campaign_of_a_newer_format_is_refused_and_left_alone() {
    let ground = TestBed::new(&[]);
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
    let ground = TestBed::new(&["bug"]);
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
fn the_junit_of_every_kind_of_night_fits_the_schema_of_jenkins() {
    let schema = std::env::var_os("PARTITA_XUNIT_SCHEMA").map(std::path::PathBuf::from);
    let is_there = Command::new("xmllint").arg("--version").output().is_ok();
    let schema = schema.filter(|schema| is_there && schema.is_file());
    if !Need::XunitSchema.met(schema.is_some()) {
        return;
    }
    let schema = schema.expect("a schema");
    let fits = |ground: &TestBed, night: &str| {
        let mut command = Command::new("xmllint");
        command.arg("--noout").arg("--schema").arg(&schema);
        let output = command.arg(ground.path(night).join("junit.xml")).output().expect("it runs");
        assert!(output.status.success(), "{night}: {}", said(&output));
    };
    let ground = TestBed::new(&["bug"]);
    ground.campaign("c.toml --night 7 --runs 20 --history h --out new", 1);
    ground.campaign("c.toml --night 8 --runs 20 --history h --out known", 0);
    fs::remove_file(ground.path("bug")).expect("mended");
    ground.campaign("c.toml --night 9 --runs 4 --out valid", 0);
    fs::write(ground.path("failing"), "").expect("written");
    ground.campaign("c.toml --night 10 --runs 12 --out failed", 4);
    for night in ["new", "known", "valid", "failed"] {
        fits(&ground, night);
    }
}

#[test]
fn findings_of_every_kind_are_shrunk_and_their_faults_stand_in_the_buckets_name() {
    let ground = TestBed::new(&["bug"]);
    fs::write(ground.path("kind"), "crash").expect("written");
    let file = FILE.replace("shrink = \"0s\"", "shrink = \"1m\"");
    fs::write(ground.path("c.toml"), file).expect("written");
    let text = ground.campaign("c.toml --night 7 --runs 20 --jobs 2 --history h --out night", 1);
    let row = &ground.overview("night")["buckets"][0];
    assert_eq!(row["shrunk"][0]["faults"][0]["fault"], "kill");
    assert_eq!(row["shrunk"][0]["reproduced"], serde_json::json!({"k": 4, "n": 5}));
    let (id, name) = (row["id"].as_str().expect("text"), row["name"].as_str().expect("text"));
    assert!(name.contains("-after-kill-leader-") && name.ends_with(&id[id.len() - 8..]), "{name}");
    assert!(text.contains(name), "{text}");
    let asked = fs::read_to_string(ground.path("shrunk")).expect("asked");
    assert!(asked.trim().ends_with("--finding crash"), "{asked}");
    // Somebody deals with it by the name that the page shows; a later night calls it the same.
    let known = format!(
        "format = 1\n[[known]]\nbucket = \"{name}\"\nissue = \"issue 7\"\nuntil = \"9999-12-31\"\n"
    );
    fs::write(ground.path("known.toml"), known).expect("written");
    let file = FILE.replace("replays = 2", "replays = 0");
    fs::write(ground.path("c.toml"), file).expect("written");
    ground.campaign("c.toml --night 8 --runs 20 --history h --known known.toml --out next", 0);
    let next = ground.overview("next");
    let rows = next["buckets"].as_array().expect("buckets");
    let again = rows.iter().find(|row| row["id"] == id).expect("the same bucket");
    assert_eq!((again["name"].as_str(), again["issue"].as_str()), (Some(name), Some("issue 7")));
}

#[test]
fn a_campaign_runs_on_every_program_that_it_is_given() {
    let ground = TestBed::new(&[]);
    fs::write(ground.path("only"), "/bad-1").expect("written");
    let binaries = "--binaries honest=./good,bug1=./bad-1,bug2=./bad-2";
    let line = format!("c.toml --night 7 --rounds 2 --jobs 2 {binaries} --out night");
    ground.campaign(&line, 1);
    // Two workloads on three programs, each twice.
    assert_eq!(ground.runs("night"), ground.planned("night", 12));
    let overview = ground.overview("night");
    let buckets = overview["buckets"].as_array().expect("buckets");
    assert_eq!(buckets.len(), 2, "{buckets:?}");
    for bucket in buckets {
        assert_eq!(bucket["versions"], serde_json::json!(["bug1"]));
        assert!(!bucket["id"].to_string().contains("bug1"), "no name of a program in a bucket's");
    }
    let rows = overview["configurations"].as_array().expect("configurations");
    let found = rows.iter().filter(|row| !row["time_to_find"].is_null());
    let found: Vec<&str> = found.filter_map(|row| row["name"].as_str()).collect();
    let names = ["raft-node/register/process of bug1", "raft-node/append/process of bug1"];
    assert_eq!(found, names);
}

#[test]
fn the_campaign_of_effectiveness_has_each_bug_beside_the_honest_store() {
    let ground = TestBed::new(&[]);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/effectiveness.toml");
    let output = ground.partita(&format!("campaign plan {file} --night 7 --rounds 3 -o plan.json"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = fs::read_to_string(ground.path("plan.json")).expect("a plan");
    let plan = CampaignPlan::parse(&text).expect("a plan");
    assert_eq!(plan.runs, Some(3 * plan.width()));
    let same_runs = |a: &Configuration, b: &Configuration| {
        let plain = |one: &Configuration| RunSpec { mutations: Vec::new(), ..one.spec.clone() };
        plain(a) == plain(b)
    };
    let (bugs, honest): (Vec<_>, Vec<_>) =
        plan.configurations.iter().partition(|it| !it.spec.mutations.is_empty());
    for one in &bugs {
        let controls = honest.iter().filter(|it| same_runs(it, one)).count();
        assert_eq!(controls, 1, "{}", one.name);
    }
    // One for each schedule, and each bug by itself.
    assert!((30..40).contains(&honest.len()), "{}", honest.len());
    assert!(bugs.iter().all(|it| it.spec.mutations.len() == 1) && bugs.len() > 37);
    assert!(plan.configurations.iter().all(|it| it.spec.on_finding == OnFinding::Stop));
}

#[test]
fn a_score_tells_programs_with_a_bug_from_the_one_without() {
    let ground = TestBed::new(&[]);
    let score = |only: &str, out: &str, code: i32| {
        fs::write(ground.path("only"), only).expect("written");
        let binaries = "--binaries honest=./good,canary=./bad-0,bug1=./bad-1,bug2=./other";
        let line =
            format!("score {binaries} --from x --series 1 --budget 1s --time 1s --out {out}");
        let output = ground.partita(&format!("{line} --run-program ./run.sh"));
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        let read = |name: &str| fs::read_to_string(ground.path(out).join(name)).expect("written");
        (read("score.json"), read("score.md"), read("score.html"))
    };
    let (json, table, page) = score("/bad-", "a", 0);
    for text in [&table, &page] {
        assert!(text.contains("1 of 2 bugs found"), "{text}");
    }
    assert!(table.contains("| bug1 | 1 of 1 |") && table.contains("| bug2 | 0 of 1 |"), "{table}");
    assert!(table.contains("| honest (control) | 0 of 1 |"), "{table}");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let attempts = json["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 4);
    // The runs of what was found are kept, and no others.
    let runs = |name: &str| fs::read_dir(ground.path("a/runs").join(name)).expect("kept").count();
    assert_eq!([runs("honest"), runs("bug1")], [0, 1]);
    let (_, table, _) = score("/good", "b", 1);
    assert!(table.contains("honest in series 0: something was found of the control"), "{table}");
    score("/nothing", "c", 4);
}

#[test]
fn bisection_finds_the_first_version_that_gives_what_a_bucket_holds() {
    let ground = TestBed::new(&[]);
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
