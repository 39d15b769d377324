//! Two servers behind gates, and one that sees; an app of theirs had another method where people began.

use std::{
    any::Any,
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use cloakroom_core::{
    app::App,
    clock::{Clock, ManualClock, Timestamp, machine_time},
    engine::{Client, Engine, Others},
    ids::Generation,
    method::Method,
    session::{Write, Written},
    store::Stores,
};

use crate::{
    acts::{Deed, Person, sign_in, sign_in_to},
    course::Doing,
    gate::{Call, Flaw, Gate},
    lab::{self, PASSWORD},
};

const GRACE: Duration = Duration::from_secs(30);

pub(crate) struct Town {
    stores: Stores,
    /// What the stores run on.
    _servers: Vec<Box<dyn Any>>,
    dir: tempfile::TempDir,
    flaw: Flaw,
    pub(crate) servers: [Server; 2],
    /// Sees what has become of things; no gate stands before it.
    pub(crate) onlooker: Arc<Engine>,
    /// Where people began.
    origin: Arc<Engine>,
    people: u32,
    clocks: Vec<ManualClock>,
    moved: Instant,
}

pub(crate) struct Server {
    pub(crate) engine: Arc<Engine>,
    pub(crate) gate: Arc<Gate>,
}

impl Town {
    pub(crate) async fn over(stores: Stores, servers: Vec<Box<dyn Any>>, dir: tempfile::TempDir, flaw: Flaw) -> Self {
        let mut clocks = Vec::new();
        let onlooker = open(&stores, dir.path(), Machine::RIGHT, &mut clocks).await;
        let origin = open(&stores, dir.path(), Machine { method: Method::Jwt, ..Machine::RIGHT }, &mut clocks).await;
        let ours = [
            serve(&stores, dir.path(), 0, flaw, &mut clocks).await,
            serve(&stores, dir.path(), 1, flaw, &mut clocks).await,
        ];
        Self {
            stores,
            _servers: servers,
            dir,
            flaw,
            servers: ours,
            onlooker,
            origin,
            people: 0,
            clocks,
            moved: Instant::now(),
        }
    }

    /// Somebody who is signed in everywhere.
    pub(crate) async fn somebody(&mut self) -> Person {
        // The machines' clocks go on with the store's.
        let (before, now) = (self.moved, Instant::now());
        self.moved = now;
        for clock in &self.clocks {
            clock.advance(now - before);
        }
        self.people += 1;
        let email = format!("ada{}@example.org", self.people);
        let client = Client::new(Some(Ipv4Addr::from_bits(0x0a00_0000 + self.people * 256).into()), Some("curl/8"));
        let address = cloakroom_core::account::EmailAddress::parse(&email).unwrap();
        let password = Some(PASSWORD.to_owned().into());
        self.onlooker.make_account(address, password, None, &client).await.unwrap();
        let here = async || sign_in(&self.onlooker, &email, PASSWORD, Others::GoOn, &client).await.unwrap();
        let browsers = [here().await, here().await];
        let of = async |app, at| sign_in_to(app, at, &email, PASSWORD, Others::GoOn, &client).await.unwrap();
        let phone = of("api", &self.onlooker).await;
        let old = of("edge", &self.origin).await;
        // So that a renewal spends the refresh token.
        let first = Generation(0);
        let long_ago = Write::Rotate { from: first, to: first, at: Some(phone.created - GRACE * 2), active: None };
        assert!(matches!(self.stores.sessions.write(phone.session, long_ago).await.unwrap(), Written::Done(_)));
        Person { email, client, browsers, phone, old }
    }

    /// What a deed calls when nothing comes between.
    pub(crate) async fn uncut(&mut self, deed: Deed) -> Vec<Call> {
        let person = Arc::new(self.somebody().await);
        let doing = Doing::begin(deed, &person, self);
        doing.finish().await;
        doing.outcome().await.1
    }

    /// Another server in the place of one that has died.
    pub(crate) async fn replace(&mut self, server: usize) {
        self.servers[server] = serve(&self.stores, self.dir.path(), server, self.flaw, &mut self.clocks).await;
    }
}

/// How a server is set up, and what its wall clock shows.
#[derive(Clone, Copy)]
struct Machine {
    method: Method,
    token_life: Duration,
    ahead: Duration,
    behind: Duration,
}

impl Machine {
    const RIGHT: Self = Self {
        method: Method::Phantom,
        token_life: Duration::from_secs(300),
        ahead: Duration::ZERO,
        behind: Duration::ZERO,
    };
    /// Of two servers neither clock is right, and their configurations differ.
    const OURS: [Self; 2] = [
        Self { ahead: Duration::from_secs(600), ..Self::RIGHT },
        Self { behind: Duration::from_secs(600), token_life: Duration::from_secs(600), ..Self::RIGHT },
    ];
}

async fn serve(stores: &Stores, dir: &Path, number: usize, flaw: Flaw, clocks: &mut Vec<ManualClock>) -> Server {
    let gate = Gate::new(flaw);
    let engine = open(&gate.before(stores), dir, Machine::OURS[number], clocks).await;
    Server { engine, gate }
}

async fn open(stores: &Stores, dir: &Path, machine: Machine, clocks: &mut Vec<ManualClock>) -> Arc<Engine> {
    let wall: Timestamp = machine_time() + machine.ahead - machine.behind;
    let (clock, hands) = Clock::manual_machine(wall);
    clocks.push(hands);
    let change = |app: &mut App| {
        (app.access_token_lifetime, app.refresh_grace) = (machine.token_life, GRACE);
        if app.id.as_str() == "edge" {
            app.method = machine.method;
            app.migrate_from = Method::ALL.into_iter().filter(|method| *method != machine.method).collect();
        }
    };
    lab::open_on(stores.clone(), dir, clock, change).await.unwrap()
}
