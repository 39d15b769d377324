//! Issuing: the record, if the method keeps one, and the credentials that prove it.

use std::{sync::Arc, time::Duration};

use super::{Client, Engine, operations::Underway};
use crate::{
    account::Account,
    app::App,
    clock::Timestamp,
    ids::{AccountId, Epoch, Generation, SessionId},
    method::{Check, Memory, Method},
    refusal::{Reason, Refusal},
    secret::SecretText,
    session::{AuthMethods, Record, Write, Written},
    ticket::{RefreshToken, SessionTicket, StatelessClaims, StatelessRefreshToken},
    token::{self, Claims, TokenId},
    trace::span_of_work,
    verify::Identity,
};

/// A sign-in that succeeded.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub account: Account,
    /// The session's id.
    pub session: SessionId,
    /// Where.
    pub app: Arc<App>,
    /// The session's method.
    pub method: Method,
    /// When it began.
    pub created: Timestamp,
    /// When it ends, whatever happens.
    pub expires: Timestamp,
    /// What the client is given.
    pub credentials: Credentials,
}

/// What a client is given.
#[derive(Debug)]
pub enum Credentials {
    /// A ticket, for a cookie.
    Ticket(SecretText),
    /// An access token and a refresh token.
    Tokens(Tokens),
}

/// An access token and a refresh token.
#[derive(Debug)]
pub struct Tokens {
    /// The access token.
    pub access: SecretText,
    /// How long it lives.
    pub expires_in: Duration,
    /// The refresh token.
    pub refresh: SecretText,
    /// When the session, and with it the refresh token, ends.
    pub refresh_expires: Timestamp,
}

/// What a new session is born with.
pub(super) struct Birth<'a> {
    pub(super) account: &'a Account,
    pub(super) app: &'a Arc<App>,
    pub(super) method: Method,
    /// The epochs as they were no later than the password was checked, so that a login beside 'end everything' is born ended (F060).
    pub(super) epochs: (Epoch, Epoch),
    pub(super) auth_time: Timestamp,
    pub(super) amr: AuthMethods,
}

/// What an access token says of its session.
pub(super) struct Subject<'a> {
    pub(super) session: SessionId,
    pub(super) account: AccountId,
    pub(super) app: &'a App,
    pub(super) method: Method,
    pub(super) epochs: (Epoch, Epoch),
    pub(super) auth_time: Timestamp,
    pub(super) amr: AuthMethods,
    /// When the session ends: no access token outlives it.
    pub(super) ends: Timestamp,
}

/// How long a token minted for an upstream lives.
const UPSTREAM_LIFETIME: Duration = Duration::from_secs(60);

impl Engine {
    /// Makes a session by its method's properties.
    pub(super) async fn issue(
        &self,
        birth: Birth<'_>,
        client: &Client,
        underway: &Underway,
    ) -> Result<SignedIn, Refusal> {
        let now = self.shared.clock.now();
        let ring = self.shared.keychain.ring();
        let expires = (now + birth.app.absolute_timeout).whole_secs();
        let no_key = || Refusal::from(Reason::KeyUnreadable);
        let properties = birth.method.properties();
        let (session, credentials) = match (properties.check, properties.memory) {
            (Check::LookUp, _) => {
                let ticket = SessionTicket::mint(&ring, &self.shared.rng, now).ok_or_else(no_key)?;
                self.keep(ticket.id(), &birth, now, expires, client, underway).await?;
                (ticket.id(), Credentials::Ticket(ticket.text(&ring).ok_or_else(no_key)?))
            }
            (Check::Signature, Memory::Record) => {
                let refresh = RefreshToken::mint(&ring, &self.shared.rng, now).ok_or_else(no_key)?;
                self.keep(refresh.id(), &birth, now, expires, client, underway).await?;
                let text = refresh.text(&ring).ok_or_else(no_key)?;
                (refresh.id(), Credentials::Tokens(self.tokens(&birth.subject(refresh.id(), expires), text)?))
            }
            (Check::Signature, Memory::Nothing) => {
                let claims = StatelessClaims {
                    account: birth.account.id,
                    app: birth.app.id.tag(),
                    epoch: birth.epochs.0,
                    app_epoch: birth.epochs.1,
                    auth_time: birth.auth_time,
                    amr: birth.amr,
                    expires,
                };
                let refresh = StatelessRefreshToken::mint(claims, &ring, &self.shared.rng, now).ok_or_else(no_key)?;
                let text = refresh.text(&ring).ok_or_else(no_key)?;
                (refresh.id(), Credentials::Tokens(self.tokens(&birth.subject(refresh.id(), expires), text)?))
            }
        };
        Ok(SignedIn {
            account: birth.account.clone(),
            session,
            app: Arc::clone(birth.app),
            method: birth.method,
            created: now,
            expires,
            credentials,
        })
    }

    async fn keep(
        &self,
        id: SessionId,
        birth: &Birth<'_>,
        now: Timestamp,
        expires: Timestamp,
        client: &Client,
        _: &Underway,
    ) -> Result<(), Refusal> {
        let record = Record {
            account: birth.account.id,
            epoch: birth.epochs.0,
            app: birth.app.id.tag(),
            app_epoch: birth.epochs.1,
            method: birth.method,
            created: now,
            last_active: now,
            expires,
            generation: Generation(0),
            rotated: now,
            auth_time: birth.auth_time,
            amr: birth.amr,
            client: client.kind(),
        };
        match self.shared.stores.sessions.write(id, Write::Create(record)).await? {
            Written::Done(_) => Ok(()),
            // 128 random bits came twice: something is broken, and nobody gets somebody else's session.
            Written::Absent | Written::Conflict(_) => Err(Reason::Fault.into()),
        }
    }

    /// An access token beside a refresh token.
    pub(super) fn tokens(&self, subject: &Subject<'_>, refresh: SecretText) -> Result<Tokens, Refusal> {
        let (access, expires_in) = self.access_token(subject, subject.app.access_token_lifetime)?;
        Ok(Tokens { access, expires_in, refresh, refresh_expires: subject.ends })
    }

    /// A short token for the services behind a gateway, for a method that mints one.
    pub fn mint_for_upstream(&self, identity: &Identity) -> Result<SecretText, Refusal> {
        let subject = Subject {
            session: identity.session(),
            account: identity.account(),
            app: identity.app(),
            method: identity.method(),
            epochs: identity.epochs(),
            auth_time: identity.auth_time(),
            amr: identity.amr(),
            ends: identity.expires_at(),
        };
        let lifetime = UPSTREAM_LIFETIME.min(subject.app.access_token_lifetime);
        self.access_token(&subject, lifetime).map(|(token, _)| token)
    }

    /// Signs an access token: its lifetime is cut by up to 5 % at random, fixed at issue, so that renewals spread out (F070).
    fn access_token(&self, subject: &Subject<'_>, lifetime: Duration) -> Result<(SecretText, Duration), Refusal> {
        let now = self.shared.clock.now();
        let spread = lifetime.as_secs() / 20;
        let cut = Duration::from_secs(self.shared.rng.below(spread + 1));
        let expires = (now.whole_secs() + lifetime.saturating_sub(cut)).min(subject.ends);
        let claims = Claims {
            issuer: self.settings.issuer.clone(),
            account: subject.account,
            app: subject.app.id.clone(),
            expires,
            issued: now.whole_secs(),
            token_id: TokenId::generate(subject.method, &self.shared.rng),
            session: subject.session,
            auth_time: subject.auth_time,
            amr: subject.amr,
            epoch: subject.epochs.0,
            app_epoch: subject.epochs.1,
        };
        let ring = self.shared.keychain.ring();
        let (kid, key) = ring.signer(subject.app.algorithm, now).ok_or(Reason::KeyUnreadable)?;
        let signed = span_of_work("sign", || token::sign(&claims, kid, key));
        let token = signed.map_err(|error| {
            tracing::error!(%error, "an access token cannot be signed");
            Refusal::from(Reason::Fault)
        })?;
        Ok((token, expires.since(now.whole_secs())))
    }
}

impl<'a> Birth<'a> {
    fn subject(&self, session: SessionId, ends: Timestamp) -> Subject<'a> {
        Subject {
            session,
            account: self.account.id,
            app: self.app,
            method: self.method,
            epochs: self.epochs,
            auth_time: self.auth_time,
            amr: self.amr,
            ends,
        }
    }
}
