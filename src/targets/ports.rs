//! The ports of a target's nodes, by name.

use std::collections::BTreeMap;

use partita_workloads::client::template::is_port;
use serde::Deserialize;

/// The port that clients dial.
const CLIENT: &str = "client";

/// Ports by name. There is always one called `client`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, u16>")]
pub struct Ports(BTreeMap<String, u16>);

impl TryFrom<BTreeMap<String, u16>> for Ports {
    type Error = String;

    fn try_from(ports: BTreeMap<String, u16>) -> Result<Self, String> {
        if let Some(name) = ports.keys().find(|name| !is_port(name)) {
            return Err(format!(
                "`{name}` is no name of a port; expected small letters, digits and `-`"
            ));
        }
        if !ports.contains_key(CLIENT) {
            return Err("no port is called `client`, which is the one that clients dial".to_owned());
        }
        let mut numbers = BTreeMap::new();
        for (name, number) in &ports {
            if *number == 0 {
                return Err(format!("port `{name}` is 0; expected a number from 1 to 65535"));
            }
            if let Some(other) = numbers.insert(number, name) {
                return Err(format!("ports `{other}` and `{name}` are both {number}"));
            }
        }
        Ok(Self(ports))
    }
}

impl Ports {
    /// Their names, that of clients first.
    fn in_order(&self) -> impl Iterator<Item = &String> {
        let is_clients = |name: &&String| *name == CLIENT;
        let clients = self.0.keys().filter(is_clients);
        clients.chain(self.0.keys().filter(move |name| !is_clients(name)))
    }

    /// Their numbers, in the order in which a lab is asked for them: that of clients first.
    pub fn numbers(&self) -> Vec<u16> {
        self.in_order().map(|name| self.0[name]).collect()
    }

    /// The same ports with other numbers, which are in the order of [`Ports::numbers`].
    pub fn with_numbers(&self, numbers: &[u16]) -> Self {
        Self(self.in_order().cloned().zip(numbers.iter().copied()).collect())
    }

    /// The one that clients dial.
    pub fn client(&self) -> u16 {
        self.0[CLIENT]
    }

    /// All of them.
    pub const fn by_name(&self) -> &BTreeMap<String, u16> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Document {
        ports: Ports,
    }

    fn ports(text: &str) -> Result<Ports, String> {
        let document = toml::from_str::<Document>(&format!("ports = {{ {text} }}"));
        document.map(|document| document.ports).map_err(|error| error.to_string())
    }

    #[test]
    fn the_clients_port_comes_first_and_others_keep_their_names() {
        let ports = ports("admin = 8001, client = 6379, peer = 7000").expect("ports");
        assert_eq!(ports.numbers(), [6379, 8001, 7000]);
        let other = ports.with_numbers(&[1, 2, 3]);
        assert_eq!((other.client(), other.by_name()["admin"], other.by_name()["peer"]), (1, 2, 3));
        assert_eq!(other.numbers(), [1, 2, 3]);
    }

    #[test]
    fn ports_that_cannot_be_are_refused() {
        let cases = [
            ("peer = 1", "called `client`"),
            ("client = 0", "is 0"),
            ("client = 70000", "70000"),
            ("client = 1, peer = 1", "both 1"),
            ("client = 1, Peer = 2", "`Peer` is no name"),
        ];
        for (text, expected) in cases {
            let error = ports(text).expect_err(text);
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }
}
