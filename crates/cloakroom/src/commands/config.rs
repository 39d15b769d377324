//! `cloakroom config`.

use cloakroom_server::config::{Config, Report};

use crate::{
    args::{self, Common},
    failure::Failure,
    operator::sources,
    output::Output,
};

pub(crate) fn run(command: &args::Config, common: &Common, output: Output) -> Result<(), Failure> {
    let args::Config::Check = command;
    let report = Config::load(sources(common))?.report();
    let json = serde_json::to_value(&report).map_err(|error| Failure::fault(&error))?;
    output.answer(&json, |_| show(&report, output));
    Ok(())
}

fn show(report: &Report, output: Output) {
    output.line("The configuration is sound.");
    output.line(format_args!(
        "\nlistens on   {}\nbrowsers use {}\nissuer       {}\n",
        report.listen, report.public_url, report.issuer
    ));
    let rows = report.apps.iter().map(|app| {
        let algorithm = app.algorithm.map(|algorithm| algorithm.name().to_owned()).unwrap_or_default();
        vec![
            app.id.to_string(),
            app.method.to_string(),
            algorithm,
            app.registration.to_owned(),
            app.cookie.clone(),
            app.origins.join(" "),
        ]
    });
    output.table(
        &["APP", "METHOD", "SIGNS WITH", "REGISTRATION", "COOKIE", "ORIGINS"],
        rows.collect(),
        "There are no apps.",
    );
    output.line("\nHow soon an end is heeded:");
    for app in &report.apps {
        output.line(format_args!("  {}: {}", app.id, app.revocation.statement));
        if let Some(alone) = &app.revocation.by_signature_alone {
            output.line(format_args!("  {}: who checks only a token's signature goes on for up to {alone}", app.id));
        }
    }
    if !report.set.is_empty() {
        output.line("\nSet:");
        for (path, origin) in &report.set {
            output.line(format_args!("  {path} {origin}"));
        }
    }
}
