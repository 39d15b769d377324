//! The configuration as its users meet it: sources in, a checked tree or every mistake out.

mod layers;
mod mistakes;
mod rules;
mod secrets;

use super::{Config, ConfigErrors, Sources};

/// The configuration of a file of that text.
fn file(text: &str) -> Result<Config, ConfigErrors> {
    Config::load(Sources::new().text("cloakroom.toml", text))
}

/// The configuration of a file with one app and, above it, that text.
fn above(text: &str) -> Result<Config, ConfigErrors> {
    file(&format!("{text}\n[[app]]\nid = \"web\"\nmethod = \"session\"\n"))
}

/// The configuration of a file with one `jwt` app that has these keys too.
fn with(keys: &str) -> Result<Config, ConfigErrors> {
    file(&format!("[[app]]\nid = \"web\"\nmethod = \"jwt\"\n{keys}\n"))
}

/// The configuration of these variables, without a file.
fn environment(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::load(Sources::new().environment(pairs.iter().copied()))
}

/// The mistakes, one a line.
#[track_caller]
fn mistakes(result: Result<Config, ConfigErrors>) -> String {
    result.expect_err("the configuration is refused").to_string()
}
