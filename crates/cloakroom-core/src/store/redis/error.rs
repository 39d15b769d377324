//! What Redis's answers mean to the port. Redis repeats arguments in some of its errors, so only the code word of an
//! answer gets into an error's text, and what it means (F128).

use redis::{ErrorKind, RedisError, ServerError};

use crate::store::StoreError;

/// Why a server gave no answer that counts.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was never asked.
    Unreachable(StoreError),
    /// The connection broke after it was asked: perhaps it did what it was asked, perhaps not.
    Lost(StoreError),
    /// It was asked, and did not answer in time.
    Silent(StoreError),
    /// It refused.
    Refused(ServerError),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(error) | Failure::Lost(error) | Failure::Silent(error) => error,
            Failure::Refused(answer) => of_answer(&answer),
        }
    }
}

impl Failure {
    /// Whether a key holds something of another type than what is kept here.
    pub(super) fn is_wrong_type(&self) -> bool {
        self.code() == Some("WRONGTYPE")
    }

    /// The code word of a refusal.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(answer) => Some(code(answer)),
            _ => None,
        }
    }
}

/// The code of an error; that of one which a script met and handed on is in its text.
fn code(answer: &ServerError) -> &str {
    match (answer.code(), answer.details()) {
        ("ERR", Some(text)) if text.contains("WRONGTYPE ") => "WRONGTYPE",
        ("ERR", Some(text)) if text.contains("OOM ") => "OOM",
        (code, _) => code,
    }
}

/// What a refusal means.
pub(super) fn of_answer(answer: &ServerError) -> StoreError {
    let meaning = match code(answer) {
        "OOM" => return StoreError::Full,
        "READONLY" => "it is a replica and takes no writes",
        "MISCONF" => "it cannot save to its disk, and takes no writes until it can",
        "NOREPLICAS" => "it has fewer good replicas than min-replicas-to-write demands",
        "NOPERM" => "its user may not do what sessions need; docs/configuration.md has the ACL rule",
        "NOAUTH" => "it demands a password",
        "WRONGPASS" => "it does not accept the user or the password",
        "LOADING" => "it is still loading its data",
        "CLUSTERDOWN" => "its cluster does not serve every slot",
        "MASTERDOWN" => "it is a replica that has lost its primary",
        "TRYAGAIN" => "it is just moving the slot elsewhere",
        "BUSY" => "a script keeps it busy",
        _ => "it refuses",
    };
    let plain = answer.code().len() <= 20 && answer.code().bytes().all(|b| b.is_ascii_uppercase());
    let code = if plain { answer.code() } else { "an error" };
    StoreError::Unavailable(format!("Redis answers {code}: {meaning}"))
}

/// What a broken connection, or one that could not be made, means.
pub(super) fn of_connection(error: &RedisError) -> StoreError {
    // Refusals while signing in come this way too.
    let meaning = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS" | "NOAUTH")) => {
            "Redis does not accept the user or the password"
        }
        (_, Some("LOADING")) => "Redis is still loading its data",
        (_, Some("NOPERM")) => "Redis does not let its user in",
        (_, Some(_)) => "Redis refuses the connection; is there a database of that number?",
        (ErrorKind::Parse, _) => "what answers does not speak Redis's protocol",
        _ => "the connection to Redis broke",
    };
    StoreError::Unavailable(meaning.to_owned())
}
