//! Exchange: a session of an app's former method for one of its present method, without a password.
//!
//! The successor's secret is derived from the old ticket's, so that an old session has one successor, whoever asks how
//! often: its record is created once, and that decides between tabs. For a method that keeps no record one stands there all
//! the same while the grace period lasts. Creating comes before ending, so that a crash between the two loses nothing.

use std::{sync::Arc, time::Duration};

use super::{Client, Credentials, Engine, SignedIn, issue::Subject};
use crate::{
    account::Account,
    app::App,
    audit::Kind,
    clock::Timestamp,
    ids::{Epoch, Generation, SessionId},
    method::{Check, Memory, Method},
    refusal::{Reason, Refusal},
    revocation::Hold,
    secret::SecretText,
    session::{AuthMethods, Record, Rotation, Write, Written},
    store::{EndRequest, Standing},
    tasks,
    ticket::{StatelessClaims, Successor, Ticket},
    verify::{Activity, Finding},
};

/// The old session, all of it alive.
struct Old {
    session: SessionId,
    method: Method,
    created: Timestamp,
    ends: Timestamp,
    epoch: Epoch,
    auth_time: Timestamp,
    amr: AuthMethods,
    standing: Standing,
}

/// How long whoever created a successor has to end the old session, before another does it.
const ENDING: Duration = Duration::from_secs(3);

impl Engine {
    /// Exchanges the session of a ticket or refresh token for one of the app's method, with the same `auth_time`, `amr` and
    /// absolute expiry; the old one ends. A repeat within the app's grace period gets the same successor again.
    ///
    /// # Errors
    /// `not_found` where the app's `migrate_from` names no method, `credential_invalid` where it does not name the session's,
    /// `session_revoked` after the grace period; otherwise as at renewal.
    pub async fn exchange(
        self: &Arc<Self>,
        credential: &str,
        app: &Arc<App>,
        client: &Client,
    ) -> Result<SignedIn, Refusal> {
        let ticket = self.shared.with_keys(|ring| Ticket::parse(credential, ring)).await;
        let ticket = ticket.map_err(|refusal| self.not_exchanged(None, refusal, app, client))?;
        let place = self.places.sign_ins.enter().await?;
        let (credential, app, client) = (SecretText::new(credential.to_owned()), Arc::clone(app), client.clone());
        self.operation(place, |engine, _| async move {
            let session = ticket.id();
            let exchanged = engine.exchange_ticket(credential.expose(), ticket, &app, &client).await;
            exchanged.map_err(|refusal| engine.not_exchanged(Some(session), refusal, &app, &client))
        })
        .await
    }

    fn not_exchanged(&self, session: Option<SessionId>, refusal: Refusal, app: &App, client: &Client) -> Refusal {
        let mut event = self.event(Kind::ExchangeRefused, client);
        event.session = session;
        event.app = Some(app.id.clone());
        event.reason = Some(refusal.reason);
        self.audit.push(event);
        refusal
    }

    async fn exchange_ticket(
        self: &Arc<Self>,
        credential: &str,
        ticket: Ticket,
        app: &Arc<App>,
        client: &Client,
    ) -> Result<SignedIn, Refusal> {
        if app.migrate_from.is_empty() {
            return Err(Reason::NotFound.into());
        }
        let now = self.shared.clock.now();
        let successor = ticket.successor(&self.shared.keychain.ring(), now).ok_or(Reason::UnknownKey)?;
        if let Some(record) = self.shared.stores.sessions.read(successor.id()).await? {
            return self.again(&ticket, successor, record, app).await;
        }
        let old = match self.old_session(&ticket, app, client).await {
            Ok(old) => old,
            // Another tab may have exchanged it since we looked: that made the successor before it ended the old one.
            Err(refusal) => {
                return match self.shared.stores.sessions.read(successor.id()).await? {
                    Some(record) => self.again(&ticket, successor, record, app).await,
                    None => Err(refusal),
                };
            }
        };
        if old.method == app.method {
            return self.as_it_is(credential, &ticket, old, app, client).await;
        }
        if !app.migrate_from.contains(&old.method) {
            return Err(Refusal::from(Reason::WrongKind).because("the app takes no session of this method in exchange"));
        }
        let ends = old.ends.min(now + app.absolute_timeout).whole_secs();
        let (last_active, expires) = match app.method.properties().memory {
            Memory::Record => (now, ends),
            // Nobody asks how idle this one is: there stands when the session ends, for who asks again.
            Memory::Nothing => (ends, now + app.refresh_grace),
        };
        let record = Record {
            account: old.standing.account.id,
            epoch: old.epoch,
            app: app.id.tag(),
            app_epoch: old.standing.app_epoch,
            method: app.method,
            created: old.created,
            last_active,
            expires,
            generation: Generation(0),
            rotated: now,
            auth_time: old.auth_time,
            amr: old.amr,
            client: client.kind(),
        };
        let id = successor.id();
        match self.shared.stores.sessions.write(id, Write::Create(record.clone())).await? {
            Written::Done(_) => {}
            Written::Conflict(first) => return self.again(&ticket, successor, first, app).await,
            Written::Absent => return Err(Reason::Fault.into()),
        }
        if !self.end_exchanged(&ticket, &old).await? {
            // Signed out meanwhile: then nothing of it goes on.
            self.end_session(id, Some(ends)).await?;
            return Err(Reason::SessionEnded.into());
        }
        let mut event = self.event(Kind::Exchanged, client);
        event.account = Some(record.account);
        event.session = Some(id);
        event.app = Some(app.id.clone());
        event.detail = Some(format!("{} {}", old.method.name(), old.session));
        self.audit.push(event);
        self.hand_over(successor, &record, ends, old.standing.account, app)
    }

    /// The same successor again. Whoever made it may have gone before the old session was ended.
    async fn again(
        &self,
        ticket: &Ticket,
        successor: Successor,
        record: Record,
        app: &Arc<App>,
    ) -> Result<SignedIn, Refusal> {
        if record.app != app.id.tag() {
            return Err(Reason::WrongApp.into());
        }
        let now = self.shared.clock.now();
        if now >= record.rotated + app.refresh_grace || record.generation != Generation(0) {
            return Err(Reason::SessionEnded.into());
        }
        let marks = (record.epoch, record.app_epoch);
        let standing = self.shared.standing(record.account, app, record.method, marks).await?;
        let id = successor.id();
        if self.verifier.has_ended(id) {
            return Err(Reason::SessionEnded.into());
        }
        self.shared.stores.accounts.settled().await?;
        let ends = match record.method.properties().memory {
            Memory::Record => record.expires,
            Memory::Nothing => record.last_active,
        };
        if !self.verifier.has_ended(ticket.id()) {
            self.end_later(ticket.id(), ends);
        }
        self.hand_over(successor, &record, ends, standing.account, app)
    }

    /// A session that is of the app's method already, as with a tab that asks after another one did.
    async fn as_it_is(
        self: &Arc<Self>,
        credential: &str,
        ticket: &Ticket,
        old: Old,
        app: &Arc<App>,
        client: &Client,
    ) -> Result<SignedIn, Refusal> {
        let credentials = match ticket {
            Ticket::Session(_) => Credentials::Ticket(SecretText::new(credential.to_owned())),
            _ => Credentials::Tokens(self.renew(credential, Some(&app.id), Activity::Active, client).await?.tokens),
        };
        Ok(SignedIn {
            account: old.standing.account,
            session: old.session,
            app: Arc::clone(app),
            method: old.method,
            created: old.created,
            expires: old.ends,
            credentials,
        })
    }

    /// Ends the old session; `false`: it had been ended by somebody else before.
    async fn end_exchanged(&self, ticket: &Ticket, old: &Old) -> Result<bool, Refusal> {
        let head = self.shared.stores.accounts.log_head().await?;
        let refresh_expires = matches!(ticket, Ticket::Stateless(_)).then_some(old.ends);
        let hold = Hold::of(self.shared.apps.longest_access_token(), refresh_expires);
        let ends = [(EndRequest::Session(old.session), hold)];
        let entries = self.shared.stores.accounts.end(&ends, self.shared.clock.by_hand()).await?;
        self.verifier.hear(&entries);
        if !self.shared.stores.end_deletes {
            let _ = self.shared.stores.sessions.write(old.session, Write::Delete).await?;
        }
        Ok(entries.iter().all(|entry| entry.sequence > head.sequence))
    }

    /// Ends the old session once its exchange is surely over, if that was not done.
    fn end_later(&self, session: SessionId, expires: Timestamp) {
        let (stores, verifier, clock) =
            (self.shared.stores.clone(), Arc::clone(&self.verifier), self.shared.clock.clone());
        let longest = self.shared.apps.longest_access_token();
        tasks::once("end-exchanged", async move {
            tokio::time::sleep(ENDING).await;
            if verifier.has_ended(session) {
                return;
            }
            let ends = [(EndRequest::Session(session), Hold::of(longest, Some(expires)))];
            match stores.accounts.end(&ends, clock.by_hand()).await {
                Ok(entries) => verifier.hear(&entries),
                Err(error) => tracing::error!(%session, %error, "a session that was exchanged could not be ended"),
            }
        });
    }

    fn hand_over(
        &self,
        successor: Successor,
        record: &Record,
        ends: Timestamp,
        account: Account,
        app: &Arc<App>,
    ) -> Result<SignedIn, Refusal> {
        let session = successor.id();
        let properties = record.method.properties();
        let ticket = match (properties.check, properties.memory) {
            (Check::LookUp, _) => successor.into_ticket(),
            (Check::Signature, Memory::Record) => successor.into_refresh_token(),
            (Check::Signature, Memory::Nothing) => successor.into_stateless(StatelessClaims {
                account: record.account,
                app: record.app,
                epoch: record.epoch,
                app_epoch: record.app_epoch,
                auth_time: record.auth_time,
                amr: record.amr,
                expires: ends,
            }),
        };
        let text = ticket.text(&self.shared.keychain.ring()).ok_or(Reason::UnknownKey)?;
        let credentials = match properties.check {
            Check::LookUp => Credentials::Ticket(text),
            Check::Signature => {
                let subject = Subject {
                    session,
                    account: record.account,
                    app,
                    method: record.method,
                    epochs: (record.epoch, record.app_epoch),
                    auth_time: record.auth_time,
                    amr: record.amr,
                    ends,
                };
                Credentials::Tokens(self.tokens(&subject, text)?)
            }
        };
        Ok(SignedIn {
            account,
            session,
            app: Arc::clone(app),
            method: record.method,
            created: record.created,
            expires: ends,
            credentials,
        })
    }

    /// The old session by the whole acceptance rule; a refresh token of an old generation is theft here as at renewal.
    async fn old_session(&self, ticket: &Ticket, app: &Arc<App>, client: &Client) -> Result<Old, Refusal> {
        let session = ticket.id();
        if let Ticket::Stateless(token) = ticket {
            let (its_app, found) = self.stateless_finding(token)?;
            if its_app.id != app.id {
                return Err(Reason::WrongApp.into());
            }
            let (method, ends, marks) = (found.method, found.expires, (found.epoch, found.app_epoch));
            self.verifier.judge_renewal(found, its_app).await?;
            let claims = token.claims();
            let standing = self.shared.standing(claims.account, app, method, marks).await?;
            let (created, auth_time, amr) = (claims.auth_time, claims.auth_time, claims.amr);
            return Ok(Old { session, method, created, ends, epoch: marks.0, auth_time, amr, standing });
        }
        let alive = self.shared.live_record(session).await;
        let (record, its_app, standing) = alive.map_err(|refusal| self.with_memory(refusal, session))?;
        if its_app.id != app.id {
            return Err(Reason::WrongApp.into());
        }
        let by_ticket = matches!(ticket, Ticket::Session(_));
        if by_ticket != (record.method.properties().check == Check::LookUp) {
            return Err(Reason::WrongKind.into());
        }
        let found = Finding::of_record(session, &record, app, ticket.kid());
        let ends = found.expires;
        self.verifier.judge_renewal(found, app).await?;
        if let Ticket::Refresh(token) = ticket {
            let rotation = record.rotation(token.generation(), self.shared.clock.now(), app.refresh_grace);
            if rotation == Rotation::Stolen {
                return Err(self.stolen(session, &record, token, app, client).await);
            }
        }
        Ok(Old {
            session,
            method: record.method,
            created: record.created,
            ends,
            epoch: record.epoch,
            auth_time: record.auth_time,
            amr: record.amr,
            standing,
        })
    }
}
