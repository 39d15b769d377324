//! Stored records: what is read is written in the same bytes, but for kinds of clients that a later release knows.
#![no_main]

use cloakroom_core::session::Record;
use libfuzzer_sys::fuzz_target;

/// Where the two bytes of the client stand.
const CLIENT: std::ops::Range<usize> = 3..5;

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Record::decode(data) {
        let mut written = record.encode();
        assert_eq!(written.len(), data.len());
        written[CLIENT].copy_from_slice(&data[CLIENT]);
        assert_eq!(written, data);
    }
});
