//! Refusals in the words of OAuth (RFC 6749 section 5.2), for the endpoints that services call (RFC 7009, RFC 7662).

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use cloakroom_core::refusal::{Code, Refusal};
use cloakroom_verify::problem::{Challenge, Problem, status, title};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, WWW_AUTHENTICATE},
};
use serde::Serialize;

/// A refusal whose answer is `{error, error_description}` and whose 401 asks for `Basic`. In all else it is a
/// [`Problem`].
#[derive(Clone, Debug)]
pub struct OAuthProblem(Problem);

impl<P: Into<Problem>> From<P> for OAuthProblem {
    fn from(problem: P) -> Self {
        Self(problem.into().challenging(Challenge::Basic))
    }
}

#[derive(Serialize)]
struct OAuthBody {
    error: &'static str,
    error_description: &'static str,
}

impl IntoResponse for OAuthProblem {
    fn into_response(self) -> Response {
        let body = oauth_body(self.0.refusal());
        // RFC 6749 section 5.2: 400 unless the client itself could not be authenticated.
        let (status, _) = oauth_error(self.0.refusal().code());
        let mut response = self.0.into_response();
        *response.status_mut() = status;
        *response.body_mut() = Body::from(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status != StatusCode::UNAUTHORIZED {
            headers.remove(WWW_AUTHENTICATE);
        }
        response
    }
}

/// Writing a plain struct of text into memory cannot fail; if it did, an empty body would still carry the right status.
fn oauth_body(refusal: &Refusal) -> Vec<u8> {
    let code = refusal.code();
    let body = OAuthBody { error: oauth_error(code).1, error_description: refusal.detail.unwrap_or(title(code)) };
    serde_json::to_vec(&body).unwrap_or_default()
}

const fn oauth_error(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::InvalidCredentials | Code::CredentialMissing | Code::CredentialInvalid => {
            (StatusCode::UNAUTHORIZED, "invalid_client")
        }
        Code::SessionExpired
        | Code::SessionRevoked
        | Code::TokenExpired
        | Code::TokenReused
        | Code::WrongApp
        | Code::MfaRequired
        | Code::ReauthenticationRequired => (StatusCode::BAD_REQUEST, "invalid_grant"),
        Code::CrossSiteRequest | Code::NotAdmitted => (StatusCode::FORBIDDEN, "access_denied"),
        Code::InvalidRequest
        | Code::UnknownApp
        | Code::NotFound
        | Code::MethodNotAllowed
        | Code::EmailTaken
        | Code::TooLarge
        | Code::RateLimited => (status(code), "invalid_request"),
        Code::Overloaded | Code::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::refusal::Reason;
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::*;

    async fn answer(problem: OAuthProblem) -> (http::response::Parts, Value) {
        let (parts, body) = problem.into_response().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts, serde_json::from_slice(&body).unwrap())
    }

    fn header<'a>(parts: &'a http::response::Parts, name: &str) -> Option<&'a str> {
        parts.headers.get(name).map(|v| v.to_str().unwrap())
    }

    #[tokio::test]
    async fn oauth_endpoints_answer_in_the_words_of_their_rfc() {
        for &reason in Reason::ALL {
            let (parts, body) = answer(reason.into()).await;
            assert!(body["error"].is_string() && body["error_description"].is_string());
            assert_eq!(body.as_object().unwrap().len(), 2);
            assert_eq!(header(&parts, "content-type"), Some("application/json"));
            assert_eq!(header(&parts, "cache-control"), Some("no-store"));
        }
        let (parts, body) = answer(Reason::NoCredential.into()).await;
        assert_eq!((parts.status.as_u16(), body["error"].as_str()), (401, Some("invalid_client")));
        assert!(header(&parts, "www-authenticate").unwrap().starts_with("Basic "));
        let (parts, body) = answer(Reason::BadRequest.into()).await;
        assert_eq!((parts.status.as_u16(), body["error"].as_str()), (400, Some("invalid_request")));
        let (parts, body) = answer(Reason::StoreDown.into()).await;
        assert_eq!((parts.status.as_u16(), body["error"].as_str()), (503, Some("temporarily_unavailable")));
    }
}
