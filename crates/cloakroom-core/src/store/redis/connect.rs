//! A connection to one server: TCP, TLS where the address says so, and signing in.
//!
//! The stream is made here and not by the client crate: its TLS reads the system's roots for every connection, and fails
//! with them even where the address names a file of its own.

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, ProtocolVersion, RedisConnectionInfo, RedisResult, Value, aio::MultiplexedConnection, cmd,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::{
    Options,
    address::{Address, Host, Login, Shape, TlsFiles},
    error::{of_answer, of_connection},
};
use crate::{store::StoreError, tasks};

/// How connections are made.
pub(super) struct Connector {
    tls: Option<TlsConnector>,
    info: RedisConnectionInfo,
    /// Whether a server that says it is a replica is refused. A cluster's nodes send on what is not theirs anyway.
    primaries_only: bool,
    pub(super) options: Options,
    /// How many connections have been made so far.
    pub(super) opened: watch::Sender<u64>,
}

/// An open connection, shared by everybody. It closes when the last who uses it lets go.
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    driver: JoinHandle<()>,
}

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Connector {
    /// Reads the certificates that an address names.
    pub(super) async fn new(address: &Address, options: &Options) -> Result<Self, StoreError> {
        let tls = match &address.tls {
            Some(files) => Some(TlsConnector::from(Arc::new(configuration(files).await?))),
            None => None,
        };
        let info = info(&address.login).set_db(address.database.into());
        let (primaries_only, opened) = (address.shape != Shape::Cluster, watch::Sender::new(0));
        Ok(Self { tls, info, primaries_only, options: options.clone(), opened })
    }

    /// The same for sentinels: under another login, and what answers is no primary.
    pub(super) fn for_sentinels(&self, login: &Login) -> Self {
        let tls = self.tls.clone();
        let (options, opened) = (self.options.clone(), watch::Sender::new(0));
        Self { tls, info: info(login), primaries_only: false, options, opened }
    }

    /// Opens a connection and sees that somebody fit answers; within [`Options::connect`].
    pub(super) async fn open(&self, host: &Host) -> Result<Link, StoreError> {
        match tokio::time::timeout(self.options.connect, self.try_open(host)).await {
            Ok(opened) => opened,
            Err(_) => Err(StoreError::Unavailable(format!(
                "Redis at {host} was not reached within {} s",
                self.options.connect.as_secs_f32()
            ))),
        }
    }

    async fn try_open(&self, host: &Host) -> Result<Link, StoreError> {
        let at = |error: StoreError| match error {
            StoreError::Unavailable(text) => StoreError::Unavailable(format!("{text} ({host})")),
            other => other,
        };
        let broke = |error: io::Error| StoreError::Unavailable(format!("Redis at {host} is not reached: {error}"));
        let tcp = TcpStream::connect((host.name.as_str(), host.port)).await.map_err(broke)?;
        tcp.set_nodelay(true).map_err(broke)?;
        let alive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(KEEPALIVE_INTERVAL);
        socket2::SockRef::from(&tcp).set_tcp_keepalive(&alive).map_err(broke)?;
        let (connection, driver) = match &self.tls {
            None => self.sign_in(tcp).await,
            Some(tls) => {
                let name = ServerName::try_from(host.name.clone())
                    .map_err(|_| StoreError::Unavailable(format!("{host} is no name that a certificate can have")))?;
                self.sign_in(tls.connect(name, tcp).await.map_err(broke)?).await
            }
        }
        .map_err(|error| at(of_connection(&error)))?;
        let link = Link { connection, driver: tasks::once("connection", driver) };
        // Who may not ask for the role has an answer too, and that is enough.
        let role = link.connection.clone().send_packed_command(&cmd("ROLE")).await;
        match role.map_err(|error| at(of_connection(&error)))? {
            Value::ServerError(answer) if answer.code() != "NOPERM" => return Err(at(of_answer(&answer))),
            Value::Array(parts) if self.primaries_only && is_text(parts.first(), b"slave") => {
                return Err(StoreError::Unavailable(format!(
                    "Redis at {host} is a replica; name its primary, or its sentinels (redis+sentinel://)"
                )));
            }
            _ => {}
        }
        Ok(link)
    }

    async fn sign_in<S>(&self, stream: S) -> RedisResult<(MultiplexedConnection, Driver)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(self.options.in_flight.max(1));
        let (connection, driver) = MultiplexedConnection::new_with_config(&self.info, stream, config).await?;
        Ok((connection, Box::pin(driver)))
    }
}

impl Link {
    /// Whether it was still open a moment ago: its driver notices at once when the other side closes.
    pub(super) fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn info(login: &Login) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
    if let Some(user) = &login.user {
        info = info.set_username(user);
    }
    if let Some(password) = &login.password {
        info = info.set_password(password.as_str());
    }
    info
}

/// Whether a value is this text.
pub(super) fn is_text(value: Option<&Value>, text: &[u8]) -> bool {
    match value {
        Some(Value::BulkString(bytes)) => bytes == text,
        Some(Value::SimpleString(string)) => string.as_bytes() == text,
        _ => false,
    }
}

async fn configuration(files: &TlsFiles) -> Result<ClientConfig, StoreError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &files.ca {
        for certificate in certificates(path).await? {
            roots.add(certificate).map_err(|_| unusable(path, "it holds no certificate of an authority"))?;
        }
    } else {
        // What the system trusts; a broken file among many is no reason to trust none.
        let loaded = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
        roots.add_parsable_certificates(loaded.map(|loaded| loaded.certs).unwrap_or_default());
    }
    if roots.is_empty() {
        let text = "this system trusts no certificate authority; name the file of Redis's own with ?ca=FILE";
        return Err(StoreError::Unavailable(text.to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Unavailable(error.to_string()))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = &files.own else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate).await?;
    let pem = read(key).await?;
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| unusable(key, "it holds no private key in PEM"))?;
    builder.with_client_auth_cert(chain, private).map_err(|error| unusable(certificate, &error.to_string()))
}

async fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let found = CertificateDer::pem_slice_iter(&read(path).await?).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable(path, "it holds no certificates in PEM")),
    }
}

async fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    let path = PathBuf::from(path);
    tokio::fs::read(&path).await.map_err(|error| unusable(&path, &error.to_string()))
}

fn unusable(path: &Path, why: &str) -> StoreError {
    StoreError::Unavailable(format!("{} cannot be used for TLS to Redis: {why}", path.display()))
}

const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
