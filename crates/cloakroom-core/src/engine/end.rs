//! Ending: write the log, then delete the record, then answer. So an ended session stays ended, whatever crashes between.

use super::{Client, Engine};
use crate::{
    app::App,
    audit::{Event, Kind},
    clock::Timestamp,
    ids::{AccountId, AppId, SessionId},
    method::{Method, Upstream},
    refusal::{Reason, Refusal},
    revocation::{End, hold_until},
    session::Write,
    store::EndRequest,
    ticket::{StatelessRefreshToken, Successor, Ticket},
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
    /// When what stands without a record ends by itself.
    expires: Option<Timestamp>,
    /// What took its place, if some app lets its sessions be exchanged and it is one that can be.
    successor: Option<Successor>,
    kind: Presented,
}

enum Presented {
    Token,
    /// A token that was minted for an upstream.
    MintedToken,
    SessionTicket,
    RefreshToken,
    Stateless(StatelessRefreshToken),
}

impl Engine {
    /// Signs out who presents a credential of any kind and age: an expired access token and an older refresh token end
    /// their own session too (F067). To end everything the credential must still be accepted: a stale one that leaked
    /// somewhere does not sign its owner out of all devices. A token that was minted for an upstream is not its person's
    /// to act with, and counts as nothing. Whether the credential named a session.
    pub async fn sign_out(&self, credential: &str, which: Which, client: &Client) -> Result<bool, Refusal> {
        let Ok(ended) = self.read_to_end(credential) else { return Ok(false) };
        if matches!(ended.kind, Presented::MintedToken) {
            return Ok(false);
        }
        if which == Which::Everywhere {
            let account = self.account_of_living(credential, &ended).await?;
            self.end_account(account, client).await?;
        }
        self.end_presented(ended, client).await?;
        Ok(true)
    }

    async fn end_presented(&self, ended: Ended, client: &Client) -> Result<(), Refusal> {
        self.end_session(ended.session, ended.expires).await?;
        self.end_successors(ended.successor).await?;
        let mut event = self.event(Kind::SignedOut, client);
        event.account = ended.account;
        event.session = Some(ended.session);
        event.app = ended.app;
        self.audit.push(event);
        Ok(())
    }

    /// A session that was exchanged goes on in its successor, which ends with it.
    async fn end_successors(&self, first: Option<Successor>) -> Result<(), Refusal> {
        let mut next = first;
        while let Some(successor) = next {
            let Some(record) = self.shared.stores.sessions.read(successor.id()).await? else { break };
            let app = self.shared.apps.by_tag(record.app);
            let longest = app.map_or_else(|| self.shared.apps.longest_session(), |app| app.absolute_timeout);
            let expires = (!record.method.keeps_record()).then(|| record.rotated + longest);
            self.end_session(successor.id(), expires).await?;
            next = successor.successor(&self.shared.keychain.ring(), self.shared.clock.now());
        }
        Ok(())
    }

    async fn account_of_living(&self, credential: &str, ended: &Ended) -> Result<AccountId, Refusal> {
        match &ended.kind {
            Presented::Token | Presented::MintedToken | Presented::SessionTicket => {
                let question = Question { credential, app: None, activity: Activity::Passive };
                Ok(self.verifier.verify(question).await?.account())
            }
            Presented::RefreshToken => Ok(self.shared.live_record(ended.session).await?.0.account),
            Presented::Stateless(token) => {
                let (app, found) = self.stateless_finding(token)?;
                let epochs = (found.epoch, found.app_epoch);
                let (account, method) = (found.account, found.method);
                self.verifier.judge_renewal(found, app).await?;
                Ok(self.shared.standing(account, app, method, epochs).await?.account.id)
            }
        }
    }

    /// Ends one session. `expires`: when its refresh token ends, for one without a record, where that is known.
    pub(super) async fn end_session(&self, id: SessionId, expires: Option<Timestamp>) -> Result<(), Refusal> {
        let now = self.shared.clock.now();
        // Ended already: another line would say nothing new. Else whoever holds one old ticket could fill the log with it,
        // and the set of what has ended, which loses the lease when it is full.
        let known = self.verifier.holds_end(id, expires);
        if !known {
            let until = hold_until(now, self.shared.apps.longest_access_token(), expires);
            let entries = self.shared.stores.accounts.end(&[(EndRequest::Session(id), until)], now).await?;
            self.verifier.hear(&entries);
        }
        if known || !self.shared.stores.end_deletes {
            // The log has it: should this fail, the session is refused all the same, and the client may repeat.
            let _ = self.shared.stores.sessions.write(id, Write::Delete).await?;
        }
        Ok(())
    }

    /// Ends everything of an account, by its epoch; no index is walked (F061).
    pub async fn end_account(&self, account: AccountId, client: &Client) -> Result<(), Refusal> {
        self.raise_account(account).await?;
        let mut event = self.event(Kind::AccountEnded, client);
        event.account = Some(account);
        self.audit.push(event);
        Ok(())
    }

    /// Ends all other sessions of whoever asks; the present one is carried over into the new epoch, if it keeps a record.
    pub async fn end_others(&self, identity: &Identity, client: &Client) -> Result<(), Refusal> {
        let epoch = self.raise_account(identity.account()).await?;
        if identity.method().keeps_record() {
            let carried = Write::CarryOver(epoch);
            let _ = self.shared.stores.sessions.write(identity.session(), carried).await?;
        }
        let mut event = self.event(Kind::AccountEnded, client);
        event.account = Some(identity.account());
        event.session = Some(identity.session());
        event.detail = Some("all others".to_owned());
        self.audit.push(event);
        Ok(())
    }

    async fn raise_account(&self, account: AccountId) -> Result<crate::ids::Epoch, Refusal> {
        let now = self.shared.clock.now();
        // Stateless sessions of the old epoch can renew until they expire; the account's row refuses that. The log only has
        // to cover what is believed without a reading.
        let until = hold_until(now, self.shared.apps.longest_access_token(), None);
        let entries = self.shared.stores.accounts.end(&[(EndRequest::Account(account), until)], now).await?;
        self.verifier.hear(&entries);
        let epoch = entries.iter().find_map(|entry| match &entry.end {
            End::Account { epoch, .. } => Some(*epoch),
            _ => None,
        });
        epoch.ok_or_else(|| Reason::AccountGone.into())
    }

    /// Ends all of an app's sessions, of one method or of all; the operator's way.
    pub async fn end_app(&self, app: &App, method: Option<Method>, client: &Client) -> Result<(), Refusal> {
        let now = self.shared.clock.now();
        let until = hold_until(now, self.shared.apps.longest_access_token(), None);
        let request = EndRequest::App(app.id.clone(), method);
        let entries = self.shared.stores.accounts.end(&[(request, until)], now).await?;
        self.verifier.hear(&entries);
        let mut event = self.event(Kind::AppEnded, client);
        event.app = Some(app.id.clone());
        event.detail = method.map(|method| method.name().to_owned());
        self.audit.push(event);
        Ok(())
    }

    /// Ends one of an account's own sessions; `false`: it has no such one, and nothing was changed (F011).
    pub async fn end_own(&self, account: AccountId, id: SessionId, client: &Client) -> Result<bool, Refusal> {
        let record = self.shared.stores.sessions.read(id).await?;
        let Some(record) = record.filter(|record| record.account == account) else { return Ok(false) };
        self.end_session(id, None).await?;
        let mut event = self.event(Kind::SessionEnded, client);
        event.account = Some(account);
        event.session = Some(id);
        event.app = self.shared.apps.by_tag(record.app).map(|app| app.id.clone());
        self.audit.push(event);
        Ok(true)
    }

    /// Ends the session that asks, which keeps no record; `expires`: when its refresh token ends.
    pub async fn end_own_stateless(
        &self,
        identity: &Identity,
        expires: Timestamp,
        client: &Client,
    ) -> Result<(), Refusal> {
        self.end_session(identity.session(), Some(expires)).await?;
        let mut event = self.event(Kind::SessionEnded, client);
        event.account = Some(identity.account());
        event.session = Some(identity.session());
        event.app = Some(identity.app_id().clone());
        self.audit.push(event);
        Ok(())
    }

    /// Ends any session by its id; an operator's or a service's way. A session without a record is ended as well: its id
    /// goes into the log for as long as any refresh token of it could live.
    pub async fn revoke(&self, id: SessionId, client: &Client) -> Result<(), Refusal> {
        let expires = self.shared.clock.now() + self.shared.apps.longest_session();
        self.end_session(id, Some(expires)).await?;
        let mut event = self.event(Kind::SessionEnded, client);
        event.session = Some(id);
        self.audit.push(event);
        Ok(())
    }

    /// Ends what a presented token belongs to, for RFC 7009; unknown ones are nothing to end, and no error.
    pub async fn revoke_token(&self, token: &str, client: &Client) -> Result<(), Refusal> {
        match self.read_to_end(token) {
            Ok(ended) => self.end_presented(ended, client).await,
            Err(_) => Ok(()),
        }
    }

    /// A login over a present session of the same app ends the old one.
    pub(super) async fn end_presented_before(
        &self,
        credential: &str,
        app: &App,
        client: &Client,
    ) -> Result<(), Refusal> {
        let Ok(old) = self.read_to_end(credential) else { return Ok(()) };
        let of_app = if let Some(id) = &old.app {
            (*id == app.id).then_some(old.account)
        } else {
            let record = self.shared.stores.sessions.read(old.session).await?;
            record.filter(|record| record.app == app.id.tag()).map(|record| Some(record.account))
        };
        let Some(account) = of_app else { return Ok(()) };
        self.end_session(old.session, old.expires).await?;
        let mut event = self.event(Kind::SessionEnded, client);
        event.account = account;
        event.session = Some(old.session);
        event.app = Some(app.id.clone());
        event.detail = Some("replaced by a new sign-in".to_owned());
        self.audit.push(event);
        Ok(())
    }

    /// Reads a credential of any kind for its session alone: MAC or signature must be good, times do not matter.
    fn read_to_end(&self, credential: &str) -> Result<Ended, Reason> {
        let ring = self.shared.keychain.ring();
        if credential.contains('.') {
            let token::Checked { claims, .. } = token::check(credential, ring.verifying())?;
            if claims.issuer != self.settings.issuer {
                return Err(Reason::BadClaims);
            }
            let app = self.shared.apps.get(claims.app.as_str());
            let longest = app.map_or_else(|| self.shared.apps.longest_session(), |app| app.absolute_timeout);
            // What has a record ends with it, and need not be held for as long as it might have lived.
            let properties = claims.token_id.method().properties();
            let stateless = !claims.token_id.method().keeps_record();
            return Ok(Ended {
                session: claims.session,
                account: Some(claims.account),
                app: Some(claims.app),
                expires: stateless.then(|| claims.auth_time + longest),
                successor: None,
                kind: match properties.upstream {
                    Upstream::MintedToken => Presented::MintedToken,
                    Upstream::Headers => Presented::Token,
                },
            });
        }
        let ticket = Ticket::parse(credential, &ring)?;
        let exchanges = self.shared.apps.iter().any(|app| !app.migrate_from.is_empty());
        let successor = exchanges.then(|| ticket.successor(&ring, self.shared.clock.now())).flatten();
        let kept =
            |session, successor, kind| Ended { session, account: None, app: None, expires: None, successor, kind };
        Ok(match ticket {
            Ticket::Session(ticket) => kept(ticket.id(), successor, Presented::SessionTicket),
            Ticket::Refresh(token) => kept(token.id(), successor, Presented::RefreshToken),
            Ticket::Stateless(token) => Ended {
                session: token.id(),
                account: Some(token.claims().account),
                app: self.shared.apps.by_tag(token.claims().app).map(|app| app.id.clone()),
                expires: Some(token.claims().expires),
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
