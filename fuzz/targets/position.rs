//! Positions in the revocation log, as `Last-Event-ID` brings them.
#![no_main]

use cloakroom_core::revocation::Position;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(position) = Position::parse(text) {
        assert_eq!(Position::parse(&position.to_string()), Some(position));
    }
});
