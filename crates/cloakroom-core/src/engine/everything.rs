//! Ending everything of an account or an app, and all but the session that asks: by a raise of the epoch, so that no index is walked.

use std::{sync::Arc, time::Duration};

use super::{
    Client, Engine, Proof, RECENT,
    operations::Underway,
    proof::{Word, not_recent},
};
use crate::{
    account::AccountState,
    app::App,
    audit::Kind,
    ids::{AccountId, Epoch, SessionId},
    method::Method,
    refusal::{Reason, Refusal},
    revocation::{End, Hold},
    session::Write,
    store::{Acting, Basis, EndRequest},
    verify::Identity,
};

/// How long a session that is to be carried over waits for its store between tries.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_secs(1)];

impl Engine {
    /// Ends everything of an account, by its epoch; no index is walked (F061). The operator's way.
    pub async fn end_account(self: &Arc<Self>, account: AccountId, client: &Client) -> Result<(), Refusal> {
        self.ending(client, move |engine, client, underway| async move {
            if engine.raise(account, Basis::Operator, &underway).await?.is_none() {
                return Err(engine.why_not(account).await);
            }
            engine.note_account_ended(account, None, None, &client);
            Ok(())
        })
        .await
    }

    /// Ends everything of the account that asks, its own session included. `token_alone`: all that was shown is an access token.
    ///
    /// # Errors
    /// `session_revoked`: a session that has ended cannot act; `reauthentication_required` for an access token alone whose
    /// sign-in is not [`RECENT`].
    pub async fn end_everything(
        self: &Arc<Self>,
        identity: &Identity,
        token_alone: bool,
        client: &Client,
    ) -> Result<(), Refusal> {
        if token_alone {
            self.is_enough_for_everything(identity)?;
        }
        let word = self.word(identity).await?;
        self.ending(client, move |engine, client, underway| async move {
            let (account, session) = (word.account, word.acting.session);
            engine.raise_by_word(word, &underway).await?;
            engine.note_account_ended(account, Some(session), None, &client);
            Ok(())
        })
        .await
    }

    /// An access token is shown to many, so that it ends everything only soon after its sign-in.
    pub(super) fn is_enough_for_everything(&self, identity: &Identity) -> Result<(), Refusal> {
        if identity.is_recent(self.shared.clock.now(), RECENT) {
            return Ok(());
        }
        let advice = "an access token alone ends everything only soon after its sign-in; show the refresh token";
        Err(not_recent().because(advice))
    }

    /// Ends all other sessions of the account that asks; the present one goes on in the new epoch.
    ///
    /// # Errors
    /// `session_revoked`: a session that has ended cannot act; `reauthentication_required` or `invalid_credentials` as the
    /// [`Proof`] demands; `invalid_request` for a session without a record, which nothing could carry over.
    pub async fn end_others(
        self: &Arc<Self>,
        identity: &Identity,
        proof: Proof,
        client: &Client,
    ) -> Result<(), Refusal> {
        if !identity.method().keeps_record() {
            return Err(
                Refusal::from(Reason::BadRequest).because("a session without a record cannot outlive the others")
            );
        }
        self.prove(identity, proof, client).await?;
        let (account, session) = (identity.account(), identity.session());
        let raise = async || {
            // Read once it is this session's turn: by then another one may have ended it.
            let word = self.word(identity).await?;
            self.ending(client, move |engine, client, underway| async move {
                let raise = async |acting: Acting| {
                    let from = acting.epoch;
                    let to = engine.raise_by(EndRequest::Others(account, acting), &underway).await?;
                    Ok(to.map(|to| (from, to)))
                };
                let (from, to) = engine.by_word(word, raise).await?;
                engine.note_account_ended(account, Some(session), Some("all others"), &client);
                if engine.shared.stores.end_deletes {
                    return Ok(());
                }
                engine.carry_over(session, Write::CarryOver { from, to }, &underway).await
            })
            .await
        };
        self.raises.once(account, session, raise).await
    }

    /// Carries a session over into the epoch that its account has been raised to. Where its store stays away it has ended with the
    /// others: that is what is answered, because the others have.
    async fn carry_over(&self, session: SessionId, carried: Write, _: &Underway) -> Result<(), Refusal> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let Err(error) = self.shared.stores.sessions.write(session, carried.clone()).await else { return Ok(()) };
            let Some(pause) = pauses.next() else {
                tracing::warn!(%session, %error, "a session that ended all others could not be carried over, and has ended too");
                return Err(Refusal::from(Reason::AccountEnded).because("all others have ended, and this session too"));
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Raises an account's epoch: where it stands then.
    pub(super) async fn raise(
        &self,
        account: AccountId,
        basis: Basis,
        underway: &Underway,
    ) -> Result<Option<Epoch>, Refusal> {
        self.raise_by(EndRequest::Account(account, basis), underway).await
    }

    pub(super) async fn raise_by_word(&self, word: Word, underway: &Underway) -> Result<Epoch, Refusal> {
        let account = word.account;
        self.by_word(word, |acting| self.raise(account, Basis::Session(acting), underway)).await
    }

    /// `None`: what the request goes by does not stand any more.
    async fn raise_by(&self, request: EndRequest, _: &Underway) -> Result<Option<Epoch>, Refusal> {
        let ends = [(request, Hold::NOTED)];
        let entries = self.shared.stores.accounts.end(&ends, self.shared.clock.by_hand()).await?;
        self.verifier.hear(&entries);
        Ok(entries.iter().find_map(|entry| match &entry.end {
            End::Account { epoch, .. } => Some(*epoch),
            _ => None,
        }))
    }

    /// Why a change of an account was not done: what it went by has changed, or the account is gone.
    pub(super) async fn why_not(&self, account: AccountId) -> Refusal {
        match self.shared.stores.accounts.account(account).await {
            Ok(Some(login)) if login.account.state == AccountState::Active => Reason::AccountEnded.into(),
            Ok(_) => Reason::AccountGone.into(),
            Err(error) => error.into(),
        }
    }

    pub(super) fn note_account_ended(
        &self,
        account: AccountId,
        session: Option<SessionId>,
        detail: Option<&str>,
        client: &Client,
    ) {
        let mut event = self.event(Kind::AccountEnded, client);
        event.account = Some(account);
        event.session = session;
        event.detail = detail.map(ToOwned::to_owned);
        self.audit.push(event);
    }

    /// Ends all of an app's sessions, of one method or of all; the operator's way.
    pub async fn end_app(self: &Arc<Self>, app: &App, method: Option<Method>, client: &Client) -> Result<(), Refusal> {
        let app = app.id.clone();
        self.ending(client, move |engine, client, _| async move {
            let ends = [(EndRequest::App(app.clone(), method), Hold::NOTED)];
            let entries = engine.shared.stores.accounts.end(&ends, engine.shared.clock.by_hand()).await?;
            engine.verifier.hear(&entries);
            let mut event = engine.event(Kind::AppEnded, &client);
            event.app = Some(app);
            event.detail = method.map(|method| method.name().to_owned());
            engine.audit.push(event);
            Ok(())
        })
        .await
    }
}
