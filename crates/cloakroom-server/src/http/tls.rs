//! TLS ended by the server itself: 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, and a certificate that can be replaced
//! while the server runs. A new one that cannot be used changes nothing: the last good one stays.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use cloakroom_core::tasks::{self, Kept, Over, Pulse};
use parking_lot::RwLock;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The server's side of TLS.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

/// What a look at the files led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reload {
    /// The certificate is the one in use.
    Unchanged,
    /// A new certificate is in use.
    Replaced,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate's file has no certificate in PEM.
    #[error("{} has no certificate; it must have the server's own, and then those between it and the root, in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// The key's file has no private key in PEM.
    #[error("{} has no private key; it must have one in PEM, not encrypted", .0.display())]
    NoKey(PathBuf),
    /// They do not belong together, or are of a kind that is not supported.
    #[error("the key {} cannot be used with the certificate {}: {source}", key.display(), certificate.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

/// How long looking at the files may take before the task counts as standing still.
const PATIENCE: Duration = Duration::from_secs(60);

impl Tls {
    /// Reads certificate chain and key, each a PEM file.
    pub fn load(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let unusable = |source| TlsError::Unusable { certificate: certificate.clone(), key: key.clone(), source };
        let current = Arc::new(Current(RwLock::new(Arc::new(read(&certificate, &key)?))));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { certificate, key, current, config: Arc::new(config) })
    }

    /// Looks at the files again, as after SIGHUP. On an error the certificate in use stays.
    pub fn reload(&self) -> Result<Reload, TlsError> {
        let new = read(&self.certificate, &self.key)?;
        let mut current = self.current.0.write();
        if new.cert == current.cert {
            return Ok(Reload::Unchanged);
        }
        *current = Arc::new(new);
        Ok(Reload::Replaced)
    }

    /// Looks at the files every so often until `shutdown`, and writes to the log what came of it.
    pub fn watch(self: Arc<Self>, every: Duration, shutdown: CancellationToken) -> Kept {
        tasks::keep("certificate", PATIENCE, move |pulse| {
            Arc::clone(&self).keep_watching(every, shutdown.clone(), pulse)
        })
    }

    async fn keep_watching(self: Arc<Self>, every: Duration, shutdown: CancellationToken, pulse: Pulse) -> Over {
        let mut last_error = None;
        while shutdown.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            let tls = Arc::clone(&self);
            let looking = tokio::task::spawn_blocking(move || tls.reload());
            let Ok(looked) = pulse.round(looking).await else { continue };
            let error = looked.as_ref().err().map(ToString::to_string);
            if let Ok(Reload::Replaced) = looked {
                tracing::info!(certificate = %self.certificate.display(), "a new TLS certificate is in use");
            }
            // A pair that is being replaced is unusable for a moment; one that stays so is reported once.
            if let Some(error) = error.as_ref().filter(|_| error != last_error) {
                tracing::warn!(%error, "the new TLS certificate cannot be used; the one before stays in use");
            }
            last_error = error;
        }
        Over
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({})", self.certificate.display())
    }
}

struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Current")
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let bytes = |path: &Path| std::fs::read(path).map_err(|source| TlsError::Read { path: path.into(), source });
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes(certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::NoCertificate(certificate.into()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.into()));
    }
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?).map_err(|_| TlsError::NoKey(key.into()))?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()).map_err(|source| TlsError::Unusable {
        certificate: certificate.into(),
        key: key.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    struct Files(TempDir);

    impl Files {
        fn new() -> Self {
            let files = Self(TempDir::new().unwrap());
            files.write(&certificate());
            files
        }

        fn write(&self, (certificate, key): &(String, String)) {
            std::fs::write(self.0.path().join("cert.pem"), certificate).unwrap();
            std::fs::write(self.0.path().join("key.pem"), key).unwrap();
        }

        fn load(&self) -> Result<Tls, TlsError> {
            Tls::load(self.0.path().join("cert.pem"), self.0.path().join("key.pem"))
        }
    }

    fn certificate() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_is_replaced_and_a_bad_one_is_not_taken() {
        let files = Files::new();
        let tls = files.load().unwrap();
        let in_use = || tls.current.0.read().cert.clone();
        assert_eq!(tls.reload().unwrap(), Reload::Unchanged);
        let first = in_use();

        let (new, key) = certificate();
        files.write(&(new.clone(), "nothing".into()));
        assert!(matches!(tls.reload(), Err(TlsError::NoKey(_))));
        files.write(&(new.clone(), certificate().1));
        assert!(matches!(tls.reload(), Err(TlsError::Unusable { .. })));
        files.write(&(String::new(), key.clone()));
        assert!(matches!(tls.reload(), Err(TlsError::NoCertificate(_))));
        assert_eq!(in_use(), first);

        files.write(&(new, key));
        assert_eq!(tls.reload().unwrap(), Reload::Replaced);
        assert_ne!(in_use(), first);
        assert_eq!(tls.reload().unwrap(), Reload::Unchanged);
    }

    #[test]
    fn a_missing_file_is_named() {
        let files = Files::new();
        std::fs::remove_file(files.0.path().join("key.pem")).unwrap();
        let error = files.load().unwrap_err().to_string();
        assert!(error.starts_with("cannot read ") && error.contains("key.pem"), "{error}");
    }

    #[tokio::test]
    async fn the_files_are_watched() {
        let files = Files::new();
        let tls = Arc::new(files.load().unwrap());
        let first = tls.current.0.read().cert.clone();
        let shutdown = CancellationToken::new();
        let watching = Arc::clone(&tls).watch(Duration::from_millis(5), shutdown.clone());
        files.write(&certificate());
        while tls.current.0.read().cert == first {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        shutdown.cancel();
        watching.over().await;
    }
}
