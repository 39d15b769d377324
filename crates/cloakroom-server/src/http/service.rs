//! How a service shows who it is: HTTP Basic (RFC 7617), read as strictly as an account's credential.

use cloakroom_core::{
    refusal::{Reason, Refusal},
    secret::SecretText,
};
use cloakroom_verify::credential::{MAX_TOKEN, after_scheme, authorization, refuse_credential_in_query};
use data_encoding::BASE64;
use http::HeaderMap;

/// Id and secret of a service.
#[derive(Debug)]
pub struct ServiceCredential {
    /// The service's id.
    pub id: String,
    /// Its secret.
    pub secret: SecretText,
}

impl ServiceCredential {
    /// Reads the `Authorization` header of a service. Refuses as
    /// [`Presented::read`](cloakroom_verify::credential::Presented::read) does.
    pub fn read(headers: &HeaderMap, query: Option<&str>) -> Result<Self, Refusal> {
        refuse_credential_in_query(query)?;
        let value = authorization(headers)?.ok_or(Reason::NoCredential)?;
        Ok(basic(value)?)
    }
}

/// Id and secret of an `Authorization` header: `Basic`, in any case, and base64 of UTF-8 (RFC 7617 section 2).
pub fn basic(header: &[u8]) -> Result<ServiceCredential, Reason> {
    let text = after_scheme(header, b"Basic")?;
    if text.len() > MAX_TOKEN {
        return Err(Reason::Malformed);
    }
    let bytes = BASE64.decode(text).map_err(|_| Reason::Malformed)?;
    let text = SecretText::new(String::from_utf8(bytes).map_err(|_| Reason::Malformed)?);
    match text.expose().split_once(':') {
        Some((id, secret)) if !id.is_empty() && !text.expose().contains(char::is_control) => {
            Ok(ServiceCredential { id: id.to_owned(), secret: SecretText::new(secret.to_owned()) })
        }
        _ => Err(Reason::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::AUTHORIZATION};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_service_shows_itself_by_basic() {
        let read = |value: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
            ServiceCredential::read(&headers, None).map_err(|r| r.reason)
        };
        let service = read("basic c3ZjOnNlYzpyZXQ=").unwrap();
        assert_eq!((service.id.as_str(), service.secret.expose()), ("svc", "sec:ret"));
        assert!(!format!("{service:?}").contains("sec:ret"));
        for (value, reason) in [
            ("Bearer c3ZjOnNlYw==", Reason::WrongKind),
            ("Basic c3ZjOnNlYw", Reason::Malformed),
            ("Basic c3Zj", Reason::Malformed),
            ("Basic OnNlYw==", Reason::Malformed),
            ("Basic", Reason::Malformed),
            ("Basic /zo6", Reason::Malformed),
        ] {
            assert_eq!(read(value).unwrap_err(), reason, "{value}");
        }
        let none = ServiceCredential::read(&HeaderMap::new(), None);
        assert_eq!(none.unwrap_err().reason, Reason::NoCredential);
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = basic(&bytes);
        }
    }
}
