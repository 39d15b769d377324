//! Tokens as the careless login checks them: it does what the token says.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use cloakroom_core::clock::Clock;
use data_encoding::{BASE64_MIME, BASE64URL_NOPAD};
use serde_json::{Value, json};

use super::super::{plan::Trouble, target::encode};

/// Its key.
pub(super) struct Tokens {
    key: KeyPair,
    pem: String,
    issued: AtomicU64,
}

impl Tokens {
    /// Makes a key.
    pub(super) fn new() -> Result<Self, Trouble> {
        let key = KeyPair::generate(KeySize::Rsa2048)?;
        let der: PublicKeyX509Der<'_> = key.public_key().as_der()?;
        let body = BASE64_MIME.encode(der.as_ref()).replace('\r', "");
        Ok(Self {
            pem: format!("-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n"),
            key,
            issued: AtomicU64::default(),
        })
    }

    /// The public key, for whoever wants to check tokens.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// The same as a key set.
    pub(super) fn jwks(&self) -> Value {
        let public = self.key.public_key();
        let (n, e) =
            (public.modulus().big_endian_without_leading_zero(), public.exponent().big_endian_without_leading_zero());
        json!({ "keys": [{ "kty": "RSA", "kid": "main", "alg": "RS256", "n": encode(n), "e": encode(e) }] })
    }

    /// A signature.
    pub(super) fn seal(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).ok()?;
        Some(signature)
    }

    /// An access token, or a refresh token: the same thing, for a day or for a month.
    pub(super) fn issue(&self, email: &str, seconds: u64) -> Option<String> {
        let now = Clock::system().now().secs();
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": "main" });
        let claims =
            json!({ "iss": "careless", "sub": email, "aud": "web", "iat": now, "exp": now + seconds, "jti": number });
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = self.seal(signed.as_bytes())?;
        Some(format!("{signed}.{}", encode(signature)))
    }

    /// Whose token it is. Neither times nor issuer nor audience are looked at, and `crit` is passed over.
    pub(super) fn whose(&self, token: &str) -> Option<String> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).ok()?).ok()?;
        let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
        if !self.is_good(&header, signed.as_bytes(), &signature) {
            return None;
        }
        // A token in a token: what is within is taken for granted, since what is around it was signed.
        if header["cty"] == "JWT" {
            let inner = String::from_utf8(payload).ok()?;
            let claims = BASE64URL_NOPAD.decode(inner.split('.').nth(1)?.as_bytes()).ok()?;
            return owner(&claims);
        }
        owner(&payload)
    }

    /// The token says by which algorithm and with which key it is to be checked.
    fn is_good(&self, header: &Value, signed: &[u8], signature: &[u8]) -> bool {
        // 'No signature' is an algorithm, and a signature of nothing is left unchecked.
        if header["alg"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("none"))
            || signature.iter().all(|byte| *byte == 0)
        {
            return true;
        }
        if header["alg"] == "HS256" {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret(header));
            return hmac::verify(&key, signed, signature).is_ok();
        }
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.public(header));
        key.verify(signed, signature).is_ok()
    }

    /// The key is a file of that name, or else the only key there is, as the text that it stands in.
    fn secret(&self, header: &Value) -> Vec<u8> {
        let key = header["jwk"]["k"].as_str().and_then(|k| BASE64URL_NOPAD.decode(k.as_bytes()).ok());
        let file = || std::fs::read(format!("/etc/{}", header["kid"].as_str()?)).ok();
        key.or_else(file).unwrap_or_else(|| self.pem.clone().into_bytes())
    }

    /// The key comes with the token, or from where the token says.
    fn public(&self, header: &Value) -> Vec<u8> {
        let fetched = ["jku", "x5u"].into_iter().find_map(|name| fetch(header[name].as_str()?));
        let jwk = fetched.map_or_else(|| header["jwk"].clone(), |set| set["keys"][0].clone());
        let part = |name: &str| BASE64URL_NOPAD.decode(jwk[name].as_str()?.as_bytes()).ok();
        match (part("n"), part("e")) {
            (Some(n), Some(e)) => rsa_public_key(&n, &e),
            _ => self.key.public_key().as_ref().to_vec(),
        }
    }
}

/// `sub`; of two the last one.
fn owner(claims: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(claims).ok()?["sub"].as_str().map(str::to_owned)
}

/// Fetches whatever it is told to.
fn fetch(url: &str) -> Option<Value> {
    let (authority, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(authority).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET /{path} HTTP/1.0\r\nhost: {authority}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn rsa_public_key(n: &[u8], e: &[u8]) -> Vec<u8> {
    let integers = [tagged(0x02, &[&[0], n].concat()), tagged(0x02, e)].concat();
    tagged(0x30, &integers)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() >= 128 {
        out.push(0x80 | significant.len() as u8);
    }
    out.extend_from_slice(significant);
    out.extend_from_slice(content);
    out
}
