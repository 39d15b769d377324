//! What is measured: one or three servers with their stores, filled with live logins of all four methods.

mod counts;
mod workshop;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use cloakroom_core::method::Method;
use serde::{Deserialize, Serialize};

use crate::{
    call::Caller,
    load::{Client, Lines, Order, Pace, Requests, Route, Sample},
    stopwatch::CpuTimes,
    subject::{self, Process},
};

pub use workshop::Workshop;

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

/// As long as it takes.
const LONG: Duration = Duration::from_secs(120);

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
