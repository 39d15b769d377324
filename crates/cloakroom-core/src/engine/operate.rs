//! What operators do: accounts, keys, services, sessions.

use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

use super::{Client, Engine, StartError};
use crate::{
    account::{Account, AccountState},
    audit::Kind,
    ids::{AccountId, Kid},
    key::{KeyListing, MasterSecret, Purpose},
    method::Method,
    refusal::{Reason, Refusal},
    revocation::Hold,
    secret::SecretText,
    store::{AccountChange, Basis, Service},
};

/// A service as it is shown once.
#[derive(Debug)]
pub struct NewService {
    /// Its public id.
    pub id: String,
    /// Its secret: 256 random bits.
    pub secret: SecretText,
}

/// How many live records an app has, by method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionCount {
    /// The app, or `None` for one that has left the configuration.
    pub app: Option<String>,
    /// The method.
    pub method: Method,
    /// How many.
    pub sessions: u64,
}

impl Engine {
    /// The account of an e-mail address or an id.
    pub async fn find_account(&self, who: &str) -> Result<Account, Refusal> {
        let accounts = &self.shared.stores.accounts;
        let found = match (AccountId::parse(who), crate::account::EmailAddress::parse(who)) {
            (Some(id), _) => accounts.account(id).await?,
            (None, Ok(email)) => accounts.login(email.canonical()).await?,
            (None, Err(_)) => None,
        };
        found.map(|login| login.account).ok_or_else(|| Reason::NotFound.into())
    }

    /// Disables an account, and with that ends all its sessions; or enables it again.
    pub async fn set_state(
        self: &Arc<Self>,
        id: AccountId,
        state: AccountState,
        client: &Client,
    ) -> Result<Account, Refusal> {
        let kind = match state {
            AccountState::Active => Kind::AccountEnabled,
            AccountState::Disabled => Kind::AccountDisabled,
        };
        self.change_by_operator(id, AccountChange::State(state), kind, client).await
    }

    /// Deletes an account, and with that ends all its sessions.
    pub async fn remove_account(self: &Arc<Self>, id: AccountId, client: &Client) -> Result<Account, Refusal> {
        self.change_by_operator(id, AccountChange::Delete(Basis::Operator), Kind::AccountDeleted, client).await
    }

    /// Sets an account's password, and with that ends all its sessions.
    pub async fn set_password(self: &Arc<Self>, id: AccountId, new: &str, client: &Client) -> Result<Account, Refusal> {
        let login = self.shared.stores.accounts.account(id).await?.ok_or(Reason::NotFound)?;
        let to = self.hash_new(new, &[login.account.email.as_typed()]).await?;
        let change = AccountChange::Password { basis: Basis::Operator, to };
        self.change_by_operator(id, change, Kind::PasswordChanged, client).await
    }

    async fn change_by_operator(
        self: &Arc<Self>,
        id: AccountId,
        change: AccountChange,
        kind: Kind,
        client: &Client,
    ) -> Result<Account, Refusal> {
        self.ending(client, move |engine, client, _| async move {
            let at = engine.shared.clock.by_hand();
            let changed = engine.shared.stores.accounts.change(id, change, Hold::NOTED, at).await?;
            let changed = changed.ok_or(Reason::NotFound)?;
            engine.verifier.hear(changed.entry.as_slice());
            let mut event = engine.event(kind, &client);
            event.account = Some(id);
            engine.audit.push(event);
            Ok(changed.account)
        })
        .await
    }

    /// Every key with its state.
    pub fn keys(&self) -> Vec<KeyListing> {
        let keychain = &self.shared.keychain;
        keychain.ring().listing(self.shared.clock.now(), |purpose| keychain.rotation(purpose))
    }

    /// Makes the next key of a purpose now; it is used after the lead time. `None`: another server has just made one.
    pub async fn rotate_key(self: &Arc<Self>, purpose: Purpose) -> Result<Option<Kid>, StartError> {
        self.ending(&Client::default(), move |engine, _, underway| async move {
            let shared = &engine.shared;
            let made =
                shared.keychain.rotate_now(purpose, &shared.stores, &shared.clock, &shared.rng, &underway).await?;
            engine.note_keys(made.as_slice());
            Ok(made)
        })
        .await
    }

    /// Kills a key: everything it has made is refused at once, at every verifier that hears the log (F042).
    pub async fn kill_key(self: &Arc<Self>, kid: Kid, client: &Client) -> Result<(), Refusal> {
        self.ending(client, move |engine, client, underway| async move {
            let shared = &engine.shared;
            let killed = shared.keychain.kill(kid, &shared.stores, &shared.clock, &shared.rng, &underway).await;
            let killed = killed.map_err(|error| {
                tracing::error!(%error, "a key cannot be killed");
                Refusal::from(Reason::StoreDown)
            })?;
            let killed = killed.ok_or(Reason::NotFound)?;
            engine.verifier.hear(&killed.entries);
            let mut event = engine.event(Kind::KeyKilled, &client);
            event.detail = Some(kid.to_string());
            engine.audit.push(event);
            engine.note_keys(killed.made.as_slice());
            Ok(())
        })
        .await
    }

    /// Whether a secret is the one that the store is under now.
    pub async fn is_master(&self, secret: &MasterSecret) -> Result<bool, Refusal> {
        Ok(self.shared.keychain.is_master(secret, &self.shared.stores).await?)
    }

    /// Wraps every key with another master secret; nobody is signed out. How many keys.
    pub async fn rewrap_keys(self: &Arc<Self>, new: MasterSecret, client: &Client) -> Result<usize, StartError> {
        self.ending(client, move |engine, client, underway| async move {
            let shared = &engine.shared;
            let count = shared.keychain.rewrap(new, &shared.stores, &shared.clock, &shared.rng, &underway).await?;
            engine.audit.push(engine.event(Kind::KeysRewrapped, &client));
            Ok(count)
        })
        .await
    }

    /// Adds a service; its secret is shown this once and kept as a hash.
    pub async fn add_service(self: &Arc<Self>, name: &str, client: &Client) -> Result<NewService, Refusal> {
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(Refusal::from(Reason::BadRequest).because("a service's name has 1 to 100 characters"));
        }
        let id = format!("svc_{}", BASE64URL_NOPAD.encode(&self.shared.rng.bytes::<9>()));
        let secret = SecretText::new(BASE64URL_NOPAD.encode(&self.shared.rng.bytes::<32>()));
        let service = Service {
            id: id.clone(),
            name: name.to_owned(),
            secret_hash: secret_hash(secret.expose()),
            created: self.shared.clock.now(),
        };
        self.ending(client, move |engine, client, _| async move {
            engine.shared.stores.accounts.add_service(service).await?;
            let mut event = engine.event(Kind::ServiceAdded, &client);
            event.detail = Some(id.clone());
            engine.audit.push(event);
            Ok(NewService { id, secret })
        })
        .await
    }

    /// Removes a service; what it holds is refused from then on.
    pub async fn remove_service(self: &Arc<Self>, id: &str, client: &Client) -> Result<(), Refusal> {
        let id = id.to_owned();
        self.ending(client, move |engine, client, _| async move {
            if !engine.shared.stores.accounts.remove_service(&id).await? {
                return Err(Refusal::from(Reason::NotFound));
            }
            let mut event = engine.event(Kind::ServiceRemoved, &client);
            event.detail = Some(id);
            engine.audit.push(event);
            Ok(())
        })
        .await
    }

    /// The service that a Basic credential belongs to. The secret has 256 random bits, so that a plain hash keeps it.
    pub async fn service(&self, id: &str, secret: &str) -> Result<Service, Refusal> {
        let services = self.services().await?;
        let given = secret_hash(secret);
        let matches = |service: &&Service| {
            aws_lc_rs::constant_time::verify_slices_are_equal(&service.secret_hash, &given).is_ok()
        };
        let found = services.iter().find(|service| service.id == id).filter(matches);
        found.cloned().ok_or_else(|| Refusal::from(Reason::UnknownService))
    }

    /// All services, as they are now: read once for all who ask at a time.
    pub async fn services(&self) -> Result<Arc<[Service]>, Refusal> {
        self.services.ask(async || Ok(self.shared.stores.accounts.services().await?.into())).await
    }

    /// How many live records there are, by app and method: so one sees a migration end.
    pub async fn session_counts(&self) -> Result<Vec<SessionCount>, Refusal> {
        let counts = self.shared.stores.sessions.count().await?;
        let named = counts.into_iter().map(|(tag, method, sessions)| SessionCount {
            app: self.shared.apps.by_tag(tag).map(|app| app.id.to_string()),
            method,
            sessions,
        });
        Ok(named.collect())
    }

    pub(super) fn note_keys(&self, made: &[Kid]) {
        for kid in made {
            let mut event = self.event(Kind::KeyMade, &Client::default());
            event.detail = Some(kid.to_string());
            self.audit.push(event);
        }
    }
}

fn secret_hash(secret: &str) -> [u8; 32] {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
    let mut out = [0; 32];
    out.copy_from_slice(hash.as_ref());
    out
}
