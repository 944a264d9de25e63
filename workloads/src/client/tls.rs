//! TLS between a client and a node, by the certificates that a description names.
//!
//! It lies between the protocol and whatever carries bytes. A handshake that fails is a connection that did not come
//! about: nothing was sent, so nothing happened.

mod refusal;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio_rustls::TlsConnector;
use toml::Spanned;

pub use self::refusal::CertificateRefused;
use self::refusal::{Explained, NoCertificate, Shown};
use super::dial::{BoxStream, Dial};
use super::protocol::Endpoint;
use super::secrets::{self, SECRET, secret};
use super::tables::TableError;

/// The table `[client.tls]` of a description.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TlsTable {
    /// The certificates that sign those of nodes, in PEM, in a file beside the description.
    ca_file: Spanned<String>,
    /// What nodes' certificates are made out to; a node's address without it.
    server_name: Option<Spanned<String>>,
    /// The client's own certificate, in PEM, in a file beside the description.
    certificate_file: Option<Spanned<String>>,
    /// The key of that certificate, in PEM: a secret.
    key: Option<Spanned<String>>,
}

impl TlsTable {
    /// The names of the files that it needs.
    pub fn files(&self) -> Vec<String> {
        let files = [Some(&self.ca_file), self.certificate_file.as_ref()];
        files.into_iter().flatten().map(|file| file.get_ref().clone()).collect()
    }

    /// What it comes to with these `files`.
    ///
    /// # Errors
    ///
    /// If a file is missing or holds no certificate, or the table does not fit together.
    pub fn tls(&self, files: &BTreeMap<String, String>) -> Result<Tls, TableError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca_file, files)? {
            let problem = |error| format!("{}: {error}", self.ca_file.get_ref());
            roots
                .add(certificate)
                .map_err(|error| TableError::at(self.ca_file.span(), problem(error)))?;
        }
        let name = |name: &Spanned<String>| {
            ServerName::try_from(name.get_ref().clone()).map_err(|error| {
                TableError::at(name.span(), format!("`{}`: {error}", name.get_ref()))
            })
        };
        let server_name = self.server_name.as_ref().map(name).transpose()?;
        Ok(Tls { roots: Arc::new(roots), server_name, own: self.own(files)? })
    }

    /// The client's certificate and the name of the secret that is its key.
    fn own(&self, files: &BTreeMap<String, String>) -> Result<Option<Own>, TableError> {
        let (file, key) = match (&self.certificate_file, &self.key) {
            (None, None) => return Ok(None),
            (Some(file), Some(key)) => (file, key),
            (Some(one), None) | (None, Some(one)) => {
                let problem = "`certificate-file` and `key` belong together";
                return Err(TableError::at(one.span(), problem));
            }
        };
        let name = secrets::names(key.get_ref()).into_iter().next();
        let name = name.filter(|name| *key.get_ref() == format!("{{{SECRET}{name}}}"));
        let name = name.ok_or_else(|| {
            let problem = "a key is a secret: expected {secret.NAME}, a variable of the environment with its PEM";
            TableError::at(key.span(), problem)
        })?;
        Ok(Some(Own { certificates: certificates(file, files)?, key: name }))
    }
}

/// The certificates in a file of the description's.
fn certificates(
    file: &Spanned<String>,
    files: &BTreeMap<String, String>,
) -> Result<Vec<CertificateDer<'static>>, TableError> {
    let wrong = |problem: String| TableError::at(file.span(), problem);
    let name = file.get_ref();
    let text = files.get(name).ok_or_else(|| wrong(format!("there is no file {name}")))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let read = read.map_err(|error| wrong(format!("{name}: {error:?}; expected PEM")))?;
    match read.is_empty() {
        true => Err(wrong(format!("{name} holds no certificate; expected PEM"))),
        false => Ok(read),
    }
}

/// How connections are secured.
#[derive(Debug, Clone)]
pub struct Tls {
    roots: Arc<RootCertStore>,
    server_name: Option<ServerName<'static>>,
    own: Option<Own>,
}

/// What the client shows of itself.
#[derive(Debug, Clone)]
struct Own {
    certificates: Vec<CertificateDer<'static>>,
    /// The name of the secret that is the key.
    key: String,
}

impl Tls {
    /// Dials as `dial` does and secures what comes of it.
    pub fn over(&self, dial: Dial) -> Dial {
        // A key that is wrong is told to whoever dials.
        let config = self.config().map(|(config, shown)| (Arc::new(config), shown));
        let server_name = self.server_name.clone();
        Arc::new(move |to: Endpoint| {
            let name = server_name.clone().unwrap_or_else(|| to.address.ip().into());
            let (stream, config) = (dial(to), config.clone());
            Box::pin(async move {
                let (config, shown) = config.map_err(io::Error::other)?;
                let stream = TlsConnector::from(config).connect(name, stream.await?).await;
                let stream = stream.map_err(|error| shown.explain(&error))?;
                Ok(Box::new(Explained::new(Box::new(stream), shown)) as BoxStream)
            })
        })
    }

    fn config(&self) -> Result<(ClientConfig, Shown), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(Arc::clone(&self.roots));
        let (mut config, shown) = match &self.own {
            None => {
                let none = Arc::new(NoCertificate::default());
                let config = builder.with_client_cert_resolver(Arc::clone(&none) as Arc<_>);
                (config, Shown::Nothing(none))
            }
            Some(Own { certificates, key }) => {
                let pem = secret(key)?;
                let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
                    .map_err(|_| format!("the secret {key} is no key in PEM"))?;
                let with_own = builder.with_client_auth_cert(certificates.clone(), key);
                (with_own.map_err(|error| error.to_string())?, Shown::Own)
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok((config, shown))
    }
}
