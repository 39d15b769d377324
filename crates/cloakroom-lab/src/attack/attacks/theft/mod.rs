//! What a thief can do with what he has copied, and how he comes to copy it.

pub(super) mod back_button;
pub(super) mod copied_access_token;
pub(super) mod copied_cookie;
pub(super) mod copied_cookie_password;
pub(super) mod copied_token_unnoticed;
pub(super) mod page_cache;
pub(super) mod refresh_after_owner;
pub(super) mod refresh_after_sign_out;
pub(super) mod refresh_before_owner;
pub(super) mod token_in_history;
pub(super) mod token_in_log;
pub(super) mod token_in_referrer;
pub(super) mod token_in_url;
pub(super) mod xss_cookies;
pub(super) mod xss_memory;
pub(super) mod xss_rides;
pub(super) mod xss_storage;
