//! Configuration files: either every rule holds, or each mistake is told with a path and a line's origin.
#![no_main]

use cloakroom_server::config::{Config, Sources};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Config::load(Sources::new().text("cloakroom.toml", text)) {
        Ok(config) => {
            assert!(config.apps().iter().next().is_some());
            let _ = config.report();
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
