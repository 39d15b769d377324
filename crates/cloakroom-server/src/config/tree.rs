//! The configuration before it has types: values in tables and arrays, each with its origin. The sources are laid over one
//! another here.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::{error::ConfigError, origin::Origin};

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

pub(super) type Table = BTreeMap<String, Node>;

#[derive(Clone, Debug)]
pub(super) enum Value {
    Table(Table),
    Array(Vec<Node>),
    /// Text, written as such.
    Text(String),
    /// What a variable or a flag holds: its type is what is wanted there.
    Words(String),
    /// Too large a number stands as the largest.
    Integer(i128),
    Boolean(bool),
    /// A float or a date, which no key wants; as it was written.
    Other(String),
}

/// No key lies deeper, so that what does need not be looked at.
const DEEPEST: usize = 6;

/// Reads a file's text. The errors are those of its syntax.
pub(super) fn parse(path: &Arc<Path>, text: &str) -> Result<Table, Vec<ConfigError>> {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    let file = File { path, text };
    if errors.is_empty() {
        return Ok(file.table(table.get_ref(), 0));
    }
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    // The error's own text would quote the line, and with it perhaps a password.
    let errors = errors.iter().map(|error| ConfigError {
        path: path.display().to_string(),
        problem: format!("this is no TOML: {}", error.message()),
        origin: file.origin(error.span().map_or(text.len(), |span| span.start)),
    });
    Err(errors.collect())
}

struct File<'a> {
    path: &'a Arc<Path>,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, at: usize) -> Origin {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        Origin::file(self.path, before.split(|b| *b == b'\n').count())
    }

    fn table(&self, table: &DeTable<'_>, depth: usize) -> Table {
        let entries = table.iter().map(|(key, value)| {
            let node = Node { origin: self.origin(key.span().start), value: self.value(value.get_ref(), depth + 1) };
            (key.get_ref().to_string(), node)
        });
        entries.collect()
    }

    fn value(&self, value: &DeValue<'_>, depth: usize) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Integer(n) => Value::Integer(i128::from_str_radix(n.as_str(), n.radix()).unwrap_or(i128::MAX)),
            DeValue::Float(n) => Value::Other(n.as_str().to_owned()),
            DeValue::Datetime(date) => Value::Other(date.to_string()),
            DeValue::Array(_) | DeValue::Table(_) if depth > DEEPEST => Value::Other("…".into()),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| Node {
                    origin: self.origin(item.span().start),
                    value: self.value(item.get_ref(), depth + 1),
                });
                Value::Array(items.collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table, depth)),
        }
    }
}

/// Lays one variable or flag over the tree. The error says what is wrong with its path.
pub(super) fn overlay(tree: &mut Table, path: &[&str], text: &str, origin: &Origin) -> Result<(), String> {
    let Some((key, rest)) = path.split_first() else { return Err("it names no setting".into()) };
    let empty = || Value::Table(Table::new());
    let node = tree.entry((*key).to_owned()).or_insert_with(|| Node { origin: origin.clone(), value: empty() });
    if rest.is_empty() {
        *node = Node { origin: origin.clone(), value: Value::Words(text.to_owned()) };
        return Ok(());
    }
    match &mut node.value {
        Value::Table(inner) => overlay(inner, rest, text, origin),
        Value::Array(items) => {
            let count = items.len();
            let item = rest[0].parse::<usize>().ok().and_then(|i| items.get_mut(i));
            match item {
                Some(Node { value: Value::Table(inner), .. }) if rest.len() > 1 => {
                    overlay(inner, &rest[1..], text, origin)
                }
                _ if count == 0 => Err(format!("there is no {key} to change")),
                _ => Err(format!("there is no {key} `{}`; they are numbered 0 to {}", rest[0], count - 1)),
            }
        }
        _ => Err(format!("there is no such variable: `{key}` has nothing below it")),
    }
}
