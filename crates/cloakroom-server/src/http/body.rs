//! Bodies of requests: JSON and forms, small, whole and in the one type that the endpoint takes.
//!
//! The bound holds before anything is read where the length is announced, and while reading where it is not; a body
//! that takes too long is refused. The media type is compared exactly, so that no form of another site passes as JSON
//! (F019, F133). Refusals name no byte of what was sent.

use std::{fmt, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use cloakroom_core::refusal::{Reason, Refusal};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body_util::BodyExt;
use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;

use super::{json, problem::Problem};

/// The most bytes of a body that holds credentials.
pub const MAX_BODY: usize = 8 * 1024;
/// How long the whole body may take.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The most fields of a form.
pub const MAX_FIELDS: usize = 64;

/// A JSON body (RFC 8259), read strictly.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

/// A JSON body, or none at all.
#[derive(Clone, Copy, Debug)]
pub struct MaybeJson<T>(pub Option<T>);

/// An `application/x-www-form-urlencoded` body; no field stands in it twice.
pub struct Form(Vec<(String, String)>);

impl Form {
    /// A field, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A field that must be there.
    pub fn require(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::from(Reason::BadRequest).because("a field of the form is missing"))
    }
}

/// Says how many fields there are, never what they hold.
impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Form({})", self.0.len())
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let MaybeJson(body) = MaybeJson::from_request(request, state).await?;
        Ok(Self(body.ok_or(bad("a JSON body is needed"))?))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let typed = parts.headers.contains_key(CONTENT_TYPE);
        if typed && !is_type(&parts.headers, b"application/json") {
            return Err(bad(NO_JSON).into());
        }
        let body = read(&parts.headers, body, MAX_BODY, BODY_TIMEOUT).await?;
        match (body.is_empty(), typed) {
            (true, _) => Ok(Self(None)),
            (false, false) => Err(bad(NO_JSON).into()),
            (false, true) => Ok(Self(Some(json::parse(&body).map_err(|fault| bad(fault.detail()))?))),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_type(&parts.headers, b"application/x-www-form-urlencoded") {
            return Err(bad("the body must be application/x-www-form-urlencoded").into());
        }
        let body = read(&parts.headers, body, MAX_BODY, BODY_TIMEOUT).await?;
        Ok(form(&body).map(Self).ok_or(bad("the body is no form whose fields all have different names"))?)
    }
}

/// Reads a body to its end. Refuses with [`Reason::TooLarge`] beyond `limit` bytes (at once, where the length is
/// announced) and with [`Reason::BadRequest`] what is compressed, broken off or not complete after `timeout`.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize, timeout: Duration) -> Result<Bytes, Refusal> {
    if headers.get(CONTENT_ENCODING).is_some_and(|e| e != "identity") {
        return Err(bad("the body must not be compressed"));
    }
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    tokio::time::timeout(timeout, collect(body, limit)).await.unwrap_or(Err(bad("the body took too long")))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut rest = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| bad("the body broke off"))?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(too_large());
        }
        // Most bodies come in one piece and are not copied.
        match (first.is_empty(), rest.is_empty()) {
            (true, true) => first = data,
            (false, true) => rest = [&first[..], &data[..]].concat(),
            _ => rest.extend_from_slice(&data),
        }
        if !rest.is_empty() {
            first = Bytes::new();
        }
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}

/// The fields of a form body, or nothing where it is malformed: a bad escape, bytes that are no UTF-8, a name that
/// stands twice, too many fields.
pub fn form(body: &[u8]) -> Option<Vec<(String, String)>> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        let equals = pair.iter().position(|b| *b == b'=');
        let (name, value) = equals.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
        let (name, value) = (decode(name)?, decode(value)?);
        if fields.len() == MAX_FIELDS || fields.iter().any(|(n, _)| *n == name) {
            return None;
        }
        fields.push((name, value));
    }
    Some(fields)
}

fn decode(text: &[u8]) -> Option<String> {
    let mut escapes = text.iter().enumerate().filter(|(_, b)| **b == b'%').map(|(at, _)| text.get(at + 1..at + 3));
    if !escapes.all(|hex| hex.is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit))) {
        return None;
    }
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    String::from_utf8(percent_decode(&spaced).collect()).ok()
}

/// Whether there is one `Content-Type`, of this type, and UTF-8 if it says anything of that.
fn is_type(headers: &HeaderMap, wanted: &[u8]) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let mut parts = value.as_bytes().split(|b| *b == b';').map(<[u8]>::trim_ascii);
    let essence = parts.next().is_some_and(|e| e.eq_ignore_ascii_case(wanted));
    essence && parts.all(|p| [&b"charset=utf-8"[..], b"charset=\"utf-8\""].iter().any(|c| p.eq_ignore_ascii_case(c)))
}

const NO_JSON: &str = "the body must be application/json";

fn bad(detail: &'static str) -> Refusal {
    Refusal::from(Reason::BadRequest).because(detail)
}

fn too_large() -> Refusal {
    Refusal::from(Reason::TooLarge).because("the body is larger than 8 KiB")
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http::StatusCode;
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    struct Login {
        email: String,
    }

    fn request(content_type: Option<&str>, body: impl Into<Body>) -> Request {
        let mut request = Request::post("/");
        if let Some(t) = content_type {
            request = request.header(CONTENT_TYPE, t);
        }
        request.body(body.into()).unwrap()
    }

    async fn login(request: Request) -> Result<String, (StatusCode, Option<&'static str>)> {
        let read = Json::<Login>::from_request(request, &()).await;
        read.map(|Json(login)| login.email).map_err(|p| (p.status(), p.refusal().detail))
    }

    const GOOD: &str = "{\"email\":\"a@b.example\"}";

    /// F019: a form of another site can declare three types, and none of them is taken.
    #[tokio::test]
    async fn json_is_taken_as_application_json_only() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json; charset=\"UTF-8\"",
        ] {
            assert_eq!(login(request(Some(good), GOOD)).await, Ok("a@b.example".into()), "{good}");
        }
        for bad in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/json; charset=utf-16",
            "application/json, text/plain",
            "application/json; x=application/json",
            "text/plain; application/json",
            "application/vnd.api+json",
            "",
        ] {
            assert_eq!(login(request(Some(bad), GOOD)).await.unwrap_err().0, 400, "{bad}");
        }
        assert_eq!(login(request(None, GOOD)).await.unwrap_err().0, 400);
        let mut twice = request(Some("application/json"), GOOD);
        twice.headers_mut().append(CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
        assert_eq!(login(twice).await.unwrap_err().0, 400);
    }

    /// F133: a body beyond 8 KiB is refused, announced or not; one of just 8 KiB is read.
    #[tokio::test]
    async fn a_large_body_gets_413() {
        let sized = |n: usize| format!("{{\"email\":\"a@b.example\"{}}}", " ".repeat(n - 23));
        assert_eq!(sized(MAX_BODY).len(), MAX_BODY);
        assert!(login(request(Some("application/json"), sized(MAX_BODY))).await.is_ok());
        assert_eq!(login(request(Some("application/json"), sized(MAX_BODY + 1))).await.unwrap_err().0, 413);

        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let mut announced = request(Some("application/json"), never);
        announced.headers_mut().insert(CONTENT_LENGTH, 8193.into());
        assert_eq!(login(announced).await.unwrap_err().0, 413, "refused before a byte is read");

        let endless =
            Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1000]))));
        assert_eq!(login(request(Some("application/json"), endless)).await.unwrap_err().0, 413);
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together() {
        let pieces = GOOD.as_bytes().chunks(5).map(|c| Ok::<_, std::io::Error>(Bytes::copy_from_slice(c)));
        let body = Body::from_stream(stream::iter(pieces.collect::<Vec<_>>()));
        assert_eq!(login(request(Some("application/json"), body)).await, Ok("a@b.example".into()));
    }

    #[tokio::test]
    async fn a_body_that_stalls_or_breaks_off_is_refused() {
        let stalled = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refusal = read(&HeaderMap::new(), stalled, 10, Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(refusal.detail, Some("the body took too long"));
        let broken = Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]));
        let refusal = read(&HeaderMap::new(), broken, 10, BODY_TIMEOUT).await.unwrap_err();
        assert_eq!((refusal.reason, refusal.detail), (Reason::BadRequest, Some("the body broke off")));
    }

    #[tokio::test]
    async fn a_compressed_body_is_refused() {
        let mut zipped = request(Some("application/json"), GOOD);
        zipped.headers_mut().insert(CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        assert_eq!(login(zipped).await.unwrap_err().0, 400);
    }

    #[tokio::test]
    async fn no_body_is_none_and_an_empty_one_no_login() {
        let MaybeJson(none) = MaybeJson::<Login>::from_request(request(None, Body::empty()), &()).await.unwrap();
        assert!(none.is_none());
        let typed = request(Some("application/json"), Body::empty());
        assert!(MaybeJson::<Login>::from_request(typed, &()).await.unwrap().0.is_none());
        let text = request(Some("text/plain"), Body::empty());
        assert!(MaybeJson::<Login>::from_request(text, &()).await.is_err());
        assert_eq!(
            login(request(None, Body::empty())).await.unwrap_err(),
            (StatusCode::BAD_REQUEST, Some("a JSON body is needed"))
        );
    }

    #[tokio::test]
    async fn a_form_is_read_strictly() {
        let read =
            |body: &'static str| Form::from_request(request(Some("application/x-www-form-urlencoded"), body), &());
        let fields = read("email=a%40b.example&password=a+%2B+b&empty=&bare").await.unwrap();
        assert_eq!(fields.get("email"), Some("a@b.example"));
        assert_eq!(fields.require("password").unwrap(), "a + b");
        assert_eq!((fields.get("empty"), fields.get("bare"), fields.get("none")), (Some(""), Some(""), None));
        assert_eq!(fields.require("none").unwrap_err().reason, Reason::BadRequest);
        assert_eq!(format!("{fields:?}"), "Form(4)");
        for bad in ["a=1&a=2", "a=1&%61=2", "a=%", "a=%4", "a=%zz", "a=%ff", "%c0%af=1"] {
            assert!(read(bad).await.is_err(), "{bad}");
        }
        assert!(Form::from_request(request(Some("text/plain"), "a=1"), &()).await.is_err());
        let many: Vec<_> = (0..=MAX_FIELDS).map(|i| format!("a{i}=")).collect();
        assert_eq!(form(many.join("&").as_bytes()), None);
        assert!(form(many[1..].join("&").as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn reading_a_form_never_panics_and_undoes_what_a_browser_does(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            name in "\\PC{1,8}",
            value in "\\PC{0,20}",
        ) {
            let _ = form(&bytes);
            let sent = form_urlencoded::Serializer::new(String::new()).append_pair(&name, &value).finish();
            prop_assert_eq!(form(sent.as_bytes()), Some(vec![(name, value)]));
        }
    }
}
