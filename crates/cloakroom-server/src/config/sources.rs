//! Where settings come from: built-in defaults, a file, the environment and flags, each over the one before.
//!
//! The environment is passed in, so that nothing here depends on the process. Every variable that begins with `CLOAKROOM_`
//! must mean something (F138): it is a key of the tree, or one of the few names below.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use cloakroom_core::method::Method;
use zeroize::Zeroizing;

use super::{
    error::ConfigError,
    origin::Origin,
    read::Reading,
    tree::{self, Node, Table, Value},
};

/// What a configuration is read from.
///
/// ```
/// use cloakroom_server::config::{Config, Sources};
///
/// let sources = Sources::new().environment([("CLOAKROOM_STORE__SESSIONS", "memory")]).listen("127.0.0.1:0");
/// let config = Config::load(sources)?;
/// assert_eq!(config.apps().default_app().id.as_str(), "web");
/// # Ok::<(), cloakroom_server::config::ConfigErrors>(())
/// ```
#[derive(Clone, Default)]
pub struct Sources {
    file: Option<(PathBuf, Origin)>,
    text: Option<(PathBuf, String)>,
    environment: Vec<(OsString, OsString)>,
    flags: Vec<(&'static str, &'static str, String)>,
}

impl Sources {
    /// Nothing but the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The file that `--config` names; it wins over `CLOAKROOM_CONFIG`.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some((path.into(), Origin::Flag("--config")));
        self
    }

    /// A file whose text is at hand; `path` is what errors call it.
    #[must_use]
    pub fn text(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.text = Some((path.into(), text.into()));
        self
    }

    /// The environment: [`std::env::vars_os`], or some pairs.
    #[must_use]
    pub fn environment<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// The flag `--listen`.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.flags.push(("--listen", "listen", address.into()));
        self
    }

    /// The flag `--data-dir`.
    #[must_use]
    pub fn data_dir(mut self, path: impl Into<String>) -> Self {
        self.flags.push(("--data-dir", "data_dir", path.into()));
        self
    }

    /// The file that apps must be written in, if there is one.
    pub(super) fn shown_file(&self) -> Option<PathBuf> {
        let named = self.text.as_ref().map(|(path, _)| path).or(self.file.as_ref().map(|(path, _)| path)).cloned();
        let variable =
            || self.environment.iter().find(|(name, _)| name == "CLOAKROOM_CONFIG").map(|(_, value)| value.into());
        named.or_else(variable)
    }

    /// Lays the sources over one another.
    pub(super) fn collect(self, reading: &mut Reading) -> Result<Collected, Vec<ConfigError>> {
        let mut variables = Variables::sort(self.environment);
        let file = self.file.or_else(|| variables.config.take());
        let mut tree = match (self.text, file) {
            (Some((path, text)), _) => tree::parse(&Arc::from(path), &text)?,
            (None, Some((path, origin))) => tree::parse(&Arc::from(path.as_path()), &read_file(&path, origin)?)?,
            (None, None) => ready_apps(),
        };
        let mut unknown = Vec::new();
        for (name, value) in variables.tree {
            let origin = Origin::Environment(name.clone());
            let path = name.get(PREFIX.len()..).unwrap_or_default().to_lowercase();
            let path: Vec<&str> = path.split("__").collect();
            // A name that is not written as ours are would be taken for another one.
            let problem = if name == variable_of(&path) {
                tree::overlay(&mut tree, &path, &value, &origin).err()
            } else {
                Some(format!("there is no such variable (did you mean `{}`?)", variable_of(&path)))
            };
            if let Some(problem) = problem {
                unknown.push(ConfigError { path: name, problem, origin });
            }
        }
        for (flag, key, value) in self.flags {
            let origin = Origin::Flag(flag);
            if let Err(problem) = tree::overlay(&mut tree, &[key], &value, &origin) {
                unknown.push(ConfigError { path: flag.into(), problem, origin });
            }
        }
        for ConfigError { path, problem, origin } in variables.errors.into_iter().chain(unknown) {
            reading.refuse_at(path, problem, origin);
        }
        Ok(Collected { tree, secret: variables.secret, old_secret: variables.old_secret, log: variables.log })
    }
}

/// The tree, and the variables that are not part of it.
pub(super) struct Collected {
    pub(super) tree: Table,
    pub(super) secret: Option<Zeroizing<String>>,
    pub(super) old_secret: Option<Zeroizing<String>>,
    pub(super) log: Option<String>,
}

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "CLOAKROOM_";
/// The variables that are no keys of the tree.
pub(super) const APART: [&str; 4] = ["SECRET", "SECRET_OLD", "CONFIG", "LOG"];

#[derive(Default)]
struct Variables {
    secret: Option<Zeroizing<String>>,
    old_secret: Option<Zeroizing<String>>,
    log: Option<String>,
    config: Option<(PathBuf, Origin)>,
    tree: Vec<(String, String)>,
    errors: Vec<ConfigError>,
}

impl Variables {
    fn sort(environment: Vec<(OsString, OsString)>) -> Self {
        let mut this = Self::default();
        for (name, value) in environment {
            let lossy = name.to_string_lossy().into_owned();
            if !lossy.to_ascii_uppercase().starts_with(PREFIX) {
                continue;
            }
            let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else {
                let origin = Origin::Environment(lossy.clone());
                this.errors.push(ConfigError { path: lossy, problem: "it is not UTF-8".into(), origin });
                continue;
            };
            match &name[PREFIX.len()..] {
                _ if !name.starts_with(PREFIX) => this.tree.push((name, value)),
                "SECRET" => this.secret = Some(Zeroizing::new(value)),
                "SECRET_OLD" => this.old_secret = Some(Zeroizing::new(value)),
                "LOG" => this.log = Some(value),
                "CONFIG" => this.config = Some((value.into(), Origin::Environment(name))),
                rest if is_service_link(rest, &value) => {}
                _ => this.tree.push((name, value)),
            }
        }
        this.tree.sort();
        this
    }
}

/// Kubernetes gives every pod variables about a service, and for one called `cloakroom` they begin as ours do:
/// `CLOAKROOM_SERVICE_HOST`, `CLOAKROOM_PORT=tcp://…`, `CLOAKROOM_PORT_80_TCP_ADDR`. None can be a key of ours.
fn is_service_link(rest: &str, value: &str) -> bool {
    let protocol = |text: &str| ["tcp", "udp", "sctp"].contains(&text);
    if let Some(port) = rest.strip_prefix("PORT_") {
        let mut parts = port.split('_');
        let number = parts.next().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        let named = parts.next().is_some_and(|p| protocol(&p.to_lowercase()));
        return number && named && parts.next().is_none_or(|end| ["ADDR", "PORT", "PROTO"].contains(&end));
    }
    match rest {
        "SERVICE_HOST" | "SERVICE_PORT" => true,
        "PORT" => value.split_once("://").is_some_and(|(scheme, _)| protocol(scheme)),
        _ => rest.starts_with("SERVICE_PORT_"),
    }
}

fn variable_of(path: &[&str]) -> String {
    format!("{PREFIX}{}", path.join("__").to_uppercase())
}

fn read_file(path: &Path, origin: Origin) -> Result<String, Vec<ConfigError>> {
    const LARGEST: u64 = 1 << 20;
    let refuse = |problem: String, origin: Origin| {
        let path = match &origin {
            Origin::Flag(flag) => (*flag).to_owned(),
            other => other.to_string().trim_start_matches("by ").to_owned(),
        };
        Err(vec![ConfigError { path, problem, origin }])
    };
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(about) if about.len() > LARGEST => {
            refuse(format!("{shown} is larger than 1 MiB; is it the right file?"), origin)
        }
        Ok(_) => std::fs::read_to_string(path).or_else(|e| refuse(format!("{shown} cannot be read: {e}"), origin)),
        Err(e) => refuse(format!("{shown} cannot be read: {e}"), origin),
    }
}

/// What a server without a file serves: one app of each method.
fn ready_apps() -> Table {
    let node = |value| Node { origin: Origin::Default, value };
    let app = |id: &str, method: Method| {
        let entries = [("id", id), ("method", method.name())];
        node(Value::Table(entries.map(|(key, text)| (key.to_owned(), node(Value::Text(text.into())))).into()))
    };
    let apps = vec![
        app("web", Method::Session),
        app("api", Method::Jwt),
        app("edge", Method::Phantom),
        app("stateless", Method::JwtStateless),
    ];
    Table::from([("app".to_owned(), node(Value::Array(apps)))])
}
