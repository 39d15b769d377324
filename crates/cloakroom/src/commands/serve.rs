//! `cloakroom serve`.

use std::{
    io,
    time::{Duration, Instant},
};

use cloakroom_core::{store::StoreError, tasks};
use cloakroom_server::{
    ServeError, Server,
    assemble::OpenError,
    config::Config,
    control::{self, Command},
    log,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    args::{Common, Serve},
    failure::Failure,
    operator::sources,
    output::Output,
};

pub(crate) async fn run(serve: Serve, common: &Common, output: Output) -> Result<(), Failure> {
    let mut sources = sources(common);
    if let Some(listen) = serve.listen {
        sources = sources.listen(listen);
    }
    let mut config = Config::load(sources)?;
    if serve.explain {
        config.explain().map_err(Failure::usage)?;
    }
    let terminal = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let colour = if terminal { log::Colour::Yes } else { log::Colour::No };
    log::start(&config.log, colour).map_err(|error| Failure::usage(error.to_string()))?;
    allow_many_files();
    let stop = stop().map_err(|error| Failure::fault(&error))?;
    let data_dir = config.data_dir.display().to_string();
    let server = bind(config).await?;
    let listen = server.address().map_err(|error| Failure::fault(&error))?;
    let ready = json!({ "listen": listen, "public_url": server.public_url(), "data_dir": data_dir });
    let url = server.public_url();
    let explained = if serve.explain { format!("\nWhat it does is shown on {url}/explain.") } else { String::new() };
    let people = format!("Cloakroom serves {url} on {listen}.\nIts data directory is {data_dir}.{explained}");
    output.announce(&ready, people);
    server.run(stop).await;
    Ok(())
}

/// A command that holds the store for a moment is waited for; another server is not.
async fn bind(config: Config) -> Result<Server, Failure> {
    const PATIENCE: Duration = Duration::from_secs(10);
    const PAUSE: Duration = Duration::from_millis(100);
    let began = Instant::now();
    loop {
        let held = match Server::bind(config.clone()).await {
            Ok(server) => return Ok(server),
            Err(ServeError::Open(OpenError::Store(StoreError::InUse(held)))) => held,
            Err(ServeError::Open(error)) => return Err(error.into()),
            Err(error) => return Err(Failure::refused("cannot_serve", error.to_string())),
        };
        let by_server = control::ask(&config.data_dir, &Command::Status).await.is_ok();
        if by_server || began.elapsed() >= PATIENCE {
            return Err(Failure::refused("store_in_use", held));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Each connection is an open file, and the limit that programs start with is often 1,024: it is raised as far as it may be.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, limit = limit.current, "the limit on open files could not be raised");
    }
}

/// Resolves at the first SIGTERM or SIGINT. The second one ends the process at once.
fn stop() -> io::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        either(&mut term, &mut int).await;
        tracing::info!("stopping; a second signal stops at once");
        tasks::once("stop", async move {
            either(&mut term, &mut int).await;
            tracing::warn!("stopped before all was answered");
            log::flush();
            std::process::exit(1);
        });
    })
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
