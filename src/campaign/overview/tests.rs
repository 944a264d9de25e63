//! Tests of what a campaign's documents say.

use partita_reports::campaign::record::Signature;

use super::super::plan::Shard;
use super::super::plan::tests::plan;
use super::*;

fn campaign() -> Campaign {
    let mut plan = plan(2);
    for configuration in &mut plan.configurations {
        configuration.spec.workload = "register".to_owned();
    }
    Campaign::of(plan, Shard::WHOLE)
}

fn sighting(kind: &str, what: &str) -> Sighting {
    let signature = Signature {
        target: "raft-node".to_owned(),
        workload: "register".to_owned(),
        kind: kind.to_owned(),
        what: what.to_owned(),
        shape: Vec::new(),
    };
    Sighting {
        bucket: signature.id(),
        signature,
        sentence: format!("A {what}."),
        at_ms: Some(4_000),
    }
}

fn run(campaign: &Campaign, index: u64, result: RunResult, found: &[Sighting]) -> RunLine {
    RunLine {
        index,
        configuration: campaign.plan.configuration(index).name.clone(),
        seed: campaign.plan.seed_of(index),
        started_ms: 1_000 * index,
        wall_ms: 1_500,
        cpu_ms: 700,
        result,
        sightings: found.to_vec(),
        reason: None,
        operations: 10,
        exercised: vec!["isolate leader".to_owned()],
        kept: found.first().map(|it| format!("failing/{}/{index}", it.bucket)),
        spec: None,
    }
}

/// That the bucket's first run shrinks to this fault of the leader.
fn shrunk(sighting: &Sighting, fault: &str) -> ReplayLine {
    ReplayLine::Shrunk {
        bucket: sighting.bucket.clone(),
        of: 0,
        faults: vec![FaultLeft { fault: fault.to_owned(), target: "leader".to_owned() }],
        reproduced: Some(9),
        of_replays: Some(10),
        schedule: None,
        reason: None,
    }
}

fn of(campaign: &Campaign, runs: &[RunLine], replays: &[ReplayLine]) -> Overview {
    let (history, known) = (History::default(), Known::default());
    let today = "2027-01-01".parse().expect("a day");
    let context = Context { history: &history, known: &known, today };
    with_times(overview(campaign, runs, replays, context), runs)
}

fn valid(campaign: &Campaign, indices: std::ops::Range<u64>) -> Vec<RunLine> {
    indices.map(|index| run(campaign, index, RunResult::Valid, &[])).collect()
}

#[test]
fn a_bucket_says_when_a_run_had_none_of_the_faults_that_the_first_one_needs() {
    let campaign = campaign();
    let stale = sighting("violation", "stale read");
    let found = |index| run(&campaign, index, RunResult::Finding, std::slice::from_ref(&stale));
    let mixed = |runs: &[RunLine], fault: &str| {
        of(&campaign, runs, &[shrunk(&stale, fault)]).buckets[0].mixed.clone()
    };
    let paused = RunLine { exercised: vec!["pause follower".to_owned()], ..found(1) };
    let unmeasured = RunLine { exercised: Vec::new(), ..found(1) };
    assert_eq!(mixed(&[found(0), found(1)], "isolate"), None);
    assert_eq!(mixed(&[found(0), unmeasured], "isolate"), None, "nothing is known of it");
    let sentence = mixed(&[found(0), paused], "isolate").expect("another way");
    assert!(sentence.starts_with("in 1 of its 2 runs none of the faults"), "{sentence}");
}

#[test]
fn buckets_of_the_same_finding_after_the_same_faults_say_that_they_may_be_one() {
    let campaign = campaign();
    let of_shape = |reason: &str| {
        let mut sighting = sighting("violation", "stale read");
        sighting.signature.shape = vec![reason.to_owned()];
        Sighting { bucket: sighting.signature.id(), ..sighting }
    };
    let [one, other] = [of_shape("real-time"), of_shape("session")];
    let runs = [&one, &other].map(|it| {
        run(&campaign, u64::from(*it == other), RunResult::Finding, std::slice::from_ref(it))
    });
    let alike = |fault: &str| {
        let replays = [shrunk(&one, "isolate"), shrunk(&other, fault)];
        let rows = of(&campaign, &runs, &replays).buckets;
        rows.iter().filter(|row| row.alike.is_some()).count()
    };
    assert_eq!((alike("isolate"), alike("pause")), (1, 0));
}

#[test]
fn a_night_says_what_was_found_and_what_may_still_hide() {
    let campaign = campaign();
    let stale = sighting("violation", "stale read");
    let mut runs = valid(&campaign, 0..6);
    runs.push(run(&campaign, 6, RunResult::Finding, std::slice::from_ref(&stale)));
    let replay = |attempt, outcome| ReplayLine::Replay {
        bucket: stale.bucket.clone(),
        of: 6,
        attempt,
        outcome,
    };
    let replays = [replay(0, Replayed::Yes), replay(1, Replayed::No("valid".to_owned()))];
    let overview = of(&campaign, &runs, &replays);
    assert_eq!(overview.title(), "1 new bucket");
    assert_eq!(overview.lead(), "7 runs: 6 valid, 1 finding; 3360 runs an hour.");
    let row = &overview.buckets[0];
    assert_eq!((row.status, row.runs, row.replayed), (Status::New, 1, Ratio { k: 1, n: 2 }));
    let command = row.command.as_deref().expect("it is kept");
    assert_eq!(command, format!("partita replay failing/{}/6 --times 5", stale.bucket));
    assert_eq!(row.found_after_ms, Some(7_500));
    let [first, second] = overview.configurations.as_slice() else { panic!("two") };
    assert!(first.excluded_rate > 0.5 && first.unseen_rate > 0.5, "few runs exclude little");
    assert_eq!(first.results["valid"] + second.results["valid"], 6);
    assert!(overview.never_exercised.contains(&"pause".to_owned()));
    assert!(!overview.never_exercised.contains(&"isolate".to_owned()));
    assert_eq!(exit(&overview, FailOn::New), Exit::Finding);
}

#[test]
fn a_fifth_of_the_runs_failing_alike_is_one_finding_about_the_environment() {
    let campaign = campaign();
    let taken = sighting("harness", "port taken");
    let mut runs = valid(&campaign, 0..16);
    runs.extend(
        (16..20)
            .map(|index| run(&campaign, index, RunResult::Harness, std::slice::from_ref(&taken))),
    );
    let overview = of(&campaign, &runs, &[]);
    assert_eq!(overview.buckets.len(), 1);
    assert!(overview.buckets[0].is_environment);
    assert_eq!(overview.problems.len(), 1);
    assert!(overview.problems[0].starts_with("4 of 20 runs failed alike: port taken."));
    assert_eq!(overview.title(), "Nothing was found");
    assert_eq!(exit(&overview, FailOn::New), Exit::Harness);
    // A violation is never excused by its number.
    let stale = sighting("violation", "stale read");
    let runs: Vec<_> = (0..20)
        .map(|index| run(&campaign, index, RunResult::Finding, std::slice::from_ref(&stale)))
        .collect();
    let overview = of(&campaign, &runs, &[]);
    assert!(!overview.buckets[0].is_environment && overview.problems.is_empty());
    assert_eq!(exit(&overview, FailOn::New), Exit::Finding);
}

#[test]
fn a_night_that_could_not_work_is_no_quiet_one() {
    let mut campaign = campaign();
    let overview = of(&campaign, &[], &[]);
    assert_eq!(overview.title(), "Nothing was proved");
    assert_eq!(exit(&overview, FailOn::New), Exit::Unknown);
    let failed = sighting("harness", "no lab");
    let runs: Vec<_> = (0..5)
        .map(|index| run(&campaign, index, RunResult::Harness, std::slice::from_ref(&failed)))
        .collect();
    assert_eq!(exit(&of(&campaign, &runs, &[]), FailOn::New), Exit::Harness);
    // The canary was not found.
    campaign.plan.canary = Some(campaign.plan.spec(0));
    let missed = ReplayLine::Canary { attempt: 0, outcome: Replayed::No("valid".to_owned()) };
    let runs = valid(&campaign, 0..5);
    let blind = of(&campaign, &runs, std::slice::from_ref(&missed));
    assert_eq!(exit(&blind, FailOn::New), Exit::Harness);
    let found = ReplayLine::Canary { attempt: 1, outcome: Replayed::Yes };
    assert_eq!(exit(&of(&campaign, &runs, &[missed, found]), FailOn::New), Exit::Valid);
    // A shard is missing.
    campaign.shards = 3;
    campaign.present = vec![0, 2];
    let part = of(&campaign, &runs, &[]);
    assert!(
        part.problems.contains(&"1 of 3 shards are missing: 1".to_owned()),
        "{:?}",
        part.problems
    );
}

#[test]
fn two_versions_in_a_bucket_are_said_to_be_two() {
    let mut campaign = campaign();
    campaign.plan.configurations[1].version = "raft-node with no-dedup".to_owned();
    let stale = [sighting("violation", "stale read")];
    let runs = [0, 1].map(|index| run(&campaign, index, RunResult::Finding, &stale));
    let overview = of(&campaign, &runs, &[]);
    assert_eq!(overview.buckets.len(), 1);
    let mixed = overview.buckets[0].mixed.as_deref().expect("said");
    assert!(mixed.starts_with("seen in 2 versions"), "{mixed}");
}
