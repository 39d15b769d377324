//! The server itself, as its binary runs it, filled before it answers.

use std::{io, path::PathBuf, sync::Arc};

use clap::Args;
use cloakroom_core::{
    app::App,
    engine::{Client, Engine},
    ids::{Generation, SessionId},
    key::KeyRing,
    random::Rng,
};
use cloakroom_server::{
    Server,
    config::{Config, Sources},
};
use data_encoding::BASE64;

use super::{
    control::{Ready, say, words},
    seed::{Seeder, people},
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
    dir: PathBuf,
    /// A file with settings, a line each, as their environment variables: `CLOAKROOM_STORE__SESSIONS=memory`.
    #[arg(long)]
    settings: PathBuf,
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
    /// Accounts that can sign in.
    #[arg(long)]
    people: bool,
    /// As `serve --explain`.
    #[arg(long)]
    explain: bool,
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
    let settings = std::fs::read_to_string(&args.settings)?;
    let settings = settings.lines().filter_map(|setting| setting.split_once('='));
    let data_dir = args.dir.to_str().ok_or_else(|| io::Error::other("the path is no text"))?;
    let sources = Sources::new()
        .environment(std::iter::once(address).chain(settings))
        .listen(args.listen.as_str())
        .data_dir(data_dir);
    let mut config = Config::load(sources).map_err(|errors| io::Error::other(errors.to_string()))?;
    if args.explain {
        config.explain().map_err(io::Error::other)?;
    }
    let server = Server::bind(config.clone()).await.map_err(io::Error::other)?;
    let (master, _) = config.master_secret(&Rng::system()).map_err(io::Error::other)?;
    let keys = server.engine().stores().accounts.keys().await.map_err(io::Error::other)?;
    let filler = Filler {
        engine: Arc::clone(server.engine()),
        ring: KeyRing::open(keys.rows, &master).map_err(io::Error::other)?,
        issuer: server.public_url().to_owned(),
        data_dir: args.dir.clone(),
    };
    let seeded = filler.before_it_answers(args).await?;
    say(&Ready { address: server.address()? })?;
    let mut words = words();
    server
        .run(async move {
            while let Some(word) = words.recv().await {
                if filler.answer(&word, &seeded).await.is_err() {
                    return;
                }
            }
        })
        .await;
    Ok(())
}

/// What fills a server's stores, before it answers and later.
struct Filler {
    engine: Arc<Engine>,
    ring: KeyRing,
    issuer: String,
    data_dir: PathBuf,
}

impl Filler {
    async fn before_it_answers(&self, args: &SubjectArgs) -> io::Result<Vec<SessionId>> {
        if args.people {
            people(&self.engine).await?;
        }
        if args.accounts == 0 {
            return Ok(Vec::new());
        }
        let seeder = Seeder::new(self.engine.stores(), &self.ring, args.accounts).await?;
        if args.sessions > 0 {
            seeder.sessions(args.sessions, self.app("web")?, &self.beside("sessions")).await?;
        }
        if args.tokens > 0 {
            seeder.access_tokens(args.tokens, self.app("api")?, &self.issuer, &self.beside("tokens"))?;
        }
        if args.refresh > 0 {
            return seeder.refresh_tokens(args.refresh, self.app("api")?, &self.beside("refresh")).await;
        }
        Ok(Vec::new())
    }

    fn app(&self, id: &str) -> io::Result<&App> {
        self.engine.app(Some(id)).map(Arc::as_ref).map_err(|refusal| io::Error::other(refusal.to_string()))
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.data_dir.with_extension(name)
    }

    /// `rotations`: how many the store holds. `fill APP COUNT`: so many more live logins of an app, ten to an account; their
    /// credentials replace those in `APP`, their refresh tokens those in `APP-refresh`. `keep APP COUNT`: the records of so many, and
    /// nothing else. `service`: a new one; what it sends by HTTP Basic.
    async fn answer(&self, word: &str, seeded: &[SessionId]) -> io::Result<()> {
        let parts: Vec<&str> = word.split_ascii_whitespace().collect();
        match parts.as_slice() {
            ["rotations"] => say(&rotations(&self.engine, seeded).await),
            ["service"] => {
                let new = self.engine.add_service("load", &Client::default()).await.map_err(io::Error::other)?;
                say(&BASE64.encode(format!("{}:{}", new.id, new.secret.expose()).as_bytes()))
            }
            ["fill", app, count] => {
                let filled = self.fill(app, count).await;
                say(&filled.err().map(|error| error.to_string()))
            }
            ["keep", app, count] => {
                let kept = self.keep(app, count).await;
                say(&kept.err().map(|error| error.to_string()))
            }
            _ => say(&Some(format!("`{word}` is no word"))),
        }
    }

    async fn fill(&self, app: &str, count: &str) -> io::Result<()> {
        let count: usize = count.parse().map_err(io::Error::other)?;
        let seeder = Seeder::new(self.engine.stores(), &self.ring, count.div_ceil(10)).await?;
        seeder.live_logins(count, self.app(app)?, &self.issuer, |name| self.beside(name)).await
    }

    async fn keep(&self, app: &str, count: &str) -> io::Result<()> {
        let count: usize = count.parse().map_err(io::Error::other)?;
        let seeder = Seeder::new(self.engine.stores(), &self.ring, count.div_ceil(10)).await?;
        seeder.records(count, self.app(app)?).await
    }
}

/// How many rotations the store holds: the sum of the seeded sessions' generations.
async fn rotations(engine: &Engine, seeded: &[SessionId]) -> u64 {
    let mut sum = 0;
    for id in seeded {
        if let Ok(Some(record)) = engine.stores().sessions.read(*id).await {
            let Generation(generation) = record.generation;
            sum += u64::from(generation);
        }
    }
    sum
}
