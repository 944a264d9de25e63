//! Ranks what labs can do, by what the machine allows.
//!
//! Each backend does without something of the one before, and its faults are those of the one before
//! but for some families. What a machine allows is found out by [`crate::doctor`].

use std::fmt;
use std::str::FromStr;

/// How a lab's hosts are made, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabBackend {
    /// Of namespaces, joined by a switch: every fault.
    Namespaces,
    /// Of loopback addresses, joined by relays: no fault that only frames can suffer.
    Proxies,
    /// Of loopback addresses, joined by nothing: no fault of the network at all.
    Signals,
}

/// A word that names no backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no lab is called {0:?}; expected namespaces, proxies or signals")]
pub struct InvalidBackend(pub String);

impl LabBackend {
    /// Every backend, best first.
    pub const ALL: [LabBackend; 3] =
        [LabBackend::Namespaces, LabBackend::Proxies, LabBackend::Signals];

    /// Its name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            LabBackend::Namespaces => "namespaces",
            LabBackend::Proxies => "proxies",
            LabBackend::Signals => "signals",
        }
    }
}

impl fmt::Display for LabBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LabBackend {
    type Err = InvalidBackend;

    fn from_str(text: &str) -> Result<LabBackend, InvalidBackend> {
        let named = LabBackend::ALL.into_iter().find(|backend| backend.name() == text);
        named.ok_or_else(|| InvalidBackend(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_read_by_its_name() {
        for backend in LabBackend::ALL {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        let error = "vlans".parse::<LabBackend>().expect_err("unknown").to_string();
        assert!(error.contains("vlans") && error.contains("proxies"), "{error}");
    }
}
