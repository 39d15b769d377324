//! The server's own backing for its verifier: MAC, record, account and app, read from the stores.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::shared::Shared;
use crate::{
    account::AccountState,
    app::App,
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, SessionId},
    key::VerifyingKeys,
    method::{Check, Method},
    refusal::{Reason, Refusal},
    revocation::{Answer, Since},
    session::{Found, Lapse, Record},
    store::Standing,
    ticket::Ticket,
    verify::{Backing, Finding, NotFound},
};

#[async_trait]
impl Backing for Shared {
    async fn look_up(&self, ticket: &str) -> Result<(AppId, Finding), NotFound> {
        let read = self.with_keys(|ring| Ticket::parse(ticket, ring)).await;
        let Ticket::Session(ticket) = read.map_err(|refusal| NotFound { refusal, session: None })? else {
            return Err(Reason::WrongKind.into());
        };
        let id = ticket.id();
        let alive = self.live_record(id).await;
        let (record, app, _) = alive.map_err(|refusal| NotFound { refusal, session: Some(id) })?;
        if record.method.properties().check != Check::LookUp {
            return Err(Reason::WrongKind.into());
        }
        let found = Finding::of_record(id, &record, &app, ticket.kid());
        Ok((app.id.clone(), found))
    }

    async fn ended_since(&self, since: Since) -> Result<Answer, Refusal> {
        Ok(self.stores.accounts.log_since(since, self.clock.by_hand()).await?)
    }

    async fn ask(&self, _: &str, app: &App, found: &Finding) -> Result<(), Refusal> {
        let marks = (found.epoch, found.app_epoch);
        self.standing_in_log(found.account, app, found.method, marks, found.session).await.map(|_| ())
    }

    fn keys(&self) -> Arc<VerifyingKeys> {
        Arc::clone(self.keychain.ring().verifying())
    }

    async fn follow_keys(&self, answer: &Answer) -> Result<(), Refusal> {
        Ok(self.keychain.follow(answer, &self.stores).await?)
    }

    async fn refresh_keys(&self) -> Result<(), Refusal> {
        Ok(self.keychain.look_again(&self.stores).await?)
    }

    fn note_use(&self, session: SessionId, at: Timestamp) {
        self.note(session, at);
    }
}

impl Shared {
    /// A session's record with its app and its account's standing, all of it alive.
    pub(super) async fn live_record(&self, id: SessionId) -> Result<(Record, Arc<App>, Standing), Refusal> {
        loop {
            let record = self.record(id).await?.ok_or(Reason::NoSession)?;
            let epoch = record.epoch;
            match self.alive(id, record).await {
                Err(refusal) if self.was_carried_over(id, epoch, &refusal).await? => {}
                done => return done,
            }
        }
    }

    /// The same with how long ago its last rotation was.
    pub(super) async fn live_found(&self, id: SessionId) -> Result<(Found, Arc<App>, Standing), Refusal> {
        loop {
            let Found { record, since_rotation } = match self.stores.sessions.find(id, self.clock.by_hand()).await? {
                Some(found) => found,
                // What has just been made has not been rotated yet.
                None => {
                    Found { record: self.record(id).await?.ok_or(Reason::NoSession)?, since_rotation: Duration::ZERO }
                }
            };
            let epoch = record.epoch;
            match self.alive(id, record).await {
                Err(refusal) if self.was_carried_over(id, epoch, &refusal).await? => {}
                Err(refusal) => return Err(refusal),
                Ok((record, app, standing)) => return Ok((Found { record, since_rotation }, app, standing)),
            }
        }
    }

    /// Whether a session was refused only because record and account were read one after the other, and it was carried over into
    /// another epoch between the two.
    async fn was_carried_over(&self, id: SessionId, epoch: Epoch, refusal: &Refusal) -> Result<bool, Refusal> {
        if refusal.reason != Reason::AccountEnded {
            return Ok(false);
        }
        Ok(self.record(id).await?.is_some_and(|now| now.epoch != epoch))
    }

    async fn alive(&self, id: SessionId, mut record: Record) -> Result<(Record, Arc<App>, Standing), Refusal> {
        // Activity that waits to be written counts: a store that is slow to take it makes nobody idle.
        record.last_active = record.last_active.max(self.noted(id).unwrap_or_default());
        let app = self.apps.by_tag(record.app).ok_or(Reason::AppGone)?;
        match record.lapsed(app, self.clock.now()) {
            Some(Lapse::Absolute) => return Err(Reason::AbsoluteExpiry.into()),
            Some(Lapse::Idle) => return Err(Reason::Idle.into()),
            None => {}
        }
        let marks = (record.epoch, record.app_epoch);
        let session = self.stores.may_diverge().then_some(id);
        let standing = self.standing_of(record.account, app, record.method, marks, session).await;
        if session.is_some() && standing.as_ref().is_err_and(|refusal| refusal.reason == Reason::SessionEnded) {
            // It had been deleted, and came back: the log knows better.
            tracing::warn!(session = %id, "a session that had ended was still in its store");
            if let Err(error) = self.stores.sessions.forget(&[id]).await {
                tracing::warn!(session = %id, %error, "it could not be deleted");
            }
        }
        Ok((record, Arc::clone(app), standing?))
    }

    /// An account's standing at an app, if a credential that carries these epochs may go on.
    pub(super) async fn standing(
        &self,
        account: AccountId,
        app: &App,
        method: Method,
        marks: (Epoch, Epoch),
    ) -> Result<Standing, Refusal> {
        self.standing_of(account, app, method, marks, None).await
    }

    /// The same where the log must not know of an end of the session: for one without a record, whose end is nowhere else.
    pub(super) async fn standing_in_log(
        &self,
        account: AccountId,
        app: &App,
        method: Method,
        marks: (Epoch, Epoch),
        session: SessionId,
    ) -> Result<Standing, Refusal> {
        self.standing_of(account, app, method, marks, Some(session)).await
    }

    async fn standing_of(
        &self,
        account: AccountId,
        app: &App,
        method: Method,
        (epoch, app_epoch): (Epoch, Epoch),
        session: Option<SessionId>,
    ) -> Result<Standing, Refusal> {
        let standing = self.stores.accounts.standing(account, &app.id, method, session).await?;
        let standing = standing.ok_or(Reason::AccountGone)?;
        if standing.ended {
            return Err(Reason::SessionEnded.into());
        }
        if standing.account.state != AccountState::Active {
            return Err(Reason::AccountGone.into());
        }
        // One above what the account, or the app, has been given comes from a history that is lost: the store has gone back, and
        // with it the raise that gave it. What that raise ended, and what began after it, cannot be told apart any more.
        if epoch != standing.account.epoch {
            return Err(Reason::AccountEnded.into());
        }
        if app_epoch < standing.app_cut || app_epoch > standing.app_epoch {
            return Err(Reason::AppEnded.into());
        }
        if !app.admission.admits(&standing.account.email) {
            return Err(Reason::NotOnList.into());
        }
        Ok(standing)
    }
}
