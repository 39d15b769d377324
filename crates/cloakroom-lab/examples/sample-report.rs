//! Writes the reports of a made-up comparison, and of made-up attacks, in every language and in the states that have a notice: to look
//! at, and for the tests in `tests/browser`.
//!
//! `cargo run -p cloakroom-lab --example sample-report -- DIRECTORY`

#[path = "../tests/report/attacks.rs"]
mod attacks;
#[path = "../tests/report/fixture.rs"]
mod fixture;

use std::{io, path::PathBuf};

use cloakroom_lab::{compare::report, language::Lang};

fn main() -> io::Result<()> {
    let out = std::env::args_os().nth(1).map(PathBuf::from);
    let out = out.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "name a directory to write to"))?;
    let whole = fixture::comparison();
    let mut doubtful = whole.clone();
    doubtful.measurement.optimised = false;
    doubtful.measurement.quick = true;
    doubtful.measurement.interrupted = true;
    doubtful.verdict.recommended = None;
    doubtful.growth.clear();
    for lang in Lang::ALL {
        report::write(&whole, lang, &out.join(lang.tag()))?;
        attacks::good().write(lang, &out.join("attack").join(lang.tag()))?;
    }
    attacks::bad().write(Lang::English, &out.join("attack").join("bad"))?;
    report::write(&doubtful, Lang::English, &out.join("doubtful"))
}
