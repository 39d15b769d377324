//! Tickets: the opaque credentials. Version, kind and MAC key id (a byte each), what the kind carries, 16 random bytes
//! (the secret), a 16-byte MAC; base64url.
//!
//! The MAC turns garbage and forgeries away by arithmetic, before any store is read, and proves which generation was
//! issued. Parsing is the only way in; the session's id is derived from the secret and never stands beside it.

mod stateless;

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroize;

pub use stateless::StatelessClaims;

use crate::{
    clock::Timestamp,
    ids::{Generation, Kid, SessionId},
    key::KeyRing,
    random::Rng,
    refusal::Reason,
    secret::SecretText,
};

/// A credential whose MAC is good.
#[derive(Debug)]
pub enum Ticket {
    /// The cookie of a `session` or `phantom`.
    Session(SessionTicket),
    /// The refresh token of a `jwt`.
    Refresh(RefreshToken),
    /// The refresh token of a `jwt-stateless`.
    Stateless(StatelessRefreshToken),
}

/// The cookie of a `session` or `phantom`.
#[derive(Debug)]
pub struct SessionTicket(Seal);

/// The refresh token of a `jwt`: a ticket with a generation.
#[derive(Debug)]
pub struct RefreshToken {
    seal: Seal,
    generation: Generation,
}

/// The refresh token of a `jwt-stateless`: a ticket that carries all there is to know.
#[derive(Debug)]
pub struct StatelessRefreshToken {
    seal: Seal,
    claims: StatelessClaims,
}

/// The session that a text names if it is a session's ticket, which only who has the key can say: for verifiers that must
/// ask for that, so that garbage is turned away before anybody is asked. `None`: it has another form.
pub fn claimed_session(text: &str) -> Option<SessionId> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let mut bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let session = match bytes.as_slice() {
        [VERSION, SESSION, _, rest @ ..] if rest.len() == SECRET + MAC => {
            rest.first_chunk::<SECRET>().map(SessionId::of_secret)
        }
        _ => None,
    };
    bytes.zeroize();
    session
}

/// What every ticket has.
struct Seal {
    key: u8,
    kid: Kid,
    secret: [u8; 16],
}

impl Drop for Seal {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal(key {})", self.kid)
    }
}

const VERSION: u8 = 1;
const SESSION: u8 = 1;
const REFRESH: u8 = 2;
const STATELESS: u8 = 3;
const HEAD: usize = 3;
const SECRET: usize = 16;
const MAC: usize = 16;
/// The longest text of any ticket.
const MAX_TEXT: usize = 128;

impl Ticket {
    /// Its text.
    pub fn text(&self, keys: &KeyRing) -> Option<SecretText> {
        match self {
            Self::Session(ticket) => ticket.text(keys),
            Self::Refresh(token) => token.text(keys),
            Self::Stateless(token) => token.text(keys),
        }
    }

    /// Reads a ticket of any kind and checks its MAC. One spelling only: spare bits, padding and line breaks are refused.
    pub fn parse(text: &str, keys: &KeyRing) -> Result<Self, Reason> {
        if text.len() > MAX_TEXT {
            return Err(Reason::Malformed);
        }
        let mut bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| Reason::Malformed)?;
        let ticket = Self::parse_bytes(&bytes, keys);
        bytes.zeroize();
        ticket
    }

    fn parse_bytes(bytes: &[u8], keys: &KeyRing) -> Result<Self, Reason> {
        let (message, mac) = bytes.split_last_chunk::<MAC>().ok_or(Reason::Malformed)?;
        let (body, secret) = message.split_last_chunk::<SECRET>().ok_or(Reason::Malformed)?;
        let (&[version, kind, key], carried) = body.split_first_chunk::<HEAD>().ok_or(Reason::Malformed)?;
        if version != VERSION {
            return Err(Reason::Malformed);
        }
        let (kid, mac_key) = keys.mac_by_id(key).ok_or_else(|| keys.mac_absence(key))?;
        if !mac_key.verifies(message, mac) {
            return Err(Reason::BadMac);
        }
        let seal = Seal { key, kid, secret: *secret };
        match (kind, carried) {
            (SESSION, []) => Ok(Self::Session(SessionTicket(seal))),
            (REFRESH, &[a, b, c, d]) => {
                let generation = Generation(u32::from_be_bytes([a, b, c, d]));
                Ok(Self::Refresh(RefreshToken { seal, generation }))
            }
            (STATELESS, carried) => {
                let claims = StatelessClaims::decode(carried).ok_or(Reason::Malformed)?;
                Ok(Self::Stateless(StatelessRefreshToken { seal, claims }))
            }
            _ => Err(Reason::Malformed),
        }
    }
}

impl Seal {
    fn mint(keys: &KeyRing, rng: &Rng, now: Timestamp) -> Option<Self> {
        let (key, kid, _) = keys.mac(now)?;
        Some(Self { key, kid, secret: rng.bytes() })
    }

    fn id(&self) -> SessionId {
        SessionId::of_secret(&self.secret)
    }

    fn successor(&self, keys: &KeyRing, now: Timestamp) -> Option<Self> {
        let (_, made_by) = keys.mac_by_id(self.key)?;
        // No ticket begins like this: the MACs of the two never meet.
        let mut message = *b"successor:                ";
        message[10..].copy_from_slice(&self.secret);
        let secret = made_by.tag(&message);
        message.zeroize();
        let (key, kid, _) = keys.mac(now)?;
        Some(Self { key, kid, secret })
    }

    /// The text of a ticket; `None` when its key has gone meanwhile.
    fn text(&self, kind: u8, carried: &[u8], keys: &KeyRing) -> Option<SecretText> {
        let (_, mac_key) = keys.mac_by_id(self.key)?;
        let mut bytes = Vec::with_capacity(HEAD + carried.len() + SECRET + MAC);
        bytes.extend_from_slice(&[VERSION, kind, self.key]);
        bytes.extend_from_slice(carried);
        bytes.extend_from_slice(&self.secret);
        let mac = mac_key.tag(&bytes);
        bytes.extend_from_slice(&mac);
        let text = BASE64URL_NOPAD.encode(&bytes);
        bytes.zeroize();
        Some(SecretText::new(text))
    }
}

/// The ticket that takes another's place in an exchange. Its secret is derived from the other's and the key that made
/// it, so that a session has one successor however often it is exchanged, and who knows a store, or even the other's
/// text, cannot make it.
pub struct Successor(Seal);

impl Ticket {
    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.seal().id()
    }

    /// The key that made it.
    pub const fn kid(&self) -> Kid {
        self.seal().kid
    }

    /// Its successor; `None` when its key has gone meanwhile.
    pub fn successor(&self, keys: &KeyRing, now: Timestamp) -> Option<Successor> {
        self.seal().successor(keys, now).map(Successor)
    }

    const fn seal(&self) -> &Seal {
        match self {
            Self::Session(SessionTicket(seal))
            | Self::Refresh(RefreshToken { seal, .. })
            | Self::Stateless(StatelessRefreshToken { seal, .. }) => seal,
        }
    }
}

impl Successor {
    /// The successor's session.
    pub fn id(&self) -> SessionId {
        self.0.id()
    }

    /// As the cookie of a `session` or `phantom`.
    pub fn into_ticket(self) -> Ticket {
        Ticket::Session(SessionTicket(self.0))
    }

    /// As the refresh token of a `jwt`, of generation 0.
    pub fn into_refresh_token(self) -> Ticket {
        Ticket::Refresh(RefreshToken { seal: self.0, generation: Generation(0) })
    }

    /// As the refresh token of a `jwt-stateless`.
    pub fn into_stateless(self, claims: StatelessClaims) -> Ticket {
        Ticket::Stateless(StatelessRefreshToken { seal: self.0, claims })
    }
}

impl fmt::Debug for Successor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl SessionTicket {
    /// A new one, with a secret that has never been used; `None` without a MAC key.
    pub fn mint(keys: &KeyRing, rng: &Rng, now: Timestamp) -> Option<Self> {
        Seal::mint(keys, rng, now).map(Self)
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.0.id()
    }

    /// The key that made it.
    pub const fn kid(&self) -> Kid {
        self.0.kid
    }

    /// Its text, for the cookie.
    pub fn text(&self, keys: &KeyRing) -> Option<SecretText> {
        self.0.text(SESSION, &[], keys)
    }
}

impl RefreshToken {
    /// A new one, of generation 0.
    pub fn mint(keys: &KeyRing, rng: &Rng, now: Timestamp) -> Option<Self> {
        Some(Self { seal: Seal::mint(keys, rng, now)?, generation: Generation(0) })
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.seal.id()
    }

    /// The key that made it, and its successors.
    pub const fn kid(&self) -> Kid {
        self.seal.kid
    }

    /// Its generation.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The token of another generation of the same session: derived, so that it can be given again.
    #[must_use]
    pub fn of_generation(&self, generation: Generation) -> Self {
        let seal = Seal { key: self.seal.key, kid: self.seal.kid, secret: self.seal.secret };
        Self { seal, generation }
    }

    /// Its text, for the answer.
    pub fn text(&self, keys: &KeyRing) -> Option<SecretText> {
        self.seal.text(REFRESH, &self.generation.0.to_be_bytes(), keys)
    }
}

impl StatelessRefreshToken {
    /// A new one that carries these claims.
    pub fn mint(claims: StatelessClaims, keys: &KeyRing, rng: &Rng, now: Timestamp) -> Option<Self> {
        Some(Self { seal: Seal::mint(keys, rng, now)?, claims })
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.seal.id()
    }

    /// The key that made it.
    pub const fn kid(&self) -> Kid {
        self.seal.kid
    }

    /// What it carries.
    pub const fn claims(&self) -> &StatelessClaims {
        &self.claims
    }

    /// Its text, for the answer.
    pub fn text(&self, keys: &KeyRing) -> Option<SecretText> {
        self.seal.text(STATELESS, &self.claims.encode(), keys)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        ids::{AccountId, AppTag, Epoch},
        key::tests::ring_with,
        random::Rng,
        session::AuthMethods,
    };

    fn now() -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }

    fn every_kind(keys: &KeyRing, rng: &Rng) -> [SecretText; 3] {
        let claims = StatelessClaims {
            account: AccountId::generate(now(), rng),
            app: AppTag([1, 2, 3, 4]),
            epoch: Epoch(7),
            app_epoch: Epoch(0),
            auth_time: now(),
            amr: AuthMethods::PASSWORD,
            expires: now() + std::time::Duration::from_secs(86_400),
        };
        [
            SessionTicket::mint(keys, rng, now()).unwrap().text(keys).unwrap(),
            RefreshToken::mint(keys, rng, now()).unwrap().text(keys).unwrap(),
            StatelessRefreshToken::mint(claims, keys, rng, now()).unwrap().text(keys).unwrap(),
        ]
    }

    #[test]
    fn tickets_have_their_sizes() {
        let lengths = every_kind(&ring_with(1), &Rng::seeded(1)).map(|t| t.expose().len());
        assert_eq!(lengths[0], 47);
        assert_eq!(lengths[1], 52);
        assert!(lengths[2] <= 128, "{}", lengths[2]);
    }

    #[test]
    fn a_ticket_reads_back_with_its_id_and_generation() {
        let (keys, rng) = (ring_with(1), Rng::seeded(1));
        let minted = RefreshToken::mint(&keys, &rng, now()).unwrap().of_generation(Generation(70_000));
        let Ok(Ticket::Refresh(read)) = Ticket::parse(minted.text(&keys).unwrap().expose(), &keys) else {
            panic!("another kind")
        };
        assert_eq!((read.id(), read.generation()), (minted.id(), Generation(70_000)));
    }

    #[test]
    fn a_ticket_of_other_keys_is_refused_and_nothing_prints() {
        let (keys, strangers, rng) = (ring_with(1), ring_with(2), Rng::seeded(1));
        for text in every_kind(&keys, &rng) {
            assert!(matches!(Ticket::parse(text.expose(), &strangers), Err(Reason::BadMac)));
            let ticket = Ticket::parse(text.expose(), &keys).unwrap();
            let printed = format!("{ticket:?} {text:?}");
            assert!(!text.expose().as_bytes().windows(8).any(|w| printed.as_bytes().windows(8).any(|p| p == w)));
        }
    }

    proptest! {
        /// Every single changed character is refused: one ticket has one spelling (F040).
        #[test]
        fn a_changed_ticket_is_refused(kind in 0usize..3, at: prop::sample::Index, to in "[A-Za-z0-9_=+/ -]") {
            let keys = ring_with(1);
            let text = every_kind(&keys, &Rng::seeded(1))[kind].expose().to_owned();
            let at = at.index(text.len());
            let changed = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            prop_assume!(changed != text);
            prop_assert!(Ticket::parse(&changed, &keys).is_err());
            for longer in [text.clone() + "=", text + "A"] {
                prop_assert!(Ticket::parse(&longer, &keys).is_err());
            }
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let keys = ring_with(1);
            prop_assert!(Ticket::parse(&text, &keys).is_err());
            prop_assert!(Ticket::parse(&BASE64URL_NOPAD.encode(&bytes), &keys).is_err());
        }
    }
}
