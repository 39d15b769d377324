//! Signing in: address and password, checked at one cost whatever is wrong with them.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use super::{Client, Engine, SignedIn, issue::Birth, operations::Underway};
use crate::{
    account::{AccountState, EmailAddress},
    app::App,
    audit::Kind,
    credential::{Attempt, Checked, Familiar, LimitError, LimitKind, LoginPassword, Network, PasswordHash, PoolError},
    ids::{AccountId, Epoch},
    refusal::{Reason, Refusal},
    revocation::Hold,
    secret::SecretText,
    session::{AuthMethods, Write},
    store::{AccountChange, Basis, Login},
    trace::span,
};

/// What is sent to sign in.
#[derive(Debug)]
pub struct LoginRequest {
    /// The e-mail address, as typed.
    pub email: String,
    /// The password, or what was sent in its place.
    pub password: LoginPassword,
    /// Where.
    pub app: Arc<App>,
    /// Credentials of the same app that came with the request: their sessions end with the new login.
    pub present: Vec<SecretText>,
    /// What becomes of the account's other sessions.
    pub others: Others,
}

/// What becomes of an account's other sessions when somebody signs in.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Others {
    /// They go on.
    #[default]
    GoOn,
    /// They end, once the password has been proved.
    End,
}

/// How often all sessions are ended anew where others end them too.
const TRIES: usize = 8;
/// How long a session that is to be taken back is waited for between tries.
const WITHDRAWALS: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(5)];

impl Engine {
    /// Signs in.
    ///
    /// # Errors
    /// `invalid_credentials` for whatever is wrong with address and password, always after one hash; `not_admitted`,
    /// `rate_limited`, `overloaded`, `store_unavailable`.
    pub async fn login(self: &Arc<Self>, request: LoginRequest, client: &Client) -> Result<SignedIn, Refusal> {
        let app = Arc::clone(&request.app);
        let place = span("place", self.places.sign_ins.enter()).await;
        let place = place.inspect_err(|refusal| self.tallies.signed_in(&app, Some(refusal)))?;
        let client = client.clone();
        self.operation(place, |engine, underway| async move {
            let outcome = engine.sign_in(request, &client, &underway).await;
            engine.tallies.signed_in(&app, outcome.as_ref().err());
            outcome
        })
        .await
    }

    async fn sign_in(&self, request: LoginRequest, client: &Client, underway: &Underway) -> Result<SignedIn, Refusal> {
        let usable = request.password.is_usable();
        let email = EmailAddress::parse(&request.email).ok();
        // An unusable password is nobody's: refused before the account is looked up (F078).
        let known = match email.as_ref().filter(|_| usable) {
            Some(email) => self.shared.stores.accounts.login(email.canonical()).await?,
            None => None,
        };
        let attempt = span("limits", self.attempt(email.as_ref(), known.as_ref(), client)).await;
        let attempt = attempt.map_err(|refusal| self.refused(refusal, None, &request.app, client))?;
        let id = known.as_ref().map(|login| login.account.id);
        let refuse = |reason: Reason| self.refused(reason.into(), id, &request.app, client);

        // Epochs are read no later than the password is checked, and the older of two counts: a login beside 'end everything' is born
        // ended (F060). The app's too: a login that was admitted before its app was ended is one of those that end (R7).
        // Of nobody too, and beside the check, which takes longer: were there a reading to wait for only where there is
        // an account, the answer's time would tell who has one (CWE-208).
        let reading = async {
            if !usable {
                return Ok(None);
            }
            let asked = id.unwrap_or_else(|| AccountId::generate(self.shared.clock.now(), &self.shared.rng));
            Ok(self.shared.stores.accounts.standing(asked, &request.app.id, request.app.method, None).await?)
        };
        let hash = known.as_ref().and_then(|login| login.password.clone());
        // Where it ends the others, it may have to be proved again.
        let again = (request.others == Others::End).then(|| request.password.clone());
        let checking = async {
            let checked = span("password check", self.passwords.check(request.password, hash.clone())).await;
            checked.map_err(|error| self.refused(overloaded(&error), id, &request.app, client))
        };
        let (standing, checked) = tokio::try_join!(reading, checking)?;
        let (Some(login), Some(standing), Checked::Matched { rehash }) = (known, standing, checked) else {
            attempt.wrong();
            return Err(refuse(match (usable, id) {
                (false, _) => Reason::UnusablePassword,
                (true, None) => Reason::UnknownEmail,
                (true, Some(_)) => Reason::WrongPassword,
            }));
        };
        attempt.right();
        if login.account.state != AccountState::Active || standing.account.state != AccountState::Active {
            return Err(refuse(Reason::AccountDisabled));
        }
        if !request.app.admission.admits(&login.account.email) {
            return Err(refuse(Reason::NotOnList));
        }
        if let (Some(password), Some(from)) = (rehash, hash) {
            self.rehash(login.account.id, from, password, underway).await;
        }
        let refused = |refusal| self.refused(refusal, id, &request.app, client);
        let mut epochs = (login.account.epoch.min(standing.account.epoch), standing.app_epoch);
        let begun = again.is_some();
        if let Some(password) = again {
            // No limit on beginnings keeps anybody from ending what others have begun.
            underway.begin().map_err(refused)?;
            epochs.0 = self.raise_proved(&login, epochs.0, password, underway).await.map_err(refused)?;
        }
        self.births.turn(login.account.id, || underway.leave_place()).await.map_err(refused)?;
        if !begun {
            underway.begin().map_err(refused)?;
        }
        let birth = Birth {
            account: &login.account,
            app: &request.app,
            method: request.app.method,
            epochs,
            auth_time: self.shared.clock.now().whole_secs(),
            amr: AuthMethods::PASSWORD,
        };
        let signed_in = span("issue", self.issue(birth, client, underway)).await.map_err(refused)?;
        let arrived = self.arrive(&signed_in, epochs, &request.present, client, underway).await;
        if let Err(refusal) = arrived {
            self.withdraw(&signed_in, underway).await;
            return Err(refused(refusal));
        }
        let mut event = self.event(Kind::SignedIn, client);
        event.account = Some(login.account.id);
        event.session = Some(signed_in.session);
        event.app = Some(request.app.id.clone());
        event.detail = (request.others == Others::End).then(|| "ended all others".to_owned());
        self.audit.push(event);
        Ok(signed_in)
    }

    /// Ends all sessions of an account whose password was proved; what its next ones are born with. Somebody else may have ended
    /// them at the same time: the proof holds for as long as the password is the same, and is made again where it is not.
    async fn raise_proved(
        &self,
        login: &Login,
        mut epoch: Epoch,
        password: LoginPassword,
        underway: &Underway,
    ) -> Result<Epoch, Refusal> {
        let id = login.account.id;
        let mut proved = login.password.clone();
        for _ in 0..TRIES {
            if let Some(raised) = self.raise(id, Basis::Proof(epoch), underway).await? {
                return Ok(raised);
            }
            let now = self.shared.stores.accounts.account(id).await?.ok_or(Reason::AccountGone)?;
            if now.account.state != AccountState::Active {
                return Err(Reason::AccountDisabled.into());
            }
            if now.password != proved {
                let checked = self.passwords.check(password.clone(), now.password.clone()).await;
                if matches!(checked.map_err(|error| overloaded(&error))?, Checked::NotMatched) {
                    return Err(Reason::WrongPassword.into());
                }
                proved = now.password;
            }
            epoch = now.account.epoch;
        }
        Err(self.why_not(id).await)
    }

    /// What is left to do once the session is there: it must not have been ended while its password was checked, so that nobody is
    /// handed what is dead (F090); and the sessions that it replaces end.
    async fn arrive(
        &self,
        signed_in: &SignedIn,
        epochs: (Epoch, Epoch),
        replaced: &[SecretText],
        client: &Client,
        underway: &Underway,
    ) -> Result<(), Refusal> {
        let app = &signed_in.app;
        self.shared.standing(signed_in.account.id, app, signed_in.method, epochs).await?;
        for credential in replaced {
            self.end_presented_before(credential.expose(), app, client, underway).await?;
        }
        Ok(())
    }

    /// Takes back a session whose sign-in failed after all: nobody has its credential, and nobody is to see it in a list.
    async fn withdraw(&self, signed_in: &SignedIn, _: &Underway) {
        if !signed_in.method.keeps_record() {
            return;
        }
        for pause in WITHDRAWALS {
            match self.shared.stores.sessions.write(signed_in.session, Write::Delete).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(session = %signed_in.session, %error, "a session whose sign-in failed is still stored");
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// The right to try one password. A stranger's flood does not stop the owner on a network that has signed in before
    /// (F120).
    pub(super) async fn attempt(
        &self,
        email: Option<&EmailAddress>,
        known: Option<&Login>,
        client: &Client,
    ) -> Result<Attempt, Refusal> {
        let network = client.network().unwrap_or(Network::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let limited = match self.limits.begin(email, network, Familiar::No).await {
            Err(LimitError::Limited(limited)) => limited,
            begun => return begun.map_err(not_begun),
        };
        let familiar = match known {
            Some(login) => {
                let id = login.account.id;
                self.shared.stores.accounts.has_signed_in_from(id, &network.to_string()).await?
            }
            None => false,
        };
        if !familiar {
            return Err(not_begun(limited.into()));
        }
        self.limits.begin(email, network, Familiar::Yes).await.map_err(not_begun)
    }

    async fn rehash(&self, id: AccountId, from: PasswordHash, password: crate::credential::NewPassword, _: &Underway) {
        // A pool that is full, or a store that refuses, leaves the old hash: the next login tries again.
        if let Ok(to) = self.passwords.hash(password).await {
            // It ends nothing that would have to be held.
            let (change, hold) = (AccountChange::Rehash { from, to }, Hold::lasting(Duration::ZERO));
            let at = self.shared.clock.by_hand();
            if let Err(error) = self.shared.stores.accounts.change(id, change, hold, at).await {
                tracing::warn!(%error, "a password could not be hashed anew");
            }
        }
    }

    fn refused(&self, refusal: Refusal, account: Option<AccountId>, app: &App, client: &Client) -> Refusal {
        let mut event = self.event(Kind::SignInRefused, client);
        event.account = account;
        event.app = Some(app.id.clone());
        event.reason = Some(refusal.reason);
        self.audit.push(event);
        refusal
    }
}

pub(super) fn not_begun(error: LimitError) -> Refusal {
    let limited = match error {
        LimitError::Limited(limited) => limited,
        LimitError::Store(error) => return error.into(),
    };
    let reason = match limited.limit {
        LimitKind::Account | LimitKind::Familiar => Reason::AccountLimited,
        _ => Reason::NetworkLimited,
    };
    Refusal::from(reason).retry_after(limited.retry_after)
}

pub(super) fn overloaded(error: &PoolError) -> Refusal {
    match error {
        PoolError::Overloaded { retry_after } => Refusal::from(Reason::HashQueueFull).retry_after(*retry_after),
        error => {
            tracing::error!(%error, "a password cannot be hashed");
            Reason::Fault.into()
        }
    }
}
