//! What programs ask of the careless login.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Login, params::Params, people::SignIn};

const DAY: u64 = 86_400;

/// `POST /v1/accounts`.
pub(super) async fn sign_up(State(login): State<Arc<Login>>, params: Params) -> Response {
    let made = login.people.add(params.read("email"), params.read("password"));
    if made { said(StatusCode::CREATED, &json!({})) } else { refused(StatusCode::CONFLICT, "email_taken") }
}

/// `POST /v1/login`, or by any other method, from any page.
pub(super) async fn sign_in(State(login): State<Arc<Login>>, params: Params) -> Response {
    match enter(&login, &params) {
        Ok((body, cookie)) => with_cookie(said(StatusCode::OK, &body), cookie),
        Err((status, code)) => refused(status, code),
    }
}

/// Signs in: what the client gets, and the cookie; or status and code.
pub(super) fn enter(login: &Login, params: &Params) -> Result<(Value, Option<String>), (StatusCode, &'static str)> {
    let email = params.read("email");
    match login.people.check(email, params.read("password"), &params.client()) {
        SignIn::Done => {}
        // Text, status and time tell whether there is such an account.
        SignIn::NoSuchAccount => return Err((StatusCode::NOT_FOUND, "no_such_account")),
        SignIn::WrongPassword => return Err((StatusCode::UNAUTHORIZED, "wrong_password")),
        SignIn::Locked => return Err((StatusCode::TOO_MANY_REQUESTS, "locked")),
    }
    if login.by_tokens {
        return Ok((tokens(login, email), None));
    }
    // The session from before the sign-in goes on.
    let session = login.people.session(params.session());
    login.people.enter(&session, email);
    Ok((json!({ "sid": session }), Some(session)))
}

/// Both tokens for the page to keep.
fn tokens(login: &Login, email: &str) -> Value {
    json!({
        "access_token": login.tokens.issue(email, DAY),
        "refresh_token": login.tokens.issue(email, 30 * DAY),
        "expires_in": DAY,
    })
}

/// Who asks. By session every visitor gets one, also those who only look around.
pub(super) fn visitor(login: &Login, params: &Params) -> (Option<String>, Option<String>) {
    if login.by_tokens {
        return (params.token().and_then(|token| login.tokens.whose(token)), None);
    }
    let session = login.people.session(params.session());
    (login.people.of(&session), Some(session))
}

/// `/v1/verify`.
pub(super) async fn verify(State(login): State<Arc<Login>>, params: Params) -> Response {
    // A token of an unknown shape is nothing that was thought of.
    if login.by_tokens && params.token().is_some_and(|token| token.matches('.').count() != 2) {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "unhandled_exception");
    }
    answer(&login, &params)
}

/// `/v1/account`.
pub(super) async fn account(State(login): State<Arc<Login>>, params: Params) -> Response {
    answer(&login, &params)
}

fn answer(login: &Login, params: &Params) -> Response {
    let (who, session) = visitor(login, params);
    let response = match who {
        Some(email) => said(StatusCode::OK, &json!({ "account": { "email": email } })),
        None => refused(StatusCode::UNAUTHORIZED, "credential_invalid"),
    };
    with_cookie(response, session)
}

/// `/v1/password`: for whoever is signed in; the present one is not asked for.
pub(super) async fn password(State(login): State<Arc<Login>>, params: Params) -> Response {
    match visitor(&login, &params).0 {
        Some(email) => {
            login.people.change(&email, params.read("new"));
            said(StatusCode::OK, &json!({}))
        }
        None => refused(StatusCode::UNAUTHORIZED, "credential_invalid"),
    }
}

/// `/v1/refresh`: new tokens; the old ones go on as well, used or not.
pub(super) async fn refresh(State(login): State<Arc<Login>>, params: Params) -> Response {
    match login.tokens.whose(params.read("refresh_token")) {
        Some(email) => said(StatusCode::OK, &tokens(&login, &email)),
        None => refused(StatusCode::UNAUTHORIZED, "credential_invalid"),
    }
}

/// `/v1/logout`: the browser forgets; the server does not.
pub(super) async fn sign_out() -> Response {
    (StatusCode::OK, [(header::SET_COOKIE, "sid=; Max-Age=0; Path=/; SameSite=None; Secure")], "signed out")
        .into_response()
}

/// The key set.
pub(super) async fn keys(State(login): State<Arc<Login>>) -> Response {
    said(StatusCode::OK, &login.tokens.jwks())
}

/// The key.
pub(super) async fn public_key(State(login): State<Arc<Login>>) -> String {
    login.tokens.pem().to_owned()
}

/// Readable by script, sent along with every request from everywhere.
pub(super) fn with_cookie(mut response: Response, session: Option<String>) -> Response {
    let cookie = session.and_then(|session| format!("sid={session}; Path=/; SameSite=None; Secure").parse().ok());
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) fn refused(status: StatusCode, code: &str) -> Response {
    said(status, &json!({ "code": code }))
}

fn said(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
