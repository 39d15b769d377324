//! `cloakroom doctor`: looks at everything that a sign-in depends on, and says what would help.
//!
//! Each check gives findings; none changes anything but for the store's own round trip, which leaves it as it was.

mod certificate;
mod files;
mod machine;
mod network;
mod store;

use anstyle::{AnsiColor, Style};
use cloakroom_server::{
    config::Config,
    control::{self, AskError, Command},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    args::Common,
    failure::Failure,
    operator::{Operator, sources},
    output::Output,
};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, but will not always.
    Warn,
    /// It does not work, or is not safe.
    Fail,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    level: Level,
    /// What was looked at.
    check: &'static str,
    detail: String,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, detail: detail.into(), remedy: None }
    }

    pub(super) fn warn(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warn, check, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn fail(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fail, check, detail: detail.into(), remedy: Some(remedy.into()) }
    }
}

/// Whether a server runs on the data directory.
#[derive(Debug)]
pub(super) enum Server {
    /// It told this about itself.
    Runs(Value),
    /// There is none.
    None,
    /// It should answer and does not.
    Mute(String),
}

pub(crate) async fn run(common: &Common, output: Output) -> Result<(), Failure> {
    let config = Config::load(sources(common))?;
    let server = match control::ask(&config.data_dir, &Command::Status).await {
        Ok(status) => Server::Runs(status),
        Err(AskError::NoServer(_)) => Server::None,
        Err(error) => Server::Mute(error.to_string()),
    };
    let mut findings = machine::look(&config, &server);
    findings.extend(files::look(&config));
    if let Some(tls) = &config.tls {
        findings.extend(certificate::look(tls, &config.public_url));
    }
    findings.extend(network::look(&config, &server).await);
    findings.extend(store::look(Operator::with(config), &server).await);
    told(&findings, output)
}

fn told(findings: &[Finding], output: Output) -> Result<(), Failure> {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (warnings, failed) = (count(Level::Warn), count(Level::Fail));
    let answer = json!({ "findings": findings, "warnings": warnings, "failed": failed });
    output.answer(&answer, |_| {
        for finding in findings {
            show(finding, output);
        }
    });
    if failed == 0 {
        output.remark(format_args!("\nNothing failed; {warnings} warnings."));
        return Ok(());
    }
    Err(Failure::refused("unwell", format!("{failed} of {} checks failed", findings.len())))
}

fn show(finding: &Finding, output: Output) {
    let (style, word) = match finding.level {
        Level::Ok => (Style::new().fg_color(Some(AnsiColor::Green.into())), "ok  "),
        Level::Warn => (Style::new().fg_color(Some(AnsiColor::Yellow.into())).bold(), "warn"),
        Level::Fail => (Style::new().fg_color(Some(AnsiColor::Red.into())).bold(), "FAIL"),
    };
    output.line(format_args!("{style}{word}{style:#}  {:<16}  {}", finding.check, finding.detail));
    if let Some(remedy) = &finding.remedy {
        output.line(format_args!("{:24}→ {remedy}", ""));
    }
}
