//! E-mail addresses: the canonical form of a canonical form is itself, and what the person typed is kept.
#![no_main]

use cloakroom_core::account::EmailAddress;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(email) = EmailAddress::parse(text) else { return };
    let again = EmailAddress::parse(email.canonical()).expect("a canonical form is an address");
    assert_eq!(again.canonical(), email.canonical());
    let typed = EmailAddress::parse(email.as_typed()).expect("what is kept is an address");
    assert_eq!(typed.canonical(), email.canonical());
    assert!(email.canonical().ends_with(email.domain()));
});
