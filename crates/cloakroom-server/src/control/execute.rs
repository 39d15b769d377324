//! Does a [`Command`]: parses its names, calls the engine, and shapes the answer.

use std::{fmt, net::SocketAddr, sync::Arc, time::Instant};

use cloakroom_core::{
    account::{Account, AccountState, EmailAddress},
    app::App,
    audit::{Filter, Kind},
    clock::Timestamp,
    credential::NewPassword,
    engine::{Client, Engine},
    ids::{AccountId, Kid, SessionId},
    key::Purpose,
    method::Method,
    random::Rng,
    refusal::{Code, Reason},
};
use serde_json::{Value, json};

use super::{
    command::{Command, Hidden, Which},
    error::CommandError,
    rewrap, views,
};
use crate::config::Config;

/// What commands work on: an engine, how it was configured, and, in a server, where that serves.
pub struct Control {
    pub(super) engine: Arc<Engine>,
    pub(super) config: Arc<Config>,
    serving: Option<Serving>,
    /// One change of the master secret at a time.
    pub(super) rewrapping: tokio::sync::Mutex<()>,
}

/// Where a running server serves, for `cloakroom doctor`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Serving {
    /// Where it listens, with the port that it was given.
    pub listen: SocketAddr,
    /// Since when.
    pub since: Timestamp,
}

type Done = Result<Value, CommandError>;

impl Control {
    /// Commands for an engine that was opened as this configuration says.
    pub fn new(engine: Arc<Engine>, config: Arc<Config>) -> Self {
        Self { engine, config, serving: None, rewrapping: tokio::sync::Mutex::default() }
    }

    /// In a server that serves.
    #[must_use]
    pub const fn serving(mut self, serving: Serving) -> Self {
        self.serving = Some(serving);
        self
    }

    /// Writes what waits; for who opened the store for a few commands only.
    pub async fn close(self) -> Result<(), CommandError> {
        Ok(self.engine.flush().await?)
    }

    /// Does a command for a user of this machine, and answers with what `--json` prints.
    ///
    /// # Errors
    /// Codes of the API, and `bad_argument`, `no_server`, `wrong_secret`, `secret_elsewhere`, `secret_file`.
    pub async fn execute(&self, command: Command, uid: u32) -> Done {
        let by = &Client::new(None, Some(&format!("cloakroom command line, user {uid}")));
        match command {
            Command::Status => self.status(),
            Command::StoreCheck => self.store_check().await,
            Command::KeyList => {
                let trouble = self.engine.keys_trouble();
                let trouble = trouble.iter().map(|one| json!({ "problem": one.to_string(), "remedy": one.remedy() }));
                Ok(json!({ "keys": self.engine.keys(), "trouble": trouble.collect::<Vec<_>>() }))
            }
            Command::KeyRotate { purpose } => self.rotate(purpose.as_deref()).await,
            Command::KeyKill { kid } => self.kill(&kid, by).await,
            Command::KeyRewrap { secret } => rewrap::rewrap(self, secret, by).await,
            Command::AccountAdd { email, name, password } => self.add_account(&email, name, password, by).await,
            Command::AccountList { after } => self.accounts(after.as_deref()).await,
            Command::AccountDisable { who } => self.set_state(&who, AccountState::Disabled, by).await,
            Command::AccountEnable { who } => self.set_state(&who, AccountState::Active, by).await,
            Command::AccountDelete { who } => {
                let account = self.account(&who).await?;
                Ok(account_answer(&self.engine.remove_account(account.id, by).await?))
            }
            Command::AccountPassword { who, password } => {
                let account = self.account(&who).await?;
                judge(&password, &[account.email.as_typed()])?;
                Ok(account_answer(&self.engine.set_password(account.id, password.expose(), by).await?))
            }
            Command::SessionList { who, before } => self.sessions(&who, before).await,
            Command::SessionCount => Ok(json!({ "counts": self.engine.session_counts().await? })),
            Command::SessionRevoke(which) => self.revoke(which, by).await,
            Command::ServiceAdd { name } => {
                let service = self.engine.add_service(&name, by).await?;
                Ok(json!({ "id": service.id, "secret": service.secret.expose() }))
            }
            Command::ServiceList => {
                let services = self.engine.stores().accounts.services().await?;
                Ok(json!({ "services": services.iter().map(views::service).collect::<Vec<_>>() }))
            }
            Command::ServiceRemove { id } => {
                let none = || CommandError::new(Code::NotFound, format!("there is no service `{id}`"));
                self.engine.remove_service(&id, by).await.map_err(|refusal| found(refusal, none))?;
                Ok(json!({ "removed": id }))
            }
            Command::AuditList { account, kind, session, before, limit } => {
                let account = match account {
                    Some(who) => Some(self.account_id(&who).await?),
                    None => None,
                };
                let kind = kind.as_deref().map(parse_kind).transpose()?;
                let session = session.as_deref().map(parse_session).transpose()?;
                self.audit(&Filter { account, session, kind, before }, limit).await
            }
        }
    }

    fn status(&self) -> Done {
        let Some(serving) = self.serving else {
            return Err(CommandError::named("no_server", "no server runs here"));
        };
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "listen": serving.listen,
            "public_url": self.config.origin(),
            "data_dir": self.config.data_dir,
            "since": serving.since.to_string(),
        }))
    }

    /// One round trip of each kind. The write is activity of a session that there is not, which leaves everything as it
    /// was.
    async fn store_check(&self) -> Done {
        let stores = self.engine.stores();
        let nobody = SessionId::from_bytes(Rng::system().bytes());
        let accounts = Instant::now();
        stores.accounts.log_head().await?;
        let (accounts, sessions) = (accounts.elapsed(), Instant::now());
        stores.sessions.read(nobody).await?;
        let (sessions, write) = (sessions.elapsed(), Instant::now());
        stores.sessions.touch(&[(nobody, self.engine.clock().now())]).await?;
        let ms = |took: std::time::Duration| (took.as_secs_f64() * 1e5).round() / 100.0;
        Ok(json!({
            "accounts_ms": ms(accounts),
            "sessions_ms": ms(sessions),
            "write_ms": ms(write.elapsed()),
            "clock_offset_ms": self.engine.verifier().counts().clock_offset,
        }))
    }

    async fn rotate(&self, purpose: Option<&str>) -> Done {
        let purposes = if let Some(name) = purpose {
            vec![Purpose::parse(name).ok_or_else(|| {
                bad(format!("`{name}` is no purpose ({})", Purpose::ALL.map(Purpose::name).join(", ")))
            })?]
        } else {
            let mut used: Vec<_> = self.engine.keys().into_iter().map(|key| key.purpose).collect();
            used.sort();
            used.dedup();
            used
        };
        let mut made = vec![];
        for purpose in purposes {
            made.extend(self.engine.rotate_key(purpose).await?);
        }
        let keys: Vec<_> = self.engine.keys().into_iter().filter(|key| made.contains(&key.kid)).collect();
        Ok(json!({ "made": keys }))
    }

    async fn kill(&self, kid: &str, by: &Client) -> Done {
        let none =
            || CommandError::new(Code::NotFound, format!("there is no key `{kid}`; `cloakroom key list` shows them"));
        let parsed = Kid::parse(kid).ok_or_else(none)?;
        self.engine.kill_key(parsed, by).await.map_err(|refusal| found(refusal, none))?;
        Ok(json!({ "killed": parsed, "keys": self.engine.keys() }))
    }

    async fn add_account(&self, email: &str, name: Option<String>, password: Hidden, by: &Client) -> Done {
        let email = EmailAddress::parse(email).map_err(|error| bad(error.to_string()))?;
        judge(&password, &[email.as_typed(), name.as_deref().unwrap_or_default()])?;
        let account = self.engine.make_account(email, Some(password.into_inner()), name, by).await?;
        Ok(account_answer(&account))
    }

    async fn accounts(&self, after: Option<&str>) -> Done {
        let after = match after {
            Some(id) => Some(AccountId::parse(id).ok_or_else(|| bad(format!("`{id}` is no account's id")))?),
            None => None,
        };
        let page = self.engine.stores().accounts.accounts(after, Command::PAGE).await?;
        let next = page.last().filter(|_| page.len() == Command::PAGE).map(|account| account.id);
        Ok(json!({ "accounts": page.iter().map(views::account).collect::<Vec<_>>(), "next": next }))
    }

    async fn set_state(&self, who: &str, state: AccountState, by: &Client) -> Done {
        let account = self.account(who).await?;
        Ok(account_answer(&self.engine.set_state(account.id, state, by).await?))
    }

    async fn sessions(&self, who: &str, before: Option<(u64, String)>) -> Done {
        let account = self.account(who).await?;
        let before = match before {
            Some((at, id)) => Some((Timestamp::from_millis(at), parse_session(&id)?)),
            None => None,
        };
        let page = self.engine.devices(account.id, None, before).await?;
        let next = page.next.map(|(at, id)| (at.millis(), id.to_string()));
        Ok(json!({ "sessions": page.devices.iter().map(views::device).collect::<Vec<_>>(), "next": next }))
    }

    async fn revoke(&self, which: Which, by: &Client) -> Done {
        match which {
            Which::Session { session } => {
                let id = parse_session(&session)?;
                self.engine.revoke(id, by).await?;
                Ok(json!({ "revoked": { "session": id } }))
            }
            Which::Account { who } => {
                let account = self.account(&who).await?;
                self.engine.end_account(account.id, by).await?;
                Ok(json!({ "revoked": { "account": account.id } }))
            }
            Which::App { app, method } => {
                let app = self.app(&app)?;
                let method = method.as_deref().map(parse_method).transpose()?;
                self.engine.end_app(app, method, by).await?;
                Ok(json!({ "revoked": { "app": app.id, "method": method } }))
            }
        }
    }

    async fn audit(&self, filter: &Filter, limit: usize) -> Done {
        let limit = limit.clamp(1, Command::PAGE);
        // What has just been done is to be seen.
        self.engine.audit().flush().await;
        let page = self.engine.stores().accounts.audit_page(filter, limit).await?;
        let next = page.last().filter(|_| page.len() == limit).map(|event| event.id);
        Ok(json!({ "events": page, "next": next }))
    }

    async fn account(&self, who: &str) -> Result<Account, CommandError> {
        let none = || CommandError::new(Code::NotFound, format!("no account has the e-mail address or id `{who}`"));
        self.engine.find_account(who).await.map_err(|refusal| found(refusal, none))
    }

    /// The id of an account, which may have been deleted by now if it is given by its id.
    async fn account_id(&self, who: &str) -> Result<AccountId, CommandError> {
        match AccountId::parse(who) {
            Some(id) => Ok(id),
            None => Ok(self.account(who).await?.id),
        }
    }

    fn app(&self, id: &str) -> Result<&Arc<App>, CommandError> {
        let known = || self.engine.apps().iter().map(|app| app.id.as_str()).collect::<Vec<_>>().join(", ");
        let none = || {
            CommandError::new(Code::UnknownApp, format!("there is no app `{id}` in the configuration ({})", known()))
        };
        self.engine.app(Some(id)).map_err(|_| none())
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Control({:?})", self.serving)
    }
}

fn account_answer(account: &Account) -> Value {
    json!({ "account": views::account(account) })
}

/// Says more about a weak password than the engine's refusal can.
fn judge(password: &Hidden, context: &[&str]) -> Result<(), CommandError> {
    let judged = NewPassword::choose(password.expose().to_owned(), context);
    judged.map(drop).map_err(|error| CommandError::new(Code::InvalidRequest, error.to_string()))
}

fn found(refusal: cloakroom_core::refusal::Refusal, none: impl FnOnce() -> CommandError) -> CommandError {
    if refusal.reason == Reason::NotFound { none() } else { refusal.into() }
}

fn bad(detail: String) -> CommandError {
    CommandError::named("bad_argument", detail)
}

fn parse_session(id: &str) -> Result<SessionId, CommandError> {
    SessionId::parse(id).ok_or_else(|| bad(format!("`{id}` is no session's id (22 characters of base64url)")))
}

fn parse_method(name: &str) -> Result<Method, CommandError> {
    Method::parse(name)
        .ok_or_else(|| bad(format!("`{name}` is no method ({})", Method::ALL.map(Method::name).join(", "))))
}

fn parse_kind(name: &str) -> Result<Kind, CommandError> {
    let known = || Kind::ALL.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
    Kind::parse(name).ok_or_else(|| bad(format!("`{name}` is no kind of event ({})", known())))
}
