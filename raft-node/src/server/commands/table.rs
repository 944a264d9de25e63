//! Lists the commands there are: one row each, from which `COMMAND` answers and arity is checked.

use bytes::Bytes;

use super::super::resp::{Protocol, put};

/// One command, as `COMMAND` describes it.
#[derive(Debug)]
pub(super) struct Description {
    /// In lower case.
    pub(super) name: &'static str,
    /// How many words it takes, its name included; the least number, negated, if it takes more.
    arity: i64,
    /// What Redis calls its flags.
    flags: &'static [&'static str],
    /// The first and the last word that is a key (-1: to the end), and the step between keys.
    keys: (i64, i64, i64),
    summary: &'static str,
}

const fn row(
    name: &'static str,
    arity: i64,
    flags: &'static [&'static str],
    keys: (i64, i64, i64),
    summary: &'static str,
) -> Description {
    Description { name, arity, flags, keys, summary }
}

const NONE: (i64, i64, i64) = (0, 0, 0);
const ONE: (i64, i64, i64) = (1, 1, 1);
const ALL: (i64, i64, i64) = (1, -1, 1);

const TABLE: &[Description] = &[
    row("append", 3, &["write"], ONE, "Adds to the end of a value"),
    row("auth", -2, &["fast"], NONE, "Refused: there is no password"),
    row("check", -2, &["readonly", "fast"], ONE, "Lets a transaction depend on what a key holds"),
    row("client", -2, &["fast"], NONE, "Names the connection, or tells its number and name"),
    row("command", -1, &["fast"], NONE, "Tells which commands there are"),
    row("config", -2, &["admin"], NONE, "Tells a few settings of Redis"),
    row("dbsize", 1, &["readonly", "fast"], NONE, "Counts the keys that this server has applied"),
    row("decr", 2, &["write", "fast"], ONE, "Takes one from a number"),
    row("decrby", 3, &["write", "fast"], ONE, "Takes from a number"),
    row("del", -2, &["write"], ALL, "Removes keys"),
    row("delex", -2, &["write", "fast"], ONE, "Removes a key if its value equals, or differs"),
    row("delifeq", 3, &["write", "fast"], ONE, "Removes a key if its value equals"),
    row("discard", 1, &["fast"], NONE, "Ends a transaction with nothing done"),
    row("echo", 2, &["fast"], NONE, "Answers its argument"),
    row("exec", 1, &["write"], NONE, "Carries out a transaction, all of it at one moment"),
    row("exists", -2, &["readonly", "fast"], ALL, "Counts those keys that exist, linearizably"),
    row("expire", 3, &["write", "fast"], ONE, "Lets a key expire after seconds"),
    row("get", 2, &["readonly", "fast"], ONE, "Reads a value, linearizably"),
    row("getdel", 2, &["write", "fast"], ONE, "Removes a key and answers its value"),
    row("getset", 3, &["write", "fast"], ONE, "Sets a key and answers its value before"),
    row("hello", -1, &["fast"], NONE, "Chooses RESP2 or RESP3"),
    row("incr", 2, &["write", "fast"], ONE, "Adds one to a number"),
    row("incrby", 3, &["write", "fast"], ONE, "Adds to a number"),
    row("info", -1, &[], NONE, "Tells where this server stands"),
    row("llen", 2, &["readonly", "fast"], ONE, "Counts the elements of a list, linearizably"),
    row("lpop", -2, &["write", "fast"], ONE, "Takes elements off the front of a list"),
    row("lpush", -3, &["write", "fast"], ONE, "Adds elements at the front of a list"),
    row("lrange", 4, &["readonly"], ONE, "Reads elements of a list, linearizably"),
    row("mget", -2, &["readonly", "fast"], ALL, "Reads values at one moment, linearizably"),
    row("mset", -3, &["write"], (1, -1, 2), "Sets keys at one moment"),
    row("multi", 1, &["fast"], NONE, "Begins a transaction"),
    row("once", -4, &["write"], (4, 4, 1), "Carries out a write, or a transaction, at most once"),
    row("persist", 2, &["write", "fast"], ONE, "Lets a key expire no more"),
    row("pexpire", 3, &["write", "fast"], ONE, "Lets a key expire after milliseconds"),
    row("ping", -1, &["fast"], NONE, "Answers"),
    row("psetex", 4, &["write"], ONE, "Sets a key that expires after milliseconds"),
    row("pttl", 2, &["readonly", "fast"], ONE, "Tells in how many milliseconds a key expires"),
    row("quit", -1, &["fast"], NONE, "Closes the connection"),
    row("raft", -2, &["admin"], NONE, "Tells about the cluster, or changes it"),
    row("reset", 1, &["fast"], NONE, "Makes the connection as new"),
    row("rpop", -2, &["write", "fast"], ONE, "Takes elements off the end of a list"),
    row("rpush", -3, &["write", "fast"], ONE, "Adds elements at the end of a list"),
    row("sadd", -3, &["write", "fast"], ONE, "Adds members to a set"),
    row("scard", 2, &["readonly", "fast"], ONE, "Counts the members of a set, linearizably"),
    row("select", 2, &["fast"], NONE, "Accepts 0, the only database"),
    row("session", 1, &["write", "fast"], NONE, "Opens a session for ONCE"),
    row("set", -3, &["write"], ONE, "Sets a key"),
    row("setex", 4, &["write"], ONE, "Sets a key that expires after seconds"),
    row("setnx", 3, &["write", "fast"], ONE, "Sets a key that is missing"),
    row(
        "sismember",
        3,
        &["readonly", "fast"],
        ONE,
        "Tells whether a set has a member, linearizably",
    ),
    row("smembers", 2, &["readonly"], ONE, "Reads a set, linearizably"),
    row("srem", -3, &["write", "fast"], ONE, "Removes members of a set"),
    row("stale", -3, &["readonly", "fast"], (2, 2, 1), "Reads what this server has applied"),
    row("strlen", 2, &["readonly", "fast"], ONE, "Measures a value, linearizably"),
    row("ttl", 2, &["readonly", "fast"], ONE, "Tells in how many seconds a key expires"),
    row("type", 2, &["readonly", "fast"], ONE, "Tells the type of a key's value, linearizably"),
    row("unlink", -2, &["write"], ALL, "Removes keys"),
    row("unwatch", 1, &["fast"], NONE, "Refused: nothing is watched"),
    row("watch", -2, &["fast"], ALL, "Refused: transactions have CHECK"),
];

/// The row of a command, whatever the case of its name.
pub(super) fn find(name: &[u8]) -> Option<&'static Description> {
    TABLE.iter().find(|row| name.eq_ignore_ascii_case(row.name.as_bytes()))
}

impl Description {
    /// Whether it can have this many words.
    pub(super) fn takes(&self, words: usize) -> bool {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        if self.arity < 0 { words >= -self.arity } else { words == self.arity }
    }

    /// Whether it reads or writes keys, and nothing else.
    pub(super) fn is_about_keys(&self) -> bool {
        let flag = |flag: &str| self.flags.contains(&flag);
        self.keys != NONE
            && !["once", "stale"].contains(&self.name)
            && (flag("write") || flag("readonly"))
    }

    fn put(&self, out: &mut Vec<u8>) {
        put::array(out, 6);
        put::bulk(out, self.name.as_bytes());
        put::integer(out, self.arity);
        put::array(out, self.flags.len());
        for flag in self.flags {
            put::simple(out, flag);
        }
        let (first, last, step) = self.keys;
        for number in [first, last, step] {
            put::integer(out, number);
        }
    }

    /// What Redis calls the group of a command.
    fn group(&self) -> &'static [u8] {
        match self.name {
            "llen" | "lpop" | "lpush" | "lrange" | "rpop" | "rpush" => b"list",
            "sadd" | "scard" | "sismember" | "smembers" | "srem" => b"set",
            "discard" | "exec" | "multi" | "unwatch" | "watch" => b"transactions",
            _ if self.keys == NONE => b"server",
            _ => b"string",
        }
    }

    fn put_documentation(&self, out: &mut Vec<u8>, protocol: Protocol) {
        put::bulk(out, self.name.as_bytes());
        put::map(out, protocol, 2);
        for text in ["summary", self.summary, "group"] {
            put::bulk(out, text.as_bytes());
        }
        put::bulk(out, self.group());
    }
}

/// Answers `COMMAND`; `false` if it has no such subcommand.
pub(super) fn put_answer(out: &mut Vec<u8>, arguments: &[Bytes], protocol: Protocol) -> bool {
    let Some((subcommand, names)) = arguments.split_first() else {
        put::array(out, TABLE.len());
        TABLE.iter().for_each(|row| row.put(out));
        return true;
    };
    match &subcommand.to_ascii_uppercase()[..] {
        b"COUNT" => put::integer(out, i64::try_from(TABLE.len()).expect("a short table")),
        b"LIST" => {
            put::array(out, TABLE.len());
            TABLE.iter().for_each(|row| put::bulk(out, row.name.as_bytes()));
        }
        b"INFO" => {
            put::array(out, names.len());
            for name in names {
                match find(name) {
                    Some(row) => row.put(out),
                    None => put::nil(out, protocol),
                }
            }
        }
        b"DOCS" => {
            let asked = |row: &&Description| {
                names.is_empty()
                    || names.iter().any(|n| n.eq_ignore_ascii_case(row.name.as_bytes()))
            };
            put::map(out, protocol, TABLE.iter().filter(asked).count());
            TABLE.iter().filter(asked).for_each(|row| row.put_documentation(out, protocol));
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found_in_any_case() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        assert!(TABLE.iter().all(|row| find(row.name.to_uppercase().as_bytes()).is_some()));
        assert!(find(b"flushall").is_none());
    }

    #[test]
    fn unknown_name_gets_a_null_in_its_place() {
        let mut out = Vec::new();
        assert!(put_answer(&mut out, &["info".into(), "nope".into()], Protocol::Resp2));
        assert_eq!(out, b"*1\r\n$-1\r\n");
        assert!(!put_answer(&mut out, &["nonsense".into()], Protocol::Resp2));
    }
}
