//! A store that is not ours, by its description alone. The tests need an `etcd` on the path.

use needs::Need;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use run_json::run_json;

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

/// The etcd of the description, which speaks to clients by TLS alone.
#[test]
fn etcd_is_tested_through_tls() {
    if !Need::Etcd.met_by_program("etcd") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("written");
    let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(parameters, key).expect("signed by itself");
    write("ca.pem", &authority.pem());
    let key = KeyPair::generate().expect("a key");
    // The gateway inside etcd is a client of its own server, by the address that it listens on.
    let names = ["etcd.test", "198.18.0.1", "198.18.0.2", "198.18.0.3"].map(str::to_owned);
    let parameters = CertificateParams::new(names.to_vec()).expect("names");
    let certificate = parameters.signed_by(&key, &authority).expect("signed");
    write("node.pem", &certificate.pem());
    write("node.key", &key.serialize_pem());
    let files = format!(
        "\"--cert-file\", \"{}\", \"--key-file\", \"{}\",\n    \"--logger\"",
        path("node.pem"),
        path("node.key")
    );
    let described = include_str!("../src/targets/etcd.toml")
        .replace("http://{ip}:{port.client}", "https://{ip}:{port.client}")
        .replace("http://{advertised-ip}:{port.client}", "https://{advertised-ip}:{port.client}")
        .replace("\"--logger\"", &files)
        + "\n[client.tls]\nca-file = \"ca.pem\"\nserver-name = \"etcd.test\"\n";
    write("tls.toml", &described);
    let words = "--target tls.toml --time 4s --seed 1 --nemesis kill --rate 100";
    let result = run_json(folder.path(), words);
    assert_eq!(result["verdict"], "valid", "{result:#}");
}
