//! What an access token says (RFC 9068 section 2.2), and nothing of the wrong type.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

use crate::{
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, SessionId},
    method::Method,
    random::Rng,
    refusal::Reason,
    session::AuthMethods,
};

/// The claims of an access token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// Who issued it (`iss`).
    pub issuer: String,
    /// Whose it is (`sub`).
    pub account: AccountId,
    /// For which app (`aud` and `client_id`, the same).
    pub app: AppId,
    /// When it ends (`exp`).
    pub expires: Timestamp,
    /// When it was issued (`iat`).
    pub issued: Timestamp,
    /// Its name, unique within its session (`jti`): 8 characters, of which the first tells the method.
    pub token_id: TokenId,
    /// Of which session (`sid`).
    pub session: SessionId,
    /// When the person signed in (`auth_time`).
    pub auth_time: Timestamp,
    /// By which means (`amr`).
    pub amr: AuthMethods,
    /// The account's epoch (`epoch`, when not 0).
    pub epoch: Epoch,
    /// The app's epoch (`app_epoch`, when not 0).
    pub app_epoch: Epoch,
}

/// A `jti`: the method's letter, then 7 random characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenId([u8; 8]);

impl TokenId {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// A fresh one: 42 random bits, enough to be unique within a session.
    pub fn generate(method: Method, rng: &Rng) -> Self {
        let mut id = rng.bytes::<8>().map(|b| Self::LETTERS[usize::from(b % 64)]);
        id[0] = b'0' + method.properties().code;
        Self(id)
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let id = <[u8; 8]>::try_from(text.as_bytes()).ok()?;
        let known = Method::from_code(id[0].wrapping_sub(b'0')).is_some();
        (known && id.iter().all(|b| Self::LETTERS.contains(b))).then_some(Self(id))
    }

    /// The method of the session that it belongs to.
    pub fn method(&self) -> Method {
        Method::from_code(self.0[0].wrapping_sub(b'0')).unwrap_or(Method::Jwt)
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Claims {
    /// Compact JSON, in a fixed order.
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(320);
        let app = self.app.as_str();
        // All but the issuer are of alphabets that need no escape.
        let issuer = serde_json::Value::from(self.issuer.as_str());
        let written = write!(
            json,
            r#"{{"iss":{issuer},"sub":"{}","aud":"{app}","exp":{},"iat":{},"jti":"{}","client_id":"{app}","sid":"{}","auth_time":{},"amr":["#,
            self.account,
            self.expires.secs(),
            self.issued.secs(),
            self.token_id.as_str(),
            self.session,
            self.auth_time.secs(),
        );
        debug_assert!(written.is_ok(), "a string takes what is written");
        for (i, name) in self.amr.names().enumerate() {
            json.push_str(if i == 0 { "\"" } else { ",\"" });
            json.push_str(name);
            json.push('"');
        }
        json.push(']');
        for (name, epoch) in [("epoch", self.epoch), ("app_epoch", self.app_epoch)] {
            if epoch != Epoch(0) {
                let written = write!(json, r#","{name}":{}"#, epoch.0);
                debug_assert!(written.is_ok(), "a string takes what is written");
            }
        }
        json.push('}');
        json
    }

    /// Reads claims. A claim of the wrong type is an error, never an absent claim (F031); a repeated member refuses the
    /// whole (F040).
    pub fn from_json(json: &[u8]) -> Result<Self, Reason> {
        serde_json::from_slice(json).map_err(|_| Reason::BadClaims)
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

/// A text that is borrowed from the JSON unless it has escapes.
#[derive(PartialEq, Eq)]
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        from.deserialize_str(TextVisitor)
    }
}

/// The names of `amr`, all of them known.
struct Means(AuthMethods);

impl<'de> Deserialize<'de> for Means {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct MeansVisitor;

        impl<'de> Visitor<'de> for MeansVisitor {
            type Value = Means;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names of authentication methods")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Means, A::Error> {
                let mut all = AuthMethods::default();
                while let Some(name) = names.next_element::<Text<'de>>()? {
                    let known = AuthMethods::from_names([&*name.0]);
                    all.0 |= known.ok_or_else(|| de::Error::custom("an unknown authentication method"))?.0;
                }
                Ok(Means(all))
            }
        }

        from.deserialize_seq(MeansVisitor)
    }
}

/// At most this many members that are not known here: ours have none, a later release may have a few.
const MAX_OTHERS: usize = 20;

/// A member that may be there once.
fn once<T, E: de::Error>(place: &mut Option<T>, value: T) -> Result<(), E> {
    if place.replace(value).is_some() { Err(repeated()) } else { Ok(()) }
}

fn repeated<E: de::Error>() -> E {
    E::custom("a repeated member, or too many")
}

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims of an access token")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let (mut issuer, mut account, mut audience, mut expires, mut issued, mut token_id) =
            (None, None, None, None, None, None);
        let (mut client, mut session, mut auth_time, mut amr) = (None, None, None, None);
        let (mut epoch, mut app_epoch) = (None, None);
        let mut others: Vec<Text<'de>> = Vec::new();
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match &*name.0 {
                "iss" => once(&mut issuer, map.next_value::<String>()?)?,
                "sub" => once(&mut account, map.next_value::<Text<'de>>()?)?,
                "aud" => once(&mut audience, map.next_value::<Text<'de>>()?)?,
                "exp" => once(&mut expires, map.next_value::<u64>()?)?,
                "iat" => once(&mut issued, map.next_value::<u64>()?)?,
                "jti" => once(&mut token_id, map.next_value::<Text<'de>>()?)?,
                "client_id" => once(&mut client, map.next_value::<Text<'de>>()?)?,
                "sid" => once(&mut session, map.next_value::<Text<'de>>()?)?,
                "auth_time" => once(&mut auth_time, map.next_value::<u64>()?)?,
                "amr" => once(&mut amr, map.next_value::<Means>()?)?,
                "epoch" => once(&mut epoch, map.next_value::<u32>()?)?,
                "app_epoch" => once(&mut app_epoch, map.next_value::<u32>()?)?,
                _ => {
                    map.next_value::<de::IgnoredAny>()?;
                    if others.len() >= MAX_OTHERS || others.contains(&name) {
                        return Err(repeated());
                    }
                    others.push(name);
                }
            }
        }
        let missing = || de::Error::custom("a claim is missing or malformed");
        let moment = |secs: Option<u64>| match secs {
            Some(secs) if secs <= Timestamp::MAX.secs() => Ok(Timestamp::from_secs(secs)),
            _ => Err(missing()),
        };
        // RFC 9068 section 2.2: the audience is the resource; here the app is both resource and client.
        if audience.is_none() || audience != client {
            return Err(missing());
        }
        Ok(Claims {
            issuer: issuer.ok_or_else(missing)?,
            account: account.as_ref().and_then(|text| AccountId::parse(&text.0)).ok_or_else(missing)?,
            app: client.as_ref().and_then(|text| AppId::parse(&text.0)).ok_or_else(missing)?,
            expires: moment(expires)?,
            issued: moment(issued)?,
            token_id: token_id.as_ref().and_then(|text| TokenId::parse(&text.0)).ok_or_else(missing)?,
            session: session.as_ref().and_then(|text| SessionId::parse(&text.0)).ok_or_else(missing)?,
            auth_time: moment(auth_time)?,
            amr: amr.ok_or_else(missing)?.0,
            epoch: Epoch(epoch.unwrap_or_default()),
            app_epoch: Epoch(app_epoch.unwrap_or_default()),
        })
    }
}
