//! The account port on SQLite: each verb is a job for the writer or for a reader. What it does stands in the file of its
//! subject.

use async_trait::async_trait;
use rusqlite::Connection;

use super::{Sqlite, accounts, audit as audit_log, exchange, keys, log, writer::Shape};
use crate::{
    account::Account,
    audit,
    clock::{Timestamp, machine_time},
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
impl AccountStore for Sqlite {
    async fn installation(&self) -> Result<Installation, StoreError> {
        self.read_with(keys::installation).await
    }

    async fn first_check(&self, check: WrappedKey) -> Result<bool, StoreError> {
        self.write_with(Shape::OneStatement, move |c| keys::first_check(c, &check)).await
    }

    async fn create(&self, new: NewAccount) -> Result<Creation, StoreError> {
        self.write_with(Shape::OneStatement, move |c| accounts::create(c, &new)).await
    }

    async fn login(&self, canonical_email: &str) -> Result<Option<Login>, StoreError> {
        let email = canonical_email.to_owned();
        self.read_with(move |c| accounts::by_email(c, &email)).await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Login>, StoreError> {
        self.read_with(move |c| accounts::by_id(c, id)).await
    }

    async fn standing(
        &self,
        id: AccountId,
        app: &AppId,
        method: Method,
        session: Option<SessionId>,
    ) -> Result<Option<Standing>, StoreError> {
        let since = match (self.0.standings.get(id, app, method), session) {
            (Ok(known), None) => return Ok(Some(known)),
            (Ok(known), Some(session)) => {
                let ended = self.read_with(move |c| log::has_ended(c, session)).await?;
                return Ok(Some(Standing { ended, ..known }));
            }
            (Err(since), _) => since,
        };
        let asked = app.clone();
        let read = self.read_with(move |c| accounts::standing(c, id, &asked, method, session)).await?;
        if let Some(read) = &read {
            self.0.standings.keep(since, app, method, read);
        }
        Ok(read)
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.read_with(move |c| accounts::page(c, after, limit)).await
    }

    async fn change(
        &self,
        id: AccountId,
        change: AccountChange,
        hold: Hold,
        at: Option<Timestamp>,
    ) -> Result<Option<Changed>, StoreError> {
        // It comes back with the answer, and is dropped with it where nobody waits: in either case after the commit.
        let pending = self.0.standings.changing(id, &change);
        let work = move |c: &Connection| {
            Ok((accounts::change(c, id, &change, hold, at.unwrap_or_else(machine_time))?, pending))
        };
        Ok(self.write_with(Shape::Several, work).await?.0)
    }

    async fn end(&self, ends: &[(EndRequest, Hold)], at: Option<Timestamp>) -> Result<Vec<Entry>, StoreError> {
        let ends = ends.to_vec();
        let pending = self.0.standings.ending(&ends);
        Ok(self
            .write_with(Shape::Several, move |c| Ok((log::end(c, &ends, at.unwrap_or_else(machine_time))?, pending)))
            .await?
            .0)
    }

    async fn settled(&self) -> Result<(), StoreError> {
        self.write_with(Shape::OneStatement, log::write_through).await
    }

    async fn exchange(&self, exchange: Exchange, at: Option<Timestamp>) -> Result<Exchanged, StoreError> {
        let work = move |c: &Connection| exchange::exchange(c, &exchange, at.unwrap_or_else(machine_time));
        self.write_with(Shape::Several, work).await
    }

    async fn past_exchange(
        &self,
        successor: SessionId,
        at: Option<Timestamp>,
    ) -> Result<Option<PastExchange>, StoreError> {
        self.read_with(move |c| exchange::past(c, successor, at.unwrap_or_else(machine_time))).await
    }

    async fn log_since(&self, since: Since, at: Option<Timestamp>) -> Result<Answer, StoreError> {
        self.read_with(move |c| log::since(c, since, at.unwrap_or_else(machine_time))).await
    }

    async fn log_head(&self) -> Result<Position, StoreError> {
        self.read_with(log::head).await
    }

    async fn lineage(&self) -> Result<Lineage, StoreError> {
        self.read_with(log::lineage).await
    }

    async fn ended_sessions(&self, after: u64, limit: usize) -> Result<EndedSessions, StoreError> {
        self.read_with(move |c| log::ended_sessions(c, after, limit)).await
    }

    async fn deletion_clock(&self, at: Option<Timestamp>) -> Result<DeletionClock, StoreError> {
        let stands = self.read_with(log::clock_of_deletion).await?;
        Ok(DeletionClock { stands, time: at.unwrap_or_else(machine_time) })
    }

    async fn move_deletion_clock(&self, from: Timestamp, to: Timestamp) -> Result<bool, StoreError> {
        self.write_with(Shape::OneStatement, move |c| log::set_clock_of_deletion(c, from, to)).await
    }

    async fn prune_log(&self, now: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        self.write_with(Shape::Several, move |c| log::prune(c, now, limit)).await
    }

    async fn keys(&self) -> Result<Keys, StoreError> {
        self.read_with(keys::all).await
    }

    async fn change_keys(
        &self,
        from: &KeyStamp,
        change: KeyChange,
        at: Option<Timestamp>,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        let from = from.clone();
        let work = move |c: &Connection| keys::change(c, &from, &change, at.unwrap_or_else(machine_time));
        self.write_with(Shape::Several, work).await
    }

    async fn add_service(&self, service: Service) -> Result<(), StoreError> {
        self.write_with(Shape::OneStatement, move |c| keys::add_service(c, &service)).await
    }

    async fn services(&self) -> Result<Vec<Service>, StoreError> {
        self.read_with(keys::services).await
    }

    async fn remove_service(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write_with(Shape::OneStatement, move |c| keys::remove_service(c, &id)).await
    }

    async fn audit(&self, events: &[audit::Event]) -> Result<(), StoreError> {
        let events = events.to_vec();
        self.write_with(Shape::Several, move |c| audit_log::append(c, &events)).await
    }

    async fn audit_page(&self, filter: &audit::Filter, limit: usize) -> Result<Vec<audit::Stored>, StoreError> {
        let filter = filter.clone();
        self.read_with(move |c| audit_log::page(c, &filter, limit)).await
    }

    async fn origins(&self, sessions: &[SessionId]) -> Result<Vec<(SessionId, audit::Origin)>, StoreError> {
        let sessions = sessions.to_vec();
        self.read_with(move |c| audit_log::origins(c, &sessions)).await
    }

    async fn has_signed_in_from(&self, id: AccountId, network: &str) -> Result<bool, StoreError> {
        let network = network.to_owned();
        self.read_with(move |c| audit_log::has_signed_in_from(c, id, &network)).await
    }

    async fn prune_audit(&self, before: DeletionTime, limit: usize) -> Result<usize, StoreError> {
        self.write_with(Shape::OneStatement, move |c| audit_log::prune(c, before, limit)).await
    }

    fn vitals(&self) -> Vec<Vitals> {
        self.its_vitals()
    }
}
