//! Registration: a new account, where the app lets strangers make one.

use std::sync::Arc;

use super::{
    Client, Engine,
    login::{not_begun, overloaded},
    operations::Underway,
};
use crate::{
    account::{Account, AccountState, EmailAddress},
    app::{self, App},
    audit::Kind,
    credential::PasswordError,
    ids::{AccountId, Epoch},
    refusal::{Reason, Refusal},
    store::{Creation, NewAccount},
};

/// What is sent to make an account.
#[derive(Debug)]
pub struct Registration {
    /// The e-mail address, as typed.
    pub email: String,
    /// The password, as typed.
    pub password: zeroize::Zeroizing<String>,
    /// What the person wants to be called.
    pub name: Option<String>,
}

/// The longest name, in characters.
const MAX_NAME: usize = 100;

impl Engine {
    /// Makes an account through an app.
    ///
    /// # Errors
    /// `not_admitted` where registration is closed or the app's list does not name the address, `invalid_request` with the
    /// reason, `email_taken`, `rate_limited`, `overloaded`.
    pub async fn register(
        self: &Arc<Self>,
        new: Registration,
        app: &Arc<App>,
        client: &Client,
    ) -> Result<Account, Refusal> {
        let note = |refusal: &Refusal| self.note_refusal(refusal.reason, Some(&app.id), client);
        if app.registration == app::Registration::Closed {
            return Err(Refusal::from(Reason::RegistrationClosed)).inspect_err(note);
        }
        let place = self.places.sign_ins.enter().await.inspect_err(note)?;
        let (app, client) = (Arc::clone(app), client.clone());
        self.operation(place, |engine, underway| async move {
            let made = engine.try_register(new, &app, &client, &underway).await;
            made.inspect_err(|refusal| engine.note_refusal(refusal.reason, Some(&app.id), &client))
        })
        .await
    }

    async fn try_register(
        &self,
        new: Registration,
        app: &App,
        client: &Client,
        underway: &Underway,
    ) -> Result<Account, Refusal> {
        if let Some(network) = client.network() {
            self.limits.registration(network).await.map_err(not_begun)?;
        }
        let email = EmailAddress::parse(&new.email).map_err(|_| Reason::BadEmail)?;
        if !app.admission.admits(&email) {
            return Err(Reason::NotOnList.into());
        }
        let account = self.new_account(email, Some(new.password), new.name).await?;
        underway.begin()?;
        self.keep_account(account, client, underway).await
    }

    /// Makes an account, asked or not: the operator's way.
    pub async fn make_account(
        self: &Arc<Self>,
        email: EmailAddress,
        password: Option<zeroize::Zeroizing<String>>,
        name: Option<String>,
        client: &Client,
    ) -> Result<Account, Refusal> {
        let account = self.new_account(email, password, name).await?;
        let client = client.clone();
        let place = self.places.sign_ins.enter().await?;
        let keep = |engine: Arc<Self>, underway| async move { engine.keep_account(account, &client, &underway).await };
        self.operation(place, keep).await
    }

    async fn new_account(
        &self,
        email: EmailAddress,
        password: Option<zeroize::Zeroizing<String>>,
        name: Option<String>,
    ) -> Result<NewAccount, Refusal> {
        let name = name.map(|name| clean_name(&name)).transpose()?.flatten();
        let hash = match password {
            Some(password) => {
                let context = [email.as_typed(), name.as_deref().unwrap_or_default()];
                Some(self.hash_new(&password, &context).await?)
            }
            None => None,
        };
        let now = self.shared.clock.now();
        let account = Account {
            id: AccountId::generate(now, &self.shared.rng),
            email,
            name,
            state: AccountState::Active,
            epoch: Epoch(0),
            created: now,
        };
        Ok(NewAccount { account, password: hash })
    }

    async fn keep_account(&self, new: NewAccount, client: &Client, _: &Underway) -> Result<Account, Refusal> {
        let account = new.account.clone();
        match self.shared.stores.accounts.create(new).await? {
            Creation::EmailTaken => Err(Reason::EmailTaken.into()),
            Creation::Made => {
                let mut event = self.event(Kind::Registered, client);
                event.account = Some(account.id);
                self.audit.push(event);
                Ok(account)
            }
        }
    }

    /// Judges and hashes a password that somebody chooses.
    pub(super) async fn hash_new(
        &self,
        password: &str,
        context: &[&str],
    ) -> Result<crate::credential::PasswordHash, Refusal> {
        let context = context.iter().map(|word| (*word).to_owned()).collect();
        let chosen = self.passwords.choose(password.to_owned(), context).await.map_err(|error| overloaded(&error))?;
        let chosen = chosen.map_err(|error| {
            Refusal::from(match error {
                PasswordError::TooLong => Reason::PasswordTooLong,
                PasswordError::TooWeak(_) => Reason::PasswordTooWeak,
                _ => Reason::PasswordTooShort,
            })
        })?;
        self.passwords.hash(chosen).await.map_err(|error| overloaded(&error))
    }
}

/// A name on one line, without control characters; an empty one is none.
fn clean_name(name: &str) -> Result<Option<String>, Refusal> {
    let name = name.trim();
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Refusal::from(Reason::BadRequest).because("a name has at most 100 characters and no line breaks"));
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}
