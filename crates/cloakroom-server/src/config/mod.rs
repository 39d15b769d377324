//! The configuration: one typed tree, read from defaults, a file, the environment and flags, and checked whole at start.
//!
//! [`Config::load`] gives either a configuration in which every rule holds, or all its mistakes, each with its path, its
//! value's origin and what would be right. Nothing here touches the process's environment; the master secret's file is
//! the only one that is written ([`Config::master_secret`]).

mod app;
pub mod budget;
mod duration;
mod error;
mod kinds;
mod network;
mod origin;
mod read;
mod report;
mod secret;
mod settings;
mod sources;
mod suggest;
mod telemetry;
#[cfg(test)]
mod tests;
mod tree;
mod url;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use cloakroom_core::{
    app::{App, Apps},
    key::{MasterSecret, MasterSecrets},
};

pub use budget::{Budget, OverBudget, budget};
pub use duration::{parse as parse_duration, show as show_duration};
pub use error::{ConfigError, ConfigErrors};
pub use kinds::quote;
pub use network::{Network, NetworkError};
pub use origin::Origin;
pub use report::{AppReport, Report, RevocationBound};
pub use secret::{MASTER_SECRET, SecretFileError, SecretFrom};
pub use settings::{
    AccountsAt, AuditConfig, CacheConfig, KeysConfig, LimitsConfig, LogConfig, LogFormat, PasswordConfig, RateConfig,
    RevocationConfig, SessionsAt, StoreConfig, TlsConfig,
};
pub use sources::Sources;
pub use suggest::nearest;
pub use telemetry::TracesConfig;
pub use url::WebOrigin;

use read::{Reading, Section};
use secret::Secrets;

/// A checked configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// `listen`: where the server listens; port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// `ops_listen`: a listener of its own for `/metrics`; without one they are on the main listener, for loopback only.
    pub ops_listen: Option<SocketAddr>,
    /// `public_url`: where browsers find the server, fixed at start whatever requests say (F140). By default `localhost`
    /// with the port of `listen`.
    ///
    /// An `http://` address of another host is only taken with `proxy_ends_tls`, and then stands here as `https://`,
    /// because that is what browsers see.
    pub public_url: WebOrigin,
    /// `base_path`: what the paths of the server begin with: nothing, or `/auth`. The cookies then belong to the host that
    /// the server shares with an app.
    pub base_path: String,
    /// `data_dir`: where `SQLite`, the private socket and the master secret's file are.
    pub data_dir: PathBuf,
    /// `store`.
    pub store: StoreConfig,
    /// `tls`: present when the server ends TLS itself.
    pub tls: Option<TlsConfig>,
    /// `proxy_ends_tls`: a proxy in front ends TLS.
    pub proxy_ends_tls: bool,
    /// `trusted_proxies`: whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// `password`.
    pub password: PasswordConfig,
    /// `keys`.
    pub keys: KeysConfig,
    /// `audit`.
    pub audit: AuditConfig,
    /// `cache`.
    pub cache: CacheConfig,
    /// `limits`.
    pub limits: LimitsConfig,
    /// `revocation`.
    pub revocation: RevocationConfig,
    /// `log`.
    pub log: LogConfig,
    /// `telemetry.traces`: where traces of requests go, if anywhere.
    pub traces: Option<TracesConfig>,
    explains: bool,
    apps: Apps,
    /// Which apps live at the public address for want of origins of their own.
    at_public_url: Vec<bool>,
    secrets: Secrets,
    budget: Budget,
    origins: BTreeMap<String, Origin>,
}

impl Config {
    /// Reads and checks everything; the error holds every mistake.
    pub fn load(sources: Sources) -> Result<Self, ConfigErrors> {
        let mut reading = Reading::default();
        let file = sources.shown_file();
        let collected = sources.collect(&mut reading).map_err(ConfigErrors)?;
        let start = file.map_or(Origin::Default, |path| Origin::file(&path.into(), 1));
        let mut root = Section::new(String::new(), start, collected.tree);
        let r = &mut reading;

        let listen = r.value(&mut root, "listen", DEFAULT_LISTEN, settings::address);
        let ops_listen = r.optional(&mut root, "ops_listen", settings::address);
        if ops_listen.is_some_and(|ops| ops == listen && ops.port() != 0) && r.sound(&["listen"]) {
            r.refuse("ops_listen", format!("`{listen}` is where the server itself listens; choose another port"));
        }
        let written_url = r.optional(&mut root, "public_url", |value| {
            WebOrigin::parse(kinds::text(value)?).map_err(|e| format!("{e} (a path goes into `base_path`)"))
        });
        let base_path = r.value(&mut root, "base_path", String::new(), base_path);
        let data_dir = r.value(&mut root, "data_dir", "cloakroom-data".into(), settings::path);
        let secret_file = r.optional(&mut root, "secret_file", settings::path);
        let secret_old_file = r.optional(&mut root, "secret_old_file", settings::path);
        let proxy_ends_tls = r.value(&mut root, "proxy_ends_tls", false, kinds::boolean);
        let trusted_proxies = r.list(&mut root, "trusted_proxies", trusted_proxy);
        let store = settings::store(r, &mut root);
        let tls = settings::tls(r, &mut root);
        let public_url = public_url(r, written_url, listen, tls.is_some(), proxy_ends_tls);
        let password = settings::password(r, &mut root);
        let keys = settings::keys(r, &mut root);
        let audit = settings::audit(r, &mut root);
        let cache = settings::cache(r, &mut root);
        let limits = settings::limits(r, &mut root);
        let revocation = settings::revocation(r, &mut root);
        let log = settings::log(r, &mut root, collected.log);
        let traces = telemetry::traces(r, &mut root);
        let secrets = Secrets::read(r, collected.secret, collected.old_secret, secret_file, secret_old_file);
        if store.accounts != AccountsAt::Sqlite && !secrets.is_explicit() && r.sound(&["store.accounts", "secret_file"])
        {
            r.refuse(
                "store.accounts",
                "servers that share their accounts share the master secret, so none makes one up: set CLOAKROOM_SECRET, or \
                 name `secret_file`, on each of them; make one, once, with `head -c 32 /dev/urandom | base64`",
            );
        }
        let (apps, at_public_url): (Vec<App>, Vec<bool>) =
            app::apps(r, &mut root, &public_url).into_iter().map(|read| (read.app, !read.own_origins)).unzip();
        reading.close(root);
        let Ok(apps) = Apps::new(apps) else { return Err(reading.into_errors()) };

        let mut config = Self {
            listen,
            ops_listen,
            public_url,
            base_path,
            data_dir,
            store,
            tls,
            proxy_ends_tls,
            trusted_proxies,
            password,
            keys,
            audit,
            cache,
            limits,
            revocation,
            log,
            traces,
            explains: false,
            apps,
            at_public_url,
            secrets,
            budget: Budget::default(),
            origins: BTreeMap::new(),
        };
        match budget(&config) {
            Ok(budget) => config.budget = budget,
            // Settings with mistakes in them say nothing about sizes.
            Err(over) if reading.is_sound() => reading.refuse("app", over.to_string()),
            Err(_) => {}
        }
        config.origins = reading.finish()?;
        Ok(config)
    }

    /// `serve --explain`: the server is to show what it does, to this machine alone.
    ///
    /// # Errors
    /// What in the configuration stands against it, and what to change.
    pub fn explain(&mut self) -> Result<(), String> {
        crate::explain::fit(self)?;
        self.explains = true;
        Ok(())
    }

    /// Whether the server is to show what it does.
    pub const fn explains(&self) -> bool {
        self.explains
    }

    /// The apps, in the order of the configuration.
    pub fn apps(&self) -> Apps {
        self.apps.clone()
    }

    /// Whether browsers reach the server over TLS: cookies are then `Secure` and named `__Host-…`.
    pub fn is_https(&self) -> bool {
        self.public_url.is_https()
    }

    /// The server's own origin, as a browser writes it.
    pub fn origin(&self) -> String {
        self.public_url.to_string()
    }

    /// What tokens name as their issuer, and what every link begins with: the origin and the base path.
    pub fn issuer(&self) -> String {
        format!("{}{}", self.public_url, self.base_path)
    }

    /// The full address of a path of the server, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.public_url, self.base_path)
    }

    /// The name of an app's cookie: `__Host-cloakroom-web` on https, `cloakroom-web` on http.
    pub fn cookie_name(&self, app: &App) -> String {
        budget::cookie_name(self.is_https(), app)
    }

    /// Whether a peer's `X-Forwarded-*` headers are believed.
    pub fn trusts(&self, peer: std::net::IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }

    /// What set a setting, by its path (`app[1].method`).
    pub fn origin_of(&self, path: &str) -> Origin {
        self.origins.get(path).cloned().unwrap_or(Origin::Default)
    }

    /// Every setting that something other than the defaults has set, and what set it.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.origins.iter().filter(|(_, o)| **o != Origin::Default).map(|(path, origin)| (path.as_str(), origin))
    }

    /// Where the master secret's file is, unless `CLOAKROOM_SECRET` holds the secret itself.
    pub fn secret_file(&self) -> Option<PathBuf> {
        self.secrets.file(&self.data_dir)
    }

    /// The master secret, and where it came from; a missing `master.secret` in the data directory is made.
    pub fn master_secret(
        &self,
        rng: &cloakroom_core::random::Rng,
    ) -> Result<(MasterSecret, SecretFrom), SecretFileError> {
        self.secrets.master(&self.data_dir, rng)
    }

    /// The master secret from before a change, which a server holds beside the other one for as long as the change takes:
    /// `CLOAKROOM_SECRET_OLD`, or `secret_old_file`.
    pub fn old_master_secret(&self) -> Result<Option<MasterSecret>, SecretFileError> {
        self.secrets.old()
    }

    /// All master secrets that a server holds.
    pub fn master_secrets(&self, rng: &cloakroom_core::random::Rng) -> Result<MasterSecrets, SecretFileError> {
        let secrets = MasterSecrets::from(self.master_secret(rng)?.0);
        Ok(match self.old_master_secret()? {
            Some(old) => secrets.and(old),
            None => secrets,
        })
    }

    /// How large cookies, tokens and headers can become: within the bounds, or the configuration would not have loaded.
    pub const fn budget(&self) -> Budget {
        self.budget
    }

    /// What each app's settings come to, for `cloakroom config check`.
    pub fn report(&self) -> Report {
        report::report(self)
    }

    /// Takes the port that the system chose where `listen` names port 0, into `public_url` too where that is the default
    /// one. To be called once, before the first request is answered.
    pub fn bound(&mut self, listener: SocketAddr) {
        let chosen = self.listen.port() == 0 && self.origin_of("public_url") == Origin::Default;
        self.listen = listener;
        if !chosen {
            return;
        }
        self.public_url = WebOrigin::localhost(self.is_https(), listener.port());
        let public = self.public_url.to_string();
        let moved = self.apps.iter().zip(&self.at_public_url).map(|(app, at_public_url)| {
            let mut app = App::clone(app);
            if *at_public_url {
                app.origins = vec![public.clone()];
            }
            app
        });
        // The names are those that were told apart before.
        if let Ok(apps) = Apps::new(moved.collect()) {
            self.apps = apps;
        }
    }
}

/// Loopback only, until the operator says otherwise.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

fn public_url(
    reading: &mut Reading,
    written: Option<WebOrigin>,
    listen: SocketAddr,
    tls: bool,
    proxy: bool,
) -> WebOrigin {
    let Some(url) = written else { return WebOrigin::localhost(tls, listen.port()) };
    if !reading.sound(&["listen", "proxy_ends_tls", "tls", "tls.certificate", "tls.key"]) {
        return url;
    }
    if url.is_https() {
        if !tls && !proxy && !listen.ip().is_loopback() {
            let problem = format!(
                "`{url}` is https, but the server listens on {listen} without TLS; give [tls] a certificate and a key, or set \
                 proxy_ends_tls = true where a proxy ends TLS"
            );
            reading.refuse("public_url", problem);
        }
        return url;
    }
    let secure = url.clone().over_tls();
    if tls {
        reading.refuse("public_url", format!("`{url}` is http, but the server speaks TLS ([tls]); write `{secure}`"));
    } else if !url.is_loopback() && !proxy {
        let problem = format!(
            "`{url}` is http, which is for loopback only; write `{secure}` and give [tls] a certificate and a key, or set \
             proxy_ends_tls = true where a proxy ends TLS"
        );
        reading.refuse("public_url", problem);
    } else if !url.is_loopback() {
        return secure;
    }
    url
}

fn base_path(value: &tree::Value) -> Result<String, String> {
    const LONGEST: usize = 64;
    let text = kinds::maybe_empty(value)?;
    let segment = |s: &str| {
        !matches!(s, "" | "." | "..")
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
    };
    let good = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment)) && text.len() <= LONGEST;
    if text.is_empty() || good {
        return Ok(text.to_owned());
    }
    let quoted = kinds::quote(text);
    Err(format!(
        "{quoted} is no base path; leave it empty, or write it as /auth: a slash before each part and none at the end, \
         {LONGEST} characters of a-z A-Z 0-9 - _ . ~ at most"
    ))
}

fn trusted_proxy(value: &tree::Value) -> Result<Network, String> {
    let text = kinds::text(value)?;
    let network: Network = text.parse().map_err(|e| format!("{} is no network: {e}", kinds::quote(text)))?;
    if network.prefix() == 0 {
        return Err(format!("`{network}` would believe everybody; name the proxies"));
    }
    Ok(network)
}
