//! Changing the password and deleting the account: both ask for the password again.

use std::sync::Arc;

use super::{Client, Engine, SignedIn, issue::Birth, login::overloaded, operations::Underway};
use crate::{
    audit::Kind,
    credential::{Checked, LoginPassword},
    ids::Epoch,
    refusal::{Reason, Refusal},
    revocation::Hold,
    store::{AccountChange, Basis, Changed, Login},
    verify::Identity,
};

impl Engine {
    /// Changes the password. That ends every session of the account, the one that asked included, and begins a new one of the
    /// same app and method: nothing that existed before leads to it, no repeat, no exchange and no older credential (F064, R6).
    ///
    /// # Errors
    /// `invalid_credentials` when `current` is another; `invalid_request` with the reason when `new` is weak; `session_revoked`
    /// when the session that asks has ended, or when the new password is set and only the new session could not be made.
    pub async fn change_password(
        self: &Arc<Self>,
        identity: &Identity,
        current: LoginPassword,
        new: zeroize::Zeroizing<String>,
        client: &Client,
    ) -> Result<SignedIn, Refusal> {
        let place = self.places.sign_ins.enter().await?;
        let (identity, client) = (identity.clone(), client.clone());
        self.operation(place, |engine, underway| async move {
            let word = engine.word(&identity).await?;
            let app_epoch = word.acting.app_epoch;
            let login = engine.prove_again(&identity, current, &client).await?;
            let name = login.account.name.as_deref().unwrap_or_default();
            let to = engine.hash_new(&new, &[login.account.email.as_typed(), name]).await?;
            // One session begins and all others end: no limit on beginnings keeps an owner from it.
            underway.begin()?;
            // The account still stands at the session's epoch when this is written, so that it stood there when the password
            // was proved: whatever changes a password raises the epoch.
            let change = |acting| {
                let change = AccountChange::Password { basis: Basis::Session(acting), to: to.clone() };
                engine.change(&identity, change, &underway)
            };
            let changed = engine.by_word(word, change).await?;
            let mut event = engine.event(Kind::PasswordChanged, &client);
            event.account = Some(identity.account());
            event.session = Some(identity.session());
            engine.audit.push(event);
            engine.begin_anew(&identity, &changed, app_epoch, &client, &underway).await.map_err(|refusal| {
                tracing::warn!(
                    reason = refusal.reason.as_str(),
                    "a password was changed, and its session could not be made"
                );
                Refusal::from(Reason::PasswordAnew).because("the password was changed; sign in with the new one")
            })
        })
        .await
    }

    /// Deletes the account and with it all its sessions.
    ///
    /// # Errors
    /// `invalid_credentials` for a wrong password; `session_revoked` when the session that asks has ended.
    pub async fn delete_account(
        self: &Arc<Self>,
        identity: &Identity,
        current: LoginPassword,
        client: &Client,
    ) -> Result<(), Refusal> {
        let place = self.places.sign_ins.enter().await?;
        let (identity, client) = (identity.clone(), client.clone());
        self.operation(place, |engine, underway| async move {
            let word = engine.word(&identity).await?;
            engine.prove_again(&identity, current, &client).await?;
            underway.begin()?;
            let delete = |acting| engine.change(&identity, AccountChange::Delete(Basis::Session(acting)), &underway);
            engine.by_word(word, delete).await?;
            let mut event = engine.event(Kind::AccountDeleted, &client);
            event.account = Some(identity.account());
            engine.audit.push(event);
            Ok(())
        })
        .await
    }

    /// The account, if the password is its own; wrong ones count like failed sign-ins.
    pub(super) async fn prove_again(
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

    /// `None`: what the change goes by does not stand any more.
    async fn change(
        &self,
        identity: &Identity,
        change: AccountChange,
        _: &Underway,
    ) -> Result<Option<Changed>, Refusal> {
        let at = self.shared.clock.by_hand();
        let changed = self.shared.stores.accounts.change(identity.account(), change, Hold::NOTED, at).await?;
        if let Some(changed) = &changed {
            self.verifier.hear(changed.entry.as_slice());
        }
        Ok(changed)
    }

    async fn begin_anew(
        &self,
        identity: &Identity,
        changed: &Changed,
        app_epoch: Epoch,
        client: &Client,
        underway: &Underway,
    ) -> Result<SignedIn, Refusal> {
        let birth = Birth {
            account: &changed.account,
            app: identity.app(),
            method: identity.method(),
            epochs: (changed.account.epoch, app_epoch),
            auth_time: self.shared.clock.now().whole_secs(),
            amr: identity.amr(),
        };
        let anew = self.issue(birth, client, underway).await?;
        // The password was proved, so this is a sign-in like any other: the device list tells from where.
        let mut event = self.event(Kind::SignedIn, client);
        event.account = Some(anew.account.id);
        event.session = Some(anew.session);
        event.app = Some(anew.app.id.clone());
        event.detail = Some("after a change of password".to_owned());
        self.audit.push(event);
        Ok(anew)
    }
}
