//! Accounts in PostgreSQL.

use tokio_postgres::Row;

use super::{
    Postgres,
    columns::{self, account, epoch, get, login, method_code},
    connection::Connection,
    error::Failure,
    gather::{LOOK_UPS, Question, placed},
    lineage,
    log::{self, Head},
    pool::{Attempts, Nature, Pool},
    value::{Value, at_most},
};
use crate::{
    account::{Account, AccountState},
    clock::Timestamp,
    credential::PasswordHash,
    ids::{AccountId, AppId, Epoch, SessionId},
    method::Method,
    revocation::{End, Hold},
    store::{AccountChange, Basis, Changed, Creation, Login, NewAccount, Present, Standing, StoreError},
};

/// The columns of [`account`].
macro_rules! account {
    () => {
        "id, typed, name, disabled, epoch, created"
    };
}
/// The columns of [`login`].
macro_rules! columns {
    () => {
        concat!(account!(), ", password")
    };
}

const CREATE: &str = "INSERT INTO cloakroom_accounts (id, email, typed, name, disabled, epoch, created, password)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (email) DO NOTHING";
const BY_EMAIL: &str = concat!("SELECT ", columns!(), " FROM cloakroom_accounts WHERE email = $1");
const BY_ID: &str = concat!("SELECT ", columns!(), " FROM cloakroom_accounts WHERE id = $1");
const STANDINGS: &str = concat!(
    "SELECT ",
    account!(),
    ", app_epoch, app_cut, EXISTS (SELECT 1 FROM cloakroom_log WHERE kind = 1 AND subject = asked.session), asked.place
     FROM unnest((SELECT $1), (SELECT $2), (SELECT $3), (SELECT $4)) WITH ORDINALITY
          AS asked (account, app, method, session, place)
     JOIN cloakroom_accounts ON id = asked.account
     CROSS JOIN LATERAL (
         SELECT coalesce(max(epoch), 0) AS app_epoch,
                coalesce(max(epoch) FILTER (WHERE method IN (0, asked.method)), 0) AS app_cut
         FROM cloakroom_app_ends WHERE app = asked.app
     ) AS ends"
);
const PAGE: &str = concat!("SELECT ", account!(), " FROM cloakroom_accounts WHERE id > $1 ORDER BY id LIMIT $2");
const PASSWORD: &str =
    concat!("UPDATE cloakroom_accounts SET password = $3, epoch = $2 WHERE id = $1 RETURNING ", account!());
const DISABLE: &str =
    concat!("UPDATE cloakroom_accounts SET disabled = true, epoch = $2 WHERE id = $1 RETURNING ", account!());
/// An account as a change finds it: $2 to $4 are the acting session, its app and its method; no session has an empty id.
const PRESENT: &str = "SELECT epoch, disabled, EXISTS (SELECT 1 FROM cloakroom_log WHERE kind = 1 AND subject = $2),
            (SELECT coalesce(max(epoch), 0) FROM cloakroom_app_ends WHERE app = $3 AND method IN (0, $4))
     FROM cloakroom_accounts WHERE id = $1 FOR UPDATE";
const ENABLE: &str = concat!("UPDATE cloakroom_accounts SET disabled = false WHERE id = $1 RETURNING ", account!());
const REHASH: &str =
    concat!("UPDATE cloakroom_accounts SET password = $3 WHERE id = $1 AND password = $2 RETURNING ", account!());
const DELETE: &str = concat!("DELETE FROM cloakroom_accounts WHERE id = $1 RETURNING ", account!());
const DELETE_SESSIONS: &str = "DELETE FROM cloakroom_sessions WHERE sid = ANY (ARRAY(
     SELECT sid FROM cloakroom_sessions WHERE account = $1 ORDER BY sid FOR UPDATE))";

/// Whose [`Standing`] is asked for, and where.
pub(super) struct StandingOf {
    account: AccountId,
    app: AppId,
    method: Method,
    session: Option<SessionId>,
}

impl Question for StandingOf {
    type Answer = Option<Row>;
    const MOST: usize = LOOK_UPS;

    async fn ask(pool: &Pool, questions: &[Self]) -> Result<Vec<Option<Row>>, StoreError> {
        let accounts: Vec<_> = questions.iter().map(|asked| &asked.account.bytes()[..]).collect();
        let apps: Vec<_> = questions.iter().map(|asked| asked.app.as_str()).collect();
        let methods: Vec<_> = questions.iter().map(|asked| method_code(Some(asked.method))).collect();
        // No session has an empty id.
        let sessions = questions.iter().map(|asked| asked.session.as_ref().map_or(&[][..], |session| session.bytes()));
        let sessions: Vec<_> = sessions.collect();
        let values = [Value::Blobs(&accounts), Value::Texts(&apps), Value::Smalls(&methods), Value::Blobs(&sessions)];
        placed(pool.rows(Nature::Read, STANDINGS, &values).await?, 9, questions.len())
    }
}

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
        if self.pool().execute(CREATE, &values).await? == 1 {
            return Ok(Creation::Made);
        }
        self.settle_others().await?;
        Ok(Creation::EmailTaken)
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
        let asked = StandingOf { account: id, app: app.clone(), method, session };
        let Some(row) = self.0.standings.ask(asked).await? else { return Ok(None) };
        let (app_epoch, app_cut) = (epoch(&row, 6)?, epoch(&row, 7)?);
        Ok(Some(Standing { account: account(&row)?, app_epoch, app_cut, ended: get(&row, 8)? }))
    }

    pub(super) async fn account_page(
        &self,
        after: Option<AccountId>,
        limit: usize,
    ) -> Result<Vec<Account>, StoreError> {
        let after = after.as_ref().map_or(&[][..], |id| id.bytes());
        let rows = self.pool().rows(Nature::Read, PAGE, &[Value::Bytes(after), at_most(limit)]).await?;
        rows.iter().map(account).collect()
    }

    /// Changes an account; what ends its sessions raises its epoch and stands in the log.
    pub(super) async fn change_account(
        &self,
        id: AccountId,
        change: &AccountChange,
        hold: Hold,
        at: Option<Timestamp>,
    ) -> Result<Option<Changed>, StoreError> {
        let sid = Value::Bytes(id.bytes());
        let row = match change {
            AccountChange::State(AccountState::Active) => self.pool().row(Nature::Write, ENABLE, &[sid]).await?,
            AccountChange::Rehash { from, to } => {
                let (from, to) = (from.to_phc(), to.to_phc());
                self.pool().row(Nature::Write, REHASH, &[sid, Value::Text(&from), Value::Text(&to)]).await?
            }
            _ => return self.change_and_end(id, change, hold, at).await,
        };
        row.map(|row| Ok(Changed { account: account(&row)?, entry: None })).transpose()
    }

    async fn change_and_end(
        &self,
        id: AccountId,
        change: &AccountChange,
        hold: Hold,
        at: Option<Timestamp>,
    ) -> Result<Option<Changed>, StoreError> {
        let mut attempts = Attempts::new(Nature::Write);
        loop {
            let done = match self.pool().writer().await {
                Ok(writer) => self.pool().within(&writer, transact(&writer, id, change, hold, at)).await,
                Err(failure) => Err(failure),
            };
            match done {
                Err(failure) => attempts.again(failure).await?,
                Ok(changed) => return Ok(changed),
            }
        }
    }
}

/// An account's epoch, if what a change of it goes by still stands.
pub(super) async fn present(connection: &Connection, id: AccountId, basis: &Basis) -> Result<Option<Epoch>, Failure> {
    let (session, app, method) = basis.acting().map_or((&[][..], "", 0), |acting| {
        (&acting.session.bytes()[..], acting.app.as_str(), method_code(Some(acting.method)))
    });
    let values = [Value::Bytes(id.bytes()), Value::Bytes(session), Value::Text(app), Value::Small(method)];
    let rows = connection.rows(PRESENT, &values).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let present =
        Present { epoch: epoch(row, 0)?, active: !get::<bool>(row, 1)?, ended: get(row, 2)?, app_cut: epoch(row, 3)? };
    Ok(basis.holds(&present).then_some(present.epoch))
}

async fn transact(
    connection: &Connection,
    id: AccountId,
    change: &AccountChange,
    hold: Hold,
    at: Option<Timestamp>,
) -> Result<Option<Changed>, Failure> {
    let transaction = connection.begin();
    let Head { time, floor, .. } = lineage::begin(connection, &transaction).await?;
    let at = at.unwrap_or(time);
    let sid = Value::Bytes(id.bytes());
    let Some(from) = present(connection, id, change.basis()).await? else {
        // It may have changed a moment ago only: that is waited for, by a commit of what was locked.
        transaction.commit().await?;
        return Ok(None);
    };
    let raised = Value::Int(from.raised(at, floor).0.into());
    let rows = match change {
        AccountChange::Password { to, .. } => {
            connection.rows(PASSWORD, &[sid, raised, Value::Text(&to.to_phc())]).await?
        }
        AccountChange::Delete(_) => {
            connection.execute(DELETE_SESSIONS, &[sid]).await?;
            connection.rows(DELETE, &[sid]).await?
        }
        _ => connection.rows(DISABLE, &[sid, raised]).await?,
    };
    let Some(row) = rows.first() else {
        transaction.commit().await?;
        return Ok(None);
    };
    let account = columns::account(row)?;
    let epoch = match change {
        // Ids are never used twice: no epoch of this one goes on.
        AccountChange::Delete(_) => Epoch::DELETED,
        _ => account.epoch,
    };
    let entry = log::append(connection, End::Account { account: id, epoch }, at, hold.until(at)).await?;
    connection.batch(log::NOTIFY).await?;
    transaction.commit().await?;
    Ok(Some(Changed { account, entry: Some(entry) }))
}
