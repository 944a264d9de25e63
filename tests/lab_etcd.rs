//! A store that is not ours, by its description alone. The tests need an `etcd` on the path.

use std::process::{Command, Stdio};

use needs::Need;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use run_json::run_json;
use serde_json::Value;
use tempfile::TempDir;

#[path = "support/needs.rs"]
mod needs;
#[path = "support/run_json.rs"]
mod run_json;

#[test]
fn etcd_is_linearizable_under_partitions_and_kills() {
    if !Need::Etcd.met_by_program("etcd") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let result = run_json(
        folder.path(),
        "--target etcd --time 8s --seed 1 --nemesis isolate,kill --rate 200",
    );
    assert_eq!(result["verdict"], "valid", "{result:#}");
    let history = folder.path().join("runs/latest/history.jsonl");
    let history = std::fs::read_to_string(history).expect("a history");
    for kind in ["\"f\":\"read\"", "\"f\":\"write\"", "\"f\":\"cas\""] {
        let is_answered = |line: &str| line.contains(kind) && line.contains("\"type\":\"ok\"");
        assert!(history.lines().any(is_answered), "{kind}");
    }
}

/// A read that asks no quorum is served by a node that is cut off from those who write.
#[test]
fn reads_of_etcd_that_ask_no_quorum_are_stale() {
    if !Need::Etcd.met_by_program("etcd") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let described = include_str!("../src/targets/etcd.toml");
    let body = "body = { key = \"{key:base64}\" } }\nexpect";
    let serializable = "body = { key = \"{key:base64}\", serializable = true } }\nexpect";
    let stale = described.replacen(body, serializable, 1);
    assert_ne!(stale, described);
    std::fs::write(folder.path().join("stale.toml"), stale).expect("written");
    let schedule = r#"faults = [{ at = "1s", for = "6s", fault = "isolate", target = "n3" }]"#;
    std::fs::write(folder.path().join("cut.toml"), schedule).expect("written");
    let words = "--target stale.toml --time 8s --seed 1 --schedule cut.toml --stop-on-finding";
    let result = run_json(folder.path(), words);
    assert_eq!(result["verdict"], "violation", "{result:#}");
}

/// Certificates in a folder, and the description of an etcd that speaks to clients by TLS alone.
struct Secured {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Secured {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(parameters, key).expect("signed by itself");
        let this = Self { folder, authority };
        this.write("ca.pem", &this.authority.pem());
        // The gateway inside etcd is a client of its own server, by the address that it listens on.
        let key = this.sign("node.pem", &["etcd.test", "198.18.0.1", "198.18.0.2", "198.18.0.3"]);
        this.write("node.key", &key);
        this
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// Writes a certificate for these names; its key.
    fn sign(&self, file: &str, names: &[&str]) -> String {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let parameters = CertificateParams::new(names).expect("names");
        let certificate = parameters.signed_by(&key, &self.authority).expect("signed");
        self.write(file, &certificate.pem());
        key.serialize_pem()
    }

    /// Writes `etcd.toml`, whose servers are given these words besides, with these lines in `[client.tls]`.
    fn describe(&self, words: &str, client: &str) {
        let files = format!(
            "\"--cert-file\", \"{}\", \"--key-file\", \"{}\", {words}\n    \"--logger\"",
            self.path("node.pem"),
            self.path("node.key")
        );
        let described = include_str!("../src/targets/etcd.toml")
            .replace("http://{ip}:{port.client}", "https://{ip}:{port.client}")
            .replace(
                "http://{advertised-ip}:{port.client}",
                "https://{advertised-ip}:{port.client}",
            )
            .replace("\"--logger\"", &files)
            .replace("name = \"etcd\"", "name = \"etcd\"\nstart-limit = \"5s\"");
        let tls = "\n[client.tls]\nca-file = \"ca.pem\"\nserver-name = \"etcd.test\"\n";
        self.write("etcd.toml", &format!("{described}{tls}{client}"));
    }

    /// As [`Secured::describe`], for servers that want a certificate of every client.
    fn describe_mutual(&self, client: &str) {
        let authority = self.path("ca.pem");
        let words = format!("\"--client-cert-auth\", \"--trusted-ca-file\", \"{authority}\",");
        self.describe(&words, client);
    }

    /// The result of a run in whose environment `CLIENT_KEY` is.
    fn run(&self, key: &str) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_partita"))
            .args(["run", "--json", "--target", "etcd.toml", "--time", "4s", "--seed", "1"])
            .args(["--nemesis", "kill", "--rate", "100"])
            .current_dir(self.folder.path())
            .env("CLIENT_KEY", key)
            .stdin(Stdio::null())
            .output()
            .expect("partita runs");
        let printed = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }
}

const OWN: &str = "certificate-file = \"client.pem\"\nkey = \"{secret.CLIENT_KEY}\"\n";

/// The etcd of the description, which speaks to clients by TLS alone.
#[test]
fn etcd_is_tested_through_tls() {
    if !Need::Etcd.met_by_program("etcd") {
        return;
    }
    let secured = Secured::new();
    secured.describe("", "");
    let result = secured.run("");
    assert_eq!(result["verdict"], "valid", "{result:#}");
}

#[test]
fn etcd_that_wants_certificates_of_its_clients_is_shown_one() {
    if !Need::Etcd.met_by_program("etcd") {
        return;
    }
    let secured = Secured::new();
    let key = secured.sign("client.pem", &["client.test"]);
    secured.describe_mutual(OWN);
    let result = secured.run(&key);
    assert_eq!(result["verdict"], "valid", "{result:#}");
}

/// The run ends before a client begins, and says what the description lacks.
#[test]
fn etcd_that_wants_certificates_of_its_clients_is_refused_without() {
    if !Need::Etcd.met_by_program("etcd") {
        return;
    }
    let secured = Secured::new();
    secured.describe_mutual("");
    let result = secured.run("");
    let failure = result["failure"].to_string();
    let lacks = "wants a certificate of its clients, and [client.tls] names none: `certificate-file` and `key`";
    assert!(failure.contains(lacks), "{failure}");
}
