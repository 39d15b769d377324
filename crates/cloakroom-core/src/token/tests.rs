//! Hostile access tokens. Those about claims and headers are signed with the real key, so that the signature is not what
//! refuses them.

use std::time::Duration;

use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, SessionId},
    key::{KeyRing, tests::ring_with},
    method::Method,
    random::Rng,
    session::AuthMethods,
    ticket::{RefreshToken, SessionTicket, StatelessClaims, StatelessRefreshToken, Ticket},
};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A key ring, and ways to sign with it what it never signs.
struct Forge(KeyRing);

impl Forge {
    fn new() -> Self {
        Self(ring_with(1))
    }

    fn signer(&self, algorithm: Algorithm) -> (Kid, &SigningKey) {
        self.0.signer(algorithm, NOW).expect("the ring has one")
    }

    fn header(&self, algorithm: Algorithm) -> Value {
        json!({ "typ": "at+jwt", "alg": algorithm.name(), "kid": self.signer(algorithm).0.as_str() })
    }

    /// A token of this header and payload, with a good signature by Ed25519.
    fn signed(&self, header: &str, payload: &str) -> String {
        let text = format!("{}.{}", part(header), part(payload));
        let signature = self.signer(Algorithm::EdDsa).1.sign(text.as_bytes()).unwrap();
        format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn with_header(&self, header: &str) -> String {
        self.signed(header, &claims().to_json())
    }

    /// Our header with one more member, or with another value of one that it has.
    fn with_member(&self, name: &str, value: Value) -> String {
        let mut header = self.header(Algorithm::EdDsa);
        header[name] = value;
        self.with_header(&header.to_string())
    }

    fn with_payload(&self, payload: &str) -> String {
        self.signed(&self.header(Algorithm::EdDsa).to_string(), payload)
    }

    /// Our claims with another value of one of them.
    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut payload: Value = serde_json::from_str(&claims().to_json()).unwrap();
        payload[name] = value;
        self.with_payload(&payload.to_string())
    }

    fn good(&self, algorithm: Algorithm) -> String {
        let (kid, key) = self.signer(algorithm);
        sign(&claims(), kid, key).unwrap().expose().to_owned()
    }

    fn check(&self, text: &str) -> Result<Checked, Reason> {
        check(text, self.0.verifying())
    }

    fn refusal(&self, text: &str) -> Reason {
        self.check(text).map(|checked| checked.claims).expect_err("a hostile token")
    }
}

fn part(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

fn claims() -> Claims {
    let rng = Rng::seeded(5);
    Claims {
        issuer: "https://id.example.ch".to_owned(),
        account: AccountId::generate(NOW, &rng),
        app: AppId::parse("api").unwrap(),
        expires: NOW + Duration::from_secs(300),
        issued: NOW,
        token_id: TokenId::generate(Method::Jwt, &rng),
        session: SessionId::from_bytes(rng.bytes()),
        auth_time: NOW,
        amr: AuthMethods::PASSWORD,
        epoch: Epoch(0),
        app_epoch: Epoch(0),
    }
}

#[test]
fn every_algorithm_makes_tokens_that_read_back() {
    let forge = Forge::new();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256] {
        let checked = forge.check(&forge.good(algorithm)).unwrap();
        assert_eq!((checked.claims, checked.kid), (claims(), forge.signer(algorithm).0));
    }
    // The helpers below sign what is good as well, so that a refusal is about what they change.
    let payload = claims().to_json();
    assert!(forge.check(&forge.with_payload(&payload)).is_ok());
    assert!(forge.check(&forge.with_header(&forge.header(Algorithm::EdDsa).to_string())).is_ok());
    assert!(forge.check(&forge.with_claim("unknown", json!({ "a": [1, 2] }))).is_ok());
}

#[test]
fn a_token_is_450_bytes_or_less() {
    let forge = Forge::new();
    let claims = claims();
    assert_eq!((claims.issuer.len(), claims.app.as_str().len()), (21, 3));
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let (kid, key) = forge.signer(algorithm);
        let token = sign(&claims, kid, key).unwrap();
        assert!(token.expose().len() <= 450, "{algorithm:?}: {}", token.expose().len());
        // The longest name of a key, which a configured one may have.
        let longest = sign(&claims, Kid::parse("kkkkkk").unwrap(), key).unwrap();
        assert!(longest.expose().len() <= 450, "{algorithm:?}: {}", longest.expose().len());
    }
}

/// F028: no spelling of `none`, no missing algorithm, no empty or missing signature passes, whatever key is named.
#[test]
fn an_unsigned_token_is_refused() {
    let forge = Forge::new();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256] {
        for none in ["none", "None", "NONE", "nOnE", "", " none", "none\0", "null"] {
            let mut header = forge.header(algorithm);
            header["alg"] = none.into();
            for signature in ["", "AAAA"] {
                let text = format!("{}.{}.{signature}", part(&header.to_string()), part(&claims().to_json()));
                assert_eq!(forge.refusal(&text), Reason::BadHeader, "{none:?}");
            }
        }
        for absent in [json!(null), json!(0), json!(["EdDSA"])] {
            let mut header = forge.header(algorithm);
            header["alg"] = absent;
            assert_eq!(forge.refusal(&forge.with_header(&header.to_string())), Reason::BadHeader);
        }
        let mut header = forge.header(algorithm);
        header.as_object_mut().unwrap().remove("alg");
        assert_eq!(forge.refusal(&forge.with_header(&header.to_string())), Reason::BadHeader);

        let good = forge.good(algorithm);
        let (signed, _) = good.rsplit_once('.').unwrap();
        assert_eq!(forge.refusal(&format!("{signed}.")), Reason::BadSignature);
        assert_eq!(forge.refusal(signed), Reason::Malformed);
        assert_eq!(forge.refusal(&format!(".{good}")), Reason::Malformed);
    }
}

/// The algorithm's name is compared byte for byte, and is the key's own.
#[test]
fn another_spelling_or_algorithm_than_the_keys_is_refused() {
    let forge = Forge::new();
    for spelling in ["eddsa", "EDDSA", "EdDSA ", "Ed25519"] {
        assert_eq!(forge.refusal(&forge.with_member("alg", spelling.into())), Reason::BadHeader);
    }
    for other in ["ES256", "RS256", "HS256"] {
        assert_eq!(forge.refusal(&forge.with_member("alg", other.into())), Reason::BadSignature);
    }
}

/// F029: a token signed by HMAC with the public key, in any form that a library was ever fed, is refused.
#[test]
fn a_public_key_is_no_hmac_secret() {
    let forge = Forge::new();
    let jwks = forge.0.jwks(NOW, Duration::from_secs(300));
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        let (kid, _) = forge.signer(algorithm);
        let jwk = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str()).unwrap();
        for secret in public_forms(jwk) {
            let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
            for (alg, reason) in [("HS256", Reason::BadSignature), (algorithm.name(), Reason::BadSignature)] {
                let header = json!({ "typ": "at+jwt", "alg": alg, "kid": kid.as_str() }).to_string();
                let signed = format!("{}.{}", part(&header), part(&claims().to_json()));
                let signature = aws_lc_rs::hmac::sign(&secret, signed.as_bytes());
                let text = format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()));
                assert_eq!(forge.refusal(&text), reason);
            }
        }
    }
}

/// The bytes of a public key as an attacker can write them: raw, DER, PEM, PEM after white space, JWK.
fn public_forms(jwk: &Value) -> Vec<Vec<u8>> {
    let coordinate = |name: &str| BASE64URL_NOPAD.decode(jwk[name].as_str().unwrap_or_default().as_bytes()).unwrap();
    let (raw, prefix): (Vec<u8>, &[u8]) = match jwk["kty"].as_str() {
        Some("OKP") => (coordinate("x"), &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0]),
        _ => (
            [vec![4], coordinate("x"), coordinate("y")].concat(),
            &[
                0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                3, 1, 7, 3, 0x42, 0,
            ],
        ),
    };
    let der = [prefix, &raw].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&der));
    let forms = [pem.clone(), pem.trim_end().to_owned(), format!(" \n{pem}"), jwk.to_string(), jwk["x"].to_string()];
    forms.into_iter().map(String::into_bytes).chain([raw, der]).collect()
}

/// F030: an ES256 signature of zeros, of the group order, or in DER is refused in a token too.
#[test]
fn an_ecdsa_token_with_a_signature_of_zeros_is_refused() {
    let forge = Forge::new();
    let good = forge.good(Algorithm::Es256);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let good = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
    let order =
        data_encoding::HEXUPPER.decode(b"FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551").unwrap();
    let der = [&[0x30, 68, 2, 32], &good[..32], &[2, 32], &good[32..]].concat();
    for bad in [vec![0; 64], [&order[..], &good[32..]].concat(), [&good[..32], &order].concat(), der, vec![]] {
        assert_eq!(forge.refusal(&format!("{signed}.{}", BASE64URL_NOPAD.encode(&bad))), Reason::BadSignature);
    }
}

/// F031: a claim of the wrong type is an error, never an absent claim; and none that is needed may be absent.
#[test]
fn a_claim_of_the_wrong_type_refuses_the_token() {
    let forge = Forge::new();
    let numbers = [
        json!("1800000300"),
        json!(1_800_000_300.5),
        json!(1.8e9),
        json!(-1),
        json!(null),
        json!([1_800_000_300]),
        json!({}),
        json!(true),
        json!(u64::MAX),
        json!(1e300),
    ];
    for claim in ["exp", "iat", "auth_time", "epoch", "app_epoch"] {
        for value in &numbers {
            assert_eq!(forge.refusal(&forge.with_claim(claim, value.clone())), Reason::BadClaims, "{claim} {value}");
        }
    }
    let texts = [json!(1), json!(null), json!(["api"]), json!({}), json!(""), json!(true), json!(" api"), json!("API")];
    for claim in ["sub", "aud", "jti", "client_id", "sid"] {
        for value in &texts {
            assert_eq!(forge.refusal(&forge.with_claim(claim, value.clone())), Reason::BadClaims, "{claim} {value}");
        }
    }
    for value in [json!(1), json!(null), json!(["x"]), json!({})] {
        assert_eq!(forge.refusal(&forge.with_claim("iss", value.clone())), Reason::BadClaims, "{value}");
    }
    for value in [json!("pwd"), json!(null), json!([1]), json!(["sms"]), json!(["PWD"])] {
        assert_eq!(forge.refusal(&forge.with_claim("amr", value.clone())), Reason::BadClaims, "{value}");
    }
    for huge in ["1e999", "99999999999999999999", "281474976710656"] {
        let payload = claims().to_json().replace(r#""exp":1800000300"#, &format!(r#""exp":{huge}"#));
        assert_eq!(forge.refusal(&forge.with_payload(&payload)), Reason::BadClaims, "{huge}");
    }
    for payload in ["", "null", "[]", "\"\"", "{}", "{", "1"] {
        assert_eq!(forge.refusal(&forge.with_payload(payload)), Reason::BadClaims, "{payload}");
    }
}

/// F031: every claim but the epochs must be there.
#[test]
fn a_missing_claim_refuses_the_token() {
    let forge = Forge::new();
    for claim in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "sid", "auth_time", "amr"] {
        let mut payload: Value = serde_json::from_str(&claims().to_json()).unwrap();
        payload.as_object_mut().unwrap().remove(claim).unwrap();
        assert_eq!(forge.refusal(&forge.with_payload(&payload.to_string())), Reason::BadClaims, "{claim}");
    }
}

/// F032, F033, F035: what a header of ours never holds refuses the token, whatever its value; so no key and no address
/// in a header is ever looked at.
#[test]
fn a_header_with_anything_more_is_refused() {
    let forge = Forge::new();
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": part("0123456789abcdef0123456789abcdef") });
    for (name, value) in [
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!("exp")),
        ("crit", json!(null)),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("jwk", json!({ "kty": "OKP" })),
        ("jwk", key),
        ("jku", json!("http://127.0.0.1:1/k")),
        ("x5u", json!("http://127.0.0.1:1/k")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("p2c", json!(2_147_483_647)),
        ("cty", json!("JWT")),
        ("Kid", json!("k1")),
        ("epk", json!({})),
    ] {
        assert_eq!(forge.refusal(&forge.with_member(name, value.clone())), Reason::BadHeader, "{name} {value}");
    }
    for header in ["", "{}", "[]", "null", "1", "\"at+jwt\"", "{"] {
        assert_eq!(forge.refusal(&forge.with_header(header)), Reason::BadHeader, "{header}");
    }
}

/// F034: a `kid` is only looked up among the loaded keys, and only if it has the form of one.
#[test]
fn a_strange_kid_is_an_unknown_key() {
    let forge = Forge::new();
    let long = "k".repeat(40);
    for kid in ["../../dev/null", "/dev/null", "' OR 1=1 --", "", " ", "k1 ", "kkkkkkk", &long, "ключ", "nobody"] {
        assert_eq!(forge.refusal(&forge.with_member("kid", kid.into())), Reason::UnknownKey, "{kid:?}");
    }
    for kid in [json!(1), json!(null), json!(["k1"]), json!({ "a": 1 }), json!("a\0b")] {
        assert_eq!(forge.refusal(&forge.with_member("kid", kid)), Reason::BadHeader);
    }
    let mut header = forge.header(Algorithm::EdDsa);
    header.as_object_mut().unwrap().remove("kid");
    assert_eq!(forge.refusal(&forge.with_header(&header.to_string())), Reason::BadHeader);
    assert_eq!(forge.refusal(&forge.with_member("kid", "k".repeat(1000).into())), Reason::BadHeader);
}

/// F035: five parts, encryption headers and anything too large are refused before the payload is decoded.
#[test]
fn a_token_in_five_parts_or_too_large_is_refused_before_it_is_decoded() {
    let forge = Forge::new();
    let good = forge.good(Algorithm::EdDsa);
    for text in [format!("{good}.{good}"), format!("{good}.."), format!("{good}.AAAA.AAAA"), "....".to_owned()] {
        assert_eq!(forge.refusal(&text), Reason::Malformed);
    }
    let encrypted = json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_147_483_647_u32, "p2s": "AA" });
    assert_eq!(forge.refusal(&format!("{}.!!!.!!!", part(&encrypted.to_string()))), Reason::BadHeader);
    // The payload is no base64: had it been decoded, that would have been the refusal.
    let header = part(&forge.header(Algorithm::EdDsa).to_string());
    assert_eq!(forge.refusal(&format!("{header}.!!!.{}", part("no signature"))), Reason::BadSignature);
    let large = forge.with_claim("filler", "x".repeat(MAX_TOKEN).into());
    assert_eq!(forge.refusal(&large), Reason::Malformed);
    let within = forge.with_claim("filler", "x".repeat(MAX_TOKEN / 2).into());
    assert!(within.len() <= MAX_TOKEN && forge.check(&within).is_ok());
}

/// F037: a ticket is no token, a token is no ticket, a token of another type is no access token, and each kind of ticket
/// is told from the others.
#[test]
fn one_kind_of_credential_is_not_taken_for_another() {
    let forge = Forge::new();
    let (keys, rng) = (&forge.0, Rng::seeded(2));
    let stateless = StatelessClaims {
        account: claims().account,
        app: claims().app.tag(),
        epoch: Epoch(0),
        app_epoch: Epoch(0),
        auth_time: NOW,
        amr: AuthMethods::PASSWORD,
        expires: NOW + Duration::from_secs(86_400),
    };
    let tickets = [
        SessionTicket::mint(keys, &rng, NOW).unwrap().text(keys).unwrap(),
        RefreshToken::mint(keys, &rng, NOW).unwrap().text(keys).unwrap(),
        StatelessRefreshToken::mint(stateless, keys, &rng, NOW).unwrap().text(keys).unwrap(),
    ];
    for (i, text) in tickets.iter().enumerate() {
        assert_eq!(forge.refusal(text.expose()), Reason::Malformed);
        let kind = match Ticket::parse(text.expose(), keys).unwrap() {
            Ticket::Session(_) => 0,
            Ticket::Refresh(_) => 1,
            Ticket::Stateless(_) => 2,
        };
        assert_eq!(kind, i);
        // The kind is under the MAC: another kind of the same bytes is a forgery.
        for other in 0..=4u8 {
            let mut bytes = BASE64URL_NOPAD.decode(text.expose().as_bytes()).unwrap();
            if bytes[1] != other {
                bytes[1] = other;
                let forged = BASE64URL_NOPAD.encode(&bytes);
                assert!(matches!(Ticket::parse(&forged, keys), Err(Reason::BadMac)));
            }
        }
    }
    assert!(matches!(Ticket::parse(&forge.good(Algorithm::EdDsa), keys), Err(Reason::Malformed)));
    for typ in ["JWT", "jwt", "at+JWT", "application/at+jwt", "dpop+jwt", "logout+jwt", ""] {
        assert_eq!(forge.refusal(&forge.with_member("typ", typ.into())), Reason::WrongKind, "{typ}");
    }
    let mut header = forge.header(Algorithm::EdDsa);
    header.as_object_mut().unwrap().remove("typ");
    assert_eq!(forge.refusal(&forge.with_header(&header.to_string())), Reason::BadHeader);
}

/// F038: the audience is one app, by its exact name, and the same as the client.
#[test]
fn an_audience_that_is_not_one_app_is_refused() {
    let forge = Forge::new();
    for audience in [
        json!(null),
        json!(""),
        json!([]),
        json!(["api"]),
        json!(["api", "web"]),
        json!("API"),
        json!("web"),
        json!("*"),
    ] {
        assert_eq!(forge.refusal(&forge.with_claim("aud", audience.clone())), Reason::BadClaims, "{audience}");
    }
    // Case variants in both places are no app's name either.
    let payload = claims().to_json().replace(r#""api""#, r#""Api""#);
    assert_eq!(forge.refusal(&forge.with_payload(&payload)), Reason::BadClaims);
}

/// F040: one token has one spelling.
#[test]
fn padding_white_space_and_another_alphabet_are_refused() {
    let forge = Forge::new();
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256] {
        let good = forge.good(algorithm);
        let parts: Vec<_> = good.split('.').collect();
        for i in 0..3 {
            for change in [
                |part: &str| format!("{part}="),
                |part: &str| format!("{part}=="),
                |part: &str| format!(" {part}"),
                |part: &str| format!("{part}\n"),
                |part: &str| format!("{part}\t"),
                |part: &str| format!("{}\r\n{}", &part[..8], &part[8..]),
                |part: &str| format!("{part}A"),
                |part: &str| part[..part.len() - 1].to_owned(),
            ] {
                let mut changed: Vec<_> = parts.iter().map(ToString::to_string).collect();
                changed[i] = change(parts[i]);
                assert!(forge.check(&changed.join(".")).is_err(), "part {i}: {changed:?}");
            }
        }
    }
    // Characters of the standard alphabet, where base64url has others.
    let (kid, key) = forge.signer(Algorithm::Hs256);
    let odd = (0..400).find_map(|n| {
        let text = sign(&Claims { issuer: format!("https://{n}"), ..claims() }, kid, key).unwrap();
        text.expose().contains(['-', '_']).then(|| text.expose().to_owned())
    });
    assert!(forge.check(&odd.unwrap().replace('-', "+").replace('_', "/")).is_err());
}

/// F040: the bits that a last character has to spare are zero, in each part.
#[test]
fn spare_bits_are_refused() {
    let forge = Forge::new();
    let good = forge.good(Algorithm::EdDsa);
    let parts: Vec<_> = good.split('.').collect();
    let mut seen = 0;
    for (i, text) in parts.iter().enumerate() {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        for last in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
            let spelling = format!("{}{}", &text[..text.len() - 1], char::from(*last));
            let padded = format!("{spelling}{}", &"=="[..(4 - spelling.len() % 4) % 4]);
            let mut loose = BASE64URL.specification();
            loose.check_trailing_bits = false;
            let means_the_same = loose.encoding().unwrap().decode(padded.as_bytes()).is_ok_and(|b| b == bytes);
            if means_the_same && spelling != *text {
                let mut changed = parts.clone();
                changed[i] = &spelling;
                assert!(forge.check(&changed.join(".")).is_err());
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "no part of this token has bits to spare");
}

/// F040: a member that is given twice refuses the token, whatever the two say.
#[test]
fn a_repeated_member_is_refused() {
    let forge = Forge::new();
    let header = forge.header(Algorithm::EdDsa);
    for (name, value) in header.as_object().unwrap() {
        let text = header.to_string();
        let twice = format!(r#"{},"{name}":{value}}}"#, &text[..text.len() - 1]);
        assert_eq!(forge.refusal(&forge.with_header(&twice)), Reason::BadHeader, "{name}");
    }
    let payload = claims().to_json();
    let own: Value = serde_json::from_str(&payload).unwrap();
    let others = json!({ "filler": 1, "epoch": 0, "app_epoch": 0 });
    for (name, value) in own.as_object().unwrap().iter().chain(others.as_object().unwrap()) {
        let twice = format!(r#"{{"{name}":{value},{},"{name}":{value}}}"#, &payload[1..payload.len() - 1]);
        assert_eq!(forge.refusal(&forge.with_payload(&twice)), Reason::BadClaims, "{name}");
    }
    // An escape is another spelling of the same name.
    let escaped = format!(r#"{},"\u0065xp":9999999999}}"#, &payload[..payload.len() - 1]);
    assert_eq!(forge.refusal(&forge.with_payload(&escaped)), Reason::BadClaims);
}

prop_compose! {
    fn any_claims()(
        issuer in "https?://[a-z0-9.\"\\\\é/-]{0,40}", account in any::<[u8; 16]>(), app in "[a-z0-9][a-z0-9_-]{0,31}",
        times in prop::array::uniform3(0..=Timestamp::MAX.secs()), session in prop::array::uniform16(1u8..),
        seed: u64, method in 0usize..4, amr in 0u8..32, epoch: u32, app_epoch: u32,
    ) -> Claims {
        Claims {
            issuer, account: AccountId::from_bytes(account), app: AppId::parse(&app).unwrap(),
            expires: Timestamp::from_secs(times[0]), issued: Timestamp::from_secs(times[1]),
            token_id: TokenId::generate(Method::ALL[method], &Rng::seeded(seed)),
            session: SessionId::from_bytes(session), auth_time: Timestamp::from_secs(times[2]), amr: AuthMethods(amr),
            epoch: Epoch(epoch), app_epoch: Epoch(app_epoch),
        }
    }
}

proptest! {
    #[test]
    fn claims_read_back(claims in any_claims()) {
        prop_assert_eq!(Claims::from_json(claims.to_json().as_bytes()), Ok(claims));
    }

    #[test]
    fn any_text_is_refused_without_a_panic(
        text in ".{0,300}", header in ".{0,60}", payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let forge = Forge::new();
        prop_assert!(forge.check(&text).is_err());
        prop_assert!(Claims::from_json(&payload).is_err());
        let _ = inspect(&text);
        for whole in [forge.with_header(&header), forge.with_payload(&header)] {
            prop_assert!(forge.check(&whole).is_err());
            let _ = inspect(&whole);
        }
    }

    /// F040: whatever one character of a token is changed to, it is refused.
    #[test]
    fn a_changed_token_is_refused(at: prop::sample::Index, to in "[A-Za-z0-9_=+/. -]") {
        let forge = Forge::new();
        let good = forge.good(Algorithm::EdDsa);
        let at = at.index(good.len());
        let changed = format!("{}{to}{}", &good[..at], &good[at + 1..]);
        prop_assume!(changed != good);
        prop_assert!(forge.check(&changed).is_err());
    }
}
