//! Arguments of what compares, advises and attacks.

use std::path::PathBuf;

use clap::Args;
use cloakroom_lab::language::{Lang, by_tag};

/// `compare`.
#[derive(Args)]
pub(crate) struct Compare {
    /// The case: how many are signed in, how often they ask, … (see `advise`)
    #[arg(long, value_name = "FILE")]
    pub(crate) case: Option<PathBuf>,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = cloakroom_lab::compare::DEFAULT_OUT)]
    pub(crate) out: PathBuf,
    /// A PostgreSQL to use instead of one that is started; its user must be allowed to make databases
    #[arg(long, value_name = "URL")]
    pub(crate) postgres: Option<String>,
    /// A Redis to use instead of one that is started
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// In less than a minute, and less sure
    #[arg(long)]
    pub(crate) quick: bool,
    /// The report's language
    #[arg(long, default_value = "en", value_parser = by_tag())]
    pub(crate) lang: Lang,
}

/// `attack`.
#[derive(Args)]
pub(crate) struct Attack {
    /// A server that runs on this machine, as <http://localhost:8080>
    #[arg(long, value_name = "URL")]
    pub(crate) target: Option<String>,
    /// Only these attacks
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Where to write report.html, report.md and result.json
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// The language of the report's frame; what was seen is told in English
    #[arg(long, default_value = "en", value_parser = by_tag())]
    pub(crate) lang: Lang,
}

/// `advise`.
#[derive(Args)]
pub(crate) struct Advise {
    /// The case file
    #[arg(long, value_name = "FILE")]
    pub(crate) case: Option<PathBuf>,
    /// The language of the answer
    #[arg(long, default_value = "en", value_parser = by_tag())]
    pub(crate) lang: Lang,
}
