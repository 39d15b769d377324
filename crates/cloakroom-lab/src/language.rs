//! The languages that the lab speaks: those of the server's pages.

use clap::builder::{PossibleValuesParser, TypedValueParser};
pub use cloakroom_server::pages::Locale as Lang;

/// Reads a language by its tag, on the command line.
pub fn by_tag() -> impl TypedValueParser<Value = Lang> {
    PossibleValuesParser::new(Lang::ALL.map(Lang::tag))
        .map(|tag| Lang::ALL.into_iter().find(|lang| lang.tag() == tag).unwrap_or_default())
}
