//! Public keys of others: a key and a set of keys.
#![no_main]

use cloakroom_core::key::{read_jwk, read_jwks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = (read_jwk(text), read_jwks(text));
});
