//! Ending: write the log, then delete the record, then answer. So an ended session stays ended, whatever crashes between.

use std::sync::Arc;

use super::{
    Client, Engine, Proof,
    operations::Underway,
    proof::{Word, not_recent},
};
use crate::{
    app::App,
    audit::{Event, Kind},
    ids::{AccountId, AppId, Epoch, Generation, SessionId},
    key::KeyRing,
    method::{Method, Upstream},
    refusal::{Reason, Refusal},
    revocation::{End, Hold},
    session::{Found, Record, Rotation, Write},
    store::{Acting, EndRequest},
    ticket::{StatelessRefreshToken, Ticket},
    token,
    verify::{Activity, Identity, Question},
};

/// Which sessions to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// The presented one.
    This,
    /// All of the account's.
    Everywhere,
}

/// A credential that is good enough to end its own session, though it may have expired.
struct Ended {
    session: SessionId,
    account: Option<AccountId>,
    app: Option<AppId>,
    /// How long the log holds its end.
    hold: Hold,
    /// What takes its place if it is exchanged; an access token does not tell.
    successor: Option<SessionId>,
    kind: Presented,
}

enum Presented {
    Token,
    /// A token that was minted for an upstream.
    MintedToken,
    SessionTicket,
    RefreshToken(Generation),
    Stateless(StatelessRefreshToken),
}

impl Engine {
    /// Signs out who presents a credential of any kind and age: an expired access token and an older refresh token end
    /// their own session too (F067). To end everything the credential must still be accepted: a stale one that leaked
    /// somewhere does not sign its owner out of all devices. A token that was minted for an upstream is not its person's
    /// to act with, and counts as nothing. Whether the credential named a session.
    ///
    /// # Errors
    /// For everything: as the session's state is, and `reauthentication_required` for an access token alone whose sign-in is
    /// not [`RECENT`](super::RECENT): it is shown to many, so it may end its own session and no more.
    pub async fn sign_out(self: &Arc<Self>, credential: &str, which: Which, client: &Client) -> Result<bool, Refusal> {
        let ended = match self.read_to_end(credential).await {
            Ok(ended) => ended,
            Err(refusal) if refusal.is_passing() => return Err(refusal),
            Err(_) => return Ok(false),
        };
        if matches!(ended.kind, Presented::MintedToken) {
            return Ok(false);
        }
        let living = match which {
            Which::Everywhere => Some(self.living(credential, &ended).await?),
            Which::This => None,
        };
        self.ending(client, |engine, client, underway| async move {
            if let Some(word) = living {
                let account = word.account;
                engine.raise_by_word(word, &underway).await?;
                engine.note_account_ended(account, None, None, &client);
            }
            engine.end_presented(ended, &client, &underway).await?;
            Ok(true)
        })
        .await
    }

    /// Runs an operation that ends something, or that an operator asks for.
    pub(super) async fn ending<T, E, F>(
        self: &Arc<Self>,
        client: &Client,
        work: impl FnOnce(Arc<Self>, Client, Underway) -> F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Refusal> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let place = self.places.ends.enter().await?;
        let client = client.clone();
        self.operation(place, |engine, underway| work(engine, client, underway)).await
    }

    async fn end_presented(&self, ended: Ended, client: &Client, underway: &Underway) -> Result<(), Refusal> {
        self.end_session(ended.session, ended.hold, underway).await?;
        let mut event = self.event(Kind::SignedOut, client);
        event.account = ended.account;
        event.session = Some(ended.session);
        event.app = ended.app;
        self.audit.push(event);
        Ok(())
    }

    /// The word of a credential that is still accepted.
    async fn living(&self, credential: &str, ended: &Ended) -> Result<Word, Refusal> {
        match &ended.kind {
            Presented::Token | Presented::MintedToken | Presented::SessionTicket => {
                let question = Question { credential, app: None, activity: Activity::Passive };
                let identity = self.verifier.verify(question).await?;
                if !matches!(ended.kind, Presented::SessionTicket) {
                    self.is_enough_for_everything(&identity)?;
                }
                self.word(&identity).await
            }
            Presented::RefreshToken(generation) => {
                let (Found { record, since_rotation }, app, _) = self.shared.live_found(ended.session).await?;
                if record.rotation(*generation, since_rotation, app.refresh_grace) == Rotation::Stolen {
                    return Err(
                        not_recent().because("a refresh token that was replaced long ago does not end everything")
                    );
                }
                let acting = acting(ended.session, &app.id, record.method, (record.epoch, record.app_epoch));
                Ok(Word { account: record.account, acting, recorded: true })
            }
            Presented::Stateless(token) => {
                let (app, found) = self.stateless_finding(token)?;
                let (method, epochs) = (found.method, (found.epoch, found.app_epoch));
                let account = self.stateless_standing(ended.session, found, app).await?.account.id;
                let acting = acting(ended.session, &app.id, method, epochs);
                Ok(Word { account, acting, recorded: false })
            }
        }
    }

    /// Ends one session, and what took its place in an exchange.
    pub(super) async fn end_session(&self, id: SessionId, hold: Hold, underway: &Underway) -> Result<(), Refusal> {
        self.end_one(EndRequest::Session(id), hold, underway).await.map(drop)
    }

    /// The same, if what the request goes by still stands; `None`: it does not, and nothing has ended.
    async fn end_one(&self, request: EndRequest, hold: Hold, _: &Underway) -> Result<Option<()>, Refusal> {
        // The store writes no second line of what has ended already, except once for a line that is older than a minute; else
        // whoever holds one old ticket could fill the log with it. But it is asked, because what took the session's place may
        // live, and because what somebody else wrote may not be on the disk yet.
        let ends = [(request, hold)];
        let entries = self.shared.stores.accounts.end(&ends, self.shared.clock.by_hand()).await?;
        self.verifier.hear(&entries);
        if !self.shared.stores.end_deletes {
            for entry in &entries {
                if let End::Session { session } = entry.end {
                    // The log has it, and is asked about every record that is found: should this fail, the session has ended all
                    // the same, and its record is deleted later.
                    if let Err(error) = self.shared.stores.sessions.write(session, Write::Delete).await {
                        tracing::warn!(%session, %error, "the record of a session that has ended is still stored");
                    }
                }
            }
        }
        Ok((!entries.is_empty()).then_some(()))
    }

    /// Ends one of the sessions of the account that asks; `false`: it has no such one, and nothing was changed (F011). Its own
    /// needs no proof.
    ///
    /// # Errors
    /// For another one as [`Self::end_others`].
    pub async fn end_own(
        self: &Arc<Self>,
        identity: &Identity,
        id: SessionId,
        proof: Proof,
        client: &Client,
    ) -> Result<bool, Refusal> {
        let own = id == identity.session();
        let account = identity.account();
        // Its own is known without its record, which another store may not give at the moment.
        let (app, hold) = if own {
            (Some(identity.app_id().clone()), hold_of(identity.method()))
        } else {
            let record = self.shared.stores.sessions.read(id).await?;
            let Some(record) = record.filter(|record| record.account == account) else {
                // It may have ended a moment ago, by what is waited for still.
                self.shared.stores.accounts.settled().await?;
                self.word(identity).await?;
                return Ok(false);
            };
            (self.shared.apps.by_tag(record.app).map(|app| app.id.clone()), hold_of(record.method))
        };
        let word = if own {
            None
        } else {
            self.prove(identity, proof, client).await?;
            Some(self.word(identity).await?)
        };
        self.ending(client, move |engine, client, underway| async move {
            match word {
                None => engine.end_session(id, hold, &underway).await?,
                // A session that has ended cannot act.
                Some(word) => {
                    let another = |acting| engine.end_one(EndRequest::Another(id, account, acting), hold, &underway);
                    engine.by_word(word, another).await?;
                }
            }
            let mut event = engine.event(Kind::SessionEnded, &client);
            event.account = Some(account);
            event.session = Some(id);
            event.app = app;
            engine.audit.push(event);
            Ok(true)
        })
        .await
    }

    /// Ends any session by its id; an operator's or a service's way. A session without a record is ended as well: its id
    /// goes into the log for as long as any refresh token of it could live.
    pub async fn revoke(self: &Arc<Self>, id: SessionId, client: &Client) -> Result<(), Refusal> {
        self.ending(client, move |engine, client, underway| async move {
            engine.end_session(id, Hold::stateless(None), &underway).await?;
            let mut event = engine.event(Kind::SessionEnded, &client);
            event.session = Some(id);
            engine.audit.push(event);
            Ok(())
        })
        .await
    }

    /// Ends what a presented token belongs to, for RFC 7009; unknown ones are nothing to end, and no error.
    pub async fn revoke_token(self: &Arc<Self>, token: &str, client: &Client) -> Result<(), Refusal> {
        let ended = match self.read_to_end(token).await {
            Ok(ended) => ended,
            Err(refusal) if refusal.is_passing() => return Err(refusal),
            Err(_) => return Ok(()),
        };
        if matches!(ended.kind, Presented::MintedToken) {
            return Ok(());
        }
        let end = |engine: Arc<Self>, client: Client, underway: Underway| async move {
            engine.end_presented(ended, &client, &underway).await
        };
        self.ending(client, end).await
    }

    /// A login over a present session of the same app ends the old one.
    pub(super) async fn end_presented_before(
        &self,
        credential: &str,
        app: &App,
        client: &Client,
        underway: &Underway,
    ) -> Result<(), Refusal> {
        let Ok(old) = self.read_to_end(credential).await else { return Ok(()) };
        let of_app = if let Some(id) = &old.app {
            (*id == app.id).then_some(old.account)
        } else {
            let record = self.record_or_successors(&old).await?;
            record.filter(|record| record.app == app.id.tag()).map(|record| Some(record.account))
        };
        let Some(account) = of_app else { return Ok(()) };
        self.end_session(old.session, old.hold, underway).await?;
        let mut event = self.event(Kind::SessionEnded, client);
        event.account = account;
        event.session = Some(old.session);
        event.app = Some(app.id.clone());
        event.detail = Some("replaced by a new sign-in".to_owned());
        self.audit.push(event);
        Ok(())
    }

    /// The record of a session; of one that was exchanged, what took its place.
    async fn record_or_successors(&self, ended: &Ended) -> Result<Option<Record>, Refusal> {
        let record = self.shared.stores.sessions.read(ended.session).await?;
        let (None, Some(successor)) = (&record, ended.successor) else { return Ok(record) };
        let past = self.shared.stores.accounts.past_exchange(successor, self.shared.clock.by_hand()).await?;
        Ok(past.map(|past| past.succession.record))
    }

    /// Reads a credential of any kind for its session alone: MAC or signature must be good, times do not matter.
    async fn read_to_end(&self, credential: &str) -> Result<Ended, Refusal> {
        self.shared.with_keys(|ring| self.read_with(ring, credential)).await
    }

    fn read_with(&self, ring: &KeyRing, credential: &str) -> Result<Ended, Reason> {
        if credential.contains('.') {
            let token::Checked { claims, .. } = token::check(credential, ring.verifying())?;
            if claims.issuer != self.settings.issuer {
                return Err(Reason::BadClaims);
            }
            let method = claims.token_id.method();
            return Ok(Ended {
                session: claims.session,
                account: Some(claims.account),
                app: Some(claims.app),
                hold: hold_of(method),
                successor: None,
                kind: match method.properties().upstream {
                    Upstream::MintedToken => Presented::MintedToken,
                    Upstream::Headers => Presented::Token,
                },
            });
        }
        let ticket = Ticket::parse(credential, ring)?;
        let successor = ticket.successor(ring, self.shared.clock.now()).map(|successor| successor.id());
        let hold = hold_of_ticket(&ticket);
        let kept = |session, successor, kind| Ended { session, account: None, app: None, hold, successor, kind };
        Ok(match ticket {
            Ticket::Session(ticket) => kept(ticket.id(), successor, Presented::SessionTicket),
            Ticket::Refresh(token) => kept(token.id(), successor, Presented::RefreshToken(token.generation())),
            Ticket::Stateless(token) => Ended {
                session: token.id(),
                account: Some(token.claims().account),
                app: self.shared.apps.by_tag(token.claims().app).map(|app| app.id.clone()),
                hold,
                successor,
                kind: Presented::Stateless(token),
            },
        })
    }

    /// An audit line of now.
    pub(super) fn event(&self, kind: Kind, client: &Client) -> Event {
        Event {
            at: self.shared.clock.now(),
            kind,
            account: None,
            session: None,
            app: None,
            origin: client.origin(),
            reason: None,
            detail: None,
        }
    }
}

pub(super) fn acting(session: SessionId, app: &AppId, method: Method, (epoch, app_epoch): (Epoch, Epoch)) -> Acting {
    Acting { session, epoch, app: app.clone(), method, app_epoch }
}

/// How long the log holds the end of a session of this method of which no refresh token was presented.
pub(super) fn hold_of(method: Method) -> Hold {
    if method.keeps_record() { Hold::NOTED } else { Hold::stateless(None) }
}

/// How long it holds the end of the session of a ticket that was presented.
pub(super) fn hold_of_ticket(ticket: &Ticket) -> Hold {
    match ticket {
        Ticket::Session(_) | Ticket::Refresh(_) => Hold::NOTED,
        // As it says itself: the app's configuration may have been another then, and may be so again.
        Ticket::Stateless(token) => Hold::stateless(Some(token.claims().expires)),
    }
}
