//! The URL of a PostgreSQL database: libpq's form, with a few options of our own.
//!
//! It is read once, whole and strictly, and never printed with its password or its query.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;
use tokio_postgres::{Config, config::Host};
use zeroize::Zeroizing;

/// Where a PostgreSQL database is, and how it is spoken to.
///
/// ```
/// use cloakroom_core::store::postgres::Url;
/// let url = Url::parse("postgres://cloakroom:sesame@db.example:5433/people?sslmode=require&pool_size=20").unwrap();
/// assert_eq!(url.to_string(), "postgres://cloakroom@db.example:5433/people");
/// assert!(Url::parse("postgres://db.example/people?ssl=on").unwrap_err().contains("`ssl`"));
/// ```
#[derive(Clone)]
pub struct Url {
    text: Zeroizing<String>,
    pub(super) config: Config,
    pub(super) ssl_mode: SslMode,
    pub(super) certificates: Option<PathBuf>,
    pub(super) statements: Statements,
    pub(super) listen: Listen,
    pub(super) pool_size: usize,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
}

/// What of TLS is demanded; libpq's words and meanings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SslMode {
    /// None.
    Disable,
    /// If the server has it; nothing is checked.
    Prefer,
    /// TLS, with any certificate: who sits on the way can still pretend to be the server.
    Require,
    /// A certificate of a known authority, with any name.
    VerifyCa,
    /// A certificate of a known authority with the host's name.
    VerifyFull,
}

/// How statements are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Statements {
    /// Prepared under names, unless a pooler turns out to stand in between.
    Auto,
    /// Never under names.
    Unnamed,
}

/// Where news of the log is listened for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Listen {
    /// Where everything else goes, unless a pooler stands there.
    Auto,
    /// At another address of the same server.
    At(Host, Option<u16>),
    /// Nowhere: the log is asked at intervals only.
    Off,
}

/// Where Debian and most others put the socket.
const SOCKETS: &str = "/var/run/postgresql";
const OWN: [&str; 7] =
    ["sslmode", "sslrootcert", "statements", "listen", "pool_size", "connect_timeout", "statement_timeout"];
/// What the driver reads itself.
const PASSED_ON: [&str; 17] = [
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "application_name",
    "options",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
    "sslnegotiation",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
];

impl Url {
    /// Reads a URL; the text says what is wrong with it and holds nothing that could be secret.
    ///
    /// # Errors
    /// When it is no URL, has an option that is not known, or an option has no possible value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or("it must begin with postgres://")?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let authority = place.split('/').next().unwrap_or_default();
        // The driver would take another part for the password, and its rest for a host.
        if authority.matches('@').count() > 1 || (!authority.contains('@') && rest.contains('@')) {
            return Err(
                "a `/`, `?`, `#` or `@` in the user's name or the password must be written %2F, %3F, %23 or %40".into(),
            );
        }
        let mut url = Self {
            text: Zeroizing::new(text.to_owned()),
            config: Config::new(),
            ssl_mode: SslMode::Disable,
            certificates: None,
            statements: Statements::Auto,
            listen: Listen::Auto,
            pool_size: std::thread::available_parallelism().map_or(4, usize::from).saturating_mul(2).clamp(8, 32),
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
        };
        let (mut passed_on, mut ssl_mode) = (Vec::new(), None);
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').ok_or("an option behind the `?` has no value")?;
            if PASSED_ON.contains(&name) {
                passed_on.push(option);
                continue;
            }
            let value = percent_decode_str(value).decode_utf8().map_err(|_| format!("`{name}` is no text"))?;
            url.take(name, &value, &mut ssl_mode)?;
        }
        let plain = Zeroizing::new(format!("postgres://{place}?{}", passed_on.join("&")));
        url.config = Config::from_str(&plain).map_err(|e| {
            // The driver names the option, never its value.
            let source = std::error::Error::source(&e).map(ToString::to_string).unwrap_or_default();
            format!("it cannot be read ({source})")
        })?;
        url.complete(ssl_mode)?;
        Ok(url)
    }

    fn take(&mut self, name: &str, value: &str, ssl_mode: &mut Option<SslMode>) -> Result<(), String> {
        match name {
            "sslmode" => *ssl_mode = Some(SslMode::parse(value)?),
            "sslrootcert" => self.certificates = Some(value.into()),
            "statements" => {
                self.statements = match value {
                    "auto" => Statements::Auto,
                    "unnamed" => Statements::Unnamed,
                    _ => return Err("`statements` must be auto or unnamed".into()),
                }
            }
            "listen" => self.listen = Listen::parse(value)?,
            "pool_size" => self.pool_size = whole("pool_size", value, 1, 500)?,
            "connect_timeout" => self.connect_timeout = seconds("connect_timeout", value)?,
            "statement_timeout" => self.statement_timeout = seconds("statement_timeout", value)?,
            other => {
                let known = [&OWN[..], &PASSED_ON[..]].concat().join(", ");
                return Err(format!("`{}` is no option of a PostgreSQL URL ({known})", other.escape_debug()));
            }
        }
        Ok(())
    }

    /// What follows from the rest.
    fn complete(&mut self, ssl_mode: Option<SslMode>) -> Result<(), String> {
        let config = &mut self.config;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host_path(SOCKETS);
        }
        let local =
            config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback);
        // Accounts and password hashes do not go over a network unprotected unless somebody has said that they may.
        self.ssl_mode = ssl_mode.unwrap_or(if local { SslMode::Disable } else { SslMode::VerifyFull });
        if self.certificates.is_some() && !matches!(self.ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull) {
            return Err("`sslrootcert` is used with sslmode=verify-full or verify-ca only".into());
        }
        config.ssl_mode(match self.ssl_mode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name("cloakroom");
        }
        if config.get_hosts().len().max(config.get_hostaddrs().len()) > 1 {
            // Of several servers the one that takes writes.
            config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        }
        config.connect_timeout(self.connect_timeout);
        // A machine that is gone without a word is noticed, also where nothing is being sent.
        config.keepalives_idle(Duration::from_secs(15));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
        config.tcp_user_timeout(Duration::from_secs(15));
        Ok(())
    }

    /// The same for an operator's tool, whose connections are not taken for a server's.
    #[must_use]
    pub fn for_operators(&self) -> Self {
        let mut url = self.clone();
        url.config.application_name("cloakroom (operator)");
        url.listen = Listen::Off;
        url
    }

    /// The time that a connection, and then a statement, may take.
    pub fn timeouts(&self) -> (Duration, Duration) {
        (self.connect_timeout, self.statement_timeout)
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

impl SslMode {
    fn parse(value: &str) -> Result<Self, String> {
        Ok(match value {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return Err("`sslmode` must be disable, prefer, require, verify-ca or verify-full".into()),
        })
    }
}

impl Listen {
    fn parse(value: &str) -> Result<Self, String> {
        const WRONG: &str = "`listen` must be off, host or host:port, or the directory of a socket";
        if value == "off" {
            return Ok(Self::Off);
        }
        if value.is_empty() {
            return Err(WRONG.into());
        }
        if value.starts_with('/') {
            return Ok(Self::At(Host::Unix(value.into()), None));
        }
        let (host, port) = match value.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => value.split_once(':').map_or((value, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(str::parse).transpose().map_err(|_| WRONG)?;
        Ok(Self::At(Host::Tcp(host.to_owned()), port))
    }
}

fn whole(name: &str, value: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{name}` must be a whole number from {least} to {most}"))
}

fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    let number = value.parse().ok().filter(|number| (1..=60).contains(number));
    number.map(Duration::from_secs).ok_or_else(|| format!("`{name}` must be a whole number of seconds from 1 to 60"))
}

impl PartialEq for Url {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Url {}

/// Without password and options.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        let ports = self.config.get_ports();
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            f.write_str(if n == 0 { "" } else { "," })?;
            match host {
                Host::Tcp(name) if name.contains(':') => write!(f, "[{name}]")?,
                Host::Tcp(name) => f.write_str(name)?,
                Host::Unix(path) => path.display().fmt(f)?,
            }
            if let Some(port) = ports.get(n).or_else(|| ports.first()).filter(|port| **port != 5432) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (text, shown) in [
            ("postgres://ada:sesame@db.example/people", "postgres://ada@db.example/people"),
            ("postgresql://ada:se%40same@[2001:db8::1]:5433/p?sslmode=require", "postgres://ada@[2001:db8::1]:5433/p"),
            ("postgres://db1,db2:5433/people?password=sesame", "postgres://db1,db2:5433/people"),
            ("postgres:///people", "postgres:///var/run/postgresql/people"),
            ("postgres:///people?host=/tmp/sesam&user=ada", "postgres://ada@/tmp/sesam/people"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("same"), "{url:?}");
        }
    }

    #[test]
    fn tls_is_demanded_wherever_others_could_listen() {
        for (text, mode) in [
            ("postgres://localhost/p", SslMode::Disable),
            ("postgres://127.0.0.1/p", SslMode::Disable),
            ("postgres://[::1]/p", SslMode::Disable),
            ("postgres:///p", SslMode::Disable),
            ("postgres://localhost,db.example/p", SslMode::VerifyFull),
            ("postgres://db.example/p", SslMode::VerifyFull),
            ("postgres://10.0.0.1/p", SslMode::VerifyFull),
            ("postgres://10.0.0.1/p?sslmode=disable", SslMode::Disable),
            ("postgres://localhost/p?sslmode=verify-ca", SslMode::VerifyCa),
        ] {
            assert_eq!(Url::parse(text).unwrap().ssl_mode, mode, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_told_without_what_could_be_secret() {
        for (text, told) in [
            ("mysql://ada:hunter22@db/p", "postgres://"),
            ("postgres://ada:hunter/22@db/p", "%2F"),
            ("postgres://ada:hunter?22@db/p", "%2F"),
            ("postgres://ada:hunter@22@db/p", "%40"),
            ("postgres://ada:hunter22@db/p?sslmode=on", "verify-full"),
            ("postgres://ada:hunter22@db/p?sslrootcert=/x&sslmode=require", "sslrootcert"),
            ("postgres://ada:hunter22@db/p?pool_size=0", "1 to 500"),
            ("postgres://ada:hunter22@db/p?statement_timeout=5000", "seconds"),
            ("postgres://ada:hunter22@db/p?poolsize=3", "`poolsize`"),
            ("postgres://ada:hunter22@db:port/p", "port"),
            ("postgres://ada:hunter22@db/p?listen=db:many", "`listen`"),
            ("postgres://ada:hunter22@db/p?statements=prepared", "unnamed"),
            ("postgres://ada:hunter22@db/p?pool_size", "no value"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
            assert!(!error.contains("hunter"), "{error}");
        }
    }

    #[test]
    fn options_are_read() {
        let url =
            "postgres://db/p?statements=unnamed&listen=db2:5433&pool_size=3&connect_timeout=2&statement_timeout=9";
        let url = Url::parse(url).unwrap();
        assert_eq!((url.statements, url.pool_size), (Statements::Unnamed, 3));
        assert_eq!(url.timeouts(), (Duration::from_secs(2), Duration::from_secs(9)));
        assert_eq!(url.listen, Listen::At(Host::Tcp("db2".into()), Some(5433)));
        assert_eq!(Listen::parse("[::1]:5"), Ok(Listen::At(Host::Tcp("::1".into()), Some(5))));
        assert_eq!(Listen::parse("/run/pg"), Ok(Listen::At(Host::Unix("/run/pg".into()), None)));
        assert_eq!(Listen::parse("off"), Ok(Listen::Off));
    }
}
