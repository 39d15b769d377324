//! What the API answers with: the shapes of DESIGN's public contract, each in one place.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use cloakroom_core::{
    account::Account,
    clock::Timestamp,
    engine::{Credentials, Device, Renewed, SignedIn, Tokens},
    ids::SessionId,
    refusal::Reason,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{handover::Transport, http::problem::Problem};

/// An account as its owner sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountView {
    /// Its id, a `UUIDv7`.
    pub(super) id: String,
    /// Its e-mail address, as typed.
    pub(super) email: String,
    /// What the person wants to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// When it was made (RFC 3339).
    pub(super) created_at: String,
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.email.as_typed().to_owned(),
            name: account.name.clone(),
            created_at: account.created.to_string(),
        }
    }
}

/// `{"account": …}`.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountAnswer {
    /// The account.
    pub(super) account: AccountView,
}

/// A session as login answers it.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionView {
    /// Its id (`sid`), which is no credential.
    pub(super) id: String,
    /// Its app.
    pub(super) app: String,
    /// Its method.
    pub(super) method: &'static str,
    /// When it began (RFC 3339).
    pub(super) created_at: String,
    /// When it ends, whatever happens (RFC 3339).
    pub(super) expires_at: String,
}

/// What login, refresh and a change of password answer.
#[derive(Serialize, ToSchema)]
pub(super) struct LoginAnswer {
    /// Who signed in.
    pub(super) account: AccountView,
    /// The session.
    pub(super) session: SessionView,
    /// The access token, for methods with tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_token: Option<String>,
    /// `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_type: Option<&'static str>,
    /// How long the access token lives, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_in: Option<u64>,
    /// The refresh token, unless it travels in its cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<String>,
}

impl LoginAnswer {
    /// The answer to a sign-in.
    pub(super) fn signed_in(signed_in: &SignedIn, transport: Transport) -> Self {
        let session = session(
            signed_in.session,
            signed_in.app.id.as_str(),
            signed_in.method.name(),
            signed_in.created,
            signed_in.expires,
        );
        let answer = Self::bare(&signed_in.account, session);
        match &signed_in.credentials {
            Credentials::Ticket(_) => answer,
            Credentials::Tokens(tokens) => answer.with(tokens, transport),
        }
    }

    /// The answer to a renewal.
    pub(super) fn renewed(renewed: &Renewed, transport: Transport) -> Self {
        let session = session(
            renewed.session,
            renewed.app.id.as_str(),
            renewed.method.name(),
            renewed.created,
            renewed.tokens.refresh_expires,
        );
        Self::bare(&renewed.account, session).with(&renewed.tokens, transport)
    }

    /// Without tokens.
    pub(super) fn bare(account: &Account, session: SessionView) -> Self {
        Self {
            account: account.into(),
            session,
            access_token: None,
            token_type: None,
            expires_in: None,
            refresh_token: None,
        }
    }

    fn with(mut self, tokens: &Tokens, transport: Transport) -> Self {
        self.access_token = Some(tokens.access.expose().to_owned());
        self.token_type = Some("Bearer");
        self.expires_in = Some(tokens.expires_in.as_secs());
        if transport == Transport::Body {
            self.refresh_token = Some(tokens.refresh.expose().to_owned());
        }
        self
    }
}

/// A session's view.
pub(super) fn session(
    id: SessionId,
    app: &str,
    method: &'static str,
    created: Timestamp,
    expires: Timestamp,
) -> SessionView {
    SessionView {
        id: id.to_string(),
        app: app.to_owned(),
        method,
        created_at: created.to_string(),
        expires_at: expires.to_string(),
    }
}

/// A device in the list.
#[derive(Serialize, ToSchema)]
pub(super) struct DeviceView {
    /// Its session's id.
    pub(super) id: String,
    /// At which app.
    pub(super) app: String,
    /// By which method.
    pub(super) method: &'static str,
    /// Since when (RFC 3339).
    pub(super) created_at: String,
    /// Last used, to within min(1 h, idle/32) (RFC 3339).
    pub(super) last_active_at: String,
    /// When it ends, whatever happens (RFC 3339).
    pub(super) expires_at: String,
    /// The kind of browser and system, such as `Firefox on Linux`.
    pub(super) client: String,
    /// The address that it signed in from, as long as the audit log knows.
    pub(super) address: Option<String>,
    /// Whether it is the one that asks.
    pub(super) current: bool,
}

impl From<&Device> for DeviceView {
    fn from(device: &Device) -> Self {
        let address = device.origin.as_ref().and_then(|origin| origin.address);
        Self {
            id: device.id.to_string(),
            app: device.app.to_string(),
            method: device.method.name(),
            created_at: device.created.to_string(),
            last_active_at: device.last_active.to_string(),
            expires_at: device.expires.to_string(),
            client: device.client.describe(),
            address: address.map(|address| address.to_string()),
            current: device.current,
        }
    }
}

/// `{"sessions": […]}`.
#[derive(Serialize, ToSchema)]
pub(super) struct DevicesAnswer {
    /// Newest first.
    pub(super) sessions: Vec<DeviceView>,
    /// Give this as `?before=` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// JSON. That it belongs to one client is marked by the layer around the API (F130).
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => (status, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => Problem::from(Reason::Fault).into_response(),
    }
}
