//! What a test needs of the machine beyond the build, and what happens where it is missing.
//!
//! Such a test prints that it was skipped. It fails instead if `PARTITA_REQUIRE`, a list with commas,
//! names what is missing: on a machine that should have it, a skipped test is not a passed one.

#![expect(dead_code, reason = "each program of tests needs some of it")]

use std::process::{Command, Stdio};

/// What a test can need, by its name in `PARTITA_REQUIRE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Public histories, in the folder that `PARTITA_CORPUS` names.
    Corpus,
    /// An etcd on the path.
    Etcd,
    /// A `kubernetes-validate` on the path, which has the schemas of the API.
    Kubernetes,
    /// A file system may be mounted inside a namespace.
    Mount,
    /// A `nats-server` on the path.
    Nats,
    /// openraft and what else `examples/openraft-kv` is built of, which cargo fetches.
    Openraft,
    /// A `python3` on the path.
    Python,
    /// A `redis-server`.
    Redis,
    /// A `moto_server`, which is an S3 server.
    S3,
    /// Slurm's daemons and commands, of Debian's packages.
    Slurm,
    /// The tests run as root, who can become another user.
    Root,
    /// A C library to link programs with statically.
    StaticLibrary,
    /// A strace on the path.
    Strace,
    /// User namespaces that may be made without rights.
    UserNamespaces,
    /// A `valkey-server`.
    Valkey,
    /// An `xmllint` on the path, and the schema of Jenkins' xUnit plugin in the file that `PARTITA_XUNIT_SCHEMA`
    /// names.
    XunitSchema,
}

impl Need {
    const fn name(self) -> &'static str {
        match self {
            Self::Corpus => "corpus",
            Self::Etcd => "etcd",
            Self::Kubernetes => "kubernetes",
            Self::Mount => "mount",
            Self::Nats => "nats",
            Self::Openraft => "openraft",
            Self::Python => "python",
            Self::Redis => "redis",
            Self::Root => "root",
            Self::S3 => "s3",
            Self::Slurm => "slurm",
            Self::StaticLibrary => "static",
            Self::Strace => "strace",
            Self::UserNamespaces => "userns",
            Self::Valkey => "valkey",
            Self::XunitSchema => "xunit-schema",
        }
    }

    /// Whether a test that needs this can run, given whether it `is_there`.
    ///
    /// # Panics
    ///
    /// If it is not, and must be.
    pub(crate) fn met(self, is_there: bool) -> bool {
        if !is_there {
            let required = std::env::var("PARTITA_REQUIRE").unwrap_or_default();
            let is_required = required.split(',').any(|need| need.trim() == self.name());
            assert!(!is_required, "PARTITA_REQUIRE has `{}`, which is missing here", self.name());
            eprintln!("SKIPPED for want of: {}", self.name());
        }
        is_there
    }

    /// Whether a test can run that needs `program`, which says its version and ends.
    ///
    /// # Panics
    ///
    /// If it is missing, and must not be.
    pub(crate) fn met_by_program(self, program: &str) -> bool {
        let status = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        self.met(status.is_ok_and(|status| status.success()))
    }
}
