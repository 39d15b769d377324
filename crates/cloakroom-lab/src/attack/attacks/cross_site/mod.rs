//! What another site's page can do in the browser of somebody who is signed in.

pub(super) mod clickjacking;
pub(super) mod content_type;
pub(super) mod cors;
pub(super) mod csrf_fetch;
pub(super) mod csrf_form;
pub(super) mod csrf_image;
pub(super) mod csrf_sibling;
pub(super) mod login_csrf;
pub(super) mod logout_csrf;
pub(super) mod method_override;
pub(super) mod open_redirect;
mod victim;
pub(super) mod websocket;
