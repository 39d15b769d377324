//! Has commands done: by the running server, or, where none runs, by opening the store.

use std::{
    os::unix::fs::MetadataExt,
    sync::Arc,
    time::{Duration, Instant},
};

use cloakroom_core::{
    clock::Clock,
    engine::Engine,
    random::Rng,
    store::{StoreError, sqlite::Sqlite},
};
use cloakroom_server::{
    assemble::{self, OpenError},
    config::{AccountsAt, Config, Sources},
    control::{AskError, Command, Control, ask},
};
use serde_json::Value;

use crate::{args::Common, failure::Failure};

/// Another command that holds the store, or a server that is just starting or stopping, is waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Somebody who has commands done on a data directory.
pub(crate) struct Operator {
    config: Arc<Config>,
    /// Opened when there was no server.
    local: Option<Control>,
}

/// The sources of a configuration that every command has.
pub(crate) fn sources(common: &Common) -> Sources {
    let mut sources = Sources::new().environment(std::env::vars_os());
    if let Some(file) = &common.config {
        sources = sources.file(file);
    }
    if let Some(dir) = &common.data_dir {
        sources = sources.data_dir(dir);
    }
    sources
}

impl Operator {
    /// As the configuration says.
    pub(crate) fn new(common: &Common) -> Result<Self, Failure> {
        Ok(Self::with(Config::load(sources(common))?))
    }

    pub(crate) fn with(config: Config) -> Self {
        Self { config: Arc::new(config), local: None }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Has one command done, and nothing else.
    pub(crate) async fn once(common: &Common, command: Command) -> Result<Value, Failure> {
        let mut operator = Self::new(common)?;
        let answer = operator.ask(command).await;
        operator.close().await?;
        answer
    }

    /// Has a command done.
    pub(crate) async fn ask(&mut self, command: Command) -> Result<Value, Failure> {
        let began = Instant::now();
        loop {
            if let Some(local) = &self.local {
                let uid = rustix::process::geteuid().as_raw();
                return Ok(local.execute(command, uid).await?);
            }
            match ask(&self.config.data_dir, &command).await {
                Ok(answer) => return Ok(answer),
                Err(AskError::NoServer(_)) => {}
                Err(error) => return Err(error.into()),
            }
            self.fit_to_open(&command)?;
            match self.open().await {
                Ok(engine) => self.local = Some(Control::new(engine, Arc::clone(&self.config))),
                Err(OpenError::Store(StoreError::InUse(held))) if began.elapsed() >= PATIENCE => {
                    let detail = format!("{held}; its private socket does not answer");
                    return Err(Failure::refused("store_in_use", detail));
                }
                Err(OpenError::Store(StoreError::InUse(_))) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes what waits, and closes the store if it was opened here.
    pub(crate) async fn close(&mut self) -> Result<(), Failure> {
        match self.local.take() {
            Some(local) => local.close().await.map_err(Failure::from),
            None => Ok(()),
        }
    }

    async fn open(&self) -> Result<Arc<Engine>, OpenError> {
        Box::pin(assemble::open(&self.config, Clock::system(), Rng::system())).await
    }

    /// A mistyped directory must not become a new store, and files of root must not get into a server's directory.
    fn fit_to_open(&self, command: &Command) -> Result<(), Failure> {
        let dir = &self.config.data_dir;
        let shown = dir.display();
        if self.config.store.accounts != AccountsAt::Sqlite {
            // Nothing of it is in the directory.
            return Ok(());
        }
        if !command.may_begin() && !dir.join(Sqlite::FILE).exists() {
            let detail = format!("there is no store in {shown}; is it the right directory (--data-dir, --config)?");
            return Err(Failure::refused("no_store", detail));
        }
        let user = rustix::process::geteuid().as_raw();
        match std::fs::metadata(dir) {
            Ok(about) if about.uid() != user => Err(Failure::refused(
                "forbidden",
                format!("{shown} belongs to user {}, and no server runs; run the command as that user", about.uid()),
            )),
            _ => Ok(()),
        }
    }
}
