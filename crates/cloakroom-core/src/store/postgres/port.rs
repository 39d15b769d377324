//! The account port on PostgreSQL. What each verb does stands in the file of its subject.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::Postgres;
use crate::{
    account::Account,
    audit,
    clock::Timestamp,
    credential::SharedLimits,
    ids::{AccountId, AppId, SessionId},
    key::{KeyStamp, Keys, WrappedKey},
    method::Method,
    revocation::{Answer, Entry, Hold, Lineage, Position, Since},
    store::{
        AccountChange, AccountStore, Changed, Creation, DeletionClock, DeletionTime, EndRequest, EndedSessions,
        Exchange, Exchanged, Installation, KeyChange, Login, NewAccount, PastExchange, Service, Standing, StoreError,
        Vitals,
    },
};

#[async_trait]
impl AccountStore for Postgres {
    async fn installation(&self) -> Result<Installation, StoreError> {
        self.its_installation().await
    }

    async fn first_check(&self, check: WrappedKey) -> Result<bool, StoreError> {
        self.check_first(&check).await
    }

    async fn create(&self, new: NewAccount) -> Result<Creation, StoreError> {
        self.add_account(&new).await
    }

    async fn login(&self, canonical_email: &str) -> Result<Option<Login>, StoreError> {
        self.account_by_email(canonical_email).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Login>, StoreError> {
        self.account_by_id(id).await
    }

    async fn standing(
        &self,
        id: AccountId,
        app: &AppId,
        method: Method,
        session: Option<SessionId>,
    ) -> Result<Option<Standing>, StoreError> {
        self.standing_of(id, app, method, session).await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.account_page(after, limit).await
    }

    async fn change(
        &self,
        id: AccountId,
        change: AccountChange,
        hold: Hold,
        at: Option<Timestamp>,
    ) -> Result<Option<Changed>, StoreError> {
        self.change_account(id, &change, hold, at).await
    }

    async fn end(&self, ends: &[(EndRequest, Hold)], at: Option<Timestamp>) -> Result<Vec<Entry>, StoreError> {
        self.end_all(ends, at).await
    }

    async fn settled(&self) -> Result<(), StoreError> {
        self.settle_others().await
    }

    async fn exchange(&self, exchange: Exchange, at: Option<Timestamp>) -> Result<Exchanged, StoreError> {
        self.exchange_session(&exchange, at).await
    }

    async fn past_exchange(
        &self,
        successor: SessionId,
        at: Option<Timestamp>,
    ) -> Result<Option<PastExchange>, StoreError> {
        self.exchanged_into(successor, at).await
    }

    async fn log_since(&self, since: Since, at: Option<Timestamp>) -> Result<Answer, StoreError> {
        self.since(since, at).await
    }

    async fn log_head(&self) -> Result<Position, StoreError> {
        self.head().await
    }

    async fn lineage(&self) -> Result<Lineage, StoreError> {
        self.its_lineage().await
    }

    async fn ended_sessions(&self, after: u64, limit: usize) -> Result<EndedSessions, StoreError> {
        self.sessions_that_ended(after, limit).await
    }

    async fn deletion_clock(&self, at: Option<Timestamp>) -> Result<DeletionClock, StoreError> {
        self.clock_of_deletion(at).await
    }

    async fn move_deletion_clock(&self, from: Timestamp, to: Timestamp) -> Result<bool, StoreError> {
        self.set_clock_of_deletion(from, to).await
    }

    async fn prune_log(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        self.prune(now, limit).await
    }

    fn log_calls(&self) -> Option<watch::Receiver<u64>> {
        self.calls()
    }

    async fn keys(&self) -> Result<Keys, StoreError> {
        self.all_keys().await
    }

    async fn change_keys(
        &self,
        from: &KeyStamp,
        change: KeyChange,
        at: Option<Timestamp>,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        self.change_the_keys(from, &change, at).await
    }

    async fn add_service(&self, service: Service) -> Result<(), StoreError> {
        self.insert_service(&service).await
    }

    async fn services(&self) -> Result<Vec<Service>, StoreError> {
        self.all_services().await
    }

    async fn remove_service(&self, id: &str) -> Result<bool, StoreError> {
        self.delete_service(id).await
    }

    async fn audit(&self, events: &[audit::Event]) -> Result<(), StoreError> {
        self.append_audit(events).await
    }

    async fn audit_page(&self, filter: &audit::Filter, limit: usize) -> Result<Vec<audit::Stored>, StoreError> {
        self.page_of_audit(filter, limit).await
    }

    async fn origins(&self, sessions: &[SessionId]) -> Result<Vec<(SessionId, audit::Origin)>, StoreError> {
        self.origins_of(sessions).await
    }

    async fn has_signed_in_from(&self, id: AccountId, network: &str) -> Result<bool, StoreError> {
        self.signed_in_from(id, network).await
    }

    async fn prune_audit(&self, before: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        self.cut_audit(before, limit).await
    }

    fn limits(&self) -> Option<Arc<dyn SharedLimits>> {
        Some(Arc::new(self.clone()))
    }

    fn vitals(&self) -> Vec<Vitals> {
        self.its_vitals()
    }
}
