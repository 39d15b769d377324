//! Whole requests to a whole server: never a panic, never a 5xx, and never a store read for a credential that is garbage.
#![no_main]

use arbitrary::Arbitrary;
use axum::body::Body;
use cloakroom_fuzz::{TICKETS, TOKENS, near, server::SERVER};
use http::{Method, Request};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Asked<'a> {
    method: u8,
    path: u8,
    tail: &'a str,
    query: &'a str,
    /// Where the credential stands, and what it is.
    place: u8,
    credential: &'a [u8],
    headers: Vec<(u8, &'a [u8])>,
    body: &'a [u8],
}

const METHODS: [Method; 6] = [Method::GET, Method::POST, Method::DELETE, Method::HEAD, Method::OPTIONS, Method::PUT];
const PATHS: [&str; 22] = [
    "/v1/verify",
    "/v1/login",
    "/v1/accounts",
    "/v1/account",
    "/v1/password",
    "/v1/refresh",
    "/v1/logout",
    "/v1/sessions",
    "/v1/sessions/",
    "/oauth/introspect",
    "/oauth/revoke",
    "/v1/revocations/head",
    "/.well-known/jwks.json",
    "/healthz",
    "/openapi.json",
    "/signin",
    "/signup",
    "/signout",
    "/devices",
    "/password",
    "/account/delete",
    "/",
];
const HEADERS: [&str; 14] = [
    "content-type",
    "origin",
    "sec-fetch-site",
    "sec-fetch-mode",
    "accept",
    "accept-language",
    "host",
    "x-forwarded-for",
    "x-forwarded-method",
    "x-forwarded-uri",
    "x-original-url",
    "last-event-id",
    "user-agent",
    "content-encoding",
];

fuzz_target!(|asked: Asked<'_>| {
    let path = PATHS[usize::from(asked.path) % PATHS.len()];
    let mut request = Request::builder()
        .method(&METHODS[usize::from(asked.method) % METHODS.len()])
        .uri(format!("{path}{}?{}", asked.tail, asked.query));
    // None of these was issued by the server's own keys.
    let samples = [&TICKETS[..], &TOKENS[..]].concat();
    let credential = near(&samples, asked.credential).unwrap_or_default();
    request = match asked.place % 4 {
        0 => request.header("authorization", format!("Bearer {credential}")),
        1 => request.header("cookie", format!("cloakroom-web={credential}")),
        2 => request.header("cookie", &credential),
        _ => request.header("authorization", &credential),
    };
    for (name, value) in &asked.headers {
        request = request.header(HEADERS[usize::from(*name) % HEADERS.len()], *value);
    }
    // In JSON and in forms a refresh token stands in the body.
    let body = match asked.place / 4 % 4 {
        0 => asked.body.to_vec(),
        1 => format!(r#"{{"refresh_token":"{credential}"}}"#).into_bytes(),
        2 => format!("token={credential}").into_bytes(),
        _ => [br#"{"email":"ada@example.org","password":"x","app":"#, asked.body, b"}"].concat(),
    };
    let Ok(request) = request.body(Body::from(body)) else { return };
    let before = SERVER.reads();
    let answer = SERVER.answer(request);
    assert!(!answer.status().is_server_error(), "{} for {asked:?}", answer.status());
    assert_eq!(SERVER.reads(), before, "the session store was asked for {asked:?}");
});
