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
    revocation::{End, Hold},
    store::{AccountChange, Basis, Changed, Creation, Login, NewAccount, Present, Standing, StoreError},
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

/// The account as a change finds it, if what the change goes by still stands.
pub(super) fn present(connection: &Connection, id: AccountId, basis: &Basis) -> Result<Option<Present>, StoreError> {
    let stands = row(connection, "SELECT epoch, disabled FROM accounts WHERE id = ?1", [id.bytes()], |row| {
        Ok((epoch(row, 0)?, !row.get::<_, bool>(1)?))
    })?;
    let Some((epoch, active)) = stands else { return Ok(None) };
    let (ended, app_cut) = match basis.acting() {
        Some(acting) => (
            log::has_ended(connection, acting.session)?,
            log::app_epochs(connection, &acting.app, Some(acting.method))?.1,
        ),
        None => (false, Epoch::default()),
    };
    let present = Present { epoch, active, ended, app_cut };
    Ok(Some(present).filter(|present| basis.holds(present)))
}

/// Changes an account; what ends its sessions raises its epoch and stands in the log.
pub(super) fn change(
    connection: &Connection,
    id: AccountId,
    change: &AccountChange,
    hold: Hold,
    at: Timestamp,
) -> Result<Option<Changed>, StoreError> {
    log::settle(connection, at)?;
    let Some(from) = present(connection, id, change.basis())? else { return Ok(None) };
    let raised = from.epoch.raised(at, log::floor(connection)?);
    let ends =
        |epoch: Epoch| log::append(connection, End::Account { account: id, epoch }, at, hold.until(at)).map(Some);
    let entry = match change {
        AccountChange::Password { to, .. } => {
            let statement = "UPDATE accounts SET password = ?2, epoch = ?3 WHERE id = ?1";
            execute(connection, statement, params![id.bytes(), to.to_phc(), raised.0])?;
            ends(raised)?
        }
        AccountChange::State(AccountState::Disabled) => {
            let statement = "UPDATE accounts SET disabled = 1, epoch = ?2 WHERE id = ?1";
            execute(connection, statement, params![id.bytes(), raised.0])?;
            ends(raised)?
        }
        AccountChange::State(AccountState::Active) => {
            execute(connection, "UPDATE accounts SET disabled = 0 WHERE id = ?1", [id.bytes()])?;
            None
        }
        AccountChange::Rehash { from, to } => {
            let statement = "UPDATE accounts SET password = ?3 WHERE id = ?1 AND password = ?2";
            if execute(connection, statement, params![id.bytes(), from.to_phc(), to.to_phc()])? == 0 {
                return Ok(None);
            }
            None
        }
        AccountChange::Delete(_) => {
            let Some(found) = by_id(connection, id)? else { return Ok(None) };
            execute(connection, "DELETE FROM accounts WHERE id = ?1", [id.bytes()])?;
            execute(connection, "DELETE FROM sessions WHERE account = ?1", [id.bytes()])?;
            // Ids are never used twice: no epoch of this one goes on.
            return Ok(Some(Changed { account: found.account, entry: ends(Epoch::DELETED)? }));
        }
    };
    Ok(by_id(connection, id)?.map(|found| Changed { account: found.account, entry }))
}
