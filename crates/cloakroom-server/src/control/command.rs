//! The commands, as they travel over the socket. Names are texts here; [`execute`](super::execute) parses them.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Something for an operator to have done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Command {
    /// Who serves, and where.
    Status,
    /// Reads and writes each store once.
    StoreCheck,
    /// Every key with its state.
    KeyList,
    /// Makes the next key of a purpose, or of each that is in use.
    KeyRotate {
        /// `mac` or an algorithm's name.
        purpose: Option<String>,
    },
    /// Kills a key.
    KeyKill {
        /// Its name.
        kid: String,
    },
    /// Wraps the keys with another master secret: this one, or one that is made and put into the secret's file.
    KeyRewrap {
        /// The new secret, in base64.
        secret: Option<Hidden>,
    },
    /// Makes an account.
    AccountAdd {
        /// Its e-mail address.
        email: String,
        /// What the person wants to be called.
        name: Option<String>,
        /// Its password.
        password: Hidden,
    },
    /// A page of accounts, by id.
    AccountList {
        /// Those after this id.
        after: Option<String>,
    },
    /// Takes the right to sign in, and ends every session.
    AccountDisable {
        /// An e-mail address or an id.
        who: String,
    },
    /// Gives it back.
    AccountEnable {
        /// An e-mail address or an id.
        who: String,
    },
    /// Removes an account for good.
    AccountDelete {
        /// An e-mail address or an id.
        who: String,
    },
    /// Sets a password, and ends every session.
    AccountPassword {
        /// An e-mail address or an id.
        who: String,
        /// The new password.
        password: Hidden,
    },
    /// A page of an account's devices, newest first.
    SessionList {
        /// An e-mail address or an id.
        who: String,
        /// Those that follow this one, the last of the page before.
        before: Option<(u64, String)>,
    },
    /// How many records there are, by app and method.
    SessionCount,
    /// Ends sessions.
    SessionRevoke(Which),
    /// Adds a service.
    ServiceAdd {
        /// What the operator calls it.
        name: String,
    },
    /// Every service.
    ServiceList,
    /// Removes a service.
    ServiceRemove {
        /// Its id.
        id: String,
    },
    /// A page of the audit log, newest first.
    AuditList {
        /// Only this account's (address or id).
        account: Option<String>,
        /// Only this kind.
        kind: Option<String>,
        /// Only this session's.
        session: Option<String>,
        /// Those before this line.
        before: Option<u64>,
        /// How many; at most [`Command::PAGE`].
        limit: usize,
    },
}

/// Which sessions to end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case", deny_unknown_fields)]
pub enum Which {
    /// One.
    Session {
        /// Its id.
        session: String,
    },
    /// All of an account's.
    Account {
        /// An e-mail address or an id.
        who: String,
    },
    /// All of an app's.
    App {
        /// Its id.
        app: String,
        /// Only those of this method.
        method: Option<String>,
    },
}

impl Command {
    /// The most rows of one answer: so many always fit into it.
    pub const PAGE: usize = 100;

    /// Its name, for logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::StoreCheck => "store check",
            Self::KeyList => "key list",
            Self::KeyRotate { .. } => "key rotate",
            Self::KeyKill { .. } => "key kill",
            Self::KeyRewrap { .. } => "key rewrap",
            Self::AccountAdd { .. } => "account add",
            Self::AccountList { .. } => "account list",
            Self::AccountDisable { .. } => "account disable",
            Self::AccountEnable { .. } => "account enable",
            Self::AccountDelete { .. } => "account delete",
            Self::AccountPassword { .. } => "account password",
            Self::SessionList { .. } | Self::SessionCount => "session list",
            Self::SessionRevoke(_) => "session revoke",
            Self::ServiceAdd { .. } => "service add",
            Self::ServiceList => "service list",
            Self::ServiceRemove { .. } => "service remove",
            Self::AuditList { .. } => "audit list",
        }
    }

    /// Whether it makes sense for a store that does not exist yet.
    pub const fn may_begin(&self) -> bool {
        matches!(self, Self::AccountAdd { .. } | Self::ServiceAdd { .. })
    }

    /// How long it may take.
    pub const fn limit(&self) -> Duration {
        Duration::from_secs(match self {
            Self::KeyRewrap { .. } => 300,
            _ => 60,
        })
    }
}

/// A secret on its way over the socket: printed by nothing, wiped when dropped.
#[derive(Clone)]
pub struct Hidden(Zeroizing<String>);

impl Hidden {
    /// Wraps a secret.
    pub const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The secret, to be handed on.
    pub fn into_inner(self) -> Zeroizing<String> {
        self.0
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(Zeroizing::new(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_comes_back_as_it_was_and_shows_no_secret() {
        let password = Hidden::new(Zeroizing::new("correct horse".to_owned()));
        let command = Command::AccountPassword { who: "ada@example.com".into(), password };
        let line = serde_json::to_string(&command).unwrap();
        let Ok(Command::AccountPassword { who, password }) = serde_json::from_str(&line) else { panic!("{line}") };
        assert_eq!((who.as_str(), password.expose()), ("ada@example.com", "correct horse"));
        assert!(!format!("{command:?}").contains("horse"));
        let revoke = Command::SessionRevoke(Which::App { app: "web".into(), method: None });
        let line = serde_json::to_string(&revoke).unwrap();
        assert!(matches!(serde_json::from_str(&line), Ok(Command::SessionRevoke(Which::App { .. }))), "{line}");
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for line in ["{}", r#"{"do":"shutdown"}"#, r#"{"do":"key_kill"}"#, r#"{"do":"key_list","kid":"a"}"#, "[]"] {
            // Unit variants of a tagged enum take no notice of further members; all others do.
            let read = serde_json::from_str::<Command>(line);
            assert!(read.is_err() || matches!(read, Ok(Command::KeyList)), "{line}");
        }
    }
}
