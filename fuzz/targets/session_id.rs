//! Ids in paths: one spelling each.
#![no_main]

use cloakroom_core::ids::{AccountId, AppId, Kid, SessionId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(id) = SessionId::parse(text) {
        assert_eq!(id.to_string(), text);
    }
    if let Some(id) = AccountId::parse(text) {
        assert_eq!(AccountId::parse(&id.to_string()), Some(id));
    }
    if let Some(id) = AppId::parse(text) {
        assert_eq!(id.as_str(), text);
    }
    if let Some(kid) = Kid::parse(text) {
        assert_eq!(kid.as_str(), text);
    }
});
