//! What a visitor came for: the language, the app and where to go afterwards, read from the query or from the form.

use std::{convert::Infallible, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use cloakroom_core::{
    app::App,
    engine::Client,
    refusal::{Reason, Refusal},
};

use super::answer;
use crate::{
    http::{body::Form, credential},
    pages::{Done, Flow, Locale},
    state::{Caller, ServerState},
};

/// A request for a page.
pub(super) struct Visit {
    pub(super) state: ServerState,
    pub(super) locale: Locale,
    pub(super) caller: Caller,
    /// Whether the method is one that changes nothing.
    pub(super) is_safe: bool,
    /// Whether a browser came here from another site, by a link or a redirect.
    pub(super) is_from_elsewhere: bool,
}

/// The app that a visit is about, and what its pages carry on.
pub(super) struct Purpose {
    /// The app that was asked for, or the default one.
    pub(super) app: Arc<App>,
    /// The app, if one was asked for, and the return address, if it may be followed.
    pub(super) flow: Flow,
}

impl Visit {
    /// What stands before every path.
    pub(super) fn base(&self) -> &str {
        &self.state.base_path
    }

    /// The client.
    pub(super) fn client(&self) -> &Client {
        &self.caller.client
    }

    /// A parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.caller.asker().parameter(name).map(std::borrow::Cow::into_owned)
    }

    /// What has just been done, as the redirect that came here says.
    pub(super) fn done(&self) -> Option<Done> {
        self.parameter("done").and_then(|name| Done::parse(&name))
    }

    /// App and return address of the form, or else of the query. A return address that may not be followed is left out:
    /// the visit goes on without it (F025, F134).
    ///
    /// # Errors
    /// `unknown_app`; `invalid_request` for a credential in the address (F127).
    pub(super) fn purpose(&self, form: Option<&Form>) -> Result<Purpose, Refusal> {
        credential::refuse_credential_in_query(self.caller.asker().query)?;
        let read = |name: &str| match form.and_then(|form| form.get(name)) {
            Some(value) => Some(value.to_owned()),
            None => self.parameter(name),
        };
        let wanted = read("app");
        let app = Arc::clone(self.state.engine.app(wanted.as_deref())?);
        let return_to = read("return_to").and_then(|address| self.state.returns.judge(&address, &app));
        let flow = Flow { app: wanted.map(|_| app.id.to_string()), return_to };
        Ok(Purpose { app, flow })
    }

    /// The same for a handler of a form, which may not have been readable as one.
    pub(super) fn form(&self, form: Result<Form, crate::http::problem::Problem>) -> Result<(Form, Purpose), Refusal> {
        let form = form.map_err(|problem| problem.refusal().clone())?;
        let purpose = self.purpose(Some(&form))?;
        Ok((form, purpose))
    }
}

impl Purpose {
    /// The app of the flow, if one was asked for.
    pub(super) fn wanted(&self) -> Option<&Arc<App>> {
        self.flow.app.is_some().then_some(&self.app)
    }

    /// What the app is called, if the visitor came for a certain one.
    pub(super) fn app_name(&self) -> Option<String> {
        self.flow.app.clone()
    }
}

impl FromRequestParts<ServerState> for Visit {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ServerState) -> Result<Self, Infallible> {
        let header = |name: &str| parts.headers.get(name).map(axum::http::HeaderValue::as_bytes);
        let navigates = header("sec-fetch-mode") == Some(b"navigate");
        let is_from_elsewhere = navigates && matches!(header("sec-fetch-site"), Some(b"cross-site" | b"same-site"));
        let locale = answer::locale(&parts.headers);
        let is_safe = parts.method.is_safe();
        let caller = Caller::of(parts, state);
        Ok(Self { state: state.clone(), locale, caller, is_safe, is_from_elsewhere })
    }
}

/// The refusal of a form whose field is missing.
pub(super) fn field<'f>(form: &'f Form, name: &str) -> Result<&'f str, Refusal> {
    form.require(name).map_err(|refusal| Refusal { reason: Reason::BadRequest, ..refusal })
}
