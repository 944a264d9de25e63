//! What a store says of a client whose certificate it does not take, and of one that shows none.
//!
//! In TLS 1.3 a client's handshake is over before the store has looked at the client's certificate, so that a refusal
//! arrives in place of the first answer (RFC 8446, 4.4.2.4).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, SignatureScheme};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::dial::BoxStream;

/// That the store ended the handshake on account of the client's certificate: it has seen no request.
#[derive(Debug, Error)]
#[error("TLS: {0}")]
pub struct CertificateRefused(String);

impl CertificateRefused {
    /// Whether an error or one of its causes is such.
    pub fn is_in(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut causes = std::iter::successors(Some(error), |cause| cause.source());
        causes.any(|cause| {
            let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            inner.and_then(|inner| inner.downcast_ref::<CertificateRefused>()).is_some()
        })
    }
}

/// The certificate of a client that has none, and whether a store ever asked for it.
#[derive(Debug, Default)]
pub(super) struct NoCertificate {
    was_asked: AtomicBool,
}

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.was_asked.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// What the client has to show.
#[derive(Debug, Clone)]
pub(super) enum Shown {
    /// Nothing.
    Nothing(Arc<NoCertificate>),
    /// The certificate of the description.
    Own,
}

impl Shown {
    /// What may be wrong with it where a connection ends before an answer, if anything.
    fn complaint(&self) -> Option<&'static str> {
        match self {
            Self::Nothing(none) if none.was_asked.load(Ordering::Relaxed) => Some(
                "the store wants a certificate of its clients, and [client.tls] names none: \
                 `certificate-file` and `key`",
            ),
            Self::Nothing(_) | Self::Own => None,
        }
    }

    /// What an error that came before any answer comes to.
    pub(super) fn explain(&self, error: &io::Error) -> io::Error {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let is_refusal = matches!(inner, Some(rustls::Error::AlertReceived(alert)) if is_of_certificates(*alert));
        let complaint = match (self, self.complaint()) {
            (_, Some(complaint)) => complaint,
            (Self::Own, None) if is_refusal => "the store refused the client's certificate",
            _ => return io::Error::new(error.kind(), format!("TLS: {error}")),
        };
        let words = format!("{complaint} ({error})");
        match is_refusal {
            true => io::Error::new(io::ErrorKind::ConnectionRefused, CertificateRefused(words)),
            false => io::Error::new(error.kind(), format!("TLS: {words}")),
        }
    }
}

/// Whether a store sends this alert on account of the client's certificate only.
fn is_of_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
    )
}

/// A stream after the client's part of the handshake, whose errors are explained until the first byte arrives.
pub(super) struct Explained {
    stream: BoxStream,
    /// None once a byte has arrived: the store has taken what it was shown.
    shown: Option<Shown>,
}

impl Explained {
    pub(super) fn new(stream: BoxStream, shown: Shown) -> Self {
        Self { stream, shown: Some(shown) }
    }

    fn explained<T>(&self, done: io::Result<T>) -> io::Result<T> {
        match &self.shown {
            Some(shown) => done.map_err(|error| shown.explain(&error)),
            None => done,
        }
    }
}

impl AsyncRead for Explained {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let mut read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        if buffer.filled().len() > before {
            self.shown = None;
        } else if self.shown.as_ref().and_then(Shown::complaint).is_some() && read.is_ok() {
            read = Err(io::ErrorKind::UnexpectedEof.into());
        }
        Poll::Ready(self.explained(read))
    }
}

impl AsyncWrite for Explained {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        Poll::Ready(self.explained(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        Poll::Ready(self.explained(flushed))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, slices));
        Poll::Ready(self.explained(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(alert: AlertDescription) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert))
    }

    #[test]
    fn an_alert_on_the_certificate_is_certain_and_no_other_end_is() {
        let none = Arc::new(NoCertificate::default());
        none.resolve(&[], &[]);
        for shown in [Shown::Own, Shown::Nothing(none)] {
            for certain in [AlertDescription::BadCertificate, AlertDescription::CertificateRequired]
            {
                let error = shown.explain(&alert(certain));
                assert!(CertificateRefused::is_in(&error), "{error}");
                assert!(error.to_string().contains("certificate"), "{error}");
            }
            let reset = io::Error::from(io::ErrorKind::ConnectionReset);
            for open in [alert(AlertDescription::InternalError), reset] {
                assert!(!CertificateRefused::is_in(&shown.explain(&open)), "{open}");
            }
        }
    }

    #[test]
    fn a_store_that_never_asked_for_a_certificate_is_not_said_to_want_one() {
        let shown = Shown::Nothing(Arc::default());
        let error = shown.explain(&io::Error::from(io::ErrorKind::ConnectionReset));
        assert!(!error.to_string().contains("certificate"), "{error}");
    }
}
