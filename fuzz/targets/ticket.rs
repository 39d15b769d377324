//! Tickets and refresh tokens: whatever is taken was issued, and has one spelling.
#![no_main]

use cloakroom_core::ticket::Ticket;
use cloakroom_fuzz::{KEYS, TICKETS, near};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(text) = near(&TICKETS, data) else { return };
    if Ticket::parse(&text, &KEYS).is_ok() {
        assert!(TICKETS.contains(&text), "a ticket that was never issued is taken");
    }
});
