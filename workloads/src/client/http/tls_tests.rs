//! A store behind TLS, with certificates made for the test, answers on loopback.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::super::dial::{BoxStream, Dial};
use super::super::protocol::{ClientOptions, Endpoint, Limits, Protocol, RetryPolicy};
use super::super::tables::{TableError, Tables};
use super::open;
use crate::operation::{Completion, Invocation};

/// A read, for whoever has what is in `PATH`, which every test has, for a password.
const DESCRIPTION: &str = "\
[client]
headers = { authorization = \"Basic {secret.PATH:base64}\" }
[client.read]
request = { method = \"GET\", path = \"/kv/{key:url}\" }
value = {}
";

/// Who signs.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("parameters");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(parameters, key).expect("signed by itself"))
    }

    /// A certificate for `name` and its key, in PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let parameters = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = parameters.signed_by(&key, &self.0).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

/// The heads of the requests that came.
type Heads = Arc<Mutex<Vec<String>>>;

/// A store that answers 7 to whatever is asked; clients that show a certificate of `clients` only, if there is one.
async fn store(own: &Authority, name: &str, clients: Option<&Authority>) -> (SocketAddr, Heads) {
    let (certificate, key) = own.sign(name);
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            let pem = clients.pem();
            roots
                .add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM"))
                .expect("a root");
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let config = builder.with_single_cert(vec![certificate], key).expect("a key that fits");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let heads = Heads::default();
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut bytes = vec![0; 4096];
                let Ok(count @ 1..) = stream.read(&mut bytes).await else { return };
                let head = String::from_utf8_lossy(&bytes[..count]).into_owned();
                seen.lock().expect("whole").push(head);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n7";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (address, heads)
}

fn protocol(
    table: &str,
    files: &BTreeMap<String, String>,
) -> Result<Arc<dyn Protocol>, TableError> {
    let text = format!("{DESCRIPTION}{table}");
    let mut tables = Tables::of(&text).expect("TOML").with_files(files);
    open(&mut tables)
}

fn dial() -> Dial {
    Arc::new(|to: Endpoint| {
        Box::pin(async move {
            let stream: io::Result<TcpStream> = TcpStream::connect(to.address).await;
            Ok(Box::new(stream?) as BoxStream)
        })
    })
}

/// What comes of a read through the client of a description with this table.
async fn read(table: &str, files: &[(&str, String)], address: SocketAddr) -> Completion {
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
    let protocol = protocol(table, &files).unwrap_or_else(|error| panic!("{error}"));
    let limits = Limits { connect: Duration::from_secs(10), reply: Duration::from_secs(10) };
    let options = ClientOptions { limits, retry: RetryPolicy::Never };
    let endpoint = Endpoint { node: "n1".into(), address };
    let dial = protocol.secured(dial());
    protocol.client(&endpoint, &dial, options).invoke(&Invocation::read("k".into())).await
}

const NAMED: &str = "[client.tls]\nca-file = \"ca.pem\"\nserver-name = \"store.test\"\n";

#[tokio::test]
async fn a_store_behind_tls_is_read_with_the_secret_of_its_headers() {
    let authority = Authority::new();
    let (address, heads) = store(&authority, "store.test", None).await;
    let files = [("ca.pem", authority.pem())];
    assert_eq!(read(NAMED, &files, address).await, Completion::Answered(7.into()));
    let head = heads.lock().expect("whole").join("");
    assert!(head.contains("authorization: Basic "), "{head}");
}

#[tokio::test]
async fn a_node_is_known_by_its_address_without_a_name() {
    let authority = Authority::new();
    let (address, _) = store(&authority, "127.0.0.1", None).await;
    let files = [("ca.pem", authority.pem())];
    let table = "[client.tls]\nca-file = \"ca.pem\"\n";
    assert_eq!(read(table, &files, address).await, Completion::Answered(7.into()));
    let completion = read(NAMED, &files, address).await;
    assert!(matches!(&completion, Completion::Fail(why) if why.contains("TLS")), "{completion:?}");
}

#[tokio::test]
async fn a_certificate_that_somebody_else_signed_is_a_connection_that_did_not_come_about() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (address, heads) = store(&authority, "store.test", None).await;
    let completion = read(NAMED, &[("ca.pem", other.pem())], address).await;
    assert!(matches!(&completion, Completion::Fail(why) if why.contains("TLS")), "{completion:?}");
    assert!(heads.lock().expect("whole").is_empty());
}

#[tokio::test]
async fn a_client_shows_a_certificate_whose_key_is_a_secret() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (address, _) = store(&authority, "store.test", Some(&clients)).await;
    let (certificate, _) = clients.sign("client");
    let files = [("ca.pem", authority.pem()), ("client.pem", certificate)];
    let own = "certificate-file = \"client.pem\"\nkey = \"{secret.PARTITA_NO_SUCH_KEY}\"\n";
    let completion = read(&format!("{NAMED}{own}"), &files, address).await;
    let why = "the secret PARTITA_NO_SUCH_KEY";
    assert!(matches!(&completion, Completion::Fail(it) if it.contains(why)), "{completion:?}");
}

/// The client's handshake is over before the store has looked at what it was shown.
#[tokio::test]
async fn what_a_client_lacks_that_shows_no_certificate_is_named() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (address, heads) = store(&authority, "store.test", Some(&clients)).await;
    let completion = read(NAMED, &[("ca.pem", authority.pem())], address).await;
    // Unknown where the connection was reset before the refusal was read.
    let (Completion::Fail(why) | Completion::Unknown(why)) = &completion else {
        panic!("{completion:?}")
    };
    assert!(why.contains("[client.tls] names none: `certificate-file` and `key`"), "{why}");
    assert!(heads.lock().expect("whole").is_empty());
}

#[test]
fn what_makes_no_sense_is_named() {
    let authority = Authority::new();
    let files = BTreeMap::from([
        ("ca.pem".to_owned(), authority.pem()),
        ("empty.pem".to_owned(), String::new()),
    ]);
    let cases = [
        ("ca-file = \"no.pem\"", "there is no file no.pem"),
        ("ca-file = \"empty.pem\"", "empty.pem holds no certificate"),
        ("ca-file = \"ca.pem\"\nserver-name = \"a b\"", "`a b`: "),
        ("ca-file = \"ca.pem\"\nkey = \"{secret.K}\"", "belong together"),
        ("ca-file = \"ca.pem\"\ncertificate-file = \"ca.pem\"\nkey = \"abc\"", "a key is a secret"),
        ("ca = \"ca.pem\"", "unknown field `ca`"),
    ];
    for (table, expected) in cases {
        let error = protocol(&format!("[client.tls]\n{table}\n"), &files).expect_err(table);
        assert!(error.problem.contains(expected), "{table}\n{}", error.problem);
    }
    let text = format!("{DESCRIPTION}{NAMED}");
    let learned = open(&mut Tables::of(&text).expect("TOML")).expect("without files");
    assert_eq!(learned.files(), ["ca.pem"]);
}
