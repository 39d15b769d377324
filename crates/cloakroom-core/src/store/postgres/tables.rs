//! Rows as they are, for copies between databases.

use async_trait::async_trait;

use super::{
    Postgres,
    columns::get,
    error::unreadable,
    pool::Nature::{Read, Write},
    value::Value,
};
use crate::store::{
    StoreError,
    copy::{Cell, Head, Kind, Row, Table, Tables},
};

#[async_trait]
impl Tables for Postgres {
    async fn rows(&self, table: &'static Table, after: Option<Row>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let read = |(name, kind): &(&str, Kind)| match kind {
            Kind::Int => format!("{name}::bigint"),
            Kind::Flag => format!("{name}::int::bigint"),
            Kind::Text | Kind::Blob => (*name).to_owned(),
        };
        let (all, key) = (table.columns.iter().map(read).collect::<Vec<_>>().join(", "), key_of(table));
        let behind = after.as_ref().map_or(String::new(), |_| format!("WHERE ({key}) > ({})", marks(table.key)));
        let query = format!("SELECT {all} FROM cloakroom_{} {behind} ORDER BY {key} LIMIT {limit}", table.name);
        let found = self.pool().ad_hoc(Read, &query, &bound(after.as_ref())?).await?;
        let row = |row: &tokio_postgres::Row| {
            let cell = |(column, (_, kind)): (usize, &(&str, Kind))| {
                Ok(match kind {
                    Kind::Int | Kind::Flag => get::<Option<i64>>(row, column)?.map_or(Cell::Null, Cell::Int),
                    Kind::Text => get::<Option<String>>(row, column)?.map_or(Cell::Null, Cell::Text),
                    Kind::Blob => get::<Option<Vec<u8>>>(row, column)?.map_or(Cell::Null, Cell::Blob),
                })
            };
            table.columns.iter().enumerate().map(cell).collect()
        };
        found.iter().map(row).collect()
    }

    async fn add(&self, table: &'static Table, rows: Vec<Row>) -> Result<(), StoreError> {
        let names: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
        let read = |(name, kind): &(&str, Kind)| match kind {
            Kind::Flag => format!("new.{name} <> 0"),
            _ => format!("new.{name}"),
        };
        let (mut ints, mut texts, mut blobs) = (Vec::new(), Vec::new(), Vec::new());
        for (column, (_, kind)) in table.columns.iter().enumerate() {
            let cells = rows.iter().map(|row| &row[column]);
            match kind {
                Kind::Int | Kind::Flag => ints.push(cells.map(int).collect::<Result<Vec<_>, _>>()?),
                Kind::Text => texts.push(cells.map(text).collect::<Result<Vec<_>, _>>()?),
                Kind::Blob => blobs.push(cells.map(blob).collect::<Result<Vec<_>, _>>()?),
            }
        }
        let (mut int, mut text, mut blob) = (ints.iter(), texts.iter(), blobs.iter());
        let mut values = Vec::new();
        for (_, kind) in table.columns {
            values.extend(match kind {
                Kind::Int | Kind::Flag => int.next().map(|values| Value::MaybeInts(values)),
                Kind::Text => text.next().map(|values| Value::MaybeTexts(values)),
                Kind::Blob => blob.next().map(|values| Value::MaybeBlobs(values)),
            });
        }
        // What numbers itself keeps its number here; done twice, it is done.
        let statement = format!(
            "INSERT INTO cloakroom_{} ({names}) OVERRIDING SYSTEM VALUE SELECT {} FROM unnest({}) AS new ({names}) \
             ON CONFLICT DO NOTHING",
            table.name,
            table.columns.iter().map(read).collect::<Vec<_>>().join(", "),
            marks(values.len()),
            names = names.join(", "),
        );
        self.pool().ad_hoc(Write, &statement, &values).await.map(drop)
    }

    async fn remove(&self, table: &'static Table, keys: Vec<Row>) -> Result<(), StoreError> {
        let statement =
            format!("DELETE FROM cloakroom_{} WHERE ({}) = ({})", table.name, key_of(table), marks(table.key));
        for key in &keys {
            self.pool().ad_hoc(Write, &statement, &bound(Some(key))?).await?;
        }
        Ok(())
    }

    async fn head(&self) -> Result<Head, StoreError> {
        let query =
            "SELECT id, secret_check, sequence, pruned, known_as FROM cloakroom_installation, cloakroom_log_head";
        let rows = self.pool().ad_hoc(Read, query, &[]).await?;
        let row = rows.first().ok_or_else(|| unreadable("the installation"))?;
        Ok(Head {
            id: get(row, 0)?,
            check: get(row, 1)?,
            sequence: get(row, 2)?,
            pruned: get(row, 3)?,
            known_as: get(row, 4)?,
        })
    }

    async fn set_head(&self, head: Head) -> Result<(), StoreError> {
        let pool = self.pool();
        let log = "UPDATE cloakroom_log_head SET sequence = $1, pruned = $2, known_as = $3";
        pool.execute(log, &[Value::Int(head.sequence), Value::Int(head.pruned), Value::MaybeInt(head.known_as)])
            .await?;
        let next = "SELECT setval(pg_get_serial_sequence('cloakroom_audit', 'id'), coalesce(max(id), 0) + 1, false)
                    FROM cloakroom_audit";
        pool.ad_hoc(Write, next, &[]).await?;
        // Last: with the check of the master secret a server may start.
        let check = [head.check.as_deref()];
        let installation = "UPDATE cloakroom_installation SET id = $1, secret_check = ($2)[1]";
        pool.execute(installation, &[Value::Bytes(&head.id), Value::MaybeBlobs(&check)]).await.map(drop)
    }
}

fn key_of(table: &Table) -> String {
    table.columns[..table.key].iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn marks(count: usize) -> String {
    (1..=count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

fn bound(key: Option<&Row>) -> Result<Vec<Value<'_>>, StoreError> {
    let value = |cell| match cell {
        &Cell::Int(number) => Ok(Value::Int(number)),
        Cell::Text(text) => Ok(Value::Text(text)),
        Cell::Blob(bytes) => Ok(Value::Bytes(bytes)),
        Cell::Null => Err(unreadable("a key")),
    };
    key.into_iter().flatten().map(value).collect()
}

fn int(cell: &Cell) -> Result<Option<i64>, StoreError> {
    match cell {
        Cell::Null => Ok(None),
        Cell::Int(number) => Ok(Some(*number)),
        _ => Err(unreadable("a number")),
    }
}

fn text(cell: &Cell) -> Result<Option<&str>, StoreError> {
    match cell {
        Cell::Null => Ok(None),
        Cell::Text(text) => Ok(Some(text)),
        _ => Err(unreadable("a text")),
    }
}

fn blob(cell: &Cell) -> Result<Option<&[u8]>, StoreError> {
    match cell {
        Cell::Null => Ok(None),
        Cell::Blob(bytes) => Ok(Some(bytes)),
        _ => Err(unreadable("bytes")),
    }
}
