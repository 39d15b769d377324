//! The master secret, from the environment or a file.
#![no_main]

use cloakroom_core::{key::MasterSecret, random::Rng};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(secret) = MasterSecret::parse(text) {
        let wrapped = secret.wrap("label", b"bytes", &Rng::seeded(5));
        let bytes = secret.unwrap("label", &wrapped).expect("what it wraps it unwraps");
        assert_eq!(&bytes[..], b"bytes");
    }
});
