//! Access tokens: whatever is taken was issued, and has one spelling; inspecting takes anything without a panic.
#![no_main]

use cloakroom_core::token;
use cloakroom_fuzz::{KEYS, TOKENS, near};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(text) = near(&TOKENS, data) else { return };
    if token::check(&text, KEYS.verifying()).is_ok() {
        assert!(TOKENS.contains(&text), "a token that was never issued is taken");
    }
    let _ = token::inspect(&text);
});
