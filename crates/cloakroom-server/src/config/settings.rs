//! The smaller tables of the configuration: stores, TLS, passwords, keys, audit, cache, limits, revocation and log.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use cloakroom_core::{
    credential::HashParameters,
    store::{postgres, redis},
};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::{
    kinds::{self, Step},
    read::{Reading, Section},
    tree::Value,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// `[store]`: where accounts and sessions are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreConfig {
    /// `accounts`: accounts, keys, the revocation log and the audit log.
    pub accounts: AccountsAt,
    /// `sessions`: what is kept per login.
    pub sessions: SessionsAt,
    /// `other_sessions`: where sessions are looked for as well, while they are moved from one store to another.
    pub other_sessions: Option<SessionsAt>,
}

/// Where accounts are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AccountsAt {
    /// `SQLite` in the data directory.
    Sqlite,
    /// A PostgreSQL database, which several servers may share.
    Postgres(Box<postgres::Url>),
}

/// Where sessions are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SessionsAt {
    /// `SQLite` in the data directory.
    Sqlite,
    /// This process's memory: a restart signs everybody out who has a record.
    Memory,
    /// A Redis or Valkey.
    Redis(Box<redis::Address>),
    /// A PostgreSQL database.
    Postgres(Box<postgres::Url>),
}

/// `[tls]`: the server ends TLS itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsConfig {
    /// `certificate`: a PEM file, the server's own certificate first.
    pub certificate: PathBuf,
    /// `key`: a PEM file with its private key.
    pub key: PathBuf,
}

/// `[password]`: what hashing a password costs (Argon2id, RFC 9106), and how many are hashed at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PasswordConfig {
    /// `memory_kib`: memory of one run in KiB.
    pub memory_kib: u32,
    /// `passes` over it.
    pub passes: u32,
    /// `lanes`.
    pub lanes: u32,
    /// `threads` that hash at once, and with it how much memory hashing takes; by default as many as there are cores.
    pub threads: usize,
    /// `queue`: how many more may wait; beyond it a login is answered 503. By default 4 a thread, and 24 or more.
    pub queue: usize,
}

/// `[keys]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeysConfig {
    /// `rotation`: how long a key is used before the next one takes over.
    pub rotation: Duration,
}

/// `[audit]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditConfig {
    /// `keep`: how long lines of the audit log are kept.
    pub keep: Duration,
}

/// `[cache]`: the near-cache of facts; whichever bound is met first counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheConfig {
    /// `entries`: how many facts.
    pub entries: usize,
    /// `bytes`: how much memory they may take, about.
    pub bytes: u64,
}

/// `[limits]`: how often something may be tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LimitsConfig {
    /// `failures_per_account`: wrong secrets for one account, from wherever.
    pub failures_per_account: RateConfig,
    /// `failures_per_network`: wrong secrets from one network, for whichever accounts.
    pub failures_per_network: RateConfig,
    /// `failures_per_familiar_network`: wrong secrets for one account from a network that it has signed in from; takes the
    /// place of `failures_per_account` there, so that nobody elsewhere can shut an owner out (F120).
    pub failures_per_familiar_network: RateConfig,
    /// `registrations_per_network`: new accounts from one network.
    pub registrations_per_network: RateConfig,
    /// `capacity`: how many accounts or networks each limit counts apart; those beyond share one count (F118).
    pub capacity: usize,
}

/// How often something may happen: `burst` times at once, and then once every `refill`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct RateConfig {
    /// `burst`: how often at once, after a rest.
    pub burst: u32,
    /// `refill`: how long until one more is possible.
    pub refill: Duration,
}

/// `[revocation]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationConfig {
    /// `capacity`: how many ends a verifier holds. Of what is more it keeps marks, and asks about the credentials that they may
    /// concern.
    pub capacity: usize,
}

/// `[log]`, on the standard error stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// `format`.
    pub format: LogFormat,
    /// A filter as `tracing` reads it: `CLOAKROOM_LOG`, or else `level` (error, warn, info, debug, trace).
    pub filter: String,
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

pub(super) fn store(reading: &mut Reading, root: &mut Section) -> StoreConfig {
    let mut section = reading.section(root, "store");
    let accounts = reading.value(&mut section, "accounts", AccountsAt::Sqlite, |value| match kinds::text(value)? {
        "sqlite" => Ok(AccountsAt::Sqlite),
        text if is_postgres(text) => Ok(AccountsAt::Postgres(postgres_url(text)?)),
        other => Err(no_store(other, "sqlite, postgres://…")),
    });
    // Servers that share the accounts share the sessions too, unless something else is said.
    let beside = match &accounts {
        AccountsAt::Sqlite => SessionsAt::Sqlite,
        AccountsAt::Postgres(url) => SessionsAt::Postgres(url.clone()),
    };
    let sessions = reading.value(&mut section, "sessions", beside, |value| SessionsAt::parse(kinds::text(value)?));
    let other_sessions =
        reading.optional(&mut section, "other_sessions", |value| match SessionsAt::parse(kinds::text(value)?)? {
            SessionsAt::Memory => Err("sessions in memory go with their server, and cannot be moved".to_owned()),
            at => Ok(at),
        });
    if reading.sound(&["store.sessions", "store.other_sessions"]) {
        if other_sessions.as_ref() == Some(&sessions) {
            reading.refuse("store.other_sessions", "it is the same store as `store.sessions`");
        } else if other_sessions.is_some() && sessions == SessionsAt::Memory {
            reading.refuse(
                "store.other_sessions",
                "sessions that move must be kept; `store.sessions` keeps them in memory",
            );
        }
    }
    reading.close(section);
    StoreConfig { accounts, sessions, other_sessions }
}

impl SessionsAt {
    /// Reads a place as it stands in the configuration.
    ///
    /// # Errors
    /// What is wrong with it, in words that hold no password.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "memory" => Ok(Self::Memory),
            text if is_postgres(text) => Ok(Self::Postgres(postgres_url(text)?)),
            text if is_redis(text) => match redis::Address::parse(text) {
                Ok(address) => Ok(Self::Redis(Box::new(address))),
                Err(problem) => Err(format!("it is no address of a Redis: {problem}")),
            },
            other => Err(no_store(other, "sqlite, memory, postgres://…, redis://…")),
        }
    }
}

fn is_postgres(text: &str) -> bool {
    ["postgres", "postgresql"].contains(&text.split_once("://").map_or("", |(scheme, _)| scheme))
}

fn postgres_url(text: &str) -> Result<Box<postgres::Url>, String> {
    let url =
        postgres::Url::parse(text).map_err(|problem| format!("it is no URL of a PostgreSQL database: {problem}"))?;
    Ok(Box::new(url))
}

/// Whether it is meant as an address of a Redis, of whichever kind.
fn is_redis(text: &str) -> bool {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let base = scheme.split_once('+').map_or(scheme, |(base, _)| base);
    ["redis", "rediss", "valkey", "valkeys"].contains(&base)
}

/// An address of a store can hold a password, so nothing behind its scheme is printed.
fn no_store(text: &str, possible: &str) -> String {
    let shown = match text.split_once("://") {
        Some((scheme, _)) => format!("{scheme}://…"),
        None => text.to_owned(),
    };
    format!("{} is no store ({possible})", kinds::quote(&shown))
}

pub(super) fn tls(reading: &mut Reading, root: &mut Section) -> Option<TlsConfig> {
    let mut section = reading.section(root, "tls");
    let certificate = reading.optional(&mut section, "certificate", path);
    let key = reading.optional(&mut section, "key", path);
    let sound = reading.sound(&["tls", "tls.certificate", "tls.key"]);
    let missing = match (&certificate, &key) {
        (Some(_), None) => Some(("tls.key", "`tls.certificate`")),
        (None, Some(_)) => Some(("tls.certificate", "`tls.key`")),
        _ => None,
    };
    if let Some((path, other)) = missing.filter(|_| sound) {
        let origin = reading.origin(other.trim_matches('`'));
        reading.refuse_at(path, format!("it is missing; {other} needs it"), origin);
    }
    reading.close(section);
    Some(TlsConfig { certificate: certificate?, key: key? })
}

pub(super) fn password(reading: &mut Reading, root: &mut Section) -> PasswordConfig {
    use HashParameters as Hash;
    const LEAST_WORK: u64 = Hash::MIN_MEMORY_KIB_TIMES_PASSES as u64;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut section = reading.section(root, "password");
    let memory_kib =
        reading.value(&mut section, "memory_kib", 65_536, kinds::small(Hash::MIN_MEMORY_KIB..=Hash::MAX_MEMORY_KIB));
    let passes = reading.value(&mut section, "passes", 3, kinds::small(1..=Hash::MAX_PASSES));
    let lanes = reading.value(&mut section, "lanes", 1, kinds::small(1..=Hash::MAX_LANES));
    let threads = reading.value(&mut section, "threads", cores, kinds::count(1..=1024));
    let queue = reading.value(&mut section, "queue", (threads * 4).max(24), kinds::count(1..=100_000));
    if u64::from(memory_kib) * u64::from(passes) < LEAST_WORK
        && reading.sound(&["password.memory_kib", "password.passes"])
    {
        let least = LEAST_WORK.div_ceil(u64::from(memory_kib));
        reading.refuse(
            "password.passes",
            format!("{passes} over {memory_kib} KiB are too weak; it takes {least} or more"),
        );
    }
    reading.close(section);
    PasswordConfig { memory_kib, passes, lanes, threads, queue }
}

pub(super) fn keys(reading: &mut Reading, root: &mut Section) -> KeysConfig {
    let mut section = reading.section(root, "keys");
    let bounds = HOUR..=DAY * 400;
    let rotation = reading.value(&mut section, "rotation", DAY * 30, kinds::lasting(bounds, Step::Seconds));
    reading.close(section);
    KeysConfig { rotation }
}

pub(super) fn audit(reading: &mut Reading, root: &mut Section) -> AuditConfig {
    let mut section = reading.section(root, "audit");
    let keep = reading.value(&mut section, "keep", DAY * 90, kinds::lasting(DAY..=DAY * 3660, Step::Seconds));
    reading.close(section);
    AuditConfig { keep }
}

pub(super) fn cache(reading: &mut Reading, root: &mut Section) -> CacheConfig {
    let mut section = reading.section(root, "cache");
    let entries = reading.value(&mut section, "entries", 100_000, kinds::count(1_000..=1_000_000_000));
    let bytes = reading.value(&mut section, "bytes", 64 << 20, kinds::bytes(1 << 20..=1 << 40));
    reading.close(section);
    CacheConfig { entries, bytes }
}

pub(super) fn limits(reading: &mut Reading, root: &mut Section) -> LimitsConfig {
    let mut section = reading.section(root, "limits");
    let mut rate = |key, burst, refill| {
        let mut table = reading.section(&mut section, key);
        let burst = reading.value(&mut table, "burst", burst, kinds::small(1..=1_000_000));
        let bounds = Duration::from_millis(1)..=DAY;
        let refill = reading.value(&mut table, "refill", refill, kinds::lasting(bounds, Step::Milliseconds));
        reading.close(table);
        RateConfig { burst, refill }
    };
    let failures_per_account = rate("failures_per_account", 10, SECOND * 60);
    let failures_per_network = rate("failures_per_network", 30, SECOND * 10);
    let failures_per_familiar_network = rate("failures_per_familiar_network", 10, SECOND * 30);
    let registrations_per_network = rate("registrations_per_network", 100, SECOND * 10);
    let capacity = reading.value(&mut section, "capacity", 100_000, kinds::count(1_000..=100_000_000));
    reading.close(section);
    LimitsConfig {
        failures_per_account,
        failures_per_network,
        failures_per_familiar_network,
        registrations_per_network,
        capacity,
    }
}

pub(super) fn revocation(reading: &mut Reading, root: &mut Section) -> RevocationConfig {
    let mut section = reading.section(root, "revocation");
    let capacity = reading.value(&mut section, "capacity", 1_000_000, kinds::count(1_000..=100_000_000));
    reading.close(section);
    RevocationConfig { capacity }
}

pub(super) fn log(reading: &mut Reading, root: &mut Section, variable: Option<String>) -> LogConfig {
    const LEVELS: [(&str, &str); 5] =
        [("error", "error"), ("warn", "warn"), ("info", "info"), ("debug", "debug"), ("trace", "trace")];
    let mut section = reading.section(root, "log");
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = reading.value(&mut section, "format", LogFormat::Text, kinds::one_of("log format", &formats));
    let level = reading.value(&mut section, "level", "info", kinds::one_of("log level", &LEVELS));
    reading.close(section);
    if let Some(filter) = &variable
        && let Err(e) = EnvFilter::try_new(filter)
    {
        let problem =
            format!("{} is no log filter ({e}); write info, or cloakroom_server=debug,warn", kinds::quote(filter));
        reading.refuse_at("CLOAKROOM_LOG", problem, super::Origin::Environment("CLOAKROOM_LOG".into()));
    }
    LogConfig { format, filter: variable.unwrap_or_else(|| level.to_owned()) }
}

pub(super) fn path(value: &Value) -> Result<PathBuf, String> {
    let text = kinds::text(value)?;
    if text.contains('\0') { Err(format!("{} is no path", kinds::quote(text))) } else { Ok(text.into()) }
}

pub(super) fn address(value: &Value) -> Result<SocketAddr, String> {
    let text = kinds::text(value)?;
    text.parse().map_err(|_| {
        format!(
            "{} is no address to listen on; write an IP address and a port, as in 127.0.0.1:8080 or [::]:8080",
            kinds::quote(text)
        )
    })
}
