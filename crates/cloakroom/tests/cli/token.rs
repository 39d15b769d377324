//! `token verify` and `token inspect`.

use std::time::{SystemTime, UNIX_EPOCH};

use cloakroom_core::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, Kid, SessionId},
    key::{SigningKey, jwks_document},
    method::Method,
    random::Rng,
    session::AuthMethods,
    token::{Algorithm, Claims, TokenId, sign},
};
use serde_json::Value;

use crate::bench::Bench;

/// A signing key, and files with its public part: in a set, by itself, and without its name.
struct Signer {
    kid: Kid,
    key: SigningKey,
    set: String,
    alone: String,
    nameless: String,
}

impl Signer {
    fn new(bench: &Bench, algorithm: Algorithm, name: &str) -> Self {
        let stored = SigningKey::generate(algorithm, &Rng::system()).unwrap();
        let key = SigningKey::from_stored(algorithm, &stored).unwrap();
        let kid = Kid::parse(name).unwrap();
        let set = jwks_document([(kid, &key.public().unwrap())]);
        let mut nameless = set["keys"][0].clone();
        nameless.as_object_mut().unwrap().remove("kid");
        let file = |form: &str, json: &Value| bench.file(&format!("{name}-{form}.json"), &json.to_string());
        let (alone, nameless) = (file("alone", &set["keys"][0]), file("nameless", &nameless));
        Self { kid, key, set: file("set", &set), alone, nameless }
    }

    /// A token that was issued so many seconds ago and ends so many seconds from now.
    fn token(&self, issued: i64, expires: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let at = |offset| Timestamp::from_secs(now.checked_add_signed(offset).unwrap());
        let rng = Rng::system();
        let claims = Claims {
            issuer: "https://id.example".into(),
            account: AccountId::generate(at(0), &rng),
            app: AppId::parse("api").unwrap(),
            expires: at(expires),
            issued: at(issued),
            token_id: TokenId::generate(Method::Jwt, &rng),
            session: SessionId::from_bytes([7; 16]),
            auth_time: at(issued),
            amr: AuthMethods::from_names(["pwd"]).unwrap(),
            epoch: Epoch(0),
            app_epoch: Epoch(0),
        };
        sign(&claims, self.kid, &self.key).unwrap().expose().to_owned()
    }
}

#[test]
fn a_good_token_is_verified_with_its_key_in_any_form() {
    let bench = Bench::new();
    for (algorithm, name) in [(Algorithm::EdDsa, "ed"), (Algorithm::Es256, "es"), (Algorithm::Rs256, "rs")] {
        let signer = Signer::new(&bench, algorithm, name);
        let token = signer.token(0, 300);
        for file in [&signer.set, &signer.alone, &signer.nameless] {
            let run = bench.run(&["token", "verify", "--jwk", file, &token]);
            assert_eq!(run.code, 0, "{}", run.err);
            let claims: Value = serde_json::from_str(&run.out).unwrap();
            assert_eq!((&claims["iss"], &claims["aud"]), (&"https://id.example".into(), &"api".into()));
            assert_eq!(bench.json(&["token", "verify", "--jwk", file, &token])["claims"], claims);
        }
        let piped = bench.json_with(&["token", "verify", "--jwk", &signer.set, "-"], &format!("{token}\n"));
        assert_eq!(piped["algorithm"], algorithm.name());
    }
    // Neither a server nor a store was asked.
    assert!(!bench.data().exists());
}

#[test]
fn a_token_is_refused_for_its_signature_its_key_and_its_times() {
    let bench = Bench::new();
    let (signer, stranger) =
        (Signer::new(&bench, Algorithm::EdDsa, "k1"), Signer::new(&bench, Algorithm::EdDsa, "k1x"));
    let refusal = |file: &str, token: &str| bench.refusal(&["token", "verify", "--jwk", file, token]);
    let good = signer.token(0, 300);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let tampered = format!("{signed}.{other}{}", &signature[1..]);
    assert_eq!(refusal(&signer.set, &tampered), (1, "bad_signature".into()));
    assert_eq!(refusal(&stranger.set, &good), (1, "unknown_key".into()));
    assert_eq!(refusal(&stranger.nameless, &good), (1, "bad_signature".into()));
    assert_eq!(refusal(&signer.set, &signer.token(-600, -10)), (1, "token_expired".into()));
    assert_eq!(refusal(&signer.set, &signer.token(120, 300)), (1, "from_the_future".into()));
    assert_eq!(refusal(&signer.set, "a.b"), (1, "malformed".into()));
    assert_eq!(refusal("nowhere.json", &good), (2, "usage".into()));
    assert_eq!(refusal(&bench.file("no.json", "[]"), &good), (2, "usage".into()));

    // The leeways: an expired token for 5 s, one from the future by up to 60 s.
    for token in [signer.token(-300, -3), signer.token(50, 300)] {
        bench.json(&["token", "verify", "--jwk", &signer.set, &token]);
    }
    // And the signature alone has no time.
    bench.json(&["token", "verify", "--signature-only", "--jwk", &signer.set, &signer.token(-600, -10)]);
}

/// RFC 8037 appendix A: anybody's key and anybody's payload.
#[test]
fn the_signature_of_a_strangers_jws_is_checked() {
    let bench = Bench::new();
    let key =
        r#"{"kty":"OKP","crv":"Ed25519","kid":"a name of any form","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = bench.file("rfc8037.json", key);
    let jws = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let checked = bench.json(&["token", "verify", "--signature-only", "--jwk", &key, jws]);
    assert_eq!(
        (&checked["checked"], &checked["payload"]),
        (&"signature".into(), &"RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".into())
    );
    assert_eq!(bench.refusal(&["token", "verify", "--jwk", &key, jws]), (1, "bad_header".into()));
    let none = "eyJhbGciOiJub25lIn0.e30.";
    assert_eq!(bench.refusal(&["token", "verify", "--signature-only", "--jwk", &key, none]), (1, "bad_header".into()));
}

#[test]
fn an_inspected_token_is_said_to_be_unchecked() {
    let bench = Bench::new();
    let signer = Signer::new(&bench, Algorithm::EdDsa, "k1");
    let token = signer.token(-600, -10);
    let run = bench.run(&["token", "inspect", &token]);
    assert_eq!(run.code, 0);
    assert!(run.err.contains("NOTHING WAS CHECKED"));
    assert_eq!(serde_json::from_str::<Value>(&run.out).unwrap()["aud"], "api");
    let json = bench.json(&["token", "inspect", &token]);
    assert_eq!((&json["checked"], &json["kid"]), (&false.into(), &"k1".into()));
    assert_eq!(bench.refusal(&["token", "inspect", "garbage"]), (1, "malformed".into()));
}
