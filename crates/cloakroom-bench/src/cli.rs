//! The command line.

use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, Parser, Subcommand};

use crate::{
    baseline::{self, BaselineArgs},
    ops,
    process::LOAD_CORE,
    report,
    rounds::Extent,
};
use cloakroom_lab::{
    stopwatch::pin,
    subject::{self, SubjectArgs},
};

/// Benchmarks, each beside its baseline in one run.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs benchmarks; without names, all of them.
    Run(RunArgs),
    /// Names them.
    List,
    /// A baseline, as a run starts it.
    ServeBaseline(BaselineArgs),
    /// The server, as a run starts it.
    ServeSubject(SubjectArgs),
    /// Argon2id by itself, as a run starts it.
    RawArgon2(ops::RawArgs),
    /// A memory store that fills up, as a run starts it.
    StoreMemory(ops::StoreArgs),
}

#[derive(Args)]
struct RunArgs {
    /// Which; see `list`.
    names: Vec<String>,
    /// Only to see that all works: 5 rounds of 0.3 s, and smaller sizes.
    #[arg(long)]
    quick: bool,
    /// Rounds of each that is compared.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// How long a round takes.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Writes the figures there as well.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// The benchmarks' program.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::List => {
            for (name, about, _) in ops::ALL {
                println!("{name:20} {about}");
            }
            Ok(())
        }
        Command::ServeBaseline(args) => baseline::baseline(&args),
        Command::ServeSubject(args) => subject::serve(&args),
        Command::RawArgon2(args) => ops::raw_argon2(&args),
        Command::StoreMemory(args) => ops::store_memory(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cloakroom-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &RunArgs) -> io::Result<()> {
    if let Some(unknown) = args.names.iter().find(|name| !ops::ALL.iter().any(|(known, ..)| known == name)) {
        return Err(io::Error::other(format!("there is no benchmark `{unknown}`; `scripts/bench list` names them")));
    }
    let extent = if args.quick {
        Extent { rounds: 5, lasting: Duration::from_millis(300), connections: args.connections, quick: true }
    } else {
        let lasting = Duration::from_secs_f64(args.seconds);
        Extent { rounds: args.rounds, lasting, connections: args.connections, quick: false }
    };
    pin(LOAD_CORE)?;
    let mut all = Vec::new();
    let mut failed = Vec::new();
    for (name, _, operation) in ops::ALL {
        if !args.names.is_empty() && !args.names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let (start, load) = (Instant::now(), report::load_average());
        match operation(&extent) {
            Ok(mut findings) => {
                findings.command = command(name, args);
                let seconds = start.elapsed().as_secs_f64();
                findings.note(format!(
                    "took {seconds:.0} s; load average at the start {load}, at the end {}",
                    report::load_average()
                ));
                println!("{}", findings.text());
                all.push(findings);
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                failed.push(name);
            }
        }
    }
    if let Some(path) = &args.json {
        report::write_json(path, &all)?;
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(io::Error::other(format!("could not be measured: {}", failed.join(", "))))
    }
}

fn command(name: &str, args: &RunArgs) -> String {
    if args.quick {
        return format!("scripts/bench {name} --quick");
    }
    format!(
        "scripts/bench {name} --rounds {} --seconds {} --connections {}",
        args.rounds, args.seconds, args.connections
    )
}
