//! A throw-away authority for names that exist on this machine only, and what is served under them.

use std::{io, net::SocketAddr, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use axum::{Extension, Router};
use data_encoding::BASE64;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_rustls::TlsAcceptor;

use super::plan::Trouble;

/// The names: a shop with sibling subdomains, and a stranger's site.
const NAMES: [&str; 4] = ["shop.test", "*.shop.test", "evil.test", "*.evil.test"];

/// A certificate for those names, and whoever trusts it.
pub(super) struct Authority {
    /// PEM, with the authority's behind it.
    pub(super) certificate: String,
    /// PEM.
    pub(super) key: String,
    /// SHA-256 of the certificate's public key: the only one that the browser is told to put up with.
    pub(super) spki: String,
    /// For the client.
    pub(super) client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Authority {
    /// Makes one; its keys are in memory, and in the directory of the server that is attacked.
    pub(super) fn new() -> Result<Self, Trouble> {
        let mut authority = CertificateParams::new(Vec::<String>::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let pair = KeyPair::generate()?;
        let certificate = CertificateParams::new(NAMES.map(str::to_owned))?.signed_by(&pair, &authority)?;
        let spki = BASE64.encode(digest(&SHA256, &pair.subject_public_key_info()).as_ref());
        let chain = vec![certificate.der().clone(), CertificateDer::from(authority.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(authority.der().to_vec()))?;
        Ok(Self {
            certificate: format!("{}{}", certificate.pem(), authority.pem()),
            key: pair.serialize_pem(),
            spki,
            client: Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()),
            server: Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?),
        })
    }

    /// What a listener of ours ends TLS with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Serves a router by TLS for good, at most so many connections at a time, without a limit of time.
pub(super) async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    router: Router,
    at_once: usize,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(at_once));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (acceptor, router) = (acceptor.clone(), router.clone().layer(Extension(Peer(peer))));
        tokio::spawn(async move {
            let _place = place;
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = TowerToHyperService::new(router);
            // Who hangs up has hung up.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}
