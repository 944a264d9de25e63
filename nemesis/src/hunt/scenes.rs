//! The scenes of a hunt: short sequences of faults, one of which prepares what another shows.
//!
//! A scene says in which order things go wrong, not when exactly nor how badly: every time, target and
//! parameter is drawn anew each time it is played. None is made for a mistake: each is what operators
//! have seen happen to clusters, such as a disk that slows down before the power goes, or a machine that
//! wakes after another took its place.

/// A sequence of faults.
#[derive(Debug)]
pub(super) struct Scene {
    /// Its faults. Times count from the scene's beginning.
    pub(super) steps: &'static [Step],
}

/// One fault of a scene.
#[derive(Debug)]
pub(super) struct Step {
    /// Between which milliseconds it begins.
    pub(super) at: (u64, u64),
    /// For how long it is in force, between these milliseconds.
    pub(super) lasts: (u64, u64),
    /// The moment that it waits for from then on, if it waits for one.
    pub(super) when: Option<&'static str>,
    /// Its name.
    pub(super) fault: &'static str,
    /// What it can be aimed at; [`EACH`] is every node by itself, nothing leaves it to the fault.
    pub(super) targets: &'static [&'static str],
    /// Parameters, each with the values that it can have.
    pub(super) parameters: &'static [(&'static str, &'static [&'static str])],
}

/// The target of a fault that every node has by itself.
pub(super) const EACH: &str = "each";

const LEADER: &[&str] = &["leader"];
const FOLLOWER: &[&str] = &["follower"];
const ANYONE: &[&str] = &["leader", "leader", "follower", "random"];

const TEAR: (&str, &[&str]) = ("tear", &["none", "byte", "sector"]);
const NAMES: (&str, &[&str]) = ("names", &["journal", "posix"]);
const DIRECTIONS: (&str, &[&str]) = ("direction", &["out", "in", "both"]);
const ONE_DIRECTION: (&str, &[&str]) = ("direction", &["out", "in"]);
const SLOW_LINK: (&str, &[&str]) = ("delay", &["20ms", "60ms", "100ms"]);
const SLOW_SYNC: (&str, &[&str]) = ("delay", &["10ms", "30ms", "100ms", "300ms"]);

/// A step: when it begins, how long it lasts, the moment that it waits for, which fault on which targets, and
/// its parameters.
macro_rules! steps {
    (@when) => { None };
    (@when $when:literal) => { Some($when) };
    ($($at:literal..$at_end:literal for $least:literal..$most:literal $(when $when:literal)?
        $fault:literal $targets:expr
        $(, $parameter:expr)*;)+) => {
        Scene { steps: &[$(Step {
            at: ($at, $at_end),
            lasts: ($least, $most),
            when: steps!(@when $($when)?),
            fault: $fault,
            targets: $targets,
            parameters: &[$($parameter),*],
        }),+] }
    };
}

/// Every scene. Which of them a run plays, the seed decides.
pub(super) const SCENES: &[Scene] = &[
    // Leaders come and go.
    steps! { 0..200 for 450..1300 "isolate" LEADER; },
    steps! { 0..100 for 900..1500 "isolate" LEADER; 600..1000 for 600..1000 "isolate" LEADER; },
    steps! {
        0..100 for 1000..1200 "isolate" LEADER;
        2200..2500 for 1400..1700 "isolate" LEADER;
        3700..3900 for 600..900 "isolate" LEADER;
    },
    steps! { 0..100 for 400..1000 "pause" LEADER; },
    steps! { 0..100 for 700..1000 "pause" LEADER; 600..900 for 500..800 "pause" LEADER; },
    steps! { 0..100 for 500..1000 "pause" LEADER; 500..900 for 500..1000 "isolate" LEADER; },
    steps! { 0..200 for 200..700 "kill" LEADER; },
    // One that lags may lead.
    steps! { 0..100 for 500..1100 "isolate" FOLLOWER; 600..1300 for 600..1000 "isolate" LEADER; },
    steps! { 0..100 for 1000..1500 "isolate" FOLLOWER; 1600..1900 for 700..1000 "isolate" LEADER; },
    steps! { 0..100 for 1000..1500 "kill" FOLLOWER; 1300..1900 for 500..800 "kill" LEADER; },
    // More than a minority at once.
    steps! { 0..100 for 700..1300 "kill" FOLLOWER; 300..900 for 600..1200 "kill" LEADER; },
    steps! { 0..300 for 800..1200 "kill-all" &[], ("down", &["0s", "50ms", "300ms"]); },
    steps! { 0..500 for 900..1300 "power-loss-all" &[], TEAR, NAMES; },
    steps! { 0..100 for 400..900 "power-loss" LEADER, TEAR; 50..300 for 400..900 "power-loss" FOLLOWER, TEAR; },
    // A disk is slow or fails before the power goes.
    steps! {
        0..50 for 1200..1300 "disk-slow" &[EACH], ("delay", &["5ms", "30ms", "60ms", "100ms"]);
        200..900 for 1000..1300 "power-loss-all" &[], TEAR, NAMES;
    },
    steps! {
        0..100 for 1000..1500 "kill" FOLLOWER;
        200..400 for 900..1500 "disk-slow" LEADER, SLOW_SYNC;
        800..900 for 1500..2200 "kill" FOLLOWER;
        900..1200 for 400..900 "power-loss" LEADER, TEAR;
    },
    steps! {
        0..100 for 1000..2200 "disk-slow" ANYONE, SLOW_SYNC;
        100..300 for 600..1000 "isolate" LEADER;
        900..1700 for 400..800 "power-loss" ANYONE, TEAR;
    },
    steps! {
        0..200 for 700..1300 "disk-error" LEADER, ("operation", &["write", "both"]), ("share", &["10%", "20%", "50%"]);
        900..1500 for 600..900 "isolate" LEADER;
    },
    steps! {
        0..100 for 1500..2200 "kill" FOLLOWER;
        400..600 for 1500..2200 "disk-error" LEADER, ("operation", &["sync"]), ("share", &["100%", "50%"]);
        750..900 for 2000..3000 "kill" FOLLOWER;
        1000..1600 for 800..1800 "power-loss" LEADER, TEAR;
    },
    steps! { 0..100 for 700..1200 "disk-full" ANYONE; 600..900 for 500..800 "kill" LEADER; },
    // Messages come late.
    steps! { 0..200 for 300..600 "hold" LEADER, DIRECTIONS; },
    steps! { 0..200 for 300..900 "hold" ANYONE, DIRECTIONS; 200..700 for 300..700 "isolate" LEADER; },
    steps! {
        0..100 for 1000..1700 "delay" &["leader", "all"], SLOW_LINK, ("jitter", &["0ms", "10ms"]);
        400..1000 for 600..1200 "isolate" LEADER;
    },
    steps! {
        0..100 for 1500..2400 "delay" &["all"], ("delay", &["30ms", "70ms"]);
        100..300 for 1400..2200 "halves" LEADER;
    },
    steps! { 0..100 for 900..1500 "loss" &["all", "leader"], ("share", &["10%", "30%"]); 300..700 for 500..900 "isolate" LEADER; },
    steps! {
        0..100 for 900..1500 "duplicate" &["all"], ("share", &["30%"]);
        0..100 for 900..1500 "reorder" &["all"], ("share", &["30%"]), ("by", &["10ms", "40ms"]);
        300..700 for 500..900 "kill" LEADER;
    },
    steps! { 0..200 for 500..1500 "reset" &["leader", "all"], ("every", &["30ms", "100ms", "200ms"]); },
    steps! { 0..200 for 500..1500 "reset" &["all"], ("every", &["50ms", "200ms"]), ("clients", &["only", "too"]); },
    // Some hear each other, some do not.
    steps! { 0..200 for 700..1200 "halves" &["leader", "random"]; },
    steps! { 0..200 for 800..1300 "majorities-ring" &[]; },
    steps! { 0..200 for 500..1200 "one-way" ANYONE, ONE_DIRECTION; },
    steps! { 0..100 for 1200..1600 "bridge" &["leader", "follower"]; 50..200 for 200..400 "kill" LEADER; },
    steps! {
        0..50 for 2200..2800 "bridge" FOLLOWER;
        50..100 for 900..1300 "isolate" LEADER;
        1000..1300 for 1000..1300 "restart-voters" &["random", "all"], ("within", &["300ms"]), ("times", &["2", "3"]);
    },
    steps! {
        0..100 for 400..700 "kill" LEADER;
        100..250 for 700..900 "restart-voters" &["all"], ("within", &["200ms", "400ms"]), ("times", &["1", "2"]);
    },
    // What comes next hits the moment that the first fault brings about.
    steps! { 0..200 for 400..900 "kill" LEADER; 0..50 for 300..900 when "election" "kill" ANYONE; },
    steps! {
        0..100 for 700..1400 "isolate" LEADER;
        0..50 for 300..800 when "election" "power-loss" ANYONE, TEAR;
    },
    steps! {
        0..100 for 700..1400 "isolate" LEADER;
        0..50 for 300..800 when "election" "restart-voters" &["all"], ("within", &["100ms", "300ms"]), ("times", &["1", "2"]);
    },
    steps! { 0..200 for 600..1200 "pause" LEADER; 0..50 for 200..700 when "new-leader" "isolate" LEADER; },
    steps! { 0..200 for 500..1200 "isolate" LEADER; 0..50 for 300..900 when "new-leader" "kill" LEADER; },
    steps! {
        0..200 for 500..1200 "isolate" LEADER;
        0..50 for 300..800 when "new-leader" "hold" LEADER, DIRECTIONS;
    },
    steps! {
        0..50 for 900..1500 "disk-slow" &[EACH], ("delay", &["5ms", "30ms"]);
        50..200 for 500..900 "isolate" LEADER;
        100..200 for 400..900 when "new-leader" "power-loss" LEADER, TEAR;
    },
    steps! { 0..100 for 600..1100 "kill" FOLLOWER; 0..50 for 400..1000 when "restart" "isolate" LEADER; },
    steps! {
        0..100 for 600..1100 "power-loss" FOLLOWER, TEAR;
        0..50 for 300..900 when "restart" "kill" LEADER;
    },
    steps! {
        0..100 for 1200..2200 "isolate" FOLLOWER;
        400..1200 for 300..900 when "catching-up" "power-loss" ANYONE, TEAR;
    },
    steps! {
        0..100 for 1200..2200 "kill" FOLLOWER;
        900..2000 for 300..900 when "catching-up" "isolate" LEADER;
    },
    steps! {
        0..50 for 800..1200 "transfer-leadership" FOLLOWER;
        0..50 for 500..1000 when "new-leader" "isolate" LEADER;
    },
    // Leadership is handed over, and members change.
    steps! { 0..50 for 800..1200 "transfer-leadership" FOLLOWER; 0..300 for 600..1000 "isolate" LEADER; },
    steps! {
        0..50 for 1300..1600 "delay" LEADER, ("delay", &["50ms", "100ms"]), ("jitter", &["0ms"]);
        200..400 for 800..1200 "transfer-leadership" FOLLOWER;
        300..700 for 700..1000 "isolate" LEADER;
    },
    steps! { 0..100 for 1800..2400 "remove-node" ANYONE; 0..1200 for 500..1000 "isolate" LEADER; },
    steps! { 0..100 for 1800..2400 "remove-node" ANYONE; 0..1200 for 500..1000 "halves" &["leader", "random"]; },
    steps! { 0..100 for 1800..2400 "replace-node" ANYONE; 1200..1900 for 400..700 "isolate" LEADER; },
    // Clocks are wrong.
    steps! {
        0..100 for 1300..1800 "clock-strobe" LEADER, ("by", &["-2s", "-10s", "2s"]), ("period", &["100ms"]);
        0..300 for 900..1500 "isolate" LEADER;
    },
    steps! { 0..100 for 700..1200 "clock-step" ANYONE, ("by", &["-1m", "-2s", "10s", "-10s"]); 500..1000 for 500..900 "isolate" LEADER; },
    steps! { 0..100 for 1300..1800 "clock-rate" LEADER; 400..900 for 600..900 "isolate" LEADER; },
];

/// What a storm draws from: several at once, at any moment.
pub(super) const STORM: Scene = steps! {
    0..0 for 200..800 "isolate" ANYONE;
    0..0 for 200..800 "isolate" LEADER;
    0..0 for 200..800 "pause" ANYONE;
    0..0 for 200..800 "kill" ANYONE;
    0..0 for 200..800 "kill" LEADER;
    0..0 for 200..800 "power-loss" ANYONE, TEAR;
    0..0 for 200..800 "disk-slow" ANYONE, SLOW_SYNC;
    0..0 for 200..800 "hold" ANYONE, DIRECTIONS;
    0..0 for 200..800 "one-way" ANYONE, ONE_DIRECTION;
    0..0 for 200..800 "delay" &["leader", "all"], ("delay", &["5ms", "20ms", "60ms"]);
    0..0 for 200..800 "reset" &["all"];
    0..0 for 200..800 "flapping" ANYONE, ("down", &["100ms", "300ms"]), ("up", &["50ms", "300ms"]);
};
