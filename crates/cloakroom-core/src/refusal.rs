//! Refusals: every 'no' has a stable code for the client and a finer reason for the operator.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

/// What a client may rely on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Code {
    /// E-mail address and password do not belong together.
    InvalidCredentials,
    /// Nothing was presented.
    CredentialMissing,
    /// What was presented is no credential of ours, or no longer one.
    CredentialInvalid,
    /// The session is over by the clock.
    SessionExpired,
    /// The session was ended.
    SessionRevoked,
    /// The access token is over by the clock.
    TokenExpired,
    /// A refresh token came back that had been replaced.
    TokenReused,
    /// The credential belongs to another app.
    WrongApp,
    /// Another factor is needed.
    MfaRequired,
    /// The sign-in is too long ago for what is asked.
    ReauthenticationRequired,
    /// The request does not show that it comes from a page of the app.
    CrossSiteRequest,
    /// The account may not use this app, or the app takes no registrations.
    NotAdmitted,
    /// The request is not as it must be.
    InvalidRequest,
    /// There is no such app.
    UnknownApp,
    /// There is no such thing, or it is not yours.
    NotFound,
    /// The method does not exist here.
    MethodNotAllowed,
    /// The e-mail address has an account.
    EmailTaken,
    /// The request is too large.
    TooLarge,
    /// Too many tries.
    RateLimited,
    /// Too much at once.
    Overloaded,
    /// The store cannot be reached.
    StoreUnavailable,
    /// Something is broken on this side.
    Internal,
}

impl Code {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidCredentials => "invalid_credentials",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialInvalid => "credential_invalid",
            Self::SessionExpired => "session_expired",
            Self::SessionRevoked => "session_revoked",
            Self::TokenExpired => "token_expired",
            Self::TokenReused => "token_reused",
            Self::WrongApp => "wrong_app",
            Self::MfaRequired => "mfa_required",
            Self::ReauthenticationRequired => "reauthentication_required",
            Self::CrossSiteRequest => "cross_site_request",
            Self::NotAdmitted => "not_admitted",
            Self::InvalidRequest => "invalid_request",
            Self::UnknownApp => "unknown_app",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::EmailTaken => "email_taken",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::StoreUnavailable => "store_unavailable",
            Self::Internal => "internal",
        }
    }
}

/// Each reason, its name in log, audit and metrics, and the code that the client sees.
macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident = $text:literal => $code:ident,)+) => {
        /// Why exactly; for the operator.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])+ $name,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name in log, audit and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What the client is told.
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)+ }
            }
        }
    };
}

reasons! {
    /// No account has that address.
    UnknownEmail = "unknown_email" => InvalidCredentials,
    /// The password is another.
    WrongPassword = "wrong_password" => InvalidCredentials,
    /// Empty, too long or malformed: no account can have it.
    UnusablePassword = "unusable_password" => InvalidCredentials,
    /// No service has that id and secret.
    UnknownService = "unknown_service" => InvalidCredentials,
    /// The operator disabled the account.
    AccountDisabled = "account_disabled" => InvalidCredentials,
    /// No credential was presented.
    NoCredential = "no_credential" => CredentialMissing,
    /// It has not the form of a credential.
    Malformed = "malformed" => CredentialInvalid,
    /// Its MAC is not ours.
    BadMac = "bad_mac" => CredentialInvalid,
    /// Its signature is not ours.
    BadSignature = "bad_signature" => CredentialInvalid,
    /// It names a key that is not in the set.
    UnknownKey = "unknown_key" => CredentialInvalid,
    /// It is a credential of another kind than is asked for here.
    WrongKind = "wrong_kind" => CredentialInvalid,
    /// Its header holds what ours never does.
    BadHeader = "bad_header" => CredentialInvalid,
    /// Its claims are not as ours are.
    BadClaims = "bad_claims" => CredentialInvalid,
    /// It lives longer than the app allows.
    TooLongLived = "too_long_lived" => CredentialInvalid,
    /// It was issued in the future.
    FromTheFuture = "from_the_future" => CredentialInvalid,
    /// There is no such session (any more).
    NoSession = "no_session" => SessionExpired,
    /// The stored record cannot be read.
    BrokenRecord = "broken_record" => SessionExpired,
    /// It rested too long.
    Idle = "idle" => SessionExpired,
    /// It lived as long as it may.
    AbsoluteExpiry = "absolute_expiry" => SessionExpired,
    /// The sign-in is not recent enough for what is asked; signing in again helps.
    NotRecent = "not_recent" => ReauthenticationRequired,
    /// The password was changed, and the new session could not be made: the new password signs in.
    PasswordAnew = "password_anew" => SessionRevoked,
    /// The session was ended.
    SessionEnded = "session_ended" => SessionRevoked,
    /// All of the account's sessions were ended.
    AccountEnded = "account_ended" => SessionRevoked,
    /// The account was deleted or disabled.
    AccountGone = "account_gone" => SessionRevoked,
    /// All of the app's sessions were ended.
    AppEnded = "app_ended" => SessionRevoked,
    /// The app was taken out of the configuration.
    AppGone = "app_gone" => SessionRevoked,
    /// The key that made it was killed.
    KeyKilled = "key_killed" => SessionRevoked,
    /// The access token's time is over.
    TokenExpired = "token_expired" => TokenExpired,
    /// An old generation came back: theft.
    GenerationReused = "generation_reused" => TokenReused,
    /// It belongs to another app.
    WrongApp = "wrong_app" => WrongApp,
    /// Neither `Sec-Fetch-Site` nor `Origin` shows a page of the app.
    CrossSite = "cross_site" => CrossSiteRequest,
    /// The app's list does not name the account.
    NotOnList = "not_on_list" => NotAdmitted,
    /// The app takes no registrations.
    RegistrationClosed = "registration_closed" => NotAdmitted,
    /// The request is not as it must be.
    BadRequest = "bad_request" => InvalidRequest,
    /// A credential stands in the address.
    CredentialInUrl = "credential_in_url" => InvalidRequest,
    /// The e-mail address is none.
    BadEmail = "bad_email" => InvalidRequest,
    /// The new password has too few characters.
    PasswordTooShort = "password_too_short" => InvalidRequest,
    /// The new password has too many bytes.
    PasswordTooLong = "password_too_long" => InvalidRequest,
    /// The new password would be guessed early.
    PasswordTooWeak = "password_too_weak" => InvalidRequest,
    /// There is no such app.
    UnknownApp = "unknown_app" => UnknownApp,
    /// There is no such thing here.
    NotFound = "not_found" => NotFound,
    /// The path exists, not the method.
    MethodNotAllowed = "method_not_allowed" => MethodNotAllowed,
    /// The e-mail address has an account.
    EmailTaken = "email_taken" => EmailTaken,
    /// The request is too large.
    TooLarge = "too_large" => TooLarge,
    /// Too many failed sign-ins of this account.
    AccountLimited = "account_limited" => RateLimited,
    /// Too much from this network.
    NetworkLimited = "network_limited" => RateLimited,
    /// The queue for password hashing is full.
    HashQueueFull = "hash_queue_full" => Overloaded,
    /// Too much of the same kind waits for a store.
    Busy = "busy" => Overloaded,
    /// The client hung up before anything was written.
    HungUp = "hung_up" => Overloaded,
    /// The answer took too long.
    TimedOut = "timed_out" => Overloaded,
    /// The key that made it, or the one to sign with, cannot be opened at this server.
    KeyUnreadable = "key_unreadable" => StoreUnavailable,
    /// The store does not answer.
    StoreDown = "store_down" => StoreUnavailable,
    /// The revocation log has not been heard in time.
    LeaseLost = "lease_lost" => StoreUnavailable,
    /// A fault on this side.
    Fault = "fault" => Internal,
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// A 'no', with what the client needs to go on. It loses nothing: whoever is refused can ask again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why exactly.
    pub reason: Reason,
    /// A sentence for a developer; never holds a secret or what the client sent.
    pub detail: Option<&'static str>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// How long ago the sign-in may be, where it is too long ago.
    pub max_age: Option<Duration>,
}

impl Refusal {
    /// What the client is told.
    pub const fn code(&self) -> Code {
        self.reason.code()
    }

    /// Whether it says something of this server, and nothing of what was presented: asked again later, the answer may be
    /// yes.
    pub const fn is_passing(&self) -> bool {
        matches!(self.code(), Code::Overloaded | Code::StoreUnavailable)
    }

    /// With a sentence for a developer.
    #[must_use]
    pub const fn because(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// With how long ago the sign-in may be.
    #[must_use]
    pub const fn within(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// With a time to try again after.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None, retry_after: None, max_age: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.unwrap_or(self.reason.as_str()))
    }
}

impl std::error::Error for Refusal {}
