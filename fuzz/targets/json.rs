//! JSON bodies: the strict reading takes nothing that the library would not take.
#![no_main]

use cloakroom_server::http::json;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    if json::check(data).is_ok() {
        serde_json::from_slice::<Value>(data).expect("what is taken is JSON");
        let _ = json::parse::<std::collections::HashMap<String, String>>(data);
    }
});
