//! `partita init`: the beginning of a description of one's own store.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use partita_workloads::client::PROTOCOLS;

use crate::exit::{Exit, Failure, FailureContext};
use crate::targets::{BEGINNINGS, Beginning, Wanted};
use crate::unknown_name::UnknownName;
use crate::{errln, outln};

/// Writes the description of a store of your own, with comments, to begin from.
///
/// It begins as a store that speaks the same: as it stands it reads, and passes `partita target check` where that
/// store's program is in PATH. What no option says is asked for at a terminal. Existing files stay as they are.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  partita init\n  \
    partita init --store etcd --program ./my-etcd -o my-etcd.toml\n  \
    partita init --protocol program --program my-store")]
pub struct Arguments {
    /// What clients speak: http, resp, program (a client of your own) or maelstrom.
    #[arg(long, value_name = "NAME", value_parser = protocol)]
    protocol: Option<String>,
    /// The store that it is most like: etcd, redis, valkey, redis-sentinel, raft-node, slate or lin-kv. Without it the
    /// model of the protocol: etcd, redis, slate, lin-kv.
    #[arg(long, value_name = "NAME", value_parser = store)]
    store: Option<String>,
    /// The program of a node, by its path or to be looked up in PATH.
    #[arg(long, value_name = "FILE")]
    program: Option<String>,
    /// The file to write; after the program if not given.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
}

fn protocol(name: &str) -> Result<String, UnknownName> {
    let known: Vec<String> = PROTOCOLS.iter().map(|it| it.name.to_owned()).collect();
    one_of("protocol", name, &known)
}

fn store(name: &str) -> Result<String, UnknownName> {
    let known: Vec<String> = BEGINNINGS.iter().map(|it| it.store.to_owned()).collect();
    one_of("store", name, &known)
}

fn one_of(kind: &str, name: &str, known: &[String]) -> Result<String, UnknownName> {
    match known.iter().any(|it| it == name) {
        true => Ok(name.to_owned()),
        false => Err(UnknownName::new(kind, name, known, "")),
    }
}

/// Performs the command.
///
/// # Errors
///
/// [`Failure`] if something is missing and nobody can be asked, or a file is there already.
pub fn perform(arguments: &Arguments) -> Result<Exit, Failure> {
    let is_terminal = std::io::stdin().is_terminal();
    let mut stdin = std::io::stdin().lock();
    let mut person = Prompter { input: &mut stdin, is_asked: is_terminal && !arguments.yes };
    let beginning = beginning(arguments, &mut person)?;
    let program = match &arguments.program {
        Some(program) => Some(program.clone()),
        None => person.asked("the program of a node, by its path or looked up in PATH", "")?,
    };
    let program = program.filter(|program| !program.is_empty()).map(|program| located(&program));
    let usual = format!("{}.toml", usual_name(beginning, program.as_deref()));
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => person.asked("the file to write", &usual)?.unwrap_or(usual).into(),
    };
    let name = name_of(&out);
    let wanted = Wanted { name: &name, program: program.as_deref() };
    let files = beginning.text(&wanted, &out).or_usage(|| "init".to_owned())?;
    write(&out, &files)?;
    let out = out.display().to_string();
    let out = partita_reports::quoted(&out);
    outln!("it begins as {}: {}", beginning.store, beginning.about);
    outln!("change what differs, then");
    outln!("  partita target check {out}");
    outln!("  partita run --target {out}");
    Ok(Exit::Valid)
}

/// What the description begins from.
fn beginning(arguments: &Arguments, person: &mut Prompter<'_>) -> Result<Beginning, Failure> {
    let Arguments { protocol, store, .. } = arguments;
    let (beginning, is_said) = match (store, protocol) {
        (Some(store), _) => (Beginning::of_store(store), true),
        (None, Some(protocol)) => (Beginning::of_protocol(protocol), true),
        (None, None) => (None, false),
    };
    let missing = || {
        Failure::usage(miette::miette!(
            "init: nobody can be asked what the store speaks; say --protocol http, resp, program or maelstrom, or \
             --store with a store that it is like"
        ))
    };
    let beginning = match beginning {
        Some(beginning) => beginning,
        None if is_said || !person.is_asked => return Err(missing()),
        None => person.chosen()?.ok_or_else(missing)?,
    };
    match protocol {
        Some(protocol) if beginning.protocol() != protocol => {
            let (store, speaks) = (beginning.store, beginning.protocol());
            Err(Failure::usage(miette::miette!(
                "init: {store} speaks {speaks}, and --protocol is {protocol}"
            )))
        }
        _ => Ok(beginning),
    }
}

/// Who sits at the terminal, if anybody does.
struct Prompter<'a> {
    input: &'a mut dyn BufRead,
    is_asked: bool,
}

impl Prompter<'_> {
    /// What is answered, or else the `usual`; none if nobody is asked.
    fn asked(&mut self, what: &str, usual: &str) -> Result<Option<String>, Failure> {
        if !self.is_asked {
            return Ok(None);
        }
        match usual {
            "" => errln!("{what}?"),
            usual => errln!("{what}? [{usual}]"),
        }
        let mut line = String::new();
        self.input.read_line(&mut line).or_harness(|| "reading an answer".to_owned())?;
        let answer = line.trim();
        let answer = if answer.is_empty() { usual } else { answer };
        Ok(Some(answer.to_owned()))
    }

    /// The beginning that is chosen by its number or its store's name; none if it is none of them.
    fn chosen(&mut self) -> Result<Option<Beginning>, Failure> {
        errln!("What does the store speak?");
        for (number, it) in (1..).zip(BEGINNINGS) {
            errln!("  {number}  {:<10}{:<16}{}", it.protocol(), it.store, it.about);
        }
        let answer = self.asked("number or name", "1")?.unwrap_or_default();
        let number = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_number = number.and_then(|number| BEGINNINGS.get(number).copied());
        let by_name = || Beginning::of_store(&answer).or_else(|| Beginning::of_protocol(&answer));
        Ok(by_number.or_else(by_name))
    }
}

/// A program that is a file, by where it is: a run starts it in another folder.
fn located(program: &str) -> String {
    let is_path = program.contains('/');
    let place = is_path.then(|| std::fs::canonicalize(program).ok()).flatten();
    place.map_or_else(|| program.to_owned(), |place| place.display().to_string())
}

/// What the store is called if nobody says.
fn usual_name(beginning: Beginning, program: Option<&str>) -> String {
    let program = program.map(Path::new).and_then(Path::file_stem);
    program.map_or_else(
        || format!("my-{}", beginning.store),
        |program| plain(&program.to_string_lossy()),
    )
}

/// The store's name, after its file.
fn name_of(out: &Path) -> String {
    plain(&out.file_stem().unwrap_or_default().to_string_lossy())
}

/// A text as names of stores are: runs' folders bear it.
fn plain(text: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.chars().map(fits).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "my-store".to_owned() } else { name.to_owned() }
}

/// Writes the files into the folder of `out`, if none of them is there.
fn write(out: &Path, files: &BTreeMap<String, String>) -> Result<(), Failure> {
    let files = files.iter().map(|(name, text)| (out.with_file_name(name), text));
    let files: Vec<(PathBuf, &String)> = files.collect();
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        let path = path.display();
        return Err(Failure::usage(miette::miette!("{path} is there already; say another -o")));
    }
    for (path, text) in files {
        let mut file = std::fs::File::create_new(&path).or_usage(|| path.display().to_string())?;
        file.write_all(text.as_bytes()).or_usage(|| path.display().to_string())?;
        outln!("wrote {}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answers: &str) -> Option<&'static str> {
        let mut input = answers.as_bytes();
        let mut person = Prompter { input: &mut input, is_asked: true };
        person.chosen().expect("read").map(|beginning| beginning.store)
    }

    #[test]
    fn a_number_a_store_and_a_protocol_are_answers() {
        assert_eq!(answered("2\n"), Some("redis"));
        assert_eq!(answered("\n"), Some("etcd"));
        assert_eq!(answered("valkey\n"), Some("valkey"));
        assert_eq!(answered("maelstrom\n"), Some("lin-kv"));
        assert_eq!([answered("0\n"), answered("9\n"), answered("zk\n")], [None; 3]);
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(name_of(Path::new("/x/My Store.toml")), "my-store");
        assert_eq!(name_of(Path::new("/")), "my-store");
        assert_eq!(usual_name(BEGINNINGS[0], Some("/opt/kv.sh")), "kv");
        assert_eq!(usual_name(BEGINNINGS[0], None), "my-etcd");
    }
}
