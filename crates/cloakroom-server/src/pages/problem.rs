//! What a page has to tell: why a form did not go through, and what has just been done.

use std::time::Duration;

use cloakroom_core::{
    credential::NewPassword,
    refusal::{Code, Reason, Refusal},
};
use fluent_bundle::FluentValue;

use super::{locale::Locale, message::text, moment::wait};

/// Why a form did not go through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The password asked for again is another.
    WrongPassword,
    /// The e-mail address is none.
    BadEmail,
    /// The e-mail address has an account.
    EmailTaken,
    /// The app takes no new accounts.
    RegistrationClosed,
    /// The new password has too few characters.
    PasswordTooShort {
        /// How many it needs.
        minimum: usize,
    },
    /// The new password has too many bytes.
    PasswordTooLong,
    /// The new password would be guessed early.
    PasswordTooWeak,
    /// Too many tries.
    RateLimited {
        /// When to try again.
        wait: Option<Duration>,
    },
    /// Too much at once.
    Overloaded {
        /// When to try again.
        wait: Option<Duration>,
    },
    /// Anything else.
    Refused(Code),
}

impl Problem {
    /// The sentence for the person. It never holds what was sent.
    pub fn sentence(self, locale: Locale) -> String {
        let waiting = |key: &str, code: Code, time: Option<Duration>| match time {
            Some(time) => locale.say_with(key, [("wait", text(&wait(time, locale)))]),
            None => locale.refusal(code),
        };
        match self {
            Self::WrongPassword => locale.say("problem-wrong-password"),
            Self::BadEmail => locale.say("problem-bad-email"),
            Self::EmailTaken => locale.refusal(Code::EmailTaken),
            Self::RegistrationClosed => locale.say("problem-registration-closed"),
            Self::PasswordTooShort { minimum } => {
                locale.say_with("problem-password-too-short", [("minimum", FluentValue::from(minimum))])
            }
            Self::PasswordTooLong => locale.say("problem-password-too-long"),
            Self::PasswordTooWeak => locale.say("problem-password-too-weak"),
            Self::RateLimited { wait } => waiting("problem-rate-limited", Code::RateLimited, wait),
            Self::Overloaded { wait } => waiting("problem-overloaded", Code::Overloaded, wait),
            Self::Refused(code) => locale.refusal(code),
        }
    }

    /// Whether the e-mail address is to be looked at again.
    pub(super) const fn is_about_email(self) -> bool {
        matches!(self, Self::BadEmail | Self::EmailTaken | Self::Refused(Code::InvalidCredentials | Code::EmailTaken))
    }

    /// Whether the password that the account has is to be looked at again.
    pub(super) const fn is_about_password(self) -> bool {
        matches!(self, Self::WrongPassword | Self::Refused(Code::InvalidCredentials))
    }

    /// Whether another new password is to be chosen.
    pub(super) const fn is_about_new_password(self) -> bool {
        matches!(self, Self::PasswordTooShort { .. } | Self::PasswordTooLong | Self::PasswordTooWeak)
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        match refusal.reason {
            Reason::BadEmail => Self::BadEmail,
            Reason::RegistrationClosed => Self::RegistrationClosed,
            Reason::PasswordTooShort => Self::PasswordTooShort { minimum: NewPassword::MIN_CHARS },
            Reason::PasswordTooLong => Self::PasswordTooLong,
            Reason::PasswordTooWeak => Self::PasswordTooWeak,
            reason => match reason.code() {
                Code::EmailTaken => Self::EmailTaken,
                Code::RateLimited => Self::RateLimited { wait: refusal.retry_after },
                Code::Overloaded => Self::Overloaded { wait: refusal.retry_after },
                code => Self::Refused(code),
            },
        }
    }
}

/// What has just been done, told once at the top of the page that follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// The person signed out.
    SignedOut,
    /// The account is gone.
    AccountDeleted,
    /// The password is a new one.
    PasswordChanged,
    /// One session was ended.
    SessionEnded,
    /// All sessions but this one were ended.
    OthersEnded,
    /// All sessions were ended, this one too.
    EverythingEnded,
}

impl Done {
    const ALL: [Self; 6] = [
        Self::SignedOut,
        Self::AccountDeleted,
        Self::PasswordChanged,
        Self::SessionEnded,
        Self::OthersEnded,
        Self::EverythingEnded,
    ];

    /// Its name in the query of a redirect.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed-out",
            Self::AccountDeleted => "account-deleted",
            Self::PasswordChanged => "password-changed",
            Self::SessionEnded => "session-ended",
            Self::OthersEnded => "others-ended",
            Self::EverythingEnded => "everything-ended",
        }
    }

    /// Reads that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|done| done.name() == name)
    }

    pub(super) fn sentence(self, locale: Locale) -> String {
        locale.say(match self {
            Self::SignedOut => "done-signed-out",
            Self::AccountDeleted => "done-account-deleted",
            Self::PasswordChanged => "done-password-changed",
            Self::SessionEnded => "done-session-ended",
            Self::OthersEnded => "done-others-ended",
            Self::EverythingEnded => "done-everything-ended",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_becomes_the_problem_that_says_most() {
        let wait = Duration::from_secs(90);
        let limited = Refusal::from(Reason::AccountLimited).retry_after(wait);
        assert_eq!(Problem::from(&limited), Problem::RateLimited { wait: Some(wait) });
        assert!(Problem::from(&limited).sentence(Locale::English).contains("in 2 minutes"));
        assert!(Problem::from(&limited).sentence(Locale::Korean).contains("2분 후에"));
        let full = Problem::from(&Refusal::from(Reason::HashQueueFull));
        assert_eq!(full.sentence(Locale::English), Locale::English.refusal(Code::Overloaded));
        assert_eq!(Problem::from(&Refusal::from(Reason::BadEmail)), Problem::BadEmail);
        let short = Problem::from(&Refusal::from(Reason::PasswordTooShort));
        assert!(short.sentence(Locale::English).contains("at least 8 characters"));
        assert_eq!(Problem::from(&Refusal::from(Reason::PasswordTooLong)), Problem::PasswordTooLong);
        assert_eq!(Problem::from(&Refusal::from(Reason::PasswordTooWeak)), Problem::PasswordTooWeak);
        let closed = Problem::from(&Refusal::from(Reason::RegistrationClosed));
        assert_eq!(closed, Problem::RegistrationClosed);
    }

    /// An unknown address, a wrong password and a disabled account read the same.
    #[test]
    fn the_sentence_of_a_failed_sign_in_does_not_tell_whether_the_account_exists() {
        let reasons = [Reason::UnknownEmail, Reason::WrongPassword, Reason::UnusablePassword, Reason::AccountDisabled];
        let problems = reasons.map(|reason| Problem::from(&Refusal::from(reason)));
        assert!(problems.iter().all(|problem| *problem == problems[0]));
    }

    #[test]
    fn what_was_done_survives_the_way_through_a_query() {
        for done in Done::ALL {
            assert_eq!(Done::parse(done.name()), Some(done));
        }
        assert_eq!(Done::parse("<b>"), None);
    }
}
