//! A target whose nodes run another program.

use std::collections::BTreeMap;
use std::path::Path;

use partita_reports::spec::{Description, TargetSpec};

use super::{Target, TargetError};

/// The target's description with `program` in the place of its command's first word. A program that is a
/// file is meant by where it is, any other is looked up in PATH.
///
/// # Errors
///
/// [`TargetError`] if the description is no TOML, or its command begins with words for some nodes only.
pub fn with_program(target: &TargetSpec, program: &Path) -> Result<TargetSpec, TargetError> {
    let description = match target {
        TargetSpec::Described(description) => description.clone(),
        TargetSpec::BuiltIn(name) => Description {
            name: format!("{name}.toml"),
            toml: Target::text(name).unwrap_or_default().to_owned(),
            files: BTreeMap::new(),
        },
    };
    let program = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    let refused = |problem: String| TargetError::Described {
        path: description.name.clone(),
        line: 1,
        problem,
    };
    let mut table: toml::Table =
        description.toml.parse().map_err(|error: toml::de::Error| refused(error.to_string()))?;
    let first =
        table.get_mut("command").and_then(toml::Value::as_array_mut).and_then(|it| it.first_mut());
    let Some(first) = first.filter(|first| first.is_str()) else {
        return Err(refused(
            "its command does not begin with a word that every node has".to_owned(),
        ));
    };
    *first = toml::Value::String(program.display().to_string());
    let toml = toml::to_string(&table).map_err(|error| refused(error.to_string()))?;
    Ok(TargetSpec::Described(Description { toml, ..description }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_takes_the_place_of_the_commands_first_word() {
        let toml = "name = \"a\"\ncommand = [\"store\", \"--id={id}\"]\n[client]\nport = 7\n";
        let (name, toml) = ("a.toml".to_owned(), toml.to_owned());
        let target = TargetSpec::Described(Description { name, toml, files: BTreeMap::new() });
        let other = with_program(&target, Path::new("/none/store-2")).expect("TOML");
        let TargetSpec::Described(other) = other else { panic!("described") };
        let table: toml::Table = other.toml.parse().expect("TOML");
        assert_eq!(table["command"][0].as_str(), Some("/none/store-2"));
        assert_eq!(table["command"][1].as_str(), Some("--id={id}"));
        assert_eq!(table["client"]["port"].as_integer(), Some(7));
    }

    #[test]
    fn a_built_in_target_is_the_same_but_for_its_program() {
        let own = TargetSpec::BuiltIn("raft-node".to_owned());
        let other = with_program(&own, Path::new("/proc/self/exe")).expect("TOML");
        let [other, own] = [&other, &own].map(|spec| Target::of(spec).expect("a target"));
        let (program, rest) = other.command.written().split_once(' ').map_or_else(
            || panic!("a program and arguments"),
            |(program, rest)| (program.to_owned(), rest.to_owned()),
        );
        assert!(Path::new(&program).is_absolute(), "{program}");
        assert!(own.command.written().ends_with(&rest), "{rest}");
        assert_eq!((&other.name, &other.variations), (&own.name, &own.variations));
    }
}
