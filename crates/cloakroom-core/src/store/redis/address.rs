//! Where a Redis is: one address names a server, the sentinels of one, or a cluster, and how to sign in there.
//!
//! Everything behind the scheme can hold a password, also where it is written wrongly. So no message and no `Debug` shows
//! any of it but the hosts of an address that was read.

use std::{fmt, path::PathBuf};

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// The address of a Redis or Valkey: `redis://user:password@host:port/database` (`rediss://` with TLS),
/// `redis+sentinel://host,host/service/database` or `redis+cluster://host,host`.
///
/// ```
/// use cloakroom_core::store::redis::Address;
/// let address = Address::parse("rediss://cloakroom:s3cret@db.example:6380/2?ca=/etc/redis-ca.pem").unwrap();
/// assert_eq!(address.to_string(), "rediss://db.example:6380/2");
/// assert!(!format!("{address:?}").contains("s3cret"));
/// assert!(Address::parse("redis+sentinel://a,b").is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) hosts: Vec<Host>,
    pub(super) shape: Shape,
    pub(super) login: Login,
    pub(super) database: u16,
    /// `None`: without TLS.
    pub(super) tls: Option<TlsFiles>,
    /// What every key begins with.
    pub(super) prefix: String,
    /// Whether each account has a list of its devices.
    pub(super) devices: bool,
}

/// A host and a port.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// What the hosts are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// The server itself.
    Single,
    /// Sentinels, which know where the primary of a service is.
    Sentinel { service: String, login: Login },
    /// Nodes of a cluster, from which all others are found.
    Cluster,
}

/// Whom to sign in as.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Zeroizing<String>>,
}

/// PEM files for TLS.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct TlsFiles {
    /// Who may have signed the server's certificate; `None`: whoever the system trusts.
    pub(super) ca: Option<PathBuf>,
    /// The certificate and the key to show to a server that asks for them.
    pub(super) own: Option<(PathBuf, PathBuf)>,
}

const PREFIX: &str = "cr:";
/// With more, Redis needs a larger piece of memory for each key.
const LONGEST_PREFIX: usize = 12;
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const PARAMETERS: &str = "ca, cert, key, devices, prefix, sentinel_user, sentinel_password";

impl Address {
    /// Reads an address. What is wrong with it is told without showing any of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("it begins with no scheme such as redis://")?;
        let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let secure = match base {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err("its scheme is none of redis, rediss, redis+sentinel, redis+cluster and their like".into()),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Login::parse(login)?, hosts),
            None => (Login::default(), authority),
        };
        let port = if kind == "sentinel" { SENTINEL_PORT } else { PORT };
        let hosts = hosts.split(',').map(|host| Host::parse(host, port)).collect::<Result<Vec<_>, _>>()?;
        let mut extra = Extra::parse(query)?;
        let (shape, database) = match kind {
            "" if hosts.len() > 1 => {
                return Err("it names several hosts: write redis+cluster:// or redis+sentinel://".into());
            }
            "" => (Shape::Single, path),
            "cluster" => (Shape::Cluster, path),
            "sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                let service = decode(service, "the name of the service")?;
                if service.is_empty() {
                    return Err("it names no service, as in redis+sentinel://host:26379/mymaster".into());
                }
                (Shape::Sentinel { service, login: std::mem::take(&mut extra.sentinel) }, database)
            }
            _ => return Err("what follows the + in its scheme is neither sentinel nor cluster".into()),
        };
        let database = match database {
            "" => 0,
            number => number.parse().map_err(|_| "what follows the host is no number of a database")?,
        };
        if shape == Shape::Cluster && database != 0 {
            return Err("a cluster has only database 0".into());
        }
        if extra.sentinel != Login::default() {
            return Err("`sentinel_user` and `sentinel_password` are for redis+sentinel://".into());
        }
        if !secure && extra.tls != TlsFiles::default() {
            return Err("`ca`, `cert` and `key` need a scheme with TLS: rediss".into());
        }
        let tls = secure.then_some(extra.tls);
        Ok(Self { hosts, shape, login, database, tls, prefix: extra.prefix, devices: extra.devices })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls.is_some() { "rediss" } else { "redis" })?;
        f.write_str(match self.shape {
            Shape::Single => "://",
            Shape::Sentinel { .. } => "+sentinel://",
            Shape::Cluster => "+cluster://",
        })?;
        for (n, host) in self.hosts.iter().enumerate() {
            write!(f, "{}{host}", if n == 0 { "" } else { "," })?;
        }
        match &self.shape {
            Shape::Single => write!(f, "/{}", self.database),
            Shape::Sentinel { service, .. } => write!(f, "/{service}/{}", self.database),
            Shape::Cluster => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl Host {
    fn parse(text: &str, default: u16) -> Result<Self, String> {
        const PORT: &str = "the port of a host is no number from 1 to 65535";
        let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, port)) => (name, port.strip_prefix(':')),
            None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
        };
        if name.is_empty() || name.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
            return Err("it names no host".into());
        }
        let port = port.map_or(Ok(default), |port| port.parse().map_err(|_| PORT))?;
        if port == 0 { Err(PORT.into()) } else { Ok(Self { name: name.to_owned(), port }) }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl Login {
    fn parse(text: &str) -> Result<Self, String> {
        let (user, password) =
            text.split_once(':').ok_or("before the @ there must be user:password, or :password without a user")?;
        let user = decode(user, "the user")?;
        let password = decode(password, "the password")?;
        Ok(Self { user: (!user.is_empty()).then_some(user), password: Some(Zeroizing::new(password)) })
    }
}

/// What stands behind the question mark.
struct Extra {
    tls: TlsFiles,
    sentinel: Login,
    prefix: String,
    devices: bool,
}

impl Extra {
    fn parse(query: &str) -> Result<Self, String> {
        let mut extra =
            Self { tls: TlsFiles::default(), sentinel: Login::default(), prefix: PREFIX.to_owned(), devices: true };
        let (mut certificate, mut key) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value, "a value behind the question mark")?;
            match name {
                "ca" => extra.tls.ca = Some(value.into()),
                "cert" => certificate = Some(value.into()),
                "key" => key = Some(value.into()),
                "sentinel_user" => extra.sentinel.user = Some(value),
                "sentinel_password" => extra.sentinel.password = Some(Zeroizing::new(value)),
                "devices" => {
                    extra.devices = match value.as_str() {
                        "on" => true,
                        "off" => false,
                        _ => return Err("`devices` is on or off".into()),
                    }
                }
                "prefix" => {
                    let plain = |b: u8| b.is_ascii_alphanumeric() || b":-_.".contains(&b);
                    if value.is_empty() || value.len() > LONGEST_PREFIX || !value.bytes().all(plain) {
                        return Err(format!("`prefix` is 1 to {LONGEST_PREFIX} letters, digits or : - _ ."));
                    }
                    extra.prefix = value;
                }
                _ => return Err(format!("a name behind the question mark is not known ({PARAMETERS})")),
            }
        }
        extra.tls.own = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("`cert` and `key` go together".into()),
        };
        if extra.sentinel.user.is_some() && extra.sentinel.password.is_none() {
            return Err("`sentinel_user` needs `sentinel_password`".into());
        }
        Ok(extra)
    }
}

fn decode(text: &str, what: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| format!("{what} is no UTF-8"))?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn every_form_is_read_and_shown_without_its_secrets() {
        for (text, shown) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("valkey://:s3cret@[::1]:7000/3", "redis://[::1]:7000/3"),
            ("rediss://ada:s3cret@db.example", "rediss://db.example:6379/0"),
            ("redis+cluster://ada:s3cret@a:1,b:2,[fe80::1]:3/", "redis+cluster://a:1,b:2,[fe80::1]:3"),
            ("rediss+sentinel://ada:s3cret@a,b:7/main/4", "rediss+sentinel://a:26379,b:7/main/4"),
            ("redis+sentinel://a/main?sentinel_password=s3cret", "redis+sentinel://a:26379/main/0"),
        ] {
            let address = read(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("Address({shown})"));
        }
    }

    #[test]
    fn a_user_and_a_password_may_hold_any_character() {
        let address = read("redis://a%3Ab:p%40ss%2Fw%3A%25@h:1/2");
        assert_eq!(address.login.user.as_deref(), Some("a:b"));
        assert_eq!(address.login.password.as_deref().map(String::as_str), Some("p@ss/w:%"));
        assert_eq!(read("redis://:x@h").login.user, None);
        assert!(read("redis://h").login == Login::default());
    }

    #[test]
    fn settings_stand_behind_the_question_mark() {
        let address = read("rediss://h?ca=/a%20b.pem&cert=c.pem&key=k.pem&devices=off&prefix=shop:");
        let own = Some((PathBuf::from("c.pem"), PathBuf::from("k.pem")));
        assert_eq!(address.tls, Some(TlsFiles { ca: Some("/a b.pem".into()), own }));
        assert_eq!((address.devices, address.prefix.as_str()), (false, "shop:"));
        let plain = read("redis://h");
        assert_eq!((plain.devices, plain.prefix.as_str(), plain.tls), (true, PREFIX, None));
    }

    /// F128: a mistake in an address shows none of it, because its password may be anywhere in it.
    #[test]
    fn mistakes_are_told_without_the_address() {
        for wrong in [
            "hunter2",
            "hunter2://h",
            "redis+hunter2://h",
            "redis://hunter2@h",
            "redis://:p@h:hunter2",
            "redis://:p@h:0",
            "redis://:p@/0",
            "redis://h/hunter2",
            "redis://a,b",
            "redis://h?hunter2=1",
            "redis://h?devices=hunter2",
            "redis://h?prefix=hunter2hunter2hunter2",
            "redis://h?ca=hunter2",
            "rediss://h?cert=hunter2",
            "redis://h?sentinel_password=hunter2",
            "redis+sentinel://h/s?sentinel_user=hunter2",
            "redis+sentinel://hunter2",
            "redis+cluster://h/1",
            "redis://a:%ff@h",
            "redis://a b",
            "",
        ] {
            let told = Address::parse(wrong).unwrap_err();
            assert!(!told.contains("hunter2"), "{wrong}: {told}");
        }
    }
}
