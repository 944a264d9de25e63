//! Keeps the house tidy: who may import whom, how long files get, what must be documented, and
//! which rooms never look at a clock.

mod documentation;
mod paths;
mod rooms;
mod sans_io;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each crate may import of ours; in its tests, what the second list adds.
const IMPORTS: &[(&str, &[&str], &[&str])] = &[
    ("checker", &[], &[]),
    ("nemesis", &["partita-nemesis-macros"], &[]),
    ("nemesis/macros", &[], &[]),
    ("raft-node", &[], &["partita-checker"]),
    ("workloads", &["partita-checker"], &[]),
    ("reports", &["partita-checker", "partita-nemesis"], &[]),
];

/// Everything that may stand at the top. Anything else must earn its place.
const TOP: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "action.yml",
    "checker",
    "clippy.toml",
    "deny.toml",
    "docs",
    "examples",
    "nemesis",
    "raft-node",
    "reports",
    "rustfmt.toml",
    "scripts",
    "src",
    "tests",
    "workloads",
];

/// Lines at which a file stops being readable in one sitting.
const LONGEST_FILE: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the project, in order, by its path from the root.
fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "examples", "checker", "nemesis", "raft-node", "workloads", "reports"]
            .map(|folder| root().join(folder))
            .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                // What a build leaves behind has this file.
                if path.join("CACHEDIR.TAG").exists() {
                    continue;
                }
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root()).expect("below the root").to_owned());
            }
        }
    }
    found.sort();
    assert!(found.len() > 30, "the walk must find the project: {found:?}");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the project")
}

fn manifest(folder: &str) -> toml::Table {
    read(&Path::new(folder).join("Cargo.toml")).parse().expect("a manifest")
}

#[test]
fn crates_import_only_what_the_house_plan_allows() {
    for (folder, allowed, in_tests) in IMPORTS {
        let manifest = manifest(folder);
        let tables = [
            ("dependencies", allowed.to_vec()),
            ("dev-dependencies", { [*allowed, *in_tests].concat() }),
        ];
        for (table, allowed) in tables {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else {
                continue;
            };
            // A crate's tests may switch its own features on.
            let own = manifest["package"]["name"].as_str();
            let ours = dependencies.keys().filter(|name| name.starts_with("partita"));
            for name in ours.filter(|name| Some(name.as_str()) != own) {
                assert!(allowed.contains(&name.as_str()), "{folder}: {table} has {name}");
            }
        }
        assert!(manifest.get("build-dependencies").is_none(), "{folder} has a build script");
    }
}

#[test]
fn every_crate_is_a_member_and_keeps_the_workspace_lints() {
    let workspace = manifest("");
    let members: BTreeSet<&str> = workspace["workspace"]["members"]
        .as_array()
        .expect("a list of members")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    assert_eq!(members, IMPORTS.iter().map(|(folder, ..)| *folder).collect());
    for folder in members.into_iter().chain([""]) {
        let lints = &manifest(folder)["lints"]["workspace"];
        assert_eq!(lints.as_bool(), Some(true), "{folder}/Cargo.toml: [lints] workspace = true");
    }
}

#[test]
fn nothing_stands_at_the_top_that_has_not_earned_its_place() {
    for entry in fs::read_dir(root()).expect("the root") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        // What a build and a run leave behind, and dotfiles.
        let passing = ["target", "partita-runs"].contains(&name.as_str()) || name.starts_with('.');
        assert!(passing || TOP.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn files_stay_short() {
    let long: BTreeMap<PathBuf, usize> = rust_files()
        .into_iter()
        .map(|path| (path.clone(), read(&path).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .collect();
    assert!(long.is_empty(), "files over {LONGEST_FILE} lines: {long:?}");
}

#[test]
fn every_planted_bug_is_one_branch_at_one_place() {
    // Tests switch bugs on; they plant none.
    let server = |path: &PathBuf| {
        path.starts_with("raft-node/src") && !path.iter().any(|folder| folder == "tests")
    };
    let code: Vec<(PathBuf, String)> = rust_files()
        .into_iter()
        .filter(server)
        .map(|path| (path.clone(), read(&path).split_whitespace().collect()))
        .collect();
    for info in partita_raft_node::mutations::table() {
        let branch = format!("has(Mutation::{:?})", info.mutation);
        let places: Vec<_> = code
            .iter()
            .flat_map(|(path, text)| text.matches(&branch).map(move |_| path.display()))
            .collect();
        assert_eq!(places.len(), 1, "{} is planted at {places:?}", info.name);
    }
}

#[test]
fn everything_is_printed_in_one_place() {
    const DIRECT: &[&str] =
        &["println!", "print!", "eprintln!", "eprint!", "io::stdout()", "io::stderr()"];
    let elsewhere = |path: &&PathBuf| path.starts_with("src") && !path.ends_with("src/terminal.rs");
    let mut found = Vec::new();
    for path in rust_files().iter().filter(elsewhere) {
        for (number, line) in (1..).zip(read(path).lines()) {
            let prints =
                |name: &&&str| !line.trim_start().starts_with("//") && line.contains(**name);
            // Whether it is a terminal may be asked.
            if DIRECT.iter().any(|name| prints(&name)) && !line.contains("is_terminal()") {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "to be printed by src/terminal.rs:\n{}", found.join("\n"));
}
