//! Form bodies: no name stands twice.
#![no_main]

use std::collections::HashSet;

use cloakroom_server::http::body::{MAX_FIELDS, form};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(fields) = form(data) {
        let names: HashSet<_> = fields.iter().map(|(name, _)| name).collect();
        assert!(names.len() == fields.len() && fields.len() <= MAX_FIELDS);
    }
});
