//! Accounts in SQLite.

use rusqlite::{Connection, params};

use super::{
    columns::{LOGIN, at_most, epoch, execute, login, millis, row, rows},
    log,
};
use crate::{
    account::{Account, AccountState},
    clock::Timestamp,
    ids::{AccountId, AppId, Epoch, SessionId},
    method::Method,
    revocation::End,
    store::{AccountChange, Changed, Creation, Login, NewAccount, Standing, StoreError},
};

/// Makes an account unless another has its canonical address.
pub(super) fn create(connection: &Connection, new: &NewAccount) -> Result<Creation, StoreError> {
    let account = &new.account;
    let made = execute(
        connection,
        "INSERT INTO accounts (id, email, typed, name, disabled, epoch, created, password)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (email) DO NOTHING",
        params![
            account.id.bytes(),
            account.email.canonical(),
            account.email.as_typed(),
            account.name,
            account.state == AccountState::Disabled,
            account.epoch.0,
            millis(account.created),
            new.password.as_ref().map(crate::credential::PasswordHash::to_phc),
        ],
    )?;
    Ok(if made == 1 { Creation::Made } else { Creation::EmailTaken })
}

/// The account of a canonical address.
pub(super) fn by_email(connection: &Connection, canonical: &str) -> Result<Option<Login>, StoreError> {
    row(connection, &format!("SELECT {LOGIN} FROM accounts WHERE email = ?1"), [canonical], login)
}

/// The account of an id.
pub(super) fn by_id(connection: &Connection, id: AccountId) -> Result<Option<Login>, StoreError> {
    row(connection, &format!("SELECT {LOGIN} FROM accounts WHERE id = ?1"), [id.bytes()], login)
}

/// An account's and an app's state, and whether a session has ended, in one transaction.
pub(super) fn standing(
    connection: &Connection,
    id: AccountId,
    app: &AppId,
    method: Method,
    session: Option<SessionId>,
) -> Result<Option<Standing>, StoreError> {
    let transaction = connection.unchecked_transaction()?;
    let Some(found) = by_id(&transaction, id)? else { return Ok(None) };
    let (app_epoch, app_cut) = log::app_epochs(&transaction, app, Some(method))?;
    let ended = session.map_or(Ok(false), |session| log::has_ended(&transaction, session))?;
    transaction.commit()?;
    Ok(Some(Standing { account: found.account, app_epoch, app_cut, ended }))
}

/// Accounts in the order of their ids.
pub(super) fn page(
    connection: &Connection,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<Account>, StoreError> {
    let after = after.as_ref().map_or(&[][..], |id| id.bytes());
    rows(
        connection,
        &format!("SELECT {LOGIN} FROM accounts WHERE id > ?1 ORDER BY id LIMIT ?2"),
        params![after, at_most(limit)],
        |row| Ok(login(row)?.account),
    )
}

/// Changes an account; what ends its sessions raises its epoch and stands in the log.
pub(super) fn change(
    connection: &Connection,
    id: AccountId,
    change: &AccountChange,
    at: Timestamp,
    until: Timestamp,
) -> Result<Option<Changed>, StoreError> {
    let ends = |epoch: Epoch| log::append(connection, End::Account { account: id, epoch }, at, until).map(Some);
    let raised = "epoch = min(epoch + 1, 4294967295)";
    let epoch = match change {
        AccountChange::Password(hash) => row(
            connection,
            &format!("UPDATE accounts SET password = ?2, {raised} WHERE id = ?1 RETURNING epoch"),
            params![id.bytes(), hash.to_phc()],
            |row| epoch(row, 0).map(Some),
        )?,
        AccountChange::State(AccountState::Disabled) => row(
            connection,
            &format!("UPDATE accounts SET disabled = 1, {raised} WHERE id = ?1 RETURNING epoch"),
            params![id.bytes()],
            |row| epoch(row, 0).map(Some),
        )?,
        AccountChange::State(AccountState::Active) => row(
            connection,
            "UPDATE accounts SET disabled = 0 WHERE id = ?1 RETURNING epoch",
            params![id.bytes()],
            |_| Ok(None),
        )?,
        AccountChange::Rehash { from, to } => row(
            connection,
            "UPDATE accounts SET password = ?3 WHERE id = ?1 AND password = ?2 RETURNING epoch",
            params![id.bytes(), from.to_phc(), to.to_phc()],
            |_| Ok(None),
        )?,
        AccountChange::Delete => {
            let Some(found) = by_id(connection, id)? else { return Ok(None) };
            execute(connection, "DELETE FROM accounts WHERE id = ?1", [id.bytes()])?;
            execute(connection, "DELETE FROM sessions WHERE account = ?1", [id.bytes()])?;
            // Ids are never used twice: no epoch of this one goes on.
            let entry = ends(Epoch(u32::MAX))?;
            return Ok(Some(Changed { account: found.account, entry }));
        }
    };
    let Some(raised_to) = epoch else { return Ok(None) };
    let entry = raised_to.map_or(Ok(None), ends)?;
    Ok(by_id(connection, id)?.map(|found| Changed { account: found.account, entry }))
}
