//! Changing the password and deleting the account: both ask for the password again.

use super::{Client, Engine, SignedIn, issue::Birth, login::overloaded};
use crate::{
    audit::Kind,
    credential::{Checked, LoginPassword},
    method::Check,
    refusal::{Reason, Refusal},
    revocation::hold_until,
    session::Write,
    store::{AccountChange, Changed, Login},
    verify::Identity,
};

/// A password was changed: what the session that did it goes on with.
#[derive(Debug)]
pub enum PasswordChanged {
    /// A new session in place of the old one, with a new id (F064); its credentials are in it.
    Anew(Box<SignedIn>),
    /// The same session, carried over into the account's new epoch: its refresh token stays good, and is not known here.
    CarriedOver,
}

impl Engine {
    /// Changes the password and ends all other sessions.
    ///
    /// A session that is looked up gets a new id, and so does one without a record. The `jwt` session that asks keeps its
    /// id and its refresh token and is carried over: were its tokens replaced, a lost answer would sign it out. Its access
    /// token ends with the old epoch, so that its client refreshes at once.
    ///
    /// # Errors
    /// `invalid_credentials` when `current` is another; `invalid_request` with the reason when `new` is weak.
    pub async fn change_password(
        &self,
        identity: &Identity,
        current: LoginPassword,
        new: zeroize::Zeroizing<String>,
        client: &Client,
    ) -> Result<PasswordChanged, Refusal> {
        let _place = self.places.sign_ins.enter().await?;
        let login = self.prove_again(identity, current, client).await?;
        let name = login.account.name.as_deref().unwrap_or_default();
        let hash = self.hash_new(&new, &[login.account.email.as_typed(), name]).await?;
        let changed = self.change(identity, AccountChange::Password(hash)).await?;
        let mut event = self.event(Kind::PasswordChanged, client);
        event.account = Some(identity.account());
        event.session = Some(identity.session());
        self.audit.push(event);
        self.go_on(identity, &changed, client).await
    }

    /// Deletes the account and with it all its sessions.
    pub async fn delete_account(
        &self,
        identity: &Identity,
        current: LoginPassword,
        client: &Client,
    ) -> Result<(), Refusal> {
        let _place = self.places.sign_ins.enter().await?;
        self.prove_again(identity, current, client).await?;
        self.change(identity, AccountChange::Delete).await?;
        let mut event = self.event(Kind::AccountDeleted, client);
        event.account = Some(identity.account());
        self.audit.push(event);
        Ok(())
    }

    /// The account, if the password is its own; wrong ones count like failed sign-ins.
    async fn prove_again(
        &self,
        identity: &Identity,
        password: LoginPassword,
        client: &Client,
    ) -> Result<Login, Refusal> {
        let login = self.shared.stores.accounts.account(identity.account()).await?.ok_or(Reason::AccountGone)?;
        let attempt = self.attempt(Some(&login.account.email), Some(&login), client).await?;
        let checked = self.passwords.check(password, login.password.clone()).await;
        match checked.map_err(|error| overloaded(&error))? {
            Checked::Matched { .. } => {
                attempt.right();
                Ok(login)
            }
            Checked::NotMatched => {
                attempt.wrong();
                let mut event = self.event(Kind::SignInRefused, client);
                event.account = Some(identity.account());
                event.session = Some(identity.session());
                event.reason = Some(Reason::WrongPassword);
                self.audit.push(event);
                Err(Reason::WrongPassword.into())
            }
        }
    }

    async fn change(&self, identity: &Identity, change: AccountChange) -> Result<Changed, Refusal> {
        let now = self.shared.clock.now();
        let until = hold_until(now, self.shared.apps.longest_access_token(), None);
        let changed = self.shared.stores.accounts.change(identity.account(), change, now, until).await?;
        let changed = changed.ok_or(Reason::AccountGone)?;
        self.verifier.hear(changed.entry.as_slice());
        Ok(changed)
    }

    async fn go_on(&self, identity: &Identity, changed: &Changed, client: &Client) -> Result<PasswordChanged, Refusal> {
        let method = identity.method();
        if method.properties().check == Check::Signature && method.keeps_record() {
            let carried = Write::CarryOver(changed.account.epoch);
            let _ = self.shared.stores.sessions.write(identity.session(), carried).await?;
            return Ok(PasswordChanged::CarriedOver);
        }
        let birth = Birth {
            account: &changed.account,
            app: identity.app(),
            method,
            epochs: (changed.account.epoch, identity.epochs().1),
            auth_time: self.shared.clock.now().whole_secs(),
            amr: identity.amr(),
        };
        let anew = self.issue(birth, client).await?;
        // The password was proved, so this is a sign-in like any other: the device list tells from where.
        let mut event = self.event(Kind::SignedIn, client);
        event.account = Some(anew.account.id);
        event.session = Some(anew.session);
        event.app = Some(anew.app.id.clone());
        event.detail = Some("after a change of password".to_owned());
        self.audit.push(event);
        Ok(PasswordChanged::Anew(Box::new(anew)))
    }
}
