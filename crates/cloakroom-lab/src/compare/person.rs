//! What somebody's client does: signs in and out, changes the password, renews.

use std::io;

use cloakroom_core::method::Method;

use super::cost::login_body;
use crate::{
    call::Caller,
    rig::ORIGIN,
    subject::{ADDRESSES, PASSWORD},
};

/// Someone who has really signed in: what the client holds.
pub(super) struct SignedIn {
    /// The header line by which requests show who is asking.
    pub(super) line: String,
    /// The body that renews, where there is a refresh token.
    pub(super) renewal: Option<String>,
}

/// Signs one of the people in.
pub(super) fn sign_in(caller: &mut Caller, number: usize, method: Method) -> io::Result<SignedIn> {
    let reply = caller.call("POST", "/v1/login", &[], Some(&login_body(number % ADDRESSES, method)))?.demand(200)?;
    let (name, value) = reply.credential()?;
    let renewal = reply.json()["refresh_token"].as_str().map(renewal_body);
    Ok(SignedIn { line: format!("{name}: {value}"), renewal })
}

/// The body that renews with a refresh token.
pub(super) fn renewal_body(token: &str) -> String {
    format!(r#"{{"refresh_token":"{token}"}}"#)
}

pub(super) fn sign_out(caller: &mut Caller, owner: &SignedIn) -> io::Result<()> {
    caller.call("POST", "/v1/logout", &[&owner.line, ORIGIN], None)?.demand(204).map(|_| ())
}

/// From the password that all have to another one.
pub(super) fn change_password(caller: &mut Caller, owner: &SignedIn) -> io::Result<()> {
    let body = format!(r#"{{"current":"{PASSWORD}","new":"{PASSWORD}-x"}}"#);
    let reply = caller.call("POST", "/v1/password", &[&owner.line, ORIGIN], Some(&body))?;
    // 204: the session goes on, and its next access token comes with a renewal.
    if reply.status == 204 { Ok(()) } else { reply.demand(200).map(|_| ()) }
}

/// The header line with a new access token, unless the renewal is refused.
pub(super) fn renew(caller: &mut Caller, body: &str) -> io::Result<Option<String>> {
    let reply = caller.call("POST", "/v1/refresh", &[], Some(body))?;
    let token = reply.json()["access_token"].as_str().map(|token| format!("authorization: Bearer {token}"));
    Ok(token.filter(|_| reply.status == 200))
}
