//! Rows as they are, for copies between databases.

use async_trait::async_trait;
use rusqlite::{Connection, params, params_from_iter, types::Value};

use super::{
    Sqlite,
    columns::{at_most, execute, row, rows, unreadable},
    writer::Shape,
};
use crate::store::{
    StoreError,
    copy::{Cell, Head, Row, Table, Tables},
};

#[async_trait]
impl Tables for Sqlite {
    async fn rows(&self, table: &'static Table, after: Option<Row>, limit: usize) -> Result<Vec<Row>, StoreError> {
        self.read_with(move |c| page(c, table, after, limit)).await
    }

    async fn add(&self, table: &'static Table, rows: Vec<Row>) -> Result<(), StoreError> {
        self.write_with(Shape::Several, move |c| {
            let all = table.columns.len();
            let statement = format!("INSERT INTO {} ({}) VALUES ({})", table.name, names(table, all), marks(all));
            rows.into_iter().try_for_each(|row| execute(c, &statement, bind(row)).map(drop))
        })
        .await
    }

    async fn remove(&self, table: &'static Table, keys: Vec<Row>) -> Result<(), StoreError> {
        self.write_with(Shape::Several, move |c| {
            let statement =
                format!("DELETE FROM {} WHERE ({}) = ({})", table.name, names(table, table.key), marks(table.key));
            keys.into_iter().try_for_each(|key| execute(c, &statement, bind(key)).map(drop))
        })
        .await
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.read_with(|c| {
            row(c, "SELECT id, secret_check, sequence, pruned, known_as FROM installation", [], |row| {
                Ok(Head {
                    id: row.get(0)?,
                    check: row.get(1)?,
                    sequence: row.get(2)?,
                    pruned: row.get(3)?,
                    known_as: row.get(4)?,
                })
            })?
            .ok_or_else(|| unreadable("the installation"))
        })
        .await
    }

    async fn set_head(&self, head: Head) -> Result<(), StoreError> {
        self.write_with(Shape::OneStatement, move |c| {
            let statement =
                "UPDATE installation SET id = ?1, secret_check = ?2, sequence = ?3, pruned = ?4, known_as = ?5";
            execute(c, statement, params![head.id, head.check, head.sequence, head.pruned, head.known_as]).map(drop)
        })
        .await
    }
}

fn page(connection: &Connection, table: &Table, after: Option<Row>, limit: usize) -> Result<Vec<Row>, StoreError> {
    let (all, key) = (names(table, table.columns.len()), names(table, table.key));
    let behind = after.as_ref().map_or(String::new(), |_| format!("WHERE ({key}) > ({})", marks(table.key)));
    let query = format!("SELECT {all} FROM {} {behind} ORDER BY {key} LIMIT {}", table.name, at_most(limit));
    rows(connection, &query, bind(after.unwrap_or_default()), |row| {
        let cell = |column| {
            Ok(match row.get::<_, Value>(column)? {
                Value::Null => Cell::Null,
                Value::Integer(number) => Cell::Int(number),
                Value::Text(text) => Cell::Text(text),
                Value::Blob(bytes) => Cell::Blob(bytes),
                Value::Real(_) => return Err(unreadable("a row")),
            })
        };
        (0..table.columns.len()).map(cell).collect()
    })
}

fn names(table: &Table, count: usize) -> String {
    table.columns[..count].iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

fn bind(row: Row) -> impl rusqlite::Params {
    params_from_iter(row.into_iter().map(|cell| match cell {
        Cell::Null => Value::Null,
        Cell::Int(number) => Value::Integer(number),
        Cell::Text(text) => Value::Text(text),
        Cell::Blob(bytes) => Value::Blob(bytes),
    }))
}
