//! Stored records: what is read is written in the same bytes.
#![no_main]

use cloakroom_core::session::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Record::decode(data) {
        assert_eq!(record.encode(), data);
    }
});
