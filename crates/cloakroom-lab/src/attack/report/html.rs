//! The report as one page that needs nothing else. It is well-formed XML too, so that anything can read it.

use std::io;

use askama::Template;
use data_encoding::BASE64;

use super::{Picture, document::Document};

#[derive(Template)]
#[template(path = "attack.html")]
struct Page<'d> {
    document: &'d Document<'d>,
    style: &'static str,
}

pub(super) fn render(document: &Document<'_>) -> io::Result<String> {
    Page { document, style: STYLE }.render().map_err(io::Error::other)
}

impl Page<'_> {
    fn data(picture: &Picture) -> String {
        BASE64.encode(&picture.png)
    }
}

/// As the report of a comparison looks, and what this one has of its own.
const STYLE: &str =
    concat!(include_str!("../../../templates/report.css"), include_str!("../../../templates/attack.css"));
