//! What CI servers are given: parsed, its scripts run in a clean shell, its outputs held against what the
//! servers take.

#[path = "support/needs.rs"]
mod needs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use needs::Need;
use serde_json::Value;
use tempfile::TempDir;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A place with a program in place of `partita` that says what it was given and ends with a code.
struct TestBed(TempDir);

impl TestBed {
    fn new(code: i32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("bin")).expect("made");
        let ground = Self(folder);
        let program = format!("#!/bin/sh\nprintf '%s\\n' \"$*\" >>given\nexit {code}\n");
        fs::write(ground.path("bin/partita"), program).expect("written");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(ground.path("bin/partita"), executable).expect("executable");
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a script as a server does: with nothing of this process's environment.
    fn run(&self, shell: &[&str], script: &str, variables: &[(&str, &str)]) -> Output {
        fs::write(self.path("script"), script).expect("written");
        let mut command = Command::new(shell[0]);
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command.args(&shell[1..]).arg("script").current_dir(self.0.path()).env_clear();
        command.env("PATH", path).envs(variables.iter().copied());
        command.output().expect("a shell")
    }

    fn given(&self) -> String {
        fs::read_to_string(self.path("given")).unwrap_or_default()
    }
}

/// As GitHub runs a step of `shell: bash`.
const GITHUB: &[&str] = &["bash", "--noprofile", "--norc", "-eo", "pipefail"];

fn step(name: &str) -> String {
    let action = yaml("action.yml");
    let steps = action["runs"]["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["name"] == name);
    let step = step.unwrap_or_else(|| panic!("no step is called {name}"));
    step["run"].as_str().expect("a script").to_owned()
}

#[test]
fn the_action_is_composite_and_every_input_is_used_and_documented() {
    let action = yaml("action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    let (text, page) = (read("action.yml"), read("docs/ci/github.md"));
    for (input, about) in action["inputs"].as_object().expect("inputs") {
        assert!(about["description"].is_string() && about["default"].is_string(), "{input}");
        assert!(text.contains(&format!("inputs.{input}")), "{input} is used nowhere");
        assert!(page.contains(&format!("| `{input}` |")), "{input} is not in docs/ci/github.md");
    }
    for step in action["runs"]["steps"].as_array().expect("steps") {
        assert!(step["name"].is_string(), "{step}");
        // What a composite action runs needs a shell; what an input holds is no part of a script.
        assert!(step["run"].is_null() || step["shell"] == "bash", "{step}");
        assert!(!step["run"].as_str().unwrap_or_default().contains("${{"), "{step}");
    }
}

#[test]
fn the_actions_campaign_takes_its_inputs_and_hands_on_its_code() {
    let script = step("Campaign");
    let of = |variables: &[(&str, &str)], code: i32| {
        let ground = TestBed::new(code);
        let mut all = vec![
            ("PARTITA", "partita"),
            ("BUDGET", "10m"),
            ("OUT", "o"),
            ("GITHUB_OUTPUT", "outputs"),
        ];
        all.extend(["CAMPAIGN", "HISTORY", "KNOWN", "SHARD", "PLAN"].map(|name| (name, "")));
        all.retain(|(name, _)| variables.iter().all(|(other, _)| other != name));
        all.extend(variables);
        let output = ground.run(GITHUB, &script, &all);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let outputs = fs::read_to_string(ground.path("outputs")).expect("outputs");
        assert_eq!(outputs, format!("code={code}\n"));
        ground.given()
    };
    assert_eq!(of(&[], 0), "campaign --budget 10m --out o\n");
    assert_eq!(
        of(&[("CAMPAIGN", "n.toml"), ("HISTORY", "h"), ("KNOWN", "k.toml")], 1),
        "campaign n.toml --history h --known k.toml --budget 10m --out o\n"
    );
    assert_eq!(
        of(&[("SHARD", "3/8"), ("PLAN", "plan.json"), ("HISTORY", "h")], 4),
        "campaign work plan.json --shard 3/8 --budget 10m --out o\n"
    );
    let result = TestBed::new(0).run(GITHUB, &step("Result"), &[("CODE", "1")]);
    assert_eq!(result.status.code(), Some(1));
    // The campaign's step did not come so far as to say its code.
    let result = TestBed::new(0).run(GITHUB, &step("Result"), &[("CODE", "")]);
    assert_eq!(result.status.code(), Some(4));
}

#[test]
fn the_action_marks_eight_new_buckets_and_appends_the_summary() {
    if Command::new("jq").arg("--version").output().is_err() {
        println!("skipped: there is no jq");
        return;
    }
    let ground = TestBed::new(0);
    let bucket = |number: u32| {
        let is = if number < 2 { "known" } else { "new" };
        serde_json::json!({"is": is, "sentence": format!("100 % of {number}\nlines"),
            "signature": {"kind": "violation", "what": format!("stale, read: {number}")}})
    };
    let buckets = serde_json::json!({"buckets": (0..20).map(bucket).collect::<Vec<_>>()});
    fs::create_dir(ground.path("o")).expect("made");
    fs::write(ground.path("o/buckets.json"), buckets.to_string()).expect("written");
    fs::write(ground.path("o/summary.md"), "### a summary\n").expect("written");
    let variables = [("OUT", "o"), ("GITHUB_STEP_SUMMARY", "page")];
    let output = ground.run(GITHUB, &step("Summary"), &variables);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 8, "{text}");
    assert_eq!(lines[0], "::error title=violation%3A stale%2C read%3A 2::100 %25 of 2\\nlines");
    assert_eq!(fs::read_to_string(ground.path("page")).expect("a page"), "### a summary\n");
    // Nothing was written: the machine had failed before.
    let empty = TestBed::new(0).run(GITHUB, &step("Summary"), &variables);
    assert!(empty.status.success() && empty.stdout.is_empty());
}

#[test]
fn a_slurm_task_works_on_its_shard_and_a_finding_does_not_fail_it() {
    let script = read("docs/ci/campaign.sbatch");
    let variables =
        [("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_CPUS_PER_TASK", "4"), ("PARTITA_BUDGET", "1h")];
    for (code, ends) in [(0, 0), (1, 0), (2, 2), (4, 4)] {
        let ground = TestBed::new(code);
        let output = ground.run(&["sh"], &script, &variables);
        assert_eq!(output.status.code(), Some(ends), "{}", String::from_utf8_lossy(&output.stderr));
        let expected = "campaign work plan.json --budget 1h --jobs 8 --out shard-5\n";
        assert_eq!(ground.given(), expected);
    }
}

#[test]
fn gitlab_shards_do_not_fail_by_a_finding_and_the_merge_hands_on_its_junit() {
    let jobs = yaml("docs/ci/gitlab-campaign.yml");
    let script = |job: &str| {
        let lines = jobs[job]["script"].as_array().expect("a script");
        lines.iter().map(|line| line.as_str().expect("a line")).collect::<Vec<_>>().join("\n")
    };
    let shell: &[&str] = &["bash", "-eo", "pipefail"];
    let variables = [("CI_NODE_INDEX", "2"), ("PARTITA_BUDGET", "30m"), ("CI_PIPELINE_IID", "77")];
    for (code, ends) in [(0, 0), (1, 0), (4, 1)] {
        let ground = TestBed::new(code);
        let output = ground.run(shell, &script("partita-work"), &variables);
        assert_eq!(output.status.code(), Some(ends), "{code}");
        assert_eq!(ground.given(), "campaign work plan.json --budget 30m --out shard-2\n");
    }
    let ground = TestBed::new(0);
    ground.run(shell, &script("partita-plan"), &variables);
    assert_eq!(ground.given(), "campaign plan --night 77 -o plan.json\n");
    assert_eq!(jobs["partita-work"]["parallel"], 4);
    assert_eq!(jobs["partita-merge"]["artifacts"]["reports"]["junit"], "night/junit.xml");
    assert_eq!(TestBed::new(1).run(shell, &script("partita-merge"), &[]).status.code(), Some(1));
}

#[test]
fn a_kubernetes_index_is_a_shard_and_exit_codes_decide_what_becomes_of_it() {
    let job = yaml("docs/ci/campaign-job.yaml");
    assert_eq!((job["apiVersion"].as_str(), job["kind"].as_str()), (Some("batch/v1"), Some("Job")));
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    let pod = &spec["template"]["spec"];
    let container = &pod["containers"][0];
    // Both are needed for a policy on failures.
    assert_eq!(pod["restartPolicy"], "Never");
    let rules = spec["podFailurePolicy"]["rules"].as_array().expect("rules");
    let action = |code: i64| {
        let holds = |rule: &&Value| {
            let codes = &rule["onExitCodes"];
            let is_here = codes["containerName"] == container["name"];
            is_here && codes["values"].as_array().is_some_and(|all| all.contains(&code.into()))
        };
        rules.iter().find(holds).and_then(|rule| rule["action"].as_str())
    };
    assert_eq!([1, 2, 3, 4].map(action), ["FailIndex", "FailJob", "Count", "Count"].map(Some));
    let shards = container["env"].as_array().expect("variables");
    let shards = shards.iter().find(|it| it["name"] == "PARTITA_SHARDS").expect("how many");
    assert_eq!(shards["value"].as_str(), Some(spec["completions"].to_string().as_str()));
    let script = container["args"][0].as_str().expect("a script");
    let ground = TestBed::new(4);
    let variables = [("JOB_COMPLETION_INDEX", "6"), ("PARTITA_BUDGET", "1h")];
    let output = ground.run(&["sh"], script, &variables);
    assert_eq!(output.status.code(), Some(4), "as it is");
    assert_eq!(
        ground.given(),
        "campaign work /plan/plan.json --budget 1h --out /campaign/shard-6\n"
    );
}

#[test]
fn the_kubernetes_job_fits_the_schema_of_the_api() {
    if !Need::Kubernetes.met_by_program("kubernetes-validate") {
        return;
    }
    let ground = TestBed::new(0);
    let validate = |version: &str, text: &str| {
        fs::write(ground.path("job.yaml"), text).expect("written");
        let mut command = Command::new("kubernetes-validate");
        command.args(["--strict", "-k", version]).arg(ground.path("job.yaml"));
        command.output().expect("it runs")
    };
    let text = read("docs/ci/campaign-job.yaml");
    // The first that has it all in general availability, and a later one.
    for version in ["1.33", "1.36"] {
        let output = validate(version, &text);
        assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let wrong = text.replace("maxFailedIndexes", "maxFailedIndices");
    assert!(!validate("1.33", &wrong).status.success(), "it refuses what it does not know");
}

#[test]
fn a_jenkins_stage_runs_a_night_and_keeps_its_junit() {
    let text = read("docs/ci/Jenkinsfile");
    let braces =
        |open: char, close: char| text.matches(open).count() == text.matches(close).count();
    assert!(braces('{', '}') && braces('(', ')'));
    let script = text.split("'''").nth(1).expect("a script");
    let ground = TestBed::new(1);
    let variables = [("PARTITA_CAMPAIGN", ""), ("PARTITA_BUDGET", "2h"), ("BUILD_NUMBER", "9")];
    let output = ground.run(&["sh", "-xe"], script, &variables);
    assert_eq!(output.status.code(), Some(1), "a finding fails the build");
    let expected = "campaign --budget 2h --night 9 --history partita-history --out night\n";
    assert_eq!(ground.given(), expected);
    assert!(text.contains("junit testResults: 'night/junit.xml'"));
}

#[test]
fn the_projects_own_workflows_use_the_action_with_inputs_that_it_has() {
    let action = yaml("action.yml");
    let inputs = action["inputs"].as_object().expect("inputs");
    for name in [".github/workflows/campaign.yml", ".github/workflows/test.yml"] {
        let workflow = yaml(name);
        let steps = workflow["jobs"]["campaign"]["steps"].as_array().expect("steps");
        let own = steps.iter().find(|step| step["uses"] == "./").expect("it is used");
        for input in own["with"].as_object().expect("inputs").keys() {
            assert!(inputs.contains_key(input), "{name}: {input}");
        }
    }
}

#[test]
fn the_nights_score_is_summed_up_and_its_code_handed_on() {
    let workflow = yaml(".github/workflows/campaign.yml");
    let steps = workflow["jobs"]["score"]["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["name"] == "Score").expect("a step");
    let script = step["run"].as_str().expect("a script");
    for code in [0, 1, 4] {
        let ground = TestBed::new(code);
        fs::create_dir(ground.path("score")).expect("made");
        fs::write(ground.path("score/score.md"), "3 of 4 bugs found.\n").expect("written");
        let variables = [("PARTITA", "partita"), ("GITHUB_STEP_SUMMARY", "page")];
        let output = ground.run(GITHUB, script, &variables);
        assert_eq!(output.status.code(), Some(code));
        assert_eq!(ground.given(), "score --series 1 --budget 1m --jobs 4 --out score\n");
        let page = fs::read_to_string(ground.path("page")).expect("a page");
        assert_eq!(page, "3 of 4 bugs found.\n");
    }
}

#[test]
fn a_job_of_gnu_parallel_works_on_its_shard_and_a_finding_does_not_fail_it() {
    let page = read("docs/ci/gnu-parallel.md");
    let line = page.lines().find(|line| line.contains("--shard {}/8")).expect("a command");
    let script = line.trim().trim_matches('\'').replace("{}", "3");
    for (code, is_success) in [(0, true), (1, true), (4, false)] {
        let ground = TestBed::new(code);
        let output = ground.run(&["sh"], &script, &[]);
        assert_eq!(output.status.success(), is_success, "{code}");
        let expected = "campaign work plan.json --shard 3/8 --budget 1h --out shard-3\n";
        assert_eq!(ground.given(), expected);
    }
}
