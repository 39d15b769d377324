//! The one place where a refusal becomes an answer: problem details (RFC 9457), the same from the server and from an app.
//!
//! The client is told the code and, where there is one, a fixed sentence; the finer reason goes to the log and to the
//! counter `cloakroom_refusals_total`. Nothing that a client sent ever stands in an answer made here (F135), and no such
//! answer may be kept by a cache (F130, F131).

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use cloakroom_core::refusal::{Code, Reason, Refusal};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE},
};
use serde::Serialize;

/// A refusal on its way to the client.
#[derive(Clone, Debug)]
pub struct Problem {
    refusal: Refusal,
    challenge: Challenge,
    allow: Option<&'static str>,
}

/// How a 401 asks for a credential.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Challenge {
    /// `Bearer` (RFC 6750 section 3): accounts.
    Bearer,
    /// `Basic` (RFC 7617): services.
    Basic,
}

impl Problem {
    /// The refusal behind it.
    pub const fn refusal(&self) -> &Refusal {
        &self.refusal
    }

    /// With another challenge on a 401.
    #[must_use]
    pub const fn challenging(mut self, challenge: Challenge) -> Self {
        self.challenge = challenge;
        self
    }

    /// A 405 and the methods that there are (RFC 9110 section 15.5.6), as `Allow` lists them.
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::from(Reason::MethodNotAllowed) }
    }

    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        status(self.refusal.code())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, challenge: Challenge::Bearer, allow: None }
    }
}

impl From<Reason> for Problem {
    fn from(reason: Reason) -> Self {
        Refusal::from(reason).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        record(&self.refusal);
        let status = self.status();
        let mut response = Response::new(Body::from(body(&self.refusal, status)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static(VARY_BY_CREDENTIAL));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, challenge(self.challenge, &self.refusal));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        set_retry_after(headers, status, self.refusal.retry_after);
        // What is a page for people says the same in its own way.
        response.extensions_mut().insert(self.refusal);
        response
    }
}

/// Counts a refusal and writes it to the log. Whoever answers a refusal in another form than a [`Problem`] (a page, a
/// redirect) calls this, so that no refusal is lost (F129).
pub fn record(refusal: &Refusal) {
    let (code, reason) = (refusal.code().as_str(), refusal.reason.as_str());
    metrics::counter!("cloakroom_refusals_total", "code" => code, "reason" => reason).increment(1);
    let detail = refusal.detail.unwrap_or_default();
    match refusal.code() {
        Code::Internal => tracing::error!(code, reason, detail, "refused"),
        Code::StoreUnavailable | Code::Overloaded | Code::TokenReused => {
            tracing::warn!(code, reason, detail, "refused");
        }
        // Whoever is not signed in asks without a credential all day.
        Code::CredentialMissing | Code::NotFound | Code::MethodNotAllowed => {
            tracing::debug!(code, reason, detail, "refused");
        }
        _ => tracing::info!(code, reason, detail, "refused"),
    }
}

/// The status that goes with a code.
pub const fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidCredentials
        | Code::CredentialMissing
        | Code::CredentialInvalid
        | Code::SessionExpired
        | Code::SessionRevoked
        | Code::TokenExpired
        | Code::TokenReused
        | Code::WrongApp
        | Code::MfaRequired
        | Code::ReauthenticationRequired => StatusCode::UNAUTHORIZED,
        Code::CrossSiteRequest | Code::NotAdmitted => StatusCode::FORBIDDEN,
        Code::InvalidRequest | Code::UnknownApp => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::EmailTaken => StatusCode::CONFLICT,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Overloaded | Code::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What answers that depend on a credential vary by.
pub const VARY_BY_CREDENTIAL: &str = "Cookie, Authorization";

#[derive(Serialize)]
struct ProblemBody {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    /// RFC 9470: how many seconds ago the sign-in may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<u64>,
}

/// Writing a plain struct of text into memory cannot fail; if it did, an empty body would still carry the right status.
fn body(refusal: &Refusal, status: StatusCode) -> Vec<u8> {
    let code = refusal.code();
    let body = ProblemBody {
        r#type: format!("urn:cloakroom:problem:{}", code.as_str()),
        title: title(code),
        status: status.as_u16(),
        code: code.as_str(),
        detail: refusal.detail,
        max_age: refusal.max_age.map(|age| age.as_secs()),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// A sentence for a code. It says no more than the code does: which of two things was wrong stays with the operator (F077).
pub const fn title(code: Code) -> &'static str {
    match code {
        Code::InvalidCredentials => "The e-mail address and the password do not belong together.",
        Code::CredentialMissing => "A credential is needed.",
        Code::CredentialInvalid => "The credential is not valid.",
        Code::SessionExpired => "The session has expired.",
        Code::SessionRevoked => "The session was ended.",
        Code::TokenExpired => "The access token has expired.",
        Code::TokenReused => "The refresh token had been replaced; the session was ended.",
        Code::WrongApp => "The credential belongs to another app.",
        Code::MfaRequired => "Another factor is needed.",
        Code::ReauthenticationRequired => "The sign-in is too long ago; sign in again.",
        Code::CrossSiteRequest => "The request does not come from a page of the app.",
        Code::NotAdmitted => "The app does not admit this account.",
        Code::InvalidRequest => "The request is not as it must be.",
        Code::UnknownApp => "There is no such app.",
        Code::NotFound => "There is nothing here.",
        Code::MethodNotAllowed => "This cannot be done here.",
        Code::EmailTaken => "The e-mail address has an account.",
        Code::TooLarge => "The request is too large.",
        Code::RateLimited => "There were too many tries.",
        Code::Overloaded => "The server has too much to do.",
        Code::StoreUnavailable => "The store cannot be reached.",
        Code::Internal => "Something is broken on this side.",
    }
}

/// RFC 6750 section 3.1: who sent no credential is not told of an error. RFC 9470 section 3 has the error for a missing
/// factor and for a sign-in that is too long ago.
fn challenge(challenge: Challenge, refusal: &Refusal) -> HeaderValue {
    HeaderValue::from_static(match (challenge, refusal.code()) {
        (Challenge::Basic, _) => "Basic realm=\"cloakroom\", charset=\"UTF-8\"",
        (Challenge::Bearer, Code::InvalidCredentials | Code::CredentialMissing) => "Bearer",
        (Challenge::Bearer, Code::ReauthenticationRequired) if refusal.max_age.is_some() => {
            let age = refusal.max_age.unwrap_or_default().as_secs();
            let text = format!("Bearer error=\"insufficient_user_authentication\", max_age=\"{age}\"");
            return HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"));
        }
        (Challenge::Bearer, Code::MfaRequired | Code::ReauthenticationRequired) => {
            "Bearer error=\"insufficient_user_authentication\""
        }
        (Challenge::Bearer, _) => "Bearer error=\"invalid_token\"",
    })
}

/// Whole seconds, rounded up and never 0; where trying again is all there is to do, always.
fn set_retry_after(headers: &mut HeaderMap, status: StatusCode, wait: Option<Duration>) {
    let wanted = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if wanted || wait.is_some() {
        let wait = wait.unwrap_or_default();
        let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
        headers.insert(RETRY_AFTER, seconds.into());
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::*;

    async fn answer(problem: Problem) -> (http::response::Parts, Value) {
        let (parts, body) = problem.into_response().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts, serde_json::from_slice(&body).unwrap())
    }

    fn header<'a>(parts: &'a http::response::Parts, name: &str) -> Option<&'a str> {
        parts.headers.get(name).map(|v| v.to_str().unwrap())
    }

    /// F129, F130, F131: each reason has one answer, which no cache keeps.
    #[tokio::test]
    async fn every_reason_becomes_a_problem_with_its_code_and_without_its_reason() {
        for &reason in Reason::ALL {
            let (parts, body) = answer(reason.into()).await;
            let code = reason.code();
            assert_eq!(parts.status, status(code));
            assert_eq!(body["code"], code.as_str());
            assert_eq!(body["status"], parts.status.as_u16());
            assert_eq!(body["type"], format!("urn:cloakroom:problem:{}", code.as_str()));
            assert!(body["title"].as_str().is_some_and(|t| t.ends_with('.')));
            assert!(body.get("detail").is_none());
            if reason.as_str() != code.as_str() {
                let text = body.to_string();
                assert!(!text.contains(&format!("\"{}\"", reason.as_str())), "{text}");
            }
            assert_eq!(header(&parts, "content-type"), Some("application/problem+json"));
            assert_eq!(header(&parts, "cache-control"), Some("no-store"));
            assert_eq!(header(&parts, "vary"), Some("Cookie, Authorization"));
            assert_eq!(header(&parts, "www-authenticate").is_some(), parts.status == 401);
            let again = matches!(parts.status.as_u16(), 429 | 503);
            assert_eq!(header(&parts, "retry-after").is_some(), again, "{reason:?}");
        }
    }

    #[tokio::test]
    async fn statuses_are_those_of_the_contract() {
        for (code, expected) in [
            (Reason::WrongPassword, 401),
            (Reason::NoCredential, 401),
            (Reason::GenerationReused, 401),
            (Reason::WrongApp, 401),
            (Reason::CrossSite, 403),
            (Reason::NotOnList, 403),
            (Reason::BadRequest, 400),
            (Reason::UnknownApp, 400),
            (Reason::NotFound, 404),
            (Reason::MethodNotAllowed, 405),
            (Reason::EmailTaken, 409),
            (Reason::TooLarge, 413),
            (Reason::AccountLimited, 429),
            (Reason::HashQueueFull, 503),
            (Reason::StoreDown, 503),
            (Reason::Fault, 500),
        ] {
            assert_eq!(Problem::from(code).status(), expected, "{code:?}");
        }
    }

    /// F077: an unknown address and a wrong password cannot be told apart.
    #[tokio::test]
    async fn refused_logins_look_the_same_whatever_was_wrong() {
        let (first, body) = answer(Reason::UnknownEmail.into()).await;
        for reason in [Reason::WrongPassword, Reason::UnusablePassword, Reason::AccountDisabled] {
            let (parts, other) = answer(reason.into()).await;
            assert_eq!(other, body);
            assert_eq!(parts.headers, first.headers);
        }
        assert_eq!(header(&first, "www-authenticate"), Some("Bearer"));
    }

    #[tokio::test]
    async fn a_bad_token_is_named_in_the_challenge_and_a_missing_one_is_not() {
        for (reason, expected) in [
            (Reason::NoCredential, "Bearer"),
            (Reason::BadMac, "Bearer error=\"invalid_token\""),
            (Reason::TokenExpired, "Bearer error=\"invalid_token\""),
            (Reason::SessionEnded, "Bearer error=\"invalid_token\""),
        ] {
            let (parts, _) = answer(reason.into()).await;
            assert_eq!(header(&parts, "www-authenticate"), Some(expected));
        }
        let (parts, _) = answer(Problem::from(Reason::NoCredential).challenging(Challenge::Basic)).await;
        assert_eq!(header(&parts, "www-authenticate"), Some("Basic realm=\"cloakroom\", charset=\"UTF-8\""));
    }

    #[tokio::test]
    async fn retry_after_is_whole_seconds_rounded_up_and_at_least_one() {
        for (millis, expected) in
            [(None, "1"), (Some(0), "1"), (Some(400), "1"), (Some(1001), "2"), (Some(30_000), "30")]
        {
            let mut refusal = Refusal::from(Reason::AccountLimited);
            refusal.retry_after = millis.map(Duration::from_millis);
            let (parts, _) = answer(refusal.into()).await;
            assert_eq!(header(&parts, "retry-after"), Some(expected));
        }
    }

    #[tokio::test]
    async fn details_and_allowed_methods_reach_the_client() {
        let (_, body) = answer(Refusal::from(Reason::BadRequest).because("the body is not JSON").into()).await;
        assert_eq!(body["detail"], "the body is not JSON");
        let (parts, _) = answer(Problem::method_not_allowed("GET, HEAD")).await;
        assert_eq!((parts.status.as_u16(), header(&parts, "allow")), (405, Some("GET, HEAD")));
    }
}
