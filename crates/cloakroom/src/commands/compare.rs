//! `cloakroom compare`.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cloakroom_lab::{
    compare::{self, Extent, Options, Progress},
    stores::{Postgres, Redis},
};
use indicatif::{ProgressBar, ProgressStyle};
use url::Url;

use super::case;
use crate::{args::Compare, failure::Failure, output::Output};

pub(crate) async fn run(args: Compare, output: Output) -> Result<(), Failure> {
    let fault = |error: std::io::Error| Failure::fault(&error);
    let read = |name: &'static str, text: Option<&String>, url: fn(&str) -> Result<Url, &'static str>| {
        text.map(|text| url(text)).transpose().map_err(|why| Failure::usage(format!("{name}: {why}")))
    };
    let options = Options {
        postgres: read("--postgres", args.postgres.as_ref(), Postgres::url)?,
        redis: read("--redis", args.redis.as_ref(), Redis::url)?,
        case: case::read(args.case.as_deref())?.unwrap_or_default(),
        extent: if args.quick { Extent::quick() } else { Extent::full() },
        program: std::env::current_exe().map_err(fault)?,
        command: command(&args),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&stop);
    let measuring = tokio::task::spawn_blocking(move || {
        let bar = bar(output);
        let told = |progress: Progress<'_>| show(bar.as_ref(), output, &progress);
        let found = compare::run(&options, &told, &heard);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        found
    });
    tokio::pin!(measuring);
    let found = loop {
        tokio::select! {
            found = &mut measuring => break found,
            Ok(()) = tokio::signal::ctrl_c() => {
                output.remark(format_args!("What is being measured is finished, and what there is is kept. Please wait."));
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    let mut found = found.map_err(|error| Failure::fault(&error))?.map_err(fault)?;
    // The answer as JSON is what stands in result.json.
    found.verdict.sentences = compare::report::verdict(&found, args.lang);
    compare::report::write(&found, args.lang, &args.out).map_err(fault)?;
    output.answer(&serde_json::to_value(&found).unwrap_or_default(), |_| {
        output.line(args.out.join("report.html").display().to_string());
    });
    Ok(())
}

fn command(args: &Compare) -> String {
    let mut command = "cloakroom compare".to_owned();
    if let Some(case) = &args.case {
        command.push_str(" --case ");
        command.push_str(&case.display().to_string());
    }
    // Without what they are: there may be passwords in them.
    for (name, given) in [("--postgres", &args.postgres), ("--redis", &args.redis)] {
        if given.is_some() {
            command.push_str(&[" ", name, " URL"].concat());
        }
    }
    if args.quick {
        command.push_str(" --quick");
    }
    command
}

/// A bar at a terminal; lines elsewhere.
fn bar(output: Output) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let _ = output;
    let bar = ProgressBar::new(1000);
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    Some(bar)
}

fn show(bar: Option<&ProgressBar>, output: Output, progress: &Progress<'_>) {
    let left = progress.left.as_secs();
    let text = format!("{} ({}:{:02} left)", progress.what, left / 60, left % 60);
    match bar {
        Some(bar) => {
            bar.set_position(progress.per_mille());
            bar.set_message(text);
        }
        None => output.remark(format_args!("{:3.0} %  {text}", progress.per_mille() as f64 / 10.0)),
    }
}
