//! Passwords in the clear, between the border and the hash: normalised, bounded, wiped when dropped, never printed.
//!
//! There are three ways in. [`LoginPassword`] is for proving who one is: it takes whatever was sent, so that an empty or
//! huge password costs and answers the same as a wrong one. [`NewPassword`] is for choosing: it says what is wrong.
//! [`Password`] is what both become.

use std::{fmt, sync::Arc};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};
use zeroize::Zeroizing;

use super::strength::{self, Weakness};

/// A password in Unicode NFKC, of 1 to [`Self::MAX_BYTES`] bytes; cheap to clone.
///
/// Every byte counts, a NUL and the thousandth too.
#[derive(Clone)]
pub struct Password(Arc<Zeroizing<String>>);

impl Password {
    /// The most bytes a password may have, both as sent and normalised.
    pub const MAX_BYTES: usize = 1024;

    /// Reads a password that exists already, of whatever strength; fails with [`PasswordError::Empty`] or
    /// [`PasswordError::TooLong`].
    pub fn parse(text: String) -> Result<Self, PasswordError> {
        let text = Zeroizing::new(text);
        if text.is_empty() {
            return Err(PasswordError::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(PasswordError::TooLong);
        }
        if is_nfkc_quick(text.chars()) == IsNormalized::Yes {
            return Ok(Self(Arc::new(text)));
        }
        // Room for all of it at once: a string that grows leaves copies behind that nobody wipes.
        let mut normalised = Zeroizing::new(String::with_capacity(Self::MAX_BYTES));
        for c in text.nfkc() {
            if normalised.len() + c.len_utf8() > Self::MAX_BYTES {
                return Err(PasswordError::TooLong);
            }
            normalised.push(c);
        }
        Ok(Self(Arc::new(normalised)))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What was sent as a password at a login or a step-up.
///
/// An [unusable](Self::Unusable) one can belong to nobody. It is still to be given to
/// [`HashPool::check`](super::HashPool::check), which hashes a decoy in its place: then neither the answer nor its time
/// tells whether the account exists, and no account need be looked up at all.
#[derive(Clone, Debug)]
pub enum LoginPassword {
    /// It could be somebody's.
    Usable(Password),
    /// It is nobody's: empty, or over the byte limit. The text is gone already.
    Unusable(PasswordError),
}

impl LoginPassword {
    /// Takes anything.
    pub fn parse(text: String) -> Self {
        Password::parse(text).map_or_else(Self::Unusable, Self::Usable)
    }

    /// What to put where no password was sent, or something else than a text.
    pub const fn missing() -> Self {
        Self::Unusable(PasswordError::Empty)
    }

    /// Whether looking an account up for it makes sense.
    pub const fn is_usable(&self) -> bool {
        matches!(self, Self::Usable(_))
    }
}

/// A password that may become somebody's: long enough and hard enough to guess. The only kind that is ever hashed for
/// keeping.
#[derive(Clone, Debug)]
pub struct NewPassword(Password);

impl NewPassword {
    /// The fewest characters, counted after normalisation (NIST SP 800-63B section 3.1.1.2).
    pub const MIN_CHARS: usize = 8;

    /// Judges a password somebody chooses. `context` is what a guesser would try first for this person: the e-mail
    /// address, the name, the name of the app.
    ///
    /// There are no rules of composition. Judging a contrived password takes some tens of milliseconds: a
    /// server does it by [`HashPool::choose`](super::HashPool::choose).
    pub fn choose(text: String, context: &[&str]) -> Result<Self, PasswordError> {
        let too_short = PasswordError::TooShort { minimum: Self::MIN_CHARS };
        let password = match Password::parse(text) {
            Err(PasswordError::Empty) => return Err(too_short),
            other => other?,
        };
        if password.as_str().chars().count() < Self::MIN_CHARS {
            return Err(too_short);
        }
        strength::judge(password.as_str(), context).map_err(PasswordError::TooWeak)?;
        Ok(Self(password))
    }

    /// A password that has just matched its hash: it may be hashed anew, whatever today's rules say of it.
    pub(super) const fn proven(password: Password) -> Self {
        Self(password)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_str().as_bytes()
    }
}

/// Why a text cannot be a password.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Nothing was sent.
    #[error("the password is empty")]
    Empty,
    /// It has fewer characters than a new password needs.
    #[error("the password has fewer than {minimum} characters")]
    TooShort {
        /// The fewest characters a new password may have.
        minimum: usize,
    },
    /// It has more than [`Password::MAX_BYTES`] bytes, as sent or normalised.
    #[error("the password has more than {max} bytes", max = Password::MAX_BYTES)]
    TooLong,
    /// It would be guessed early.
    #[error("the password is too easy to guess{0}")]
    TooWeak(Weakness),
}

impl PasswordError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooShort { .. } => "too_short",
            Self::TooLong => "too_long",
            Self::TooWeak(_) => "too_weak",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str, context: &[&str]) -> &'static str {
        NewPassword::choose(text.into(), context).map_or_else(|error| error.code(), |_| "none")
    }

    #[test]
    fn good_passwords_need_no_digits_or_signs() {
        for text in ["correct horse battery staple", "wohlgeformte Mispeln", "鼬鼠不食人間煙火之術也", "kq8#vLw2pz"]
        {
            assert_eq!(refusal(text, &["ada@example.test"]), "none", "{text}");
        }
    }

    #[test]
    fn length_is_counted_in_characters_after_normalisation() {
        assert_eq!(refusal("", &[]), "too_short");
        assert_eq!(refusal("kq8#vLw", &[]), "too_short");
        // Seven letters, fourteen code points as sent.
        assert_eq!(refusal(&"e\u{301}a\u{308}".repeat(4)[3..], &[]), "too_short");
        assert_eq!(refusal("ékq8#vLw", &[]), "none");
    }

    /// F074: the bound holds before and after normalisation, and at login as well as at registration.
    #[test]
    fn a_password_over_the_byte_limit_is_refused_everywhere() {
        let most = "x".repeat(Password::MAX_BYTES);
        assert!(LoginPassword::parse(most.clone()).is_usable());
        // One sign of three bytes that NFKC spells out in 33.
        for text in [format!("{most}x"), "x".repeat(2_000_000), "\u{fdfa}".repeat(100)] {
            assert_eq!(Password::parse(text.clone()).unwrap_err(), PasswordError::TooLong);
            assert_eq!(refusal(&text, &[]), "too_long");
            assert!(!LoginPassword::parse(text).is_usable());
        }
    }

    #[test]
    fn spellings_that_unicode_calls_equivalent_are_one_password() {
        let composed = Password::parse("pässwörter ﬁnden".into()).unwrap();
        let decomposed = Password::parse("pa\u{308}sswo\u{308}rter\u{a0}finden".into()).unwrap();
        assert_eq!(composed.as_str(), decomposed.as_str());
    }

    #[test]
    fn what_anybody_would_guess_first_is_too_weak() {
        for text in ["password", "Passw0rd!", "aaaaaaaaaaaa", "qwertyuiop", "12345678910", "Liverpool1"] {
            assert_eq!(refusal(text, &[]), "too_weak", "{text}");
        }
    }

    #[test]
    fn ones_own_address_is_too_weak() {
        let context = ["ada.zwetschge@quittenmus.example", "Mirabelle Kraxlhuber", "cloakroom"];
        for text in
            ["quittenmus", "Zwetschge1", "ada.zwetschge@quittenmus.example", "kraxlhuber", "cloakroom1", "adazwetschge"]
        {
            assert_eq!(refusal(text, &context), "too_weak", "{text}");
        }
    }

    /// F126: nothing of a secret is printed.
    #[test]
    fn debug_prints_nothing_of_a_password() {
        let text = "correct horse battery staple";
        let chosen = NewPassword::choose(text.into(), &[]).unwrap();
        let printed = format!(
            "{chosen:?} {:?} {:?}",
            LoginPassword::parse(text.into()),
            NewPassword::choose("password".into(), &[])
        );
        for word in text.split(' ').chain(["password\""]) {
            assert!(!printed.contains(word), "{printed}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_text_can_be_tried_and_judged(text in "\\PC{0,120}|[a-z0-9 ]{0,120}|.{0,40}", word in "\\PC{0,40}") {
            let _ = NewPassword::choose(text.clone(), &[&word, &text]);
            if let LoginPassword::Usable(password) = LoginPassword::parse(text) {
                let once = password.as_str().to_owned();
                prop_assert!(once.len() <= Password::MAX_BYTES);
                let twice = Password::parse(once.clone()).unwrap();
                prop_assert_eq!(twice.as_str(), once);
            }
        }
    }
}
