//! What is measured: one or three servers with their stores, filled with live logins of all four methods.

mod counts;

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use cloakroom_core::{key::MasterSecret, method::Method, random::Rng};

use serde::{Deserialize, Serialize};

use crate::{
    call::Caller,
    load::{Client, Lines, Order, Pace, Requests, Route, Sample},
    relay::Relay,
    stopwatch::CpuTimes,
    stores::{Postgres, Redis},
    subject::{self, Process},
};

/// Where sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// In the server's memory.
    Memory,
    /// In its file.
    Sqlite,
    /// In PostgreSQL, beside the accounts.
    Postgres,
    /// In Redis.
    Redis,
}

impl Store {
    /// Its name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

/// How many servers, and what they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// One server.
    One,
    /// Three with one store; each request goes to any of them.
    Shared,
    /// Three with one store; each client's requests go to the same server.
    Sticky,
    /// Three whose session stores are their own, while accounts and keys are shared; each request goes to any of
    /// them.
    Unshared,
}

impl Topology {
    /// Its name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Shared => "shared",
            Self::Sticky => "sticky",
            Self::Unshared => "unshared",
        }
    }
}

/// The methods in the order in which they are shown, with the app of each that a server without a configuration has, and how its
/// credential is checked.
pub const METHODS: [(Method, &str, &str); 4] = [
    (Method::Session, "web", "/v1/verify?app=web"),
    (Method::Phantom, "edge", "/v1/verify?app=edge"),
    (Method::Jwt, "api", "/v1/verify?app=api"),
    (Method::JwtStateless, "stateless", "/v1/verify?app=stateless"),
];

/// The app of a method.
pub const fn app_of(method: Method) -> &'static str {
    METHODS[place_of(method)].1
}

/// How a method's credential is checked.
pub const fn path_of(method: Method) -> &'static str {
    METHODS[place_of(method)].2
}

const fn place_of(method: Method) -> usize {
    match method {
        Method::Session => 0,
        Method::Phantom => 1,
        Method::Jwt => 2,
        Method::JwtStateless => 3,
    }
}

/// Longer than any comparison: a token that ended in its middle would say nothing about its method.
const LONG_TOKENS: [&str; 2] =
    ["CLOAKROOM_APP__1__ACCESS_TOKEN_LIFETIME=1h", "CLOAKROOM_APP__3__ACCESS_TOKEN_LIFETIME=1h"];

/// As long as it takes.
const LONG: Duration = Duration::from_secs(120);

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
    program: PathBuf,
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

    fn postgres(&self) -> io::Result<&Postgres> {
        self.postgres.as_ref().ok_or_else(|| io::Error::other("there is no PostgreSQL"))
    }

    fn redis(&self) -> io::Result<&Redis> {
        self.redis.as_ref().ok_or_else(|| io::Error::other("there is no Redis"))
    }
}

/// Where a server keeps its data, and how it is set.
struct Place {
    dir: PathBuf,
    settings: Vec<String>,
}

/// Servers that run, and what they were filled with.
pub struct Rig {
    /// Where sessions are kept.
    pub store: Store,
    /// The servers.
    pub topology: Topology,
    /// Its name: that of its database and of its keys in Redis.
    pub name: String,
    program: PathBuf,
    core: Option<usize>,
    places: Vec<Place>,
    servers: Vec<Option<Process>>,
}

impl Rig {
    fn start(
        from: &Workshop,
        first: &[&str],
        (store, topology): (Store, Topology),
        name: String,
        places: Vec<Place>,
    ) -> io::Result<Self> {
        let (program, core) = (from.program.clone(), from.core);
        let mut rig = Self { store, topology, name, program, core, places, servers: Vec::new() };
        // The first one makes the tables, and the people.
        let first: Vec<String> = first.iter().map(|argument| (*argument).to_owned()).collect();
        let mut servers = vec![Some(rig.server(0, &first)?)];
        let others: io::Result<Vec<Process>> = thread::scope(|scope| {
            let start = |number| {
                scope.spawn({
                    let rig = &rig;
                    move || rig.server(number, &[])
                })
            };
            let others: Vec<_> = (1..rig.places.len()).map(start).collect();
            let broken = |_| io::Error::other("a start broke off");
            others.into_iter().map(|other| other.join().map_err(broken)?).collect()
        });
        servers.extend(others?.into_iter().map(Some));
        rig.servers = servers;
        Ok(rig)
    }

    fn server(&self, number: usize, more: &[String]) -> io::Result<Process> {
        let place = &self.places[number];
        let settings: Vec<&str> = place.settings.iter().map(String::as_str).collect();
        subject::start(&self.program, place.dir.clone(), self.core, &settings, more)
    }

    /// The servers that run.
    pub fn running(&self) -> impl Iterator<Item = &Process> {
        self.servers.iter().flatten()
    }

    /// Where the servers that run listen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.running().map(|server| server.address).collect()
    }

    /// The data directory of a server.
    pub fn place(&self, number: usize) -> &Path {
        &self.places[number].dir
    }

    /// Kills a server.
    pub fn kill(&mut self, number: usize) -> io::Result<()> {
        self.servers[number].take().map_or(Ok(()), Process::kill)
    }

    /// Starts a server again with what it has.
    pub fn revive(&mut self, number: usize) -> io::Result<()> {
        self.servers[number] = Some(self.server(number, &[])?);
        Ok(())
    }

    /// Adds live logins of a method; where the servers share no sessions, a part at each.
    pub fn fill(&mut self, method: Method, count: usize) -> io::Result<()> {
        let homes = if self.topology == Topology::Unshared { self.servers.len() } else { 1 };
        for server in self.servers.iter_mut().take(homes).flatten() {
            server.fill(app_of(method), count.div_ceil(homes))?;
        }
        Ok(())
    }

    /// Adds records of live logins of a method, whose clients hold nothing, to the first server's store.
    pub fn keep(&mut self, method: Method, count: usize) -> io::Result<()> {
        let first = self.servers.iter_mut().flatten().next();
        first.ok_or_else(|| io::Error::other("no server runs"))?.keep(app_of(method), count)
    }

    /// The credentials of the last filling, a header line each; the n-th one's home is server n modulo their number, where they share
    /// no sessions.
    pub fn credentials(&self, method: Method) -> io::Result<Arc<Lines>> {
        self.lines(app_of(method))
    }

    /// The refresh tokens of the last filling, as JSON bodies.
    pub fn refresh_bodies(&self, method: Method) -> io::Result<Arc<Lines>> {
        self.lines(&format!("{}-refresh", app_of(method)))
    }

    fn lines(&self, kind: &str) -> io::Result<Arc<Lines>> {
        if self.topology != Topology::Unshared {
            return self.first()?.lines(kind);
        }
        let all = self.running().map(|server| server.lines(kind)).collect::<io::Result<Vec<_>>>()?;
        let shortest = all.iter().map(|lines| lines.count()).min().unwrap_or_default();
        let mixed: Vec<String> = (0..shortest).flat_map(|n| all.iter().map(move |lines| lines.text(n))).collect();
        Lines::of(&mixed)
    }

    /// The first server.
    pub fn first(&self) -> io::Result<&Process> {
        self.running().next().ok_or_else(|| io::Error::other("no server runs"))
    }

    /// How a balancer would choose.
    pub fn route(&self) -> Route {
        if self.topology == Topology::Sticky { Route::OfItem } else { Route::Any }
    }

    /// Connections to all servers.
    pub fn client(&self, connections: usize) -> io::Result<Client> {
        let addresses = self.addresses();
        Client::connect_all(&addresses, connections.div_ceil(addresses.len().max(1)))
    }

    /// Shows every credential of the last filling of a method to every server once, so that they know it.
    pub fn warm(&self, method: Method) -> io::Result<()> {
        let lines = self.credentials(method)?;
        for address in self.addresses() {
            let mut requests = Requests::get(path_of(method), Arc::clone(&lines), Order::Once);
            Client::connect(address, 16)?.run(&mut requests, Pace::Closed, LONG)?;
        }
        Ok(())
    }

    /// A caller of one server.
    pub fn caller(&self, number: usize) -> io::Result<Caller> {
        let server = self.servers[number].as_ref().ok_or_else(|| io::Error::other("that server does not run"))?;
        Caller::connect(server.address, HOST)
    }

    /// The CPU time of all servers up to now.
    pub fn cpu(&self) -> io::Result<Vec<CpuTimes>> {
        self.running().map(Process::cpu).collect()
    }

    /// Nanoseconds that all servers have used since then.
    pub fn cpu_since(&self, before: &[CpuTimes]) -> io::Result<u64> {
        Ok(self.cpu()?.iter().zip(before).map(|(now, before)| now.since(before)).sum())
    }

    /// A round in a closed loop, with the nanoseconds of CPU time that the servers took for it.
    pub fn closed(&self, client: &mut Client, requests: &mut Requests, lasting: Duration) -> io::Result<(u64, Sample)> {
        let before = self.cpu()?;
        let sample = client.run(requests, Pace::Closed, lasting)?;
        // The kernel counts a thread's time when it stops.
        thread::sleep(Duration::from_millis(5));
        Ok((self.cpu_since(&before)?, sample))
    }

    /// The sum of a metric's values over all servers, of lines that hold `label`.
    pub fn metric(&self, name: &str, label: &str) -> io::Result<f64> {
        let mut sum = 0.0;
        for server in self.running() {
            let reply = Caller::connect(server.address, HOST)?.call("GET", "/metrics", &[], None)?.demand(200)?;
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            let is_it = |line: &&str| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
            };
            let values = text.lines().filter(is_it).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            sum += values.sum::<f64>();
        }
        Ok(sum)
    }
}

/// What requests name as their host, and browsers as their origin.
pub const HOST: &str = "localhost:8080";
/// That origin, as a header line.
pub const ORIGIN: &str = "origin: http://localhost:8080";
