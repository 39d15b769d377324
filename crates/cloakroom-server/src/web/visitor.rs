//! Who is visiting: the person behind a page's cookie.
//!
//! A ticket is verified. A refresh token is renewed for the page: the access token proves who is asking and is then
//! dropped. Only a form spends it; its successor, where there is one, goes back into the cookie. A refusal never clears a cookie here: in
//! another tab the person may have signed in meanwhile (F050); the next sign-in replaces it anyway.

use std::sync::Arc;

use axum::{http::header::SET_COOKIE, response::Response};
use cloakroom_core::{
    account::Account,
    app::App,
    engine::Renewed,
    ids::AppId,
    method::Check,
    refusal::{Code, Reason, Refusal},
    verify::{Activity, Identity, Question},
};

use super::{
    answer,
    visit::{Purpose, Visit},
};
use crate::{
    http::{credential::Presented, problem::record},
    pages::{Flow, Onward, Person},
    state::telling,
};

/// A person who is signed in.
pub(super) struct Visitor {
    pub(super) identity: Identity,
    pub(super) account: Account,
    /// All that was shown is an access token.
    pub(super) by_token: bool,
    /// A refresh token that was presented has a successor: the cookie is to be set anew.
    successor: Option<Renewed>,
}

impl Visitor {
    /// As pages show them.
    pub(super) fn person(&self) -> Person {
        Person { name: self.account.name.clone(), email: self.account.email.as_typed().to_owned() }
    }
}

impl Visit {
    /// Who is visiting. Where nobody is signed in, the answer leads to the sign-in page, and from there to `back`, a page
    /// of ours; an unsafe request must come from a page of the session's own app.
    pub(super) async fn visitor(&self, purpose: &Purpose, back: &str) -> Result<Visitor, Response> {
        match self.find_visitor(purpose.wanted()).await {
            Ok(visitor) => Ok(visitor),
            Err(refusal) if self.may_have_a_strict_cookie(&refusal) => Err(self.come_again(&purpose.flow, back)),
            Err(refusal) if is_signed_out(&refusal) => Err(self.to_sign_in(&refusal, purpose, back)),
            Err(refusal) => Err(answer::problem(refusal, purpose.flow.clone())),
        }
    }

    /// What a handler for a signed-in person answers, with the cookie on it where that has changed; a handler that has set
    /// or cleared it knows better.
    pub(super) fn answer(&self, visitor: &Visitor, flow: &Flow, outcome: Result<Response, Refusal>) -> Response {
        let mut response = outcome.unwrap_or_else(|refusal| answer::problem(refusal, flow.clone()));
        if let Some(renewed) = &visitor.successor
            && !response.headers().contains_key(SET_COOKIE)
            && let Err(reason) = self.state.handover.give_refresh(&mut response, &renewed.app, &renewed.tokens)
        {
            return answer::problem(reason.into(), flow.clone());
        }
        response
    }

    async fn find_visitor(&self, wanted: Option<&Arc<App>>) -> Result<Visitor, Refusal> {
        let asker = self.caller.asker();
        let cookies = self.state.handover.cookies();
        let wanted = wanted.map(|app| &app.id);
        match Presented::read(asker.headers, asker.query, cookies, wanted)? {
            Presented::Bearer(token) => self.recognise(token, wanted).await,
            Presented::Cookies(candidates) => {
                let mut refused = None;
                for (index, credential) in candidates.iter() {
                    let app = cookies.app(index).and_then(|id| self.state.engine.apps().get(id.as_str()));
                    let found = match app.ok_or(Reason::UnknownApp.into()).and_then(|app| self.is_own(app)) {
                        Ok(app) => self.recognise(credential, Some(&app.id)).await,
                        Err(refusal) => Err(refusal),
                    };
                    match found {
                        Ok(visitor) => return Ok(visitor),
                        Err(refusal) => refused = Some(telling(refused, refusal)),
                    }
                }
                Err(refused.unwrap_or_else(|| Reason::NoCredential.into()))
            }
        }
    }

    /// A change must come from a page of the app whose cookie would do it.
    fn is_own<'a>(&self, app: &'a Arc<App>) -> Result<&'a Arc<App>, Refusal> {
        self.caller.must_come_from(app).map(|()| app)
    }

    async fn recognise(&self, credential: &str, app: Option<&AppId>) -> Result<Visitor, Refusal> {
        let engine = &self.state.engine;
        let activity = self.caller.asker().activity();
        let verifier = engine.verifier();
        match verifier.verify(Question { credential, app, activity }).await {
            Ok(identity) if identity.is_for_upstream() => Err(Reason::WrongKind.into()),
            Ok(identity) => {
                let account = engine.whoami(&identity).await?;
                let by_token = identity.method().properties().check == Check::Signature;
                Ok(Visitor { identity, account, by_token, successor: None })
            }
            Err(refusal) if refusal.reason == Reason::WrongKind => {
                let renewed = if self.is_safe {
                    engine.look(credential, app, activity, self.client()).await?
                } else {
                    engine.renew(credential, app, activity, self.client()).await?
                };
                let access = renewed.tokens.access.expose();
                let question = Question { credential: access, app, activity: Activity::Passive };
                let identity = verifier.verify(question).await?;
                let account = renewed.account.clone();
                let rotated = renewed.tokens.refresh.expose() != credential;
                Ok(Visitor { identity, account, by_token: false, successor: rotated.then_some(renewed) })
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// A browser that comes from another site does not send a `SameSite=Strict` cookie (F018).
    fn may_have_a_strict_cookie(&self, refusal: &Refusal) -> bool {
        refusal.reason == Reason::NoCredential
            && self.is_safe
            && self.is_from_elsewhere
            && self.parameter(ONWARD).is_none()
    }

    /// The same page once more, asked for by a page of our own.
    fn come_again(&self, flow: &Flow, path: &str) -> Response {
        answer::page(self, &Onward { address: flow.address(path, &[(ONWARD, "1")]) })
    }

    fn to_sign_in(&self, refusal: &Refusal, purpose: &Purpose, back: &str) -> Response {
        record(refusal);
        let flow = &purpose.flow;
        let mut more = Vec::new();
        if refusal.code() != Code::CredentialMissing {
            more.push((BECAUSE, refusal.code().as_str()));
        }
        // After signing in the devices are next anyway, and nobody signs in to sign out.
        let back = format!("{}{back}", self.base());
        let home = [DEVICES, SIGN_OUT].iter().any(|path| back.strip_prefix(self.base()) == Some(path));
        if flow.return_to.is_none() && !home {
            more.push(("return_to", back.as_str()));
        }
        answer::lead_to(&format!("{}{}", self.base(), flow.address(SIGN_IN, &more)))
    }
}

/// Whether signing in again helps.
fn is_signed_out(refusal: &Refusal) -> bool {
    matches!(refusal.code(), Code::CredentialMissing | Code::TokenExpired | Code::MfaRequired)
        || because(refusal.code().as_str()).is_some()
}

/// Why the sign-in page is shown, as the redirect that led there says.
pub(super) fn because(code: &str) -> Option<Code> {
    [Code::CredentialInvalid, Code::SessionExpired, Code::SessionRevoked, Code::TokenReused, Code::WrongApp]
        .into_iter()
        .find(|known| known.as_str() == code)
}

/// The parameter that says why the sign-in page is shown.
pub(super) const BECAUSE: &str = "because";
/// The parameter that marks the second try with a `SameSite=Strict` cookie, so that there is no third.
const ONWARD: &str = "onward";

pub(super) const SIGN_IN: &str = "/signin";
pub(super) const SIGN_OUT: &str = "/signout";
pub(super) const DEVICES: &str = "/devices";
pub(super) const PASSWORD: &str = "/password";
pub(super) const DELETE: &str = "/account/delete";
