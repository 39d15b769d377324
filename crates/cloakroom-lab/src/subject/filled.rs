//! The server itself, as its binary runs it, filled before it answers.

use std::{io, path::PathBuf};

use clap::Args;
use cloakroom_core::{
    ids::{Generation, SessionId},
    key::KeyRing,
    random::Rng,
};
use cloakroom_server::{
    Server,
    config::{Config, Sources},
};

use super::{
    control::{Ready, say, words},
    seed::{Seeder, Wanted, people},
};
use crate::stopwatch::pin;

/// `serve-subject`.
#[derive(Args, Debug)]
pub struct SubjectArgs {
    /// The core to run on.
    #[arg(long)]
    core: Option<usize>,
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Where it keeps its data.
    #[arg(long)]
    data_dir: PathBuf,
    /// A setting, as its environment variable: `CLOAKROOM_STORE__SESSIONS=memory`.
    #[arg(long = "set")]
    settings: Vec<String>,
    /// Accounts without a password, on which the sessions are spread.
    #[arg(long, default_value_t = 0)]
    accounts: usize,
    /// Sessions; their tickets go into `sessions` beside the data directory.
    #[arg(long, default_value_t = 0)]
    sessions: usize,
    /// Access tokens; they go into `tokens`.
    #[arg(long, default_value_t = 0)]
    tokens: usize,
    /// Sessions with refresh tokens, each due to rotate; they go into `refresh`.
    #[arg(long, default_value_t = 0)]
    refresh: usize,
    /// Live logins of an app, whatever its method: `web:1000`. Their credentials go into `web`, their refresh tokens into
    /// `web-refresh`.
    #[arg(long = "fill", value_parser = app_and_count)]
    fill: Vec<(String, usize)>,
    /// Accounts that can sign in.
    #[arg(long)]
    people: bool,
}

/// Runs the server until standard input ends.
pub fn serve(args: &SubjectArgs) -> io::Result<()> {
    if let Some(core) = args.core {
        pin(core)?;
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: &SubjectArgs) -> io::Result<()> {
    // An issuer of 21 bytes, whichever port is free.
    let address = ("CLOAKROOM_PUBLIC_URL", "http://localhost:8080");
    let settings = args.settings.iter().filter_map(|setting| setting.split_once('=')).chain([address]);
    let data_dir = args.data_dir.to_str().ok_or_else(|| io::Error::other("the path is no text"))?;
    let sources = Sources::new().environment(settings).listen(args.listen.as_str()).data_dir(data_dir);
    let config = Config::load(sources).map_err(|errors| io::Error::other(errors.to_string()))?;
    let server = Server::bind(config.clone()).await.map_err(io::Error::other)?;
    let wanted = Wanted {
        accounts: args.accounts,
        sessions: args.sessions,
        tokens: args.tokens,
        refresh: args.refresh,
        passwords: args.people,
    };
    let seeded = fill(args, &config, &server, wanted).await?;
    say(&Ready { address: server.address()? })?;
    let engine = std::sync::Arc::clone(server.engine());
    let mut words = words();
    server
        .run(async move {
            while let Some(word) = words.recv().await {
                if word == "rotations" {
                    let said = say(&rotations(&engine, &seeded).await);
                    if said.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
    Ok(())
}

async fn fill(args: &SubjectArgs, config: &Config, server: &Server, wanted: Wanted) -> io::Result<Vec<SessionId>> {
    let engine = server.engine();
    if wanted.passwords {
        people(engine).await?;
    }
    if wanted.accounts == 0 {
        return Ok(Vec::new());
    }
    let (master, _) = config.master_secret(&Rng::system()).map_err(io::Error::other)?;
    let rows = engine.stores().accounts.keys().await.map_err(io::Error::other)?;
    let ring = KeyRing::open(rows, &master).map_err(io::Error::other)?;
    let seeder = Seeder::new(engine.stores(), &ring, wanted.accounts).await?;
    let app = |id: &str| engine.app(Some(id)).map_err(|refusal| io::Error::other(refusal.to_string()));
    let beside = |name: &str| args.data_dir.with_extension(name);
    if wanted.sessions > 0 {
        seeder.sessions(wanted.sessions, app("web")?, &beside("sessions")).await?;
    }
    if wanted.tokens > 0 {
        seeder.access_tokens(wanted.tokens, app("api")?, server.public_url(), &beside("tokens"))?;
    }
    for (id, count) in &args.fill {
        seeder.live_logins(*count, app(id)?, server.public_url(), beside).await?;
    }
    if wanted.refresh > 0 {
        return seeder.refresh_tokens(wanted.refresh, app("api")?, &beside("refresh")).await;
    }
    Ok(Vec::new())
}

/// Reads `web:1000`.
fn app_and_count(text: &str) -> Result<(String, usize), String> {
    let parts = text.split_once(':').and_then(|(app, count)| Some((app.to_owned(), count.parse().ok()?)));
    parts.ok_or_else(|| "an app and a number, as web:1000".to_owned())
}

/// How many rotations the store holds: the sum of the seeded sessions' generations.
async fn rotations(engine: &cloakroom_core::engine::Engine, seeded: &[SessionId]) -> u64 {
    let mut sum = 0;
    for id in seeded {
        if let Ok(Some(record)) = engine.stores().sessions.read(*id).await {
            let Generation(generation) = record.generation;
            sum += u64::from(generation);
        }
    }
    sum
}
