//! `/openapi.json`: generated from the handlers, so that it cannot say what they do not.

use std::sync::LazyLock;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{accounts, exchange, login, oauth, operations, revocations, sessions, verify};
use crate::state::ServerState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Cloakroom",
        description = "Keeps people signed in: sessions, tokens and what lies between. Errors are RFC 9457 problem details with a stable `code`.",
    ),
    paths(
        accounts::register, accounts::whoami, accounts::delete, accounts::change_password,
        login::login, login::refresh, login::logout, exchange::exchange,
        sessions::list, sessions::end,
        verify::verify,
        oauth::introspect, oauth::revoke,
        revocations::head, revocations::follow,
        operations::key_set, operations::alive, operations::ready, operations::metrics,
        document,
    ),
    modifiers(&Schemes)
)]
struct Document;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let basic = HttpBuilder::new().scheme(HttpAuthScheme::Basic).build();
        let cookie = ApiKey::Cookie(ApiKeyValue::new("__Host-cloakroom-<app>"));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        components.add_security_scheme("service", SecurityScheme::Http(basic));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

static TEXT: LazyLock<String> = LazyLock::new(|| Document::openapi().to_json().unwrap_or_default());

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", responses((status = 200, content_type = "application/json")))]
pub(super) async fn document(State(state): State<ServerState>) -> Response {
    // The paths are told without the base path, which is the server's part (OpenAPI 3.1 section 4.8.5).
    let server = serde_json::json!([{ "url": state.issuer }]);
    let text = TEXT.replacen('{', &format!(r#"{{"servers":{server},"#), 1);
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, text).into_response()
}
