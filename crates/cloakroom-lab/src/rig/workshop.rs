//! Where rigs are built: their stores, directories and settings.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use cloakroom_core::{key::MasterSecret, random::Rng};

use super::{Place, Rig, Store, Topology};
use crate::{
    relay::Relay,
    stores::{Postgres, Redis},
};

/// Longer than any comparison: a token that ended in its middle would say nothing about its method.
const LONG_TOKENS: [&str; 2] =
    ["CLOAKROOM_APP__1__ACCESS_TOKEN_LIFETIME=1h", "CLOAKROOM_APP__3__ACCESS_TOKEN_LIFETIME=1h"];

/// Servers where there are several.
const SERVERS: usize = 3;

/// What rigs are built from.
pub struct Workshop {
    /// Where servers keep their data.
    pub dir: PathBuf,
    /// A PostgreSQL.
    pub postgres: Option<Postgres>,
    /// A Redis.
    pub redis: Option<Redis>,
    /// The servers' core, where it is kept apart from the load's.
    pub core: Option<usize>,
    pub(super) program: PathBuf,
    built: AtomicUsize,
}

impl Workshop {
    /// An empty one in a directory, whose servers are those of a program.
    pub fn new(program: PathBuf, dir: PathBuf, core: Option<usize>) -> io::Result<Self> {
        let (master, text) = MasterSecret::generate(&Rng::system());
        drop(master);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(dir.join("secret"))?;
        io::Write::write_all(&mut file, text.as_bytes())?;
        Ok(Self { dir, postgres: None, redis: None, core, program, built: AtomicUsize::new(0) })
    }

    /// Another one in a directory of its own below this one's, which has no stores yet.
    pub fn apart(&self, name: &str) -> io::Result<Self> {
        let dir = self.dir.join(name);
        fs::create_dir(&dir)?;
        Self::new(self.program.clone(), dir, self.core)
    }

    /// Starts a store of its own, where that is a process.
    pub fn start(&mut self, store: Store) -> io::Result<()> {
        let missing = || io::Error::other(format!("{} is not installed", store.name()));
        match store {
            Store::Postgres => {
                self.postgres = Some(Postgres::start(Postgres::installed().ok_or_else(missing)?)?);
            }
            Store::Redis => self.redis = Some(Redis::start(Redis::installed().ok_or_else(missing)?)?),
            Store::Memory | Store::Sqlite => {}
        }
        Ok(())
    }

    /// Kills it.
    pub fn kill(&mut self, store: Store) {
        match (store, &mut self.postgres, &mut self.redis) {
            (Store::Postgres, Some(postgres), _) => postgres.kill(),
            (Store::Redis, _, Some(redis)) => redis.kill(),
            _ => {}
        }
    }

    /// Starts it again with what it has.
    pub fn revive(&mut self, store: Store) -> io::Result<()> {
        match (store, &mut self.postgres, &mut self.redis) {
            (Store::Postgres, Some(postgres), _) => postgres.revive(),
            (Store::Redis, _, Some(redis)) => redis.revive(),
            _ => Ok(()),
        }
    }

    /// Whether there is what a store, in a topology, needs.
    pub fn has(&self, store: Store, topology: Topology) -> bool {
        let several = topology != Topology::One;
        match store {
            Store::Memory | Store::Sqlite => !several || self.postgres.is_some(),
            Store::Postgres => self.postgres.is_some(),
            Store::Redis => self.redis.is_some() && (!several || self.postgres.is_some()),
        }
    }

    /// Builds a rig.
    pub fn build(&self, store: Store, topology: Topology) -> io::Result<Rig> {
        self.build_with(store, topology, &[])
    }

    /// The same with further settings for all its servers.
    pub fn build_with(&self, store: Store, topology: Topology, more: &[&str]) -> io::Result<Rig> {
        self.build_for(&["--people"], store, topology, more)
    }

    /// The same without anybody who could sign in, which saves the time of a password hash.
    pub fn build_without_people(&self, store: Store, topology: Topology, more: &[&str]) -> io::Result<Rig> {
        self.build_for(&[], store, topology, more)
    }

    fn build_for(&self, first: &[&str], store: Store, topology: Topology, more: &[&str]) -> io::Result<Rig> {
        let name = self.name();
        let accounts = if store == Store::Postgres || topology != Topology::One {
            Some(self.postgres()?.database(&name)?)
        } else {
            None
        };
        let settings = self.settings(&name, store, accounts.as_deref(), more)?;
        let servers = if topology == Topology::One { 1 } else { SERVERS };
        let places = self.places(&name, vec![settings; servers]);
        Rig::start(self, first, (store, topology), name, places)
    }

    /// Two servers with one PostgreSQL of our own; the second reaches it by a wire that can be cut.
    pub fn build_with_wire(&self) -> io::Result<(Rig, Relay)> {
        let name = self.name();
        let port = self.postgres()?.port();
        let relay = Relay::lay(port)?;
        let direct = self.postgres()?.database(&name)?;
        let by_wire = direct.replace(&format!(":{port}/"), &format!(":{}/", relay.port()));
        let all = [direct, by_wire].map(|accounts| self.settings(&name, Store::Postgres, Some(&accounts), &[]));
        let places = self.places(&name, all.into_iter().collect::<io::Result<_>>()?);
        Ok((Rig::start(self, &[], (Store::Postgres, Topology::Shared), name, places)?, relay))
    }

    fn name(&self) -> String {
        format!("rig{}", self.built.fetch_add(1, Ordering::Relaxed))
    }

    fn settings(&self, name: &str, store: Store, accounts: Option<&str>, more: &[&str]) -> io::Result<Vec<String>> {
        let mut settings: Vec<String> = LONG_TOKENS.iter().chain(more).map(|s| (*s).to_owned()).collect();
        if let Some(accounts) = accounts {
            settings.push(format!("CLOAKROOM_STORE__ACCOUNTS={accounts}"));
            settings.push(format!("CLOAKROOM_SECRET_FILE={}", self.dir.join("secret").display()));
        }
        match store {
            Store::Postgres => {}
            Store::Memory => settings.push("CLOAKROOM_STORE__SESSIONS=memory".to_owned()),
            Store::Sqlite => settings.push("CLOAKROOM_STORE__SESSIONS=sqlite".to_owned()),
            Store::Redis => {
                let address = self.redis()?.address(name);
                settings.push(format!("CLOAKROOM_STORE__SESSIONS={address}"));
            }
        }
        Ok(settings)
    }

    fn places(&self, name: &str, settings: Vec<Vec<String>>) -> Vec<Place> {
        let place = |(number, settings)| Place { dir: self.dir.join(format!("{name}-{number}")), settings };
        settings.into_iter().enumerate().map(place).collect()
    }

    pub(super) fn postgres(&self) -> io::Result<&Postgres> {
        self.postgres.as_ref().ok_or_else(|| io::Error::other("there is no PostgreSQL"))
    }

    pub(super) fn redis(&self) -> io::Result<&Redis> {
        self.redis.as_ref().ok_or_else(|| io::Error::other("there is no Redis"))
    }
}
