//! An account's devices: the sessions that are alive, with where each began.

use std::time::Duration;

use super::{Client, Engine};
use crate::{
    account::Account,
    audit::{Filter, Kind, Origin, Stored},
    clock::Timestamp,
    ids::{AccountId, AppId, SessionId},
    method::Method,
    refusal::{Reason, Refusal},
    session::ClientKind,
    verify::Identity,
};

/// A signed-in device.
#[derive(Clone, Debug)]
pub struct Device {
    /// The session's id.
    pub id: SessionId,
    /// At which app.
    pub app: AppId,
    /// By which method.
    pub method: Method,
    /// Since when.
    pub created: Timestamp,
    /// Last used, as far as that has been written.
    pub last_active: Timestamp,
    /// When it ends, whatever happens.
    pub expires: Timestamp,
    /// On what kind of browser and system.
    pub client: ClientKind,
    /// From where it signed in, as long as the audit log knows.
    pub origin: Option<Origin>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// A page of devices.
#[derive(Clone, Debug, Default)]
pub struct DeviceList {
    /// Newest first.
    pub devices: Vec<Device>,
    /// Ask for those before this one, by when it began and its id, for the next page.
    pub next: Option<(Timestamp, SessionId)>,
}

/// The most devices on one page.
const PAGE: usize = 100;
/// How long a list waits for the audit lines that tell where its sessions began; without them it says less.
const SETTLING: Duration = Duration::from_millis(500);

impl Engine {
    /// The devices of an account. Methods without a record have none to show.
    pub async fn devices(
        &self,
        account: AccountId,
        current: Option<SessionId>,
        before: Option<(Timestamp, SessionId)>,
    ) -> Result<DeviceList, Refusal> {
        let mut list = self.shared.stores.sessions.list(account, before, PAGE + 1).await?;
        let more = list.len() > PAGE;
        list.truncate(PAGE);
        let next = if more { list.last().map(|(id, record)| (record.created, *id)) } else { None };
        let mut alive = Vec::with_capacity(list.len());
        let now = self.shared.clock.now();
        for (id, record) in list {
            let Some(app) = self.shared.apps.by_tag(record.app) else { continue };
            if record.lapsed(app, now).is_some() {
                continue;
            }
            let marks = (record.epoch, record.app_epoch);
            match self.shared.standing(account, app, record.method, marks).await {
                Ok(_) => alive.push((id, record, app.id.clone())),
                Err(refusal) if refusal.reason == Reason::StoreDown => return Err(refusal),
                Err(_) => {}
            }
        }
        let ids: Vec<_> = alive.iter().map(|(id, ..)| *id).collect();
        // The line of a sign-in of just now can still be on its way.
        self.audit.settle(SETTLING).await;
        let origins = self.shared.stores.accounts.origins(&ids).await?;
        let devices = alive.into_iter().map(|(id, record, app)| Device {
            id,
            app,
            method: record.method,
            created: record.created,
            last_active: record.last_active,
            expires: record.expires,
            client: record.client,
            origin: origins.iter().find(|(session, _)| *session == id).map(|(_, origin)| origin.clone()),
            current: current == Some(id),
        });
        Ok(DeviceList { devices: devices.collect(), next })
    }

    /// The account of whoever asks.
    pub async fn whoami(&self, identity: &Identity) -> Result<Account, Refusal> {
        let login = self.shared.stores.accounts.account(identity.account()).await?;
        login.map(|login| login.account).ok_or_else(|| Reason::AccountGone.into())
    }

    /// What an account must be told: its sessions that ended because a replaced refresh token came back.
    pub async fn thefts(&self, account: AccountId) -> Result<Vec<Stored>, Refusal> {
        let filter = Filter { account: Some(account), kind: Some(Kind::Theft), ..Filter::default() };
        Ok(self.shared.stores.accounts.audit_page(&filter, 5).await?)
    }

    /// Where a request of this client stands in the audit log; for faces that refuse before the engine is asked.
    pub fn note_refusal(&self, reason: Reason, app: Option<&AppId>, client: &Client) {
        let mut event = self.event(Kind::Refused, client);
        event.app = app.cloned();
        event.reason = Some(reason);
        self.audit.push(event);
    }
}
