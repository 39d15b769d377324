//! `Authorization` headers of people and of services.
#![no_main]

use cloakroom_server::http::{
    credential::{bearer, refuse_credential_in_query},
    service::basic,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(token) = bearer(data) {
        assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    let _ = basic(data);
    let _ = refuse_credential_in_query(std::str::from_utf8(data).ok());
});
