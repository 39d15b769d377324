//! One file that needs no network and no script, on paper as on a screen. It is well-formed XML too, so that anything can read it.

use std::io;

use askama::Template;

use super::document::{Block, Document};

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'d> {
    document: &'d Document,
    style: &'static str,
}

pub(super) fn render(document: &Document) -> io::Result<String> {
    Page { document, style: include_str!("../../../templates/report.css") }.render().map_err(io::Error::other)
}
