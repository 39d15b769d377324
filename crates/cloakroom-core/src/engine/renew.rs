//! Renewal: a refresh token for a new access token, and for its successor where it has grown up.

use std::{sync::Arc, time::Duration};

use super::{Client, Engine, Tokens, issue::Subject, operations::Underway, standstill::STANDSTILL};
use crate::{
    account::Account,
    app::App,
    audit::Kind,
    clock::Boot,
    ids::{AppId, Generation, SessionId},
    method::{Check, Method},
    refusal::{Reason, Refusal},
    revocation::Hold,
    session::{Found, Record, Rotation, Write, Written},
    store::Standing,
    ticket::{RefreshToken, StatelessRefreshToken, Ticket},
    trace::span,
    verify::{Activity, Finding, Renewal},
};

/// A renewal that succeeded.
#[derive(Debug)]
pub struct Renewed {
    /// Whose session it is.
    pub account: Account,
    /// Which.
    pub session: SessionId,
    /// Where.
    pub app: Arc<App>,
    /// Its method.
    pub method: Method,
    /// When it began.
    pub created: crate::clock::Timestamp,
    /// The tokens.
    pub tokens: Tokens,
}

/// Whether a renewal may replace the refresh token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spending {
    /// If it has grown up.
    Grown,
    /// Never.
    Nothing,
}

/// What is asked of a renewal.
struct Wanted {
    spending: Spending,
    app: Option<AppId>,
    activity: Activity,
    /// When it was asked for.
    began: Boot,
}

/// A swap that is lost is judged anew against what won; with tabs that all hold one token the second try settles it.
const TRIES: usize = 8;

impl Engine {
    /// Renews.
    ///
    /// # Errors
    /// `token_reused` for theft, and the session has ended then; otherwise as the session's state is. A refusal changes
    /// nothing else: whoever repeats within the grace period gets the same answer.
    pub async fn renew(
        self: &Arc<Self>,
        refresh_token: &str,
        app: Option<&AppId>,
        activity: Activity,
        client: &Client,
    ) -> Result<Renewed, Refusal> {
        let outcome = self.renew_spending(Spending::Grown, refresh_token, app, activity, client).await;
        self.tallies.refreshed(outcome.as_ref().err());
        outcome
    }

    /// Renews without spending the refresh token, however old its generation is: for a page that is only looked at. A safe
    /// request changes nothing (F022), and an answer that is lost or thrown away, as with a page that a browser loads
    /// ahead, takes no successor with it. A token that was replaced before is theft here too.
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub async fn look(
        self: &Arc<Self>,
        refresh_token: &str,
        app: Option<&AppId>,
        activity: Activity,
        client: &Client,
    ) -> Result<Renewed, Refusal> {
        self.renew_spending(Spending::Nothing, refresh_token, app, activity, client).await
    }

    async fn renew_spending(
        self: &Arc<Self>,
        spending: Spending,
        refresh_token: &str,
        app: Option<&AppId>,
        activity: Activity,
        client: &Client,
    ) -> Result<Renewed, Refusal> {
        let began = self.shared.clock.boot();
        let ticket = match self.shared.with_keys(|ring| Ticket::parse(refresh_token, ring)).await {
            Ok(Ticket::Session(_)) => return Err(self.not_renewed(None, Reason::WrongKind.into(), client)),
            Err(refusal) => return Err(self.not_renewed(None, refusal, client)),
            Ok(ticket) => ticket,
        };
        // Refreshes that are shed are not audited: under load they would crowd out everything else.
        let place = span("place", self.places.refreshes.enter()).await?;
        let (app, client) = (app.cloned(), client.clone());
        self.operation(place, move |engine, underway| async move {
            let session = ticket.id();
            let renewed = match &ticket {
                Ticket::Stateless(token) => engine.renew_stateless(token, app.as_ref()).await,
                Ticket::Refresh(token) => {
                    let wanted = Wanted { spending, app, activity, began };
                    let renewed = engine.renew_kept(token, &wanted, &client, &underway).await;
                    match renewed {
                        Err(refusal) if matches!(refusal.reason, Reason::NoSession | Reason::SessionEnded) => {
                            Err(engine.gone(refusal, &ticket, token, &wanted, &client, &underway).await)
                        }
                        renewed => renewed,
                    }
                }
                Ticket::Session(_) => Err(Reason::WrongKind.into()),
            };
            renewed.map_err(|refusal| engine.not_renewed(Some(session), refusal, &client))
        })
        .await
    }

    fn not_renewed(&self, session: Option<SessionId>, refusal: Refusal, client: &Client) -> Refusal {
        let mut event = self.event(Kind::RefreshRefused, client);
        event.session = session;
        event.reason = Some(refusal.reason);
        self.audit.push(event);
        refusal
    }

    async fn renew_kept(
        &self,
        token: &RefreshToken,
        wanted: &Wanted,
        client: &Client,
        underway: &Underway,
    ) -> Result<Renewed, Refusal> {
        let id = token.id();
        for _ in 0..TRIES {
            let reading = self.verifier.reading();
            let alive = span("read the session", self.shared.live_found(id)).await;
            let (Found { record, since_rotation }, app, standing) =
                alive.map_err(|refusal| self.with_memory(refusal, id))?;
            if record.method.properties().check != Check::Signature {
                return Err(Reason::WrongKind.into());
            }
            demand(wanted.app.as_ref(), &app)?;
            let found = Finding::of_record(id, &record, &app, token.kid());
            if span("judge", self.verifier.judge_renewal(found, &app, reading)).await? == Renewal::ReadAgain {
                continue;
            }
            let now = self.shared.clock.now();
            let rotation = record.rotation(token.generation(), since_rotation, app.refresh_grace);
            let write = match rotation {
                Rotation::Keep | Rotation::Repeat => None,
                Rotation::Advance | Rotation::CatchUp if wanted.spending == Spending::Nothing => None,
                Rotation::Advance => Some(record.generation.next()),
                Rotation::CatchUp => Some(token.generation()),
                Rotation::Stolen => {
                    self.moved_all_along(wanted.began, &app)?;
                    return Err(self.stolen(id, &record, token, &app, client, underway).await);
                }
            };
            let active = (wanted.activity == Activity::Active).then_some(now);
            let generation = match write {
                None => {
                    if let Some(at) = active {
                        self.shared.note(id, at);
                    }
                    record.generation.max(token.generation())
                }
                Some(to) => {
                    underway.begin()?;
                    let write = Write::Rotate { from: record.generation, to, at: self.shared.clock.by_hand(), active };
                    match self.shared.stores.sessions.write(id, write).await? {
                        Written::Done(_) => {}
                        Written::Conflict(_) => continue,
                        Written::Absent => return Err(self.with_memory(Reason::NoSession.into(), id)),
                    }
                    let kind = if rotation == Rotation::CatchUp { Kind::CaughtUp } else { Kind::Rotated };
                    self.note_rotation(kind, id, &record, &app, to, client);
                    to
                }
            };
            let ring = self.shared.keychain.ring();
            let refresh = token.of_generation(generation).text(&ring).ok_or(Reason::UnknownKey)?;
            let subject = Subject {
                session: id,
                account: record.account,
                app: &app,
                method: record.method,
                epochs: (record.epoch, record.app_epoch),
                auth_time: record.auth_time,
                amr: record.amr,
                ends: record.ends_at(&app),
            };
            let tokens = self.tokens(&subject, refresh)?;
            return Ok(Renewed {
                account: standing.account,
                session: id,
                method: record.method,
                created: record.created,
                app,
                tokens,
            });
        }
        Err(Refusal::from(Reason::StoreDown).retry_after(Duration::from_secs(1)))
    }

    /// Why a refresh token is refused whose session is gone: theft, if the session was exchanged when the token had long been
    /// spent. The log is asked once, and only where the token is refused in any case.
    async fn gone(
        &self,
        refusal: Refusal,
        ticket: &Ticket,
        token: &RefreshToken,
        wanted: &Wanted,
        client: &Client,
        underway: &Underway,
    ) -> Refusal {
        let stolen = async {
            let Some(past) = self.exchanged(ticket).await? else { return Ok(()) };
            let Some(app) = self.shared.apps.by_tag(past.succession.record.app) else { return Ok(()) };
            demand(wanted.app.as_ref(), app)?;
            self.not_spent_before(token, &past, app, wanted.began, client, underway).await
        };
        stolen.await.err().unwrap_or(refusal)
    }

    async fn renew_stateless(&self, token: &StatelessRefreshToken, wanted: Option<&AppId>) -> Result<Renewed, Refusal> {
        let (app, found) = self.stateless_finding(token)?;
        demand(wanted, app)?;
        let (id, claims, ends, epochs) = (token.id(), token.claims(), found.expires, (found.epoch, found.app_epoch));
        let standing = self.stateless_standing(id, found, app).await?;
        let ring = self.shared.keychain.ring();
        let refresh = token.text(&ring).ok_or(Reason::UnknownKey)?;
        let subject = Subject {
            session: id,
            account: claims.account,
            app,
            method: Method::JwtStateless,
            epochs,
            auth_time: claims.auth_time,
            amr: claims.amr,
            ends,
        };
        Ok(Renewed {
            account: standing.account,
            session: id,
            app: Arc::clone(app),
            method: Method::JwtStateless,
            created: claims.auth_time,
            tokens: self.tokens(&subject, refresh)?,
        })
    }

    /// The standing of a session without a record, by the whole acceptance rule. It can live for far longer than verifiers hold
    /// its end: the log, which keeps that for as long, is asked in the reading that is made of its account anyway.
    pub(super) async fn stateless_standing(
        &self,
        session: SessionId,
        found: Finding,
        app: &Arc<App>,
    ) -> Result<Standing, Refusal> {
        let (account, method, marks) = (found.account, found.method, (found.epoch, found.app_epoch));
        let reading = self.verifier.reading();
        let standing = self.shared.standing_in_log(account, app, method, marks, session).await?;
        match span("judge", self.verifier.judge_renewal(found, app, reading)).await? {
            Renewal::Goes => Ok(standing),
            Renewal::ReadAgain => Err(Refusal::from(Reason::Busy).retry_after(std::time::Duration::from_secs(1))),
        }
    }

    /// What a stateless refresh token says of itself, if its time is not over.
    pub(super) fn stateless_finding(&self, token: &StatelessRefreshToken) -> Result<(&Arc<App>, Finding), Reason> {
        let claims = token.claims();
        let app = self.shared.apps.by_tag(claims.app).ok_or(Reason::AppGone)?;
        let ends = claims.expires.min(claims.auth_time + app.absolute_timeout);
        if self.shared.clock.now() >= ends {
            return Err(Reason::AbsoluteExpiry);
        }
        let found = Finding {
            session: token.id(),
            account: claims.account,
            epoch: claims.epoch,
            app_epoch: claims.app_epoch,
            method: Method::JwtStateless,
            kid: Some(token.kid()),
            amr: claims.amr,
            auth_time: claims.auth_time,
            expires: ends,
            last_active: None,
        };
        Ok((app, found))
    }

    /// Refuses to take anybody for a thief after having stood still: what was presented may have been good when it was sent, and
    /// another tab has renewed in the meantime. The client asks again, with what it holds by then.
    pub(super) fn moved_all_along(&self, began: Boot, app: &App) -> Result<(), Refusal> {
        let in_time = self.shared.clock.boot().since(began) <= STANDSTILL + app.refresh_grace / 2;
        if in_time && !self.standstill.was_lately() {
            return Ok(());
        }
        Err(Refusal::from(Reason::StoreDown).retry_after(Duration::from_secs(1)))
    }

    /// An old generation came back: the session ends, whoever holds what of it, and the account can see why.
    pub(super) async fn stolen(
        &self,
        id: SessionId,
        record: &Record,
        token: &RefreshToken,
        app: &App,
        client: &Client,
        underway: &Underway,
    ) -> Refusal {
        let mut event = self.event(Kind::Theft, client);
        event.account = Some(record.account);
        event.session = Some(id);
        event.app = Some(app.id.clone());
        event.reason = Some(Reason::GenerationReused);
        event.detail = Some(format!("generation {} of {}", token.generation().0, record.generation.0));
        tracing::warn!(session = %id, account = %record.account, "a refresh token was used after its successor: theft");
        self.audit.push(event);
        match self.end_session(id, Hold::NOTED, underway).await {
            Ok(()) => Reason::GenerationReused.into(),
            Err(refusal) => refusal,
        }
    }

    fn note_rotation(&self, kind: Kind, id: SessionId, record: &Record, app: &App, to: Generation, client: &Client) {
        if kind == Kind::CaughtUp {
            tracing::warn!(session = %id, "the store had lost this session's last rotation");
        }
        let mut event = self.event(kind, client);
        event.account = Some(record.account);
        event.session = Some(id);
        event.app = Some(app.id.clone());
        event.detail = Some(format!("generation {}", to.0));
        self.audit.push(event);
    }

    /// A record that is not there has ended, as long as the log remembers; otherwise its time was over.
    pub(super) fn with_memory(&self, refusal: Refusal, id: SessionId) -> Refusal {
        if refusal.reason == Reason::NoSession && self.verifier.has_ended(id) {
            return Reason::SessionEnded.into();
        }
        refusal
    }
}

fn demand(wanted: Option<&AppId>, app: &App) -> Result<(), Reason> {
    if wanted.is_some_and(|wanted| *wanted != app.id) { Err(Reason::WrongApp) } else { Ok(()) }
}
