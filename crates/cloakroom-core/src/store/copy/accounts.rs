//! Copying accounts and all that stands beside them, row by row, between databases that nobody uses meanwhile.
//!
//! The tables have the same columns in both. A copy that is not finished bears a mark in the place of the check of the master
//! secret, so that no server starts on it. Done again, it keeps the rows that are right, takes out those that are not, and adds
//! what is missing; in the end both are compared, row for row.

use async_trait::async_trait;

use crate::store::StoreError;

/// How many rows are one step.
const STEP: usize = 500;
/// What stands in the place of the check of the master secret while a copy is not finished.
pub(crate) const UNFINISHED: &[u8] = b"an unfinished copy";

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A whole number.
    Int,
    /// Yes or no.
    Flag,
    /// Text.
    Text,
    /// Bytes.
    Blob,
}

/// A table that is copied.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// How many of its columns, from the first on, are its key.
    pub(crate) key: usize,
    /// Its columns.
    pub(crate) columns: &'static [(&'static str, Kind)],
}

/// A value. It prints nothing: some are hashes of passwords.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// None.
    Null,
    /// A number, or a flag as 0 or 1.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// A row, in the order of its table's columns; or the key of one.
pub type Row = Vec<Cell>;

/// What a database knows of itself, apart from its tables.
#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    /// The installation's id.
    pub(crate) id: Vec<u8>,
    /// The check of the master secret.
    pub(crate) check: Option<Vec<u8>>,
    /// The last line that the log has had.
    pub(crate) sequence: i64,
    /// The last one that was removed.
    pub(crate) pruned: i64,
    /// The incarnation that the last line was written in, which stays the name of that line in a copy.
    pub(crate) known_as: Option<i64>,
}

/// A database whose rows can be read and written as they are.
#[async_trait]
pub trait Tables: Send + Sync {
    /// At most `limit` rows behind a key, in the order of their keys.
    async fn rows(&self, table: &'static Table, after: Option<Row>, limit: usize) -> Result<Vec<Row>, StoreError>;
    /// Adds rows.
    async fn add(&self, table: &'static Table, rows: Vec<Row>) -> Result<(), StoreError>;
    /// Removes the rows of these keys.
    async fn remove(&self, table: &'static Table, keys: Vec<Row>) -> Result<(), StoreError>;
    /// What it knows of itself.
    async fn head(&self) -> Result<Head, StoreError>;
    /// Sets that, but for its log's incarnation, which is its own.
    async fn set_head(&self, head: Head) -> Result<(), StoreError>;
}

/// All tables that are copied. Names in PostgreSQL begin with `cloakroom_`.
pub(crate) static TABLES: [Table; 7] = {
    use Kind::{Blob, Flag, Int, Text};
    [
        Table {
            name: "accounts",
            key: 1,
            columns: &[
                ("id", Blob),
                ("email", Text),
                ("typed", Text),
                ("name", Text),
                ("disabled", Flag),
                ("epoch", Int),
                ("created", Int),
                ("password", Text),
            ],
        },
        Table { name: "app_ends", key: 2, columns: &[("app", Text), ("method", Int), ("epoch", Int)] },
        Table {
            name: "keys",
            key: 1,
            columns: &[
                ("kid", Text),
                ("purpose", Text),
                ("ordinal", Int),
                ("wrapped", Blob),
                ("created", Int),
                ("used_from", Int),
                ("killed", Int),
            ],
        },
        Table {
            name: "services",
            key: 1,
            columns: &[("id", Text), ("name", Text), ("secret_hash", Blob), ("created", Int)],
        },
        Table {
            name: "log",
            key: 1,
            columns: &[
                ("sequence", Int),
                ("kind", Int),
                ("subject", Blob),
                ("method", Int),
                ("epoch", Int),
                ("at", Int),
                ("until", Int),
                ("successor", Blob),
            ],
        },
        Table { name: "lineage", key: 1, columns: &[("incarnation", Int), ("last", Int)] },
        Table {
            name: "audit",
            key: 1,
            columns: &[
                ("id", Int),
                ("at", Int),
                ("kind", Text),
                ("account", Blob),
                ("session", Blob),
                ("app", Text),
                ("address", Text),
                ("network", Text),
                ("user_agent", Text),
                ("reason", Text),
                ("detail", Text),
            ],
        },
    ]
};

/// Copies everything but sessions; how many rows of each table there are. Nobody else may use either.
///
/// # Errors
/// [`StoreError::InUse`] when the new database holds a store already, or when the old one was written meanwhile.
pub async fn accounts(
    from: &dyn Tables,
    to: &dyn Tables,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let head = from.head().await?;
    if head.check.as_deref().is_none_or(|check| check == UNFINISHED) {
        return Err(StoreError::Foreign("there is no finished store to be copied".to_owned()));
    }
    fit(&head, to).await?;
    to.set_head(Head { check: Some(UNFINISHED.to_vec()), ..head.clone() }).await?;
    let (mut sum, mut counts) = (0, Vec::new());
    for table in &TABLES {
        walk(from, to, table, Work::Clear, &mut |_| {}).await?;
        let rows = walk(from, to, table, Work::Add, &mut |rows| progress(sum + rows)).await?.rows;
        sum += rows;
        counts.push((table.name, rows));
    }
    for table in &TABLES {
        let seen = walk(from, to, table, Work::Compare, &mut |_| {}).await?;
        if seen.different > 0 {
            return Err(changed());
        }
    }
    if from.head().await? != head {
        return Err(changed());
    }
    to.set_head(head).await?;
    Ok(counts)
}

fn changed() -> StoreError {
    StoreError::InUse("the store was written while it was copied: stop every server, and run it again".to_owned())
}

/// Whether a database is empty, or an unfinished copy of the same store.
async fn fit(head: &Head, to: &dyn Tables) -> Result<(), StoreError> {
    let there = to.head().await?;
    match there.check.as_deref() {
        Some(UNFINISHED) if there.id == head.id => Ok(()),
        None if to.rows(&TABLES[0], None, 1).await?.is_empty() => Ok(()),
        _ => Err(StoreError::InUse("the new database holds a store already: give an empty one".to_owned())),
    }
}

/// What is done about a difference.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Rows that are otherwise in the new database are taken out there.
    Clear,
    /// Rows that the new one lacks are added.
    Add,
    /// It is counted.
    Compare,
}

#[derive(Default)]
struct Seen {
    rows: u64,
    different: u64,
}

/// Walks through a table of both in the order of its keys.
async fn walk(
    from: &dyn Tables,
    to: &dyn Tables,
    table: &'static Table,
    work: Work,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Seen, StoreError> {
    let (mut old, mut new) = (Cursor::new(from, table), Cursor::new(to, table));
    let (mut seen, mut missing, mut wrong) = (Seen::default(), Vec::new(), Vec::new());
    loop {
        let (one, other) = (old.peek().await?, new.peek().await?);
        let order = match (&one, &other) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(one), Some(other)) => one[..table.key].cmp(&other[..table.key]),
        };
        seen.rows += u64::from(order.is_le());
        let same = order.is_eq() && one == other;
        seen.different += u64::from(!same);
        let row = if order.is_le() { old.take() } else { None };
        if order.is_lt() && work == Work::Add {
            missing.extend(row);
        }
        let row = if order.is_ge() { new.take() } else { None };
        if !same && work == Work::Clear {
            wrong.extend(row.map(|row| row[..table.key].to_vec()));
        }
        if missing.len() >= STEP {
            to.add(table, std::mem::take(&mut missing)).await?;
            progress(seen.rows);
        }
        if wrong.len() >= STEP {
            to.remove(table, std::mem::take(&mut wrong)).await?;
        }
    }
    if !missing.is_empty() {
        to.add(table, missing).await?;
    }
    if !wrong.is_empty() {
        to.remove(table, wrong).await?;
    }
    progress(seen.rows);
    Ok(seen)
}

/// A walk through one table.
struct Cursor<'a> {
    store: &'a dyn Tables,
    table: &'static Table,
    rows: std::collections::VecDeque<Row>,
    after: Option<Row>,
    ended: bool,
}

impl<'a> Cursor<'a> {
    fn new(store: &'a dyn Tables, table: &'static Table) -> Self {
        Self { store, table, rows: std::collections::VecDeque::new(), after: None, ended: false }
    }

    async fn peek(&mut self) -> Result<Option<&Row>, StoreError> {
        if self.rows.is_empty() && !self.ended {
            let rows = self.store.rows(self.table, self.after.clone(), STEP).await?;
            self.ended = rows.len() < STEP;
            self.after = rows.last().map(|row| row[..self.table.key].to_vec());
            self.rows = rows.into();
        }
        Ok(self.rows.front())
    }

    fn take(&mut self) -> Option<Row> {
        self.rows.pop_front()
    }
}
