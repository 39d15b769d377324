//! Pairs of stores.

use std::{any::Any, sync::Arc};

use cloakroom_core::store::{
    Moving, Stores,
    memory::MemorySessions,
    redis::{Address, Redis},
    sqlite::{Options, Sqlite},
};

use crate::{database::Database, gate::Flaw, server::Server, town::Town};

/// Where accounts stand, and where sessions do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pair {
    /// SQLite has both.
    Together,
    /// SQLite, and memory.
    Apart,
    /// SQLite, and memory into which they are moved from it.
    Moving,
    /// PostgreSQL has both.
    Postgres,
    /// PostgreSQL, and Redis.
    PostgresRedis,
}

impl Pair {
    pub(crate) const ALL: [Self; 5] = [Self::Together, Self::Apart, Self::Moving, Self::Postgres, Self::PostgresRedis];

    /// Whether an end of sessions and what becomes of their records are two writes.
    pub(crate) const fn apart(self) -> bool {
        matches!(self, Self::Apart | Self::Moving | Self::PostgresRedis)
    }

    pub(crate) async fn town(self, flaw: Flaw) -> Town {
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let sqlite = || Sqlite::open(dir.path(), &Options::default()).unwrap().stores();
        let apart = |stores, sessions| Stores { sessions, end_deletes: false, ..stores };
        let mut servers: Vec<Box<dyn Any>> = Vec::new();
        let stores = match self {
            Self::Together => sqlite(),
            Self::Apart => apart(sqlite(), Arc::new(MemorySessions::new())),
            Self::Moving => {
                let stores = sqlite();
                let both = Moving::new(Arc::new(MemorySessions::new()), Arc::clone(&stores.sessions));
                apart(stores, Arc::new(both))
            }
            Self::Postgres | Self::PostgresRedis => {
                let database = Database::create().await;
                let stores = database.open().await.stores();
                servers.push(Box::new(database));
                stores
            }
        };
        let stores = if self == Self::PostgresRedis {
            let server = Server::start(&[]);
            let redis =
                Redis::open(&Address::parse(&server.url()).unwrap(), &cloakroom_core::store::redis::Options::default())
                    .await
                    .unwrap();
            servers.push(Box::new(server));
            apart(stores, Arc::new(redis))
        } else {
            stores
        };
        Town::over(stores, servers, dir, flaw).await
    }
}
