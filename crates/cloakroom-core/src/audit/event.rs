//! What stands in the audit log.

use std::net::IpAddr;

use serde::Serialize;

use crate::{
    clock::Timestamp,
    credential::Network,
    ids::{AccountId, AppId, SessionId},
    refusal::Reason,
};

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// An account was made.
    Registered,
    /// A sign-in.
    SignedIn,
    /// A refused sign-in.
    SignInRefused,
    /// A refresh token rotated.
    Rotated,
    /// A refused refresh.
    RefreshRefused,
    /// A session was exchanged for one of the app's method.
    Exchanged,
    /// A refused exchange.
    ExchangeRefused,
    /// An old generation came back.
    Theft,
    /// A store that had lost its last moments was brought forward.
    CaughtUp,
    /// A session was ended by its owner.
    SignedOut,
    /// A session was ended from elsewhere.
    SessionEnded,
    /// All of an account's sessions were ended.
    AccountEnded,
    /// All of an app's sessions were ended.
    AppEnded,
    /// A password was changed.
    PasswordChanged,
    /// An account was disabled, enabled or deleted.
    AccountDisabled,
    /// An account was enabled again.
    AccountEnabled,
    /// An account was deleted.
    AccountDeleted,
    /// A signing or MAC key was made.
    KeyMade,
    /// A key was killed.
    KeyKilled,
    /// The keys were wrapped by a new master secret.
    KeysRewrapped,
    /// A service was added.
    ServiceAdded,
    /// A service was removed.
    ServiceRemoved,
    /// A service or a person presented what is not valid for the operation.
    Refused,
}

impl Kind {
    /// Every kind, with its name in stores and answers.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::Registered, "registered"),
        (Self::SignedIn, "signed_in"),
        (Self::SignInRefused, "sign_in_refused"),
        (Self::Rotated, "rotated"),
        (Self::RefreshRefused, "refresh_refused"),
        (Self::Exchanged, "exchanged"),
        (Self::ExchangeRefused, "exchange_refused"),
        (Self::Theft, "theft"),
        (Self::CaughtUp, "caught_up"),
        (Self::SignedOut, "signed_out"),
        (Self::SessionEnded, "session_ended"),
        (Self::AccountEnded, "account_ended"),
        (Self::AppEnded, "app_ended"),
        (Self::PasswordChanged, "password_changed"),
        (Self::AccountDisabled, "account_disabled"),
        (Self::AccountEnabled, "account_enabled"),
        (Self::AccountDeleted, "account_deleted"),
        (Self::KeyMade, "key_made"),
        (Self::KeyKilled, "key_killed"),
        (Self::KeysRewrapped, "keys_rewrapped"),
        (Self::ServiceAdded, "service_added"),
        (Self::ServiceRemoved, "service_removed"),
        (Self::Refused, "refused"),
    ];

    /// Its name in stores and answers.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("refused", |(_, name)| name)
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// Where a request came from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The client's address, as far as configured proxies tell it.
    pub address: Option<IpAddr>,
    /// The `User-Agent` header, cut at 256 bytes.
    pub user_agent: Option<String>,
}

impl Origin {
    /// The network of its address; its text is what stands in the log's network column.
    pub fn network(&self) -> Option<Network> {
        self.address.map(Network::from)
    }
}

/// One line of the audit log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: Kind,
    /// Who.
    pub account: Option<AccountId>,
    /// Which session.
    pub session: Option<SessionId>,
    /// At which app.
    pub app: Option<AppId>,
    /// From where.
    pub origin: Origin,
    /// Why not.
    pub reason: Option<Reason>,
    /// What else is worth knowing, such as a generation or a key's name.
    pub detail: Option<String>,
}

/// An [`Event`] as it comes back from the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Stored {
    /// Its place in the log.
    pub id: u64,
    /// When, in milliseconds since the epoch.
    #[serde(serialize_with = "as_rfc3339")]
    pub at: Timestamp,
    /// What; see [`Kind`].
    pub kind: Kind,
    /// Who.
    pub account: Option<AccountId>,
    /// Which session.
    pub session: Option<SessionId>,
    /// At which app.
    pub app: Option<String>,
    /// From which address.
    pub address: Option<IpAddr>,
    /// By which program.
    pub user_agent: Option<String>,
    /// Why not; see [`Reason`].
    pub reason: Option<String>,
    /// What else is worth knowing.
    pub detail: Option<String>,
}

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this account's.
    pub account: Option<AccountId>,
    /// Only this session's.
    pub session: Option<SessionId>,
    /// Only this kind.
    pub kind: Option<Kind>,
    /// Only those before this place in the log; for the next page.
    pub before: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn as_rfc3339<S: serde::Serializer>(at: &Timestamp, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(at)
}
