//! The command line: starts the server, and does for operators what they need, through a running server where one runs.
//!
//! Answers go to the standard output, everything else to the standard error stream. Exit status 0: done; 1: refused, or
//! something was found; 2: wrong usage or configuration.

// A line that cannot be written must not panic, and a task must not die unseen.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr))]

mod args;
mod commands;
mod doctor;
mod failure;
mod operator;
mod output;
mod password;

use std::{io, process::ExitCode};

use clap::{Parser, error::ErrorKind};

use args::{Cli, Command};
use cloakroom_server::log;
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_usage(&error),
    };
    let output = Output::new(cli.common.json);
    // Fails only when there is one already, which then is the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = run(cli, output);
    log::flush();
    match done.and_then(|()| output::unwritten()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

fn run(cli: Cli, output: Output) -> Result<(), Failure> {
    let common = &cli.common;
    if let Command::ServeSubject(subject) = &cli.command {
        return cloakroom_lab::subject::serve(subject).map_err(|error| Failure::fault(&error));
    }
    let mut runtime = match &cli.command {
        Command::Serve(_) | Command::Attack(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build().map_err(|error| Failure::fault(&error))?;
    let done = runtime.block_on(async {
        match cli.command {
            Command::Serve(serve) => commands::serve::run(serve, common, output).await,
            Command::Token(token) => commands::token::run(token, output),
            Command::Key(key) => commands::key::run(key, common, output).await,
            Command::Account(account) => commands::account::run(account, common, output).await,
            Command::Session(session) => commands::session::run(session, common, output).await,
            Command::Service(service) => commands::service::run(service, common, output).await,
            Command::Store(store) => commands::store::run(store, common, output).await,
            Command::Backup { file } => commands::backup::backup(&file, common, output).await,
            Command::Restore { file, end_all, .. } => {
                commands::backup::restore(file.as_deref(), end_all, common, output).await
            }
            Command::Audit(audit) => commands::audit::run(audit, common, output).await,
            Command::Config(config) => commands::config::run(&config, common, output),
            Command::Advise(advise) => commands::advise::run(&advise, output),
            Command::Attack(attack) => commands::attack::run(attack, output).await,
            Command::Doctor => doctor::run(common, output).await,
            Command::Compare(compare) => commands::compare::run(compare, output).await,
            // It has its own runtime, and was done above.
            Command::ServeSubject(_) => Ok(()),
        }
    });
    // What still runs in the background, such as a store that hangs, must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}

/// Help and version are no errors. With `--json` a mistake is told as JSON too.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let shown = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if shown || !std::env::args_os().any(|arg| arg == "--json") {
        if let Err(error) = error.print()
            && shown
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return ExitCode::from(failure::REFUSED);
        }
    } else {
        let text = error.render().to_string();
        let detail = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
        Output::new(true).failure(&Failure::usage(detail.trim()));
    }
    ExitCode::from(if shown { 0 } else { failure::USAGE })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }
}
