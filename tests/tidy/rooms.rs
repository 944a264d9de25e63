//! The order of rooms inside each crate: a room imports only what stands before it.
//!
//! A room is a module at the root of its crate. Every path that begins with `crate`, `super` or `self` is
//! an import. Names that the root re-exports count as those of the room that has them. What is compiled
//! for tests alone is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::{paths, read, rust_files};

/// The rooms of each crate, lowest first.
const ORDER: &[(&str, &[&str])] = &[
    (
        "checker",
        &[
            "value",
            "event",
            "words",
            "isolation",
            "verdict",
            "sentences",
            "history",
            "model",
            "progress",
            "engines",
            "constraints",
            "diagnosis",
            "initial",
            "options",
            "verify_error",
            "transactions",
            "verify",
            "levels",
            "check",
            "formats",
            "generate",
            "hint",
            "streaming",
            "spec",
            "objects",
            "recorder",
        ],
    ),
    (
        "nemesis",
        &[
            "units",
            "random",
            "names",
            "roles",
            "join_all",
            "forked_probe",
            "seccomp",
            "disk",
            "clock",
            "watch",
            "lab",
            "cluster",
            "administration",
            "record",
            "fault",
            "evidence",
            "schedule",
            "recipes",
            "hunt",
            "guide",
            "nemesis",
            "shrink",
            "doctor",
            "testing",
        ],
    ),
    ("raft-node", &["mutations", "core", "codec", "storage", "server", "arguments", "sim"]),
    (
        "reports",
        &[
            "finding",
            "exit",
            "text",
            "logs",
            "outcomes",
            "elections",
            "roles",
            "series",
            "recovery",
            "run",
            "traffic",
            "messages",
            "samples",
            "surroundings",
            "evidence",
            "chart",
            "checked",
            "commands",
            "event",
            "explore",
            "groups",
            "headline",
            "why",
            "compare",
            "site",
            "html",
            "junit",
            "spec",
            "summary",
            "trace",
            "folder",
            "campaign",
        ],
    ),
    (
        "workloads",
        &[
            "random",
            "operation",
            "client",
            "generator",
            "keys",
            "append",
            "bank",
            "containers",
            "counter",
            "ids",
            "lock",
            "register",
            "set",
            "transactions",
            "watch",
            "catalogue",
        ],
    ),
    (
        "",
        &[
            "exit",
            "judge",
            "unknown_name",
            "targets",
            "names",
            "terminal",
            "telemetry",
            "run",
            "campaign",
            "serve",
            "cli",
        ],
    ),
];

/// An import of one module by another, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    from: String,
    to: String,
    place: String,
}

#[test]
fn imports_follow_the_order_of_rooms() {
    let mut wrong = Vec::new();
    for (folder, order) in ORDER {
        let found = imports(folder);
        let known: BTreeSet<&str> = order.iter().copied().collect();
        assert_eq!(known, rooms(folder).iter().map(String::as_str).collect(), "rooms of {folder}");
        let level = |room: &str| order.iter().position(|other| *other == room);
        wrong.extend(found.into_iter().filter(|import| level(&import.to) > level(&import.from)));
    }
    let lines: Vec<String> =
        wrong.iter().map(|it| format!("{}: {} imports {}", it.place, it.from, it.to)).collect();
    assert!(lines.is_empty(), "against the order of rooms:\n{}", lines.join("\n"));
}

/// The modules at the root of the crate, but for those of tests.
fn rooms(folder: &str) -> BTreeSet<String> {
    sources(folder).into_iter().filter_map(|(module, _)| module.first().cloned()).collect()
}

/// The files of a crate that are not of tests alone, as paths of modules.
fn sources(folder: &str) -> Vec<(Vec<String>, std::path::PathBuf)> {
    let source = Path::new(folder).join("src");
    let mut found = Vec::new();
    for path in rust_files() {
        let Ok(inside) = path.strip_prefix(&source) else { continue };
        let mut module: Vec<String> =
            inside.with_extension("").iter().map(|it| it.to_string_lossy().into_owned()).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        let is_root = module == ["lib"] || module == ["main"];
        if !is_root && !module.iter().any(|part| part == "tests") {
            found.push((module, path));
        }
    }
    found
}

/// All imports of one room by another.
fn imports(folder: &str) -> BTreeSet<Import> {
    let exports = exports(folder);
    let rooms = rooms(folder);
    let mut found = BTreeSet::new();
    for (module, path) in sources(folder) {
        paths::scan(&read(&path), &module, &mut |imported| {
            let Some(name) = imported.rooted().and_then(|names| names.first().cloned()) else {
                return;
            };
            let place = format!("{}:{}", path.display(), imported.line);
            let to = exports.get(&name).cloned().unwrap_or(name);
            assert!(rooms.contains(&to), "{place}: `{to}` is no room of {folder}");
            let from = module[0].clone();
            if to != from {
                found.insert(Import { from, to, place });
            }
        });
    }
    found
}

/// What the root of the crate re-exports, each with its room.
fn exports(folder: &str) -> BTreeMap<String, String> {
    fn leaves(tree: &syn::UseTree, room: Option<&str>, found: &mut BTreeMap<String, String>) {
        let mut add = |name: &syn::Ident| {
            found.extend(room.map(|room| (name.to_string(), room.to_owned())));
        };
        match tree {
            syn::UseTree::Name(name) => add(&name.ident),
            syn::UseTree::Rename(renamed) => add(&renamed.rename),
            syn::UseTree::Path(path) => {
                let here = path.ident.to_string();
                leaves(&path.tree, Some(room.unwrap_or(&here)), found);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| leaves(tree, room, found));
            }
            syn::UseTree::Glob(_) => {}
        }
    }
    // Macros stand at the root wherever they are defined.
    let mut found = BTreeMap::new();
    for (module, path) in sources(folder) {
        let text = read(&path);
        let macros = text.lines().filter_map(|line| line.trim().strip_prefix("macro_rules! "));
        let names = macros.filter_map(|rest| rest.split([' ', '{', '(']).next());
        found.extend(names.map(|name| (name.to_owned(), module[0].clone())));
    }
    let root = syn::parse_file(&read(&Path::new(folder).join("src/lib.rs"))).expect("a root");
    for item in &root.items {
        if let syn::Item::Use(item) = item {
            leaves(&item.tree, None, &mut found);
        }
    }
    found
}
