//! Bytes of a ticket and of an access token: issuer of 21 bytes, audience of 3.

use std::io;

use cloakroom_core::{
    clock::Clock,
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    key::{KeyRing, KeyRow, MasterSecret, Purpose, SigningKey},
    method::Method,
    random::Rng,
    session::AuthMethods,
    ticket::{RefreshToken, SessionTicket, StatelessClaims, StatelessRefreshToken},
    token::{self, Algorithm, Claims, TokenId},
};

use crate::{
    report::{Bound, Figure, Findings},
    rounds::Extent,
};
use cloakroom_lab::stats::Estimate;

const ISSUER: &str = "https://id.example.co";
const AUDIENCE: &str = "web";
/// Their lengths differ by chance in nothing; that is looked at a hundred times.
const TIMES: usize = 100;

pub(super) fn sizes(_: &Extent) -> io::Result<Findings> {
    let (rng, now) = (Rng::system(), Clock::system().now());
    let (master, _) = MasterSecret::generate(&rng);
    let mut findings = Findings::new("sizes");
    let ring = mac_ring(&master, &rng)?;
    let app = AppId::parse(AUDIENCE).ok_or_else(|| io::Error::other("no app"))?;
    let claims = StatelessClaims {
        account: AccountId::generate(now, &rng),
        app: app.tag(),
        epoch: Epoch(0),
        app_epoch: Epoch(0),
        auth_time: now.whole_secs(),
        amr: AuthMethods::PASSWORD,
        expires: now.whole_secs(),
    };
    let ticket = SessionTicket::mint(&ring, &rng, now).and_then(|ticket| ticket.text(&ring));
    let refresh = RefreshToken::mint(&ring, &rng, now).and_then(|token| token.text(&ring));
    let stateless = StatelessRefreshToken::mint(claims, &ring, &rng, now).and_then(|token| token.text(&ring));
    for (what, text, most) in [
        ("session ticket", ticket, 64.0),
        ("refresh token (jwt)", refresh, 64.0),
        ("refresh token (jwt-stateless)", stateless, 128.0),
    ] {
        let length = text.ok_or_else(|| io::Error::other("no ticket"))?.expose().len();
        findings.add(Figure::new(what, Estimate::exact(length as f64), "bytes").bound(Bound::AtMost(most)));
    }
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let stored = SigningKey::generate(algorithm, &rng).map_err(io::Error::other)?;
        let key = SigningKey::from_stored(algorithm, &stored).map_err(io::Error::other)?;
        let mut longest = 0;
        for _ in 0..TIMES {
            let claims = Claims {
                issuer: ISSUER.to_owned(),
                account: AccountId::generate(now, &rng),
                app: app.clone(),
                expires: now.whole_secs() + std::time::Duration::from_secs(300),
                issued: now.whole_secs(),
                token_id: TokenId::generate(Method::Jwt, &rng),
                session: SessionId::from_bytes(rng.bytes()),
                auth_time: now.whole_secs(),
                amr: AuthMethods::PASSWORD,
                epoch: Epoch(0),
                app_epoch: Epoch(0),
            };
            let text = token::sign(&claims, Kid::generate(&rng), &key).map_err(io::Error::other)?;
            longest = longest.max(text.expose().len());
        }
        let what = format!("access token ({})", algorithm.name());
        findings
            .add(Figure::new(what, Estimate::exact(f64::from(longest as u32)), "bytes").bound(Bound::AtMost(450.0)));
    }
    findings.note(format!("issuer `{ISSUER}` ({} bytes), audience `{AUDIENCE}`; epochs 0", ISSUER.len()));
    Ok(findings)
}

/// A ring with a key for tickets, made as the engine makes it.
fn mac_ring(master: &MasterSecret, rng: &Rng) -> io::Result<KeyRing> {
    let (kid, now) = (Kid::generate(rng), Clock::system().now());
    let wrapped = master.wrap(&KeyRing::label(kid, Purpose::Mac), &rng.bytes::<32>(), rng);
    let row = KeyRow { kid, purpose: Purpose::Mac, ordinal: 1, wrapped, created: now, from: now, killed: None };
    KeyRing::open(vec![row], master).map_err(io::Error::other)
}
