//! What the fuzz targets share: keys that are the same in every run, credentials that they have signed, and a way to make
//! texts that are nearly one of these, which random bytes alone would hardly ever be.

pub mod server;

use std::sync::LazyLock;

use cloakroom_core::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Generation, Kid, SessionId},
    key::{KeyRing, KeyRow, MasterSecret, Purpose, SigningKey},
    method::Method,
    random::Rng,
    session::AuthMethods,
    ticket::{RefreshToken, SessionTicket, StatelessClaims, StatelessRefreshToken},
    token::{self, Algorithm, Claims, TokenId},
};

/// When everything here takes place.
pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A key for each purpose but RSA's, which takes long to make.
pub static KEYS: LazyLock<KeyRing> = LazyLock::new(|| {
    let rng = Rng::seeded(1);
    let (master, _) = MasterSecret::generate(&rng);
    let purposes = Purpose::ALL.into_iter().filter(|purpose| *purpose != Purpose::Sign(Algorithm::Rs256));
    let rows = purposes.map(|purpose| {
        let kid = Kid::generate(&rng);
        let bytes = match purpose {
            Purpose::Mac => rng.bytes::<32>().to_vec(),
            Purpose::Sign(algorithm) => SigningKey::generate(algorithm, &rng).expect("a key is made").to_vec(),
        };
        let wrapped = master.wrap(&KeyRing::label(kid, purpose), &bytes, &rng);
        KeyRow { kid, purpose, ordinal: 1, wrapped, created: NOW, from: NOW, killed: None }
    });
    KeyRing::open(rows.collect(), &master).expect("the keys open")
});

/// A ticket of each kind.
pub static TICKETS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let (keys, rng) = (&*KEYS, Rng::seeded(2));
    let session = SessionTicket::mint(keys, &rng, NOW).and_then(|ticket| ticket.text(keys));
    let refresh = RefreshToken::mint(keys, &rng, NOW).map(|token| token.of_generation(Generation(7)));
    let stateless = StatelessClaims {
        account: AccountId::generate(NOW, &rng),
        app: app().tag(),
        epoch: Epoch(3),
        app_epoch: Epoch(0),
        auth_time: NOW,
        amr: AuthMethods::PASSWORD,
        expires: NOW,
    };
    let stateless = StatelessRefreshToken::mint(stateless, keys, &rng, NOW).and_then(|token| token.text(keys));
    [session, refresh.and_then(|token| token.text(keys)), stateless]
        .into_iter()
        .map(|text| text.expect("the ring has a MAC key").expose().to_owned())
        .collect()
});

/// An access token by each algorithm that is at hand.
pub static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let rng = Rng::seeded(3);
    let claims = Claims {
        issuer: "http://localhost:8080".to_owned(),
        account: AccountId::generate(NOW, &rng),
        app: app(),
        expires: Timestamp::from_secs(NOW.secs() + 300),
        issued: NOW,
        token_id: TokenId::generate(Method::Jwt, &rng),
        session: SessionId::from_bytes(rng.bytes()),
        auth_time: NOW,
        amr: AuthMethods::PASSWORD,
        epoch: Epoch(1),
        app_epoch: Epoch(2),
    };
    [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256]
        .into_iter()
        .map(|algorithm| {
            let (kid, key) = KEYS.signer(algorithm, NOW).expect("the ring has a key");
            token::sign(&claims, kid, key).expect("it signs").expose().to_owned()
        })
        .collect()
});

fn app() -> AppId {
    AppId::parse("api").expect("it is an app's name")
}

/// A text: the bytes themselves, or one of the samples with a few of its bytes changed, cut out or doubled as they say.
pub fn near(samples: &[String], data: &[u8]) -> Option<String> {
    let (&which, edits) = data.split_first()?;
    let Some(sample) = samples.get(usize::from(which)) else {
        return String::from_utf8(data.to_vec()).ok();
    };
    let mut text = sample.clone().into_bytes();
    for edit in edits.chunks_exact(4) {
        if text.is_empty() {
            break;
        }
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % text.len();
        match edit[2] % 4 {
            0 => text[at] = edit[3],
            1 => drop(text.remove(at)),
            2 => text.insert(at, edit[3]),
            _ => text.truncate(at),
        }
    }
    String::from_utf8(text).ok()
}
