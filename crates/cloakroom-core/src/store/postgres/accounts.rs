//! Accounts in PostgreSQL.

use super::{
    Postgres,
    columns::{epoch, get, login, method_code},
    connection::Connection,
    error::Failure,
    log,
    pool::{Attempts, Nature},
    value::{Value, at_most},
};
use crate::{
    account::{Account, AccountState},
    clock::Timestamp,
    credential::PasswordHash,
    ids::{AccountId, AppId, Epoch, SessionId},
    method::Method,
    revocation::End,
    store::{AccountChange, Changed, Creation, Login, NewAccount, Standing, StoreError},
};

/// The columns of [`login`].
macro_rules! columns {
    () => {
        "id, typed, name, disabled, epoch, created, password"
    };
}

const CREATE: &str = "INSERT INTO cloakroom_accounts (id, email, typed, name, disabled, epoch, created, password)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (email) DO NOTHING";
const BY_EMAIL: &str = concat!("SELECT ", columns!(), " FROM cloakroom_accounts WHERE email = $1");
const BY_ID: &str = concat!("SELECT ", columns!(), " FROM cloakroom_accounts WHERE id = $1");
const STANDING: &str = concat!(
    "SELECT ",
    columns!(),
    ", app_epoch, app_cut, EXISTS (SELECT 1 FROM cloakroom_log WHERE kind = 1 AND subject = $4)
     FROM cloakroom_accounts CROSS JOIN (
         SELECT coalesce(max(epoch), 0) AS app_epoch,
                coalesce(max(epoch) FILTER (WHERE method IN (0, $3)), 0) AS app_cut
         FROM cloakroom_app_ends WHERE app = $2
     ) AS ends WHERE id = $1"
);
const PAGE: &str = concat!("SELECT ", columns!(), " FROM cloakroom_accounts WHERE id > $1 ORDER BY id LIMIT $2");
const PASSWORD: &str = concat!(
    "UPDATE cloakroom_accounts SET password = $2, epoch = least(epoch + 1, 4294967295) WHERE id = $1 RETURNING ",
    columns!()
);
const DISABLE: &str = concat!(
    "UPDATE cloakroom_accounts SET disabled = true, epoch = least(epoch + 1, 4294967295) WHERE id = $1 RETURNING ",
    columns!()
);
const ENABLE: &str = concat!("UPDATE cloakroom_accounts SET disabled = false WHERE id = $1 RETURNING ", columns!());
const REHASH: &str =
    concat!("UPDATE cloakroom_accounts SET password = $3 WHERE id = $1 AND password = $2 RETURNING ", columns!());
const DELETE: &str = concat!("DELETE FROM cloakroom_accounts WHERE id = $1 RETURNING ", columns!());
const DELETE_SESSIONS: &str = "DELETE FROM cloakroom_sessions WHERE sid = ANY (ARRAY(
     SELECT sid FROM cloakroom_sessions WHERE account = $1 ORDER BY sid FOR UPDATE))";

impl Postgres {
    pub(super) async fn add_account(&self, new: &NewAccount) -> Result<Creation, StoreError> {
        let account = &new.account;
        let password = new.password.as_ref().map(PasswordHash::to_phc);
        let values = [
            Value::Bytes(account.id.bytes()),
            Value::Text(account.email.canonical()),
            Value::Text(account.email.as_typed()),
            Value::MaybeText(account.name.as_deref()),
            Value::Bool(account.state == AccountState::Disabled),
            Value::Int(account.epoch.0.into()),
            account.created.into(),
            Value::MaybeText(password.as_deref()),
        ];
        let made = self.pool().execute(CREATE, &values).await?;
        Ok(if made == 1 { Creation::Made } else { Creation::EmailTaken })
    }

    pub(super) async fn account_by_email(&self, canonical: &str) -> Result<Option<Login>, StoreError> {
        let row = self.pool().row(Nature::Read, BY_EMAIL, &[Value::Text(canonical)]).await?;
        row.map(|row| login(&row)).transpose()
    }

    pub(super) async fn account_by_id(&self, id: AccountId) -> Result<Option<Login>, StoreError> {
        let row = self.pool().row(Nature::Read, BY_ID, &[Value::Bytes(id.bytes())]).await?;
        row.map(|row| login(&row)).transpose()
    }

    pub(super) async fn standing_of(
        &self,
        id: AccountId,
        app: &AppId,
        method: Method,
        session: Option<SessionId>,
    ) -> Result<Option<Standing>, StoreError> {
        let method = Value::Small(method_code(Some(method)));
        // No session has an empty id.
        let session = session.as_ref().map_or(&[][..], |session| session.bytes());
        let values = [Value::Bytes(id.bytes()), Value::Text(app.as_str()), method, Value::Bytes(session)];
        let Some(row) = self.pool().row(Nature::Read, STANDING, &values).await? else { return Ok(None) };
        let (app_epoch, app_cut) = (epoch(&row, 7)?, epoch(&row, 8)?);
        Ok(Some(Standing { account: login(&row)?.account, app_epoch, app_cut, ended: get(&row, 9)? }))
    }

    pub(super) async fn account_page(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let after = after.as_ref().map_or(&[][..], |id| id.bytes());
        let rows = self.pool().rows(Nature::Read, PAGE, &[Value::Bytes(after), at_most(limit)]).await?;
        rows.iter().map(|row| Ok(login(row)?.account)).collect()
    }

    /// Changes an account; what ends its sessions raises its epoch and stands in the log.
    pub(super) async fn change_account(
        &self,
        id: AccountId,
        change: &AccountChange,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Changed>, StoreError> {
        let sid = Value::Bytes(id.bytes());
        let row = match change {
            AccountChange::State(AccountState::Active) => self.pool().row(Nature::Write, ENABLE, &[sid]).await?,
            AccountChange::Rehash { from, to } => {
                let (from, to) = (from.to_phc(), to.to_phc());
                self.pool().row(Nature::Write, REHASH, &[sid, Value::Text(&from), Value::Text(&to)]).await?
            }
            _ => return self.change_and_end(id, change, at, until).await,
        };
        row.map(|row| Ok(Changed { account: login(&row)?.account, entry: None })).transpose()
    }

    async fn change_and_end(
        &self,
        id: AccountId,
        change: &AccountChange,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Changed>, StoreError> {
        let mut attempts = Attempts::new(Nature::Write);
        loop {
            let done = match self.pool().lend().await {
                Ok(lent) => self.pool().within(&lent, transact(&lent, id, change, at, until)).await,
                Err(failure) => Err(failure),
            };
            match done {
                Err(failure) => attempts.again(failure).await?,
                Ok(changed) => return Ok(changed),
            }
        }
    }
}

async fn transact(
    connection: &Connection,
    id: AccountId,
    change: &AccountChange,
    at: Timestamp,
    until: Timestamp,
) -> Result<Option<Changed>, Failure> {
    let transaction = connection.begin();
    connection.batch(log::BEGIN).await?;
    let sid = Value::Bytes(id.bytes());
    let rows = match change {
        AccountChange::Password(hash) => connection.rows(PASSWORD, &[sid, Value::Text(&hash.to_phc())]).await?,
        AccountChange::Delete => {
            connection.execute(DELETE_SESSIONS, &[sid]).await?;
            connection.rows(DELETE, &[sid]).await?
        }
        _ => connection.rows(DISABLE, &[sid]).await?,
    };
    let Some(row) = rows.first() else {
        transaction.undo().await?;
        return Ok(None);
    };
    let account = login(row)?.account;
    let epoch = match change {
        // Ids are never used twice: no epoch of this one goes on.
        AccountChange::Delete => Epoch(u32::MAX),
        _ => account.epoch,
    };
    let entry = log::append(connection, End::Account { account: id, epoch }, at, until).await?;
    connection.batch(log::NOTIFY).await?;
    transaction.commit().await?;
    Ok(Some(Changed { account, entry: Some(entry) }))
}
