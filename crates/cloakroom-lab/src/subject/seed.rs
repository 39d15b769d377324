//! Fills a server's stores through their ports, and writes the credentials that belong to what is there. A login costs a
//! password hash; a million of them would take a day.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use cloakroom_core::{
    account::{Account, AccountState, EmailAddress},
    app::App,
    clock::{Clock, Timestamp},
    credential::NewPassword,
    engine::Engine,
    ids::{AccountId, Epoch, Generation, SessionId},
    key::KeyRing,
    random::Rng,
    secret::SecretText,
    session::{AuthMethods, ClientKind, Record, Write, Written},
    store::{Creation, NewAccount, SessionStore, Stores},
    ticket::{RefreshToken, SessionTicket, StatelessClaims, StatelessRefreshToken},
    token::{self, Claims, TokenId},
};
use tokio::task::JoinSet;

/// How many accounts have a password.
pub const ADDRESSES: usize = 16;
/// The address of the n-th of them.
pub fn email(number: usize) -> String {
    format!("person{number}@example.com")
}
/// Their password.
pub const PASSWORD: &str = "correct-horse-battery-91";

/// Stores, keys and apps of what is filled.
pub struct Seeder<'s> {
    stores: &'s Stores,
    ring: &'s KeyRing,
    rng: Rng,
    now: Timestamp,
    accounts: Vec<AccountId>,
}

/// Many writes at once: a durable store commits them together.
const TASKS: usize = 512;
/// The sessions began so long ago that their first renewal rotates.
const AGE: Duration = Duration::from_secs(3600);

impl<'s> Seeder<'s> {
    /// Makes the accounts; on them everything else stands.
    pub async fn new(stores: &'s Stores, ring: &'s KeyRing, accounts: usize) -> io::Result<Self> {
        let (rng, now) = (Rng::system(), Clock::system().now());
        let ids = (0..accounts).map(|_| AccountId::generate(now, &rng)).collect::<Vec<_>>();
        let mut seeder = Self { stores, ring, rng, now, accounts: ids };
        seeder.make_accounts().await?;
        Ok(seeder)
    }

    async fn make_accounts(&mut self) -> io::Result<()> {
        let mut tasks = JoinSet::new();
        for share in self.accounts.chunks(self.accounts.len().div_ceil(TASKS).max(1)) {
            let (share, store, created) = (share.to_vec(), Arc::clone(&self.stores.accounts), self.now);
            tasks.spawn(async move {
                for id in share {
                    let email = EmailAddress::parse(&format!("seed-{id}@example.com")).map_err(io::Error::other)?;
                    let account =
                        Account { id, email, name: None, state: AccountState::Active, epoch: Epoch(0), created };
                    match store.create(NewAccount { account, password: None }).await.map_err(io::Error::other)? {
                        Creation::Made => {}
                        Creation::EmailTaken => return Err(io::Error::other("an account is there twice")),
                    }
                }
                Ok(())
            });
        }
        joined(tasks).await
    }

    fn account(&self, number: usize) -> AccountId {
        self.accounts[number % self.accounts.len()]
    }

    fn record(&self, number: usize, app: &App) -> Record {
        let began = (self.now - AGE).whole_secs();
        Record {
            account: self.account(number),
            epoch: Epoch(0),
            app: app.id.tag(),
            app_epoch: Epoch(0),
            method: app.method,
            created: began,
            last_active: self.now,
            expires: (began + app.absolute_timeout).whole_secs(),
            generation: Generation(0),
            rotated: began,
            auth_time: began,
            amr: AuthMethods::PASSWORD,
            client: ClientKind::default(),
        }
    }

    /// Live logins of an app, as its method remembers them: records in the store, where it keeps any, and what the clients hold.
    /// Into `out(id)` goes a header line for each, and where there are refresh tokens, their JSON bodies into
    /// `out(id-refresh)`.
    pub async fn live_logins(
        &self,
        count: usize,
        app: &App,
        issuer: &str,
        out: impl Fn(&str) -> std::path::PathBuf,
    ) -> io::Result<()> {
        let file = out(app.id.as_str());
        if !app.method.has_tokens() {
            return self.sessions(count, app, &file).await;
        }
        let refresh = out(&format!("{}-refresh", app.id));
        let sessions = if app.method.keeps_record() {
            self.refresh_tokens(count, app, &refresh).await?
        } else {
            self.stateless_tokens(count, app, &refresh)?
        };
        let mut out = BufWriter::new(File::create(file)?);
        for (number, session) in sessions.into_iter().enumerate() {
            let text = self.token_of(session, number, app, issuer)?;
            writeln!(out, "authorization: Bearer {}", text.expose())?;
        }
        out.flush()
    }

    /// Sessions with tickets: `cookie` lines.
    pub async fn sessions(&self, count: usize, app: &App, out: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(out)?);
        let mut batch = Vec::new();
        for number in 0..count {
            let ticket = SessionTicket::mint(self.ring, &self.rng, self.now).ok_or_else(no_key)?;
            let text = ticket.text(self.ring).ok_or_else(no_key)?;
            writeln!(out, "cookie: cloakroom-{}={}", app.id, text.expose())?;
            batch.push((ticket.id(), self.record(number, app)));
            if batch.len() == BATCH {
                self.keep(std::mem::take(&mut batch)).await?;
            }
        }
        self.keep(batch).await?;
        out.flush()
    }

    /// Records, for which nobody holds anything.
    pub async fn records(&self, count: usize, app: &App) -> io::Result<()> {
        for start in (0..count).step_by(BATCH) {
            let one = |number| (SessionId::from_bytes(self.rng.bytes()), self.record(number, app));
            self.keep((start..count.min(start + BATCH)).map(one).collect()).await?;
        }
        Ok(())
    }

    /// Sessions with tickets, whose texts are handed back.
    pub async fn session_texts(&self, count: usize, app: &App) -> io::Result<Vec<String>> {
        let (mut texts, mut batch) = (Vec::with_capacity(count), Vec::new());
        for number in 0..count {
            let ticket = SessionTicket::mint(self.ring, &self.rng, self.now).ok_or_else(no_key)?;
            texts.push(ticket.text(self.ring).ok_or_else(no_key)?.expose().to_owned());
            batch.push((ticket.id(), self.record(number, app)));
            if batch.len() == BATCH {
                self.keep(std::mem::take(&mut batch)).await?;
            }
        }
        self.keep(batch).await?;
        Ok(texts)
    }

    /// Sessions with refresh tokens: JSON bodies. Returns their ids.
    pub async fn refresh_tokens(&self, count: usize, app: &App, out: &Path) -> io::Result<Vec<SessionId>> {
        let mut out = BufWriter::new(File::create(out)?);
        let (mut batch, mut ids) = (Vec::new(), Vec::with_capacity(count));
        for number in 0..count {
            let token = RefreshToken::mint(self.ring, &self.rng, self.now).ok_or_else(no_key)?;
            let text = token.text(self.ring).ok_or_else(no_key)?;
            writeln!(out, r#"{{"refresh_token":"{}"}}"#, text.expose())?;
            ids.push(token.id());
            batch.push((token.id(), self.record(number, app)));
            if batch.len() == BATCH {
                self.keep(std::mem::take(&mut batch)).await?;
            }
        }
        self.keep(batch).await?;
        out.flush()?;
        Ok(ids)
    }

    /// Refresh tokens that carry all there is to know: JSON bodies. Returns their sessions' ids.
    fn stateless_tokens(&self, count: usize, app: &App, out: &Path) -> io::Result<Vec<SessionId>> {
        let (mut out, mut ids) = (BufWriter::new(File::create(out)?), Vec::with_capacity(count));
        for number in 0..count {
            let record = self.record(number, app);
            let claims = StatelessClaims {
                account: record.account,
                app: record.app,
                epoch: record.epoch,
                app_epoch: record.app_epoch,
                auth_time: record.auth_time,
                amr: record.amr,
                expires: record.expires,
            };
            let token = StatelessRefreshToken::mint(claims, self.ring, &self.rng, self.now).ok_or_else(no_key)?;
            let text = token.text(self.ring).ok_or_else(no_key)?;
            writeln!(out, r#"{{"refresh_token":"{}"}}"#, text.expose())?;
            ids.push(token.id());
        }
        out.flush()?;
        Ok(ids)
    }

    /// Access tokens of sessions of their own, signed by the server's key: `authorization` lines.
    pub fn access_tokens(&self, count: usize, app: &App, issuer: &str, out: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(out)?);
        for number in 0..count {
            let text = self.access_token(number, app, issuer)?;
            writeln!(out, "authorization: Bearer {}", text.expose())?;
        }
        out.flush()
    }

    /// One access token, of a session that nothing else knows of.
    pub fn access_token(&self, number: usize, app: &App, issuer: &str) -> io::Result<SecretText> {
        self.token_of(SessionId::from_bytes(self.rng.bytes()), number, app, issuer)
    }

    fn token_of(&self, session: SessionId, number: usize, app: &App, issuer: &str) -> io::Result<SecretText> {
        let (kid, key) = self.ring.signer(app.algorithm, self.now).ok_or_else(no_key)?;
        let issued = self.now.whole_secs();
        let claims = Claims {
            issuer: issuer.to_owned(),
            account: self.account(number),
            app: app.id.clone(),
            expires: issued + app.access_token_lifetime,
            issued,
            token_id: TokenId::generate(app.method, &self.rng),
            session,
            auth_time: issued,
            amr: AuthMethods::PASSWORD,
            epoch: Epoch(0),
            app_epoch: Epoch(0),
        };
        token::sign(&claims, kid, key).map_err(io::Error::other)
    }

    async fn keep(&self, batch: Vec<(SessionId, Record)>) -> io::Result<()> {
        let mut tasks = JoinSet::new();
        let share = batch.len().div_ceil(TASKS).max(1);
        let mut rest = batch.into_iter();
        loop {
            let part: Vec<_> = rest.by_ref().take(share).collect();
            if part.is_empty() {
                return joined(tasks).await;
            }
            let store: Arc<dyn SessionStore> = Arc::clone(&self.stores.sessions);
            tasks.spawn(async move {
                for (id, record) in part {
                    let written = store.write(id, Write::Create(record)).await.map_err(io::Error::other)?;
                    if !matches!(written, Written::Done(_)) {
                        return Err(io::Error::other("a session is there twice"));
                    }
                }
                Ok(())
            });
        }
    }
}

/// Accounts with the same password, hashed once; those that are there already stay.
pub(super) async fn people(engine: &Engine) -> io::Result<()> {
    let fault = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let password = NewPassword::choose(PASSWORD.to_owned(), &[]).map_err(|error| fault(&error))?;
    let password = engine.passwords().hash(password).await.map_err(|error| fault(&error))?;
    let (rng, created) = (Rng::system(), Clock::system().now());
    for number in 0..ADDRESSES {
        let email = EmailAddress::parse(&email(number)).map_err(io::Error::other)?;
        let id = AccountId::generate(created, &rng);
        let account = Account { id, email, name: None, state: AccountState::Active, epoch: Epoch(0), created };
        let new = NewAccount { account, password: Some(password.clone()) };
        match engine.stores().accounts.create(new).await.map_err(io::Error::other)? {
            Creation::Made | Creation::EmailTaken => {}
        }
    }
    Ok(())
}

const BATCH: usize = 16_384;

fn no_key() -> io::Error {
    io::Error::other("there is no key")
}

async fn joined(mut tasks: JoinSet<io::Result<()>>) -> io::Result<()> {
    while let Some(done) = tasks.join_next().await {
        done.map_err(io::Error::other)??;
    }
    Ok(())
}
