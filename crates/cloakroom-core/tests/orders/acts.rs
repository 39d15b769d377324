//! What people and operators do, and what can be seen afterwards.

use std::sync::Arc;

use cloakroom_core::{
    account::AccountState,
    credential::LoginPassword,
    engine::{Client, Engine, LoginRequest, Others, Proof, SignedIn, Which},
    ids::SessionId,
    refusal::Refusal,
    verify::{Activity, Identity, Question},
};

use crate::lab::{Lab, PASSWORD};

/// Each operation that ends, begins or changes something of one account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Act {
    SignIn,
    SignInAlone,
    Renew,
    Change,
    DeleteAccount,
    SignOut,
    SignOutEverywhere,
    EndAnother,
    EndOthers,
    EndEverything,
    Exchange,
    SignOutExchanged,
    OperatorRevokes,
    OperatorEndsAll,
    OperatorSetsPassword,
    OperatorDisables,
    OperatorDeletes,
    OperatorEndsApp,
}

impl Act {
    pub(crate) const ALL: [Self; 18] = [
        Self::SignIn,
        Self::SignInAlone,
        Self::Renew,
        Self::Change,
        Self::DeleteAccount,
        Self::SignOut,
        Self::SignOutEverywhere,
        Self::EndAnother,
        Self::EndOthers,
        Self::EndEverything,
        Self::Exchange,
        Self::SignOutExchanged,
        Self::OperatorRevokes,
        Self::OperatorEndsAll,
        Self::OperatorSetsPassword,
        Self::OperatorDisables,
        Self::OperatorDeletes,
        Self::OperatorEndsApp,
    ];

    /// Whether it is done from a session of the browser, so that it makes a difference which one that is.
    pub(crate) const fn has_actor(self) -> bool {
        matches!(
            self,
            Self::Change
                | Self::DeleteAccount
                | Self::SignOut
                | Self::SignOutEverywhere
                | Self::EndAnother
                | Self::EndOthers
                | Self::EndEverything
        )
    }

    /// Whether a session begins by it.
    pub(crate) const fn begins_one(self) -> bool {
        matches!(self, Self::SignIn | Self::SignInAlone | Self::Change | Self::Exchange)
    }
}

/// A person, and where they are signed in.
pub(crate) struct Person {
    pub(crate) email: String,
    /// Where they are: of a network of their own, so that nobody else's wrong passwords count against them.
    pub(crate) client: Client,
    /// Two browsers.
    pub(crate) browsers: [SignedIn; 2],
    pub(crate) phone: SignedIn,
    /// Of an app that has changed its method.
    pub(crate) old: SignedIn,
}

/// What came of an act.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answer: String,
    pub(crate) session: Option<SignedIn>,
}

const CHANGED: &str = "changed";

/// The password that is set at a server.
fn new_password(server: usize) -> String {
    format!("seven unlikely otters juggle {server}")
}

/// Why somebody is refused makes no difference here, as long as it is final.
fn code<T>(answer: &Result<T, Refusal>) -> String {
    match answer {
        Ok(_) => "done".to_owned(),
        Err(refusal) if refusal.is_passing() => refusal.code().as_str().to_owned(),
        Err(_) => "refused".to_owned(),
    }
}

/// What is done, at which server, and from which browser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deed {
    pub(crate) act: Act,
    pub(crate) server: usize,
    pub(crate) browser: usize,
}

/// Does it.
pub(crate) async fn perform(deed: Deed, engine: &Arc<Engine>, person: &Person) -> Outcome {
    let Deed { act, server, browser } = deed;
    let (account, client) = (person.phone.account.id, &person.client);
    let from = &person.browsers[browser];
    let done = |answer: Result<(), Refusal>| Outcome { answer: code(&answer), session: None };
    let begun = |answer: Result<SignedIn, Refusal>| Outcome { answer: code(&answer), session: answer.ok() };
    let operated = |answer: Result<cloakroom_core::account::Account, Refusal>| done(answer.map(drop));
    let current = || LoginPassword::parse(PASSWORD.to_owned());
    let acting = async || verify(engine, &Lab::access(from)).await;
    match act {
        Act::SignIn => begun(sign_in(engine, &person.email, PASSWORD, Others::GoOn, client).await),
        Act::SignInAlone => begun(sign_in(engine, &person.email, PASSWORD, Others::End, client).await),
        Act::Renew => done(renew(engine, &person.phone, client).await),
        Act::Change => match acting().await {
            Ok(identity) => {
                let new = new_password(server).into();
                let changed = engine.change_password(&identity, current(), new, client).await;
                let answer = if changed.is_ok() { CHANGED.to_owned() } else { code(&changed) };
                Outcome { answer, session: changed.ok() }
            }
            Err(refusal) => done(Err(refusal)),
        },
        Act::DeleteAccount => match acting().await {
            Ok(identity) => done(engine.delete_account(&identity, current(), client).await),
            Err(refusal) => done(Err(refusal)),
        },
        Act::SignOut => done(engine.sign_out(&Lab::access(from), Which::This, client).await.map(drop)),
        Act::SignOutEverywhere => done(engine.sign_out(&Lab::access(from), Which::Everywhere, client).await.map(drop)),
        Act::EndAnother => match acting().await {
            Ok(identity) => {
                let other = person.browsers[1 - browser].session;
                // Whether it is there or has just ended makes no difference.
                done(engine.end_own(&identity, other, Proof::SignIn, client).await.map(drop))
            }
            Err(refusal) => done(Err(refusal)),
        },
        Act::EndOthers => match acting().await {
            Ok(identity) => done(engine.end_others(&identity, Proof::SignIn, client).await),
            Err(refusal) => done(Err(refusal)),
        },
        Act::EndEverything => match acting().await {
            Ok(identity) => done(engine.end_everything(&identity, false, client).await),
            Err(refusal) => done(Err(refusal)),
        },
        Act::Exchange => {
            let app = engine.app(Some("edge")).unwrap();
            begun(engine.exchange(Lab::refresh(&person.old), app, client).await)
        }
        Act::SignOutExchanged => done(engine.sign_out(Lab::refresh(&person.old), Which::This, client).await.map(drop)),
        Act::OperatorRevokes => done(engine.revoke(person.browsers[1].session, client).await),
        Act::OperatorEndsAll => done(engine.end_account(account, client).await),
        Act::OperatorSetsPassword => operated(engine.set_password(account, &new_password(2), client).await),
        Act::OperatorDisables => operated(engine.set_state(account, AccountState::Disabled, client).await),
        Act::OperatorDeletes => operated(engine.remove_account(account, client).await),
        Act::OperatorEndsApp => {
            let app = Arc::clone(engine.app(Some("web")).unwrap());
            done(engine.end_app(&app, None, client).await)
        }
    }
}

/// What can be seen of a person once all is done, at every server alike. A session that began and has ended is as good as one that was
/// refused.
pub(crate) async fn seen(servers: &[&Arc<Engine>], person: &Person, outcomes: [Option<Outcome>; 2]) -> Seen {
    let client = &person.client;
    let [first, ..] = servers else { unreachable!("there is a server") };
    for server in servers {
        server.verifier().renew_lease().await.unwrap();
    }
    let accepted = async |signed_in| {
        let mut answers = Vec::new();
        for server in servers {
            answers.push(code(&verify(server, &Lab::access(signed_in)).await));
        }
        answers.dedup();
        answers.join(" but ")
    };
    let [one, other] = &person.browsers;
    let held = [accepted(one).await, accepted(other).await, accepted(&person.phone).await];
    let mut came = [const { String::new() }; 2];
    for (came, outcome) in came.iter_mut().zip(&outcomes) {
        *came = match outcome {
            None => "not heard".to_owned(),
            // A password that was changed stays so.
            Some(Outcome { answer, session: Some(signed_in) }) if answer == CHANGED => {
                format!("{CHANGED}, {}", accepted(signed_in).await)
            }
            Some(Outcome { session: Some(signed_in), .. }) => accepted(signed_in).await,
            Some(Outcome { answer, session: None }) => answer.clone(),
        };
    }
    let strangers = strangers(first, person, &outcomes).await;
    let phone = code(&renew(first, &person.phone, client).await);
    let edge = first.app(Some("edge")).unwrap();
    let old = code(&first.exchange(Lab::refresh(&person.old), edge, client).await);
    let mut passwords = [const { String::new() }; 4];
    for (came, password) in
        passwords.iter_mut().zip([PASSWORD.to_owned(), new_password(0), new_password(1), new_password(2)])
    {
        *came = code(&sign_in(first, &person.email, &password, Others::GoOn, client).await);
    }
    Seen { held, came, phone, old, passwords, strangers }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// Both browsers and the phone's access token.
    held: [String; 3],
    /// What came of the deeds, by the server of each.
    came: [String; 2],
    /// Renewing.
    phone: String,
    /// Exchanging it, once more.
    old: String,
    /// Signing in with the first one, and with those that were set.
    passwords: [String; 4],
    /// How many sessions live that were given to nobody.
    pub(crate) strangers: usize,
}

impl Seen {
    /// The same, but that somebody was refused.
    pub(crate) fn refused(mut self, server: usize) -> Self {
        "refused".clone_into(&mut self.came[server]);
        self
    }

    /// Without what an answer gave that nobody heard.
    pub(crate) fn unheard(mut self, server: usize) -> Self {
        "not heard".clone_into(&mut self.came[server]);
        self.strangers = 0;
        self
    }
}

async fn strangers(engine: &Engine, person: &Person, outcomes: &[Option<Outcome>; 2]) -> usize {
    let begun = outcomes.iter().flatten().filter_map(|outcome| outcome.session.as_ref());
    let known = person.browsers.iter().chain([&person.phone, &person.old]).chain(begun);
    let known: Vec<SessionId> = known.map(|signed_in| signed_in.session).collect();
    let stores = engine.stores();
    let mut count = 0;
    for (id, record) in stores.sessions.list(person.phone.account.id, None, 100).await.unwrap() {
        let app = engine.apps().by_tag(record.app).unwrap();
        let standing = stores.accounts.standing(record.account, &app.id, record.method, Some(id)).await.unwrap();
        let lives = standing.is_some_and(|standing| {
            let account = standing.account;
            account.state == AccountState::Active
                && account.epoch == record.epoch
                && record.app_epoch >= standing.app_cut
                && !standing.ended
        });
        count += usize::from(lives && !known.contains(&id));
    }
    count
}

pub(crate) async fn sign_in(
    engine: &Arc<Engine>,
    email: &str,
    password: &str,
    others: Others,
    client: &Client,
) -> Result<SignedIn, Refusal> {
    sign_in_to("web", engine, email, password, others, client).await
}

pub(crate) async fn sign_in_to(
    app: &str,
    engine: &Arc<Engine>,
    email: &str,
    password: &str,
    others: Others,
    client: &Client,
) -> Result<SignedIn, Refusal> {
    let request = LoginRequest {
        email: email.to_owned(),
        password: LoginPassword::parse(password.to_owned()),
        app: Arc::clone(engine.app(Some(app)).unwrap()),
        present: vec![],
        others,
    };
    engine.login(request, client).await
}

async fn renew(engine: &Arc<Engine>, signed_in: &SignedIn, client: &Client) -> Result<(), Refusal> {
    engine.renew(Lab::refresh(signed_in), None, Activity::Active, client).await.map(drop)
}

async fn verify(engine: &Arc<Engine>, credential: &str) -> Result<Identity, Refusal> {
    engine.verifier().verify(Question { credential, app: None, activity: Activity::Active }).await
}
