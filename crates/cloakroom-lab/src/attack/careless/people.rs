//! Who can sign in, and who is.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::pbkdf2::{PBKDF2_HMAC_SHA256, derive, verify};
use parking_lot::Mutex;

/// Some hundredths of a second, at the place where everybody waits for it.
const ROUNDS: NonZeroU32 = NonZeroU32::new(220_000).unwrap();

/// Accounts by address, sessions by number.
#[derive(Default)]
pub(super) struct People {
    passwords: Mutex<HashMap<String, [u8; 32]>>,
    sessions: Mutex<HashMap<String, Option<String>>>,
    last: AtomicU64,
    failures: Mutex<HashMap<(String, String), u32>>,
}

/// What came of a sign-in.
pub(super) enum SignIn {
    Done,
    /// Says which of both was wrong.
    NoSuchAccount,
    WrongPassword,
    /// Locked, for good.
    Locked,
}

impl People {
    /// Whether it was made.
    pub(super) fn add(&self, email: &str, password: &str) -> bool {
        let mut passwords = self.passwords.lock();
        if passwords.contains_key(email) {
            return false;
        }
        passwords.insert(email.to_owned(), hash(email, password));
        true
    }

    /// Changes a password; nothing ends by that.
    pub(super) fn change(&self, email: &str, password: &str) {
        self.passwords.lock().insert(email.to_owned(), hash(email, password));
    }

    /// Checks a password, here and now: nobody else is served meanwhile. Counts failures by whoever the client says it is.
    pub(super) fn check(&self, email: &str, password: &str, client: &str) -> SignIn {
        let key = (email.to_owned(), client.to_owned());
        if self.failures.lock().get(&key).is_some_and(|failures| *failures >= 10) {
            return SignIn::Locked;
        }
        // Without an account there is nothing to compare, so the answer comes sooner.
        let Some(stored) = self.passwords.lock().get(email).copied() else { return SignIn::NoSuchAccount };
        if verify(PBKDF2_HMAC_SHA256, ROUNDS, email.as_bytes(), password.as_bytes(), &stored).is_ok() {
            return SignIn::Done;
        }
        *self.failures.lock().entry(key).or_default() += 1;
        SignIn::WrongPassword
    }

    /// The session of that number, which is made if there is none, whoever thought of it; or the next number.
    pub(super) fn session(&self, wanted: Option<&str>) -> String {
        let number = wanted.map_or_else(|| self.last.fetch_add(1, Ordering::Relaxed).to_string(), str::to_owned);
        self.sessions.lock().entry(number.clone()).or_default();
        number
    }

    /// Signs somebody in, in the session that is there already.
    pub(super) fn enter(&self, session: &str, email: &str) {
        self.sessions.lock().insert(session.to_owned(), Some(email.to_owned()));
    }

    /// Who is in a session.
    pub(super) fn of(&self, session: &str) -> Option<String> {
        self.sessions.lock().get(session).cloned().flatten()
    }
}

fn hash(email: &str, password: &str) -> [u8; 32] {
    let mut stored = [0; 32];
    derive(PBKDF2_HMAC_SHA256, ROUNDS, email.as_bytes(), password.as_bytes(), &mut stored);
    stored
}
