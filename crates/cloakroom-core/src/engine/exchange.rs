//! Exchange: a session of an app's former method for one of its present method, without a password.
//!
//! The successor's secret is derived from the old ticket's, so that an old session has one successor, whoever asks how
//! often. One line in the revocation log ends the old session and holds the successor's record: that decides between tabs,
//! servers and ends. Where records are in another store than the log, the successor's is made after the line; should the server
//! die in between, whoever misses the record makes it from the line.

use std::{sync::Arc, time::Duration};

use super::{
    Client, Credentials, Engine, SignedIn,
    end::{acting, hold_of_ticket},
    issue::Subject,
    operations::Underway,
    shared::Shared,
};
use crate::{
    account::Account,
    app::App,
    audit::Kind,
    clock::{Boot, Timestamp},
    ids::{Generation, SessionId},
    method::{Check, Memory},
    refusal::{Reason, Refusal},
    secret::SecretText,
    session::{AuthMethods, Found, Record, Rotation, Succession, Write, Written},
    store::{Acting, Exchange, Exchanged, PastExchange, Standing},
    ticket::{RefreshToken, StatelessClaims, Successor, Ticket},
    verify::{Activity, Finding, Renewal},
};

/// The old session, all of it alive.
struct Old {
    acting: Acting,
    created: Timestamp,
    ends: Timestamp,
    auth_time: Timestamp,
    amr: AuthMethods,
    /// The generation of its refresh token; 0 where it has none.
    generation: Generation,
    standing: Standing,
}

/// How long a successor that has no record may get one from the log. Later a record that is missing has ended.
const COMPLETION: Duration = Duration::from_secs(30);
/// How often an exchange is judged anew because its account or app changed meanwhile.
const TRIES: usize = 8;

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
        self.operation(place, |engine, underway| async move {
            let session = ticket.id();
            let exchanged = engine.exchange_ticket(credential.expose(), ticket, &app, &client, &underway).await;
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
        underway: &Underway,
    ) -> Result<SignedIn, Refusal> {
        if app.migrate_from.is_empty() {
            return Err(Reason::NotFound.into());
        }
        let began = self.shared.clock.boot();
        for _ in 0..TRIES {
            let successor = self.successor(&ticket)?;
            let old = match self.old_session(&ticket, app, began, client, underway).await {
                Ok(old) => old,
                Err(refusal) if matches!(refusal.reason, Reason::NoSession | Reason::SessionEnded) => {
                    let past = self.exchanged(&ticket).await?.ok_or(refusal)?;
                    return self.again(&ticket, past, app, began, client, underway).await;
                }
                Err(refusal) => return Err(refusal),
            };
            if old.acting.method == app.method {
                return self.as_it_is(credential, &ticket, old, app, client).await;
            }
            if !app.migrate_from.contains(&old.acting.method) {
                return Err(
                    Refusal::from(Reason::WrongKind).because("the app takes no session of this method in exchange")
                );
            }
            let exchange = self.exchange_for(successor.id(), &ticket, &old, app, client);
            let record = exchange.succession.record.clone();
            underway.begin()?;
            match self.carry_out(exchange, client, underway).await? {
                Exchanged::Done(_) => return self.hand_over(successor, &record, old.standing.account, app),
                Exchanged::Before(past) => {
                    return self.again(&ticket, past, app, began, client, underway).await;
                }
                Exchanged::Ended => return Err(Reason::SessionEnded.into()),
                Exchanged::Changed => tokio::task::yield_now().await,
            }
        }
        Err(Refusal::from(Reason::StoreDown).retry_after(Duration::from_secs(1)))
    }

    /// The exchange of a session for one of the app's method.
    fn exchange_for(&self, successor: SessionId, ticket: &Ticket, old: &Old, app: &App, client: &Client) -> Exchange {
        let now = self.shared.clock.now();
        let record = Record {
            account: old.standing.account.id,
            epoch: old.acting.epoch,
            app: app.id.tag(),
            app_epoch: old.standing.app_epoch,
            method: app.method,
            created: old.created,
            last_active: now,
            expires: old.ends.min(now + app.absolute_timeout).whole_secs(),
            generation: Generation(0),
            rotated: now,
            auth_time: old.auth_time,
            amr: old.amr,
            client: client.kind(),
        };
        Exchange {
            old: old.acting.clone(),
            succession: Succession { session: successor, spent: old.generation, record },
            hold: hold_of_ticket(ticket).and_past(old.ends),
            records: self.shared.stores.records(),
        }
    }

    /// Writes the line, and the records where they are elsewhere.
    async fn carry_out(&self, exchange: Exchange, client: &Client, underway: &Underway) -> Result<Exchanged, Refusal> {
        let Exchange { old, succession, .. } = exchange.clone();
        let exchanged = self.shared.stores.accounts.exchange(exchange, self.shared.clock.by_hand()).await?;
        if let Exchanged::Done(line) = &exchanged {
            self.verifier.hear(std::slice::from_ref(line));
            let mut event = self.event(Kind::Exchanged, client);
            event.account = Some(succession.record.account);
            event.session = Some(succession.session);
            event.app = Some(old.app);
            event.detail = Some(format!("{} {}", old.method.name(), old.session));
            self.audit.push(event);
            if !self.shared.stores.end_deletes {
                self.shared.make(succession).await?;
            }
            self.shared.forget_exchanged(old.session, underway).await?;
        }
        Ok(exchanged)
    }

    /// The exchange that a ticket's session ended in, as long as the log remembers it.
    pub(super) async fn exchanged(&self, ticket: &Ticket) -> Result<Option<PastExchange>, Refusal> {
        let successor = self.successor(ticket)?.id();
        Ok(self.shared.stores.accounts.past_exchange(successor, self.shared.clock.by_hand()).await?)
    }

    fn successor(&self, ticket: &Ticket) -> Result<Successor, Refusal> {
        let successor = ticket.successor(&self.shared.keychain.ring(), self.shared.clock.now());
        Ok(successor.ok_or(Reason::UnknownKey)?)
    }

    /// A refresh token whose session was exchanged may be one rotation older than that, as in a slow tab, but no more: else it
    /// was stolen, and what took the session's place ends.
    pub(super) async fn not_spent_before(
        &self,
        token: &RefreshToken,
        past: &PastExchange,
        app: &App,
        began: Boot,
        client: &Client,
        underway: &Underway,
    ) -> Result<(), Refusal> {
        let Succession { spent, record, .. } = &past.succession;
        if token.generation().next() >= *spent {
            return Ok(());
        }
        self.moved_all_along(began, app)?;
        let record = Record { generation: *spent, ..record.clone() };
        Err(self.stolen(token.id(), &record, token, app, client, underway).await)
    }

    /// The same successor again.
    async fn again(
        &self,
        ticket: &Ticket,
        past: PastExchange,
        app: &Arc<App>,
        began: Boot,
        client: &Client,
        underway: &Underway,
    ) -> Result<SignedIn, Refusal> {
        if past.succession.record.app != app.id.tag() {
            return Err(Reason::WrongApp.into());
        }
        if let Ticket::Refresh(token) = ticket {
            self.not_spent_before(token, &past, app, began, client, underway).await?;
        }
        let PastExchange { succession, age, ended } = past;
        if ended || age >= app.refresh_grace {
            return Err(Reason::SessionEnded.into());
        }
        let successor = self.successor(ticket)?;
        let id = successor.id();
        let record = if succession.record.method.keeps_record() {
            let record = self.shared.record(id).await?;
            record.filter(|record| record.generation == Generation(0)).ok_or(Reason::SessionEnded)?
        } else {
            succession.record
        };
        self.shared.forget_exchanged(ticket.id(), underway).await?;
        let marks = (record.epoch, record.app_epoch);
        let standing = self.shared.standing(record.account, app, record.method, marks).await?;
        // It rests on a line that somebody else wrote.
        self.shared.stores.accounts.settled().await?;
        self.hand_over(successor, &record, standing.account, app)
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
            session: old.acting.session,
            app: Arc::clone(app),
            method: old.acting.method,
            created: old.created,
            expires: old.ends,
            credentials,
        })
    }

    fn hand_over(
        &self,
        successor: Successor,
        record: &Record,
        account: Account,
        app: &Arc<App>,
    ) -> Result<SignedIn, Refusal> {
        let (session, ends) = (successor.id(), record.expires);
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
    async fn old_session(
        &self,
        ticket: &Ticket,
        app: &Arc<App>,
        began: Boot,
        client: &Client,
        underway: &Underway,
    ) -> Result<Old, Refusal> {
        let session = ticket.id();
        if let Ticket::Stateless(token) = ticket {
            let (its_app, found) = self.stateless_finding(token)?;
            if its_app.id != app.id {
                return Err(Reason::WrongApp.into());
            }
            let (method, ends, marks) = (found.method, found.expires, (found.epoch, found.app_epoch));
            let standing = self.stateless_standing(session, found, its_app).await?;
            let claims = token.claims();
            let (created, auth_time, amr) = (claims.auth_time, claims.auth_time, claims.amr);
            let (acting, generation) = (acting(session, &app.id, method, marks), Generation(0));
            return Ok(Old { acting, created, ends, auth_time, amr, generation, standing });
        }
        let reading = self.verifier.reading();
        let alive = self.shared.live_found(session).await;
        let (Found { record, since_rotation }, its_app, standing) =
            alive.map_err(|refusal| self.with_memory(refusal, session))?;
        if its_app.id != app.id {
            return Err(Reason::WrongApp.into());
        }
        let by_ticket = matches!(ticket, Ticket::Session(_));
        if by_ticket != (record.method.properties().check == Check::LookUp) {
            return Err(Reason::WrongKind.into());
        }
        let found = Finding::of_record(session, &record, app, ticket.kid());
        let ends = found.expires;
        if self.verifier.judge_renewal(found, app, reading).await? == Renewal::ReadAgain {
            return Err(Refusal::from(Reason::Busy).retry_after(Duration::from_secs(1)));
        }
        let mut generation = record.generation;
        if let Ticket::Refresh(token) = ticket {
            let rotation = record.rotation(token.generation(), since_rotation, app.refresh_grace);
            if rotation == Rotation::Stolen {
                self.moved_all_along(began, app)?;
                return Err(self.stolen(session, &record, token, app, client, underway).await);
            }
            generation = generation.max(token.generation());
        }
        Ok(Old {
            acting: acting(session, &app.id, record.method, (record.epoch, record.app_epoch)),
            created: record.created,
            ends,
            auth_time: record.auth_time,
            amr: record.amr,
            generation,
            standing,
        })
    }
}

impl Shared {
    /// A session's record; if it took another's place a moment ago and has none, it gets it from the log. In one database the
    /// line and the record are one transaction, and what is missing has ended.
    pub(super) async fn record(&self, id: SessionId) -> Result<Option<Record>, Refusal> {
        let found = self.stores.sessions.read(id).await?;
        if found.is_some() || self.stores.end_deletes {
            return Ok(found);
        }
        let past = self.stores.accounts.past_exchange(id, self.clock.by_hand()).await?;
        let Some(past) = past.filter(|past| !past.ended && past.age < COMPLETION) else { return Ok(None) };
        self.make(past.succession).await
    }

    /// Deletes the record of a session that was exchanged, where that was not one transaction with the line.
    async fn forget_exchanged(&self, old: SessionId, _: &Underway) -> Result<(), Refusal> {
        if !self.stores.end_deletes {
            let _ = self.stores.sessions.write(old, Write::Delete).await?;
        }
        Ok(())
    }

    /// Makes the record of a successor, unless it is there or its method keeps none.
    async fn make(&self, succession: Succession) -> Result<Option<Record>, Refusal> {
        if !succession.record.method.keeps_record() {
            return Ok(None);
        }
        Ok(match self.stores.sessions.write(succession.session, Write::Create(succession.record)).await? {
            Written::Done(record) => record,
            Written::Conflict(there) => Some(there),
            Written::Absent => None,
        })
    }
}
