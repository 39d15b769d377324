//! One method on the stage: a person who is signed in, perhaps a thief, and what has happened between them and the server.

use std::sync::Arc;

use cloakroom_core::{
    account::EmailAddress,
    app::App,
    engine::{Client, Engine},
    ids::{AccountId, SessionId},
    key::{Purpose, schedule::State},
    method::Check,
    random::Rng,
    refusal::{Reason, Refusal},
    session::Record,
    trace::{Finished, Trace},
};
use data_encoding::BASE32_NOPAD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Act, Exchange, Explainer, Held,
    holder::{Holder, shorten},
};

/// One method on the stage.
#[derive(Clone)]
pub struct Scene {
    app: Arc<App>,
    person: Option<Person>,
    session: Option<SessionId>,
    owner: Holder,
    thief: Option<Holder>,
    steps: Vec<Step>,
}

#[derive(Clone)]
struct Person {
    id: AccountId,
    email: String,
    password: Zeroizing<String>,
}

/// What the server keeps of the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The record.
    pub record: Option<Vec<(&'static str, String)>>,
    /// Whether the log says that it has ended.
    pub ended: bool,
}

/// Something that was done.
#[derive(Clone)]
pub struct Step {
    /// What.
    pub act: Act,
    /// What was sent for it.
    pub exchange: Option<Exchange>,
    /// What the server did for it; nothing where it had no part in it.
    pub trace: Option<Finished>,
    /// What the server keeps of the session behind it.
    pub kept: Kept,
    /// Whether it took the record away.
    pub removed: bool,
}

/// Older ones are forgotten.
const MOST_STEPS: usize = 30;

impl Scene {
    pub(super) fn new(app: &Arc<App>) -> Self {
        Self {
            app: Arc::clone(app),
            person: None,
            session: None,
            owner: Holder::default(),
            thief: None,
            steps: Vec::new(),
        }
    }

    /// The app that is signed in to.
    pub const fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// What has happened, the latest last.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the person's client holds.
    pub fn owner(&self) -> Vec<Held> {
        self.owner.shown()
    }

    /// What the thief holds.
    pub fn thief(&self) -> Option<Vec<Held>> {
        self.thief.as_ref().map(Holder::shown)
    }

    /// What can be done now.
    pub fn acts(&self) -> Vec<Act> {
        let renews = self.app.method.has_tokens();
        let holds = !self.owner.is_empty();
        let can = |act: &Act| match act {
            Act::SignIn => true,
            Act::Ask | Act::SignOut | Act::Steal | Act::End | Act::KillKey => holds,
            Act::Renew => holds && renews,
            Act::ThiefAsks => self.thief.is_some(),
            Act::ThiefRenews => self.thief.is_some() && renews,
            Act::StartOver => !self.steps.is_empty(),
        };
        Act::ALL.into_iter().filter(can).collect()
    }

    /// What the server keeps of the session now.
    pub async fn kept(&self, engine: &Engine) -> Result<Kept, Refusal> {
        let Some((id, person)) = self.session.zip(self.person.as_ref()) else { return Ok(Kept::default()) };
        let stores = engine.stores();
        let record = stores.sessions.read(id).await?;
        let standing = stores.accounts.standing(person.id, &self.app.id, self.app.method, Some(id)).await?;
        let ended = standing.is_some_and(|standing| standing.ended);
        Ok(Kept { record: record.as_ref().map(about_record), ended })
    }

    pub(super) async fn act(&mut self, by: &Explainer, engine: &Arc<Engine>, act: Act) -> Result<(), Refusal> {
        if !self.acts().contains(&act) {
            return Ok(());
        }
        let (exchange, trace) = match act {
            Act::StartOver => {
                if let Some(person) = self.person.take() {
                    engine.remove_account(person.id, &nobody()).await?;
                }
                *self = Self::new(&self.app);
                return Ok(());
            }
            Act::Steal => {
                self.thief = Some(self.owner.clone());
                (None, None)
            }
            Act::End | Act::KillKey => {
                let (trace, here) = Trace::begin(None, &Rng::system());
                here.within(self.operate(engine, act)).await?;
                (None, Some(trace.finish(act.name(), Vec::new(), false)))
            }
            _ => {
                let (mut exchange, trace) = self.ask(by, engine, act).await?;
                self.learn(act, &exchange);
                let password = self.person.as_ref().map(|person| person.password.as_str());
                shorten(&mut exchange.request, password);
                shorten(&mut exchange.answer, password);
                (Some(exchange), trace)
            }
        };
        let kept = self.kept(engine).await?;
        let had = act != Act::SignIn && self.steps.last().is_some_and(|step| step.kept.record.is_some());
        let removed = had && kept.record.is_none();
        self.note(Step { act, exchange, trace, kept, removed });
        if act == Act::SignOut {
            self.owner = Holder::default();
        }
        Ok(())
    }

    async fn operate(&self, engine: &Arc<Engine>, act: Act) -> Result<(), Refusal> {
        match (act, self.session) {
            (Act::End, Some(session)) => engine.revoke(session, &nobody()).await,
            (Act::KillKey, _) => {
                let purpose = match self.app.method.properties().check {
                    Check::LookUp => Purpose::Mac,
                    Check::Signature => Purpose::Sign(self.app.algorithm),
                };
                let keys = engine.keys();
                let current = keys.iter().find(|key| key.purpose == purpose && key.state == State::Current);
                engine.kill_key(current.ok_or(Reason::NotFound)?.kid, &nobody()).await
            }
            _ => Ok(()),
        }
    }

    async fn ask(
        &mut self,
        by: &Explainer,
        engine: &Arc<Engine>,
        act: Act,
    ) -> Result<(Exchange, Option<Finished>), Refusal> {
        let app = &self.app.id;
        let holder = if act.is_thiefs() { self.thief.clone().unwrap_or_default() } else { self.owner.clone() };
        let mut headers = Vec::new();
        if holder.cookie.is_some() {
            // As a browser does on the app's own pages.
            headers.push(format!("Origin: {}", by.origin));
        }
        let (line, body) = match act {
            Act::SignIn => {
                let person = match self.person.clone() {
                    Some(person) => person,
                    None => self.person.insert(Person::make(engine).await?).clone(),
                };
                let body = json!({ "email": person.email, "password": &*person.password, "app": app });
                ("POST /v1/login".to_owned(), body.to_string())
            }
            Act::Renew | Act::ThiefRenews => {
                ("POST /v1/refresh".to_owned(), json!({ "refresh_token": holder.refresh }).to_string())
            }
            Act::SignOut => ("POST /v1/logout".to_owned(), String::new()),
            _ => (format!("GET /v1/verify?app={app}"), String::new()),
        };
        if !matches!(act, Act::SignIn | Act::Renew | Act::ThiefRenews) {
            headers.extend(holder.presents());
        }
        by.ask(&line, &headers, &body).await.map_err(|error| {
            tracing::error!(%error, "the server cannot speak to itself");
            Reason::Fault.into()
        })
    }

    /// Takes in what an answer gives, to whom it gives it.
    fn learn(&mut self, act: Act, exchange: &Exchange) {
        if exchange.status != 200 || !matches!(act, Act::SignIn | Act::Renew | Act::ThiefRenews) {
            return;
        }
        if act == Act::SignIn {
            let answer: Value = serde_json::from_str(&exchange.answer.body).unwrap_or_default();
            self.session = answer["session"]["id"].as_str().and_then(SessionId::parse);
            self.owner = Holder::default();
        }
        let holder = if act.is_thiefs() { self.thief.get_or_insert_default() } else { &mut self.owner };
        holder.learn(&exchange.answer);
    }

    fn note(&mut self, step: Step) {
        if self.steps.len() == MOST_STEPS {
            self.steps.remove(0);
        }
        self.steps.push(step);
    }
}

impl Person {
    /// Somebody who is there for this scene alone.
    async fn make(engine: &Arc<Engine>) -> Result<Self, Refusal> {
        let rng = Rng::system();
        let email = format!("explain-{}@example.org", BASE32_NOPAD.encode(&rng.bytes::<5>()).to_lowercase());
        let password = Zeroizing::new(BASE32_NOPAD.encode(&rng.bytes::<15>()));
        let address = EmailAddress::parse(&email).map_err(|_| Reason::BadEmail)?;
        let account = engine.make_account(address, Some(password.clone()), None, &nobody()).await?;
        Ok(Self { id: account.id, email, password })
    }
}

/// What stands in a record, in words.
fn about_record(record: &Record) -> Vec<(&'static str, String)> {
    vec![
        ("account", record.account.to_string()),
        ("method", record.method.to_string()),
        ("generation", record.generation.0.to_string()),
        ("created", record.created.to_string()),
        ("last_active", record.last_active.to_string()),
        ("expires", record.expires.to_string()),
        ("bytes", record.encode().len().to_string()),
    ]
}

/// The operator, who has no address.
fn nobody() -> Client {
    Client::new(None, None)
}
