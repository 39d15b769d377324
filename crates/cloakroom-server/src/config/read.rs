//! Reading typed values out of the tree. A mistake is noted and its default taken, so that reading goes on and all
//! mistakes are told at once. What no one has asked for is unknown, and refused (F138).

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use super::{
    error::{ConfigError, ConfigErrors},
    kinds::describe,
    origin::Origin,
    sources::{APART, PREFIX},
    suggest::nearest,
    tree::{Node, Table, Value},
};

/// What has been read so far, and what was wrong.
#[derive(Default)]
pub(super) struct Reading {
    errors: Vec<ConfigError>,
    origins: BTreeMap<String, Origin>,
    failed: BTreeSet<String>,
    /// Every key that was asked for: its table's path and its name.
    known: Vec<(String, &'static str)>,
    unknown: Vec<(String, String, Origin)>,
}

/// A table that is being read; what is left in it at the end is unknown.
pub(super) struct Section {
    path: String,
    origin: Origin,
    entries: Table,
}

impl Section {
    pub(super) fn new(path: String, origin: Origin, entries: Table) -> Self {
        Self { path, origin, entries }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        join(&self.path, key)
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Where the table itself begins.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Reading {
    /// Notes a mistake at a setting.
    pub(super) fn refuse(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        let path = path.into();
        let origin = self.origin(&path);
        self.refuse_at(path, problem, origin);
    }

    /// Notes a mistake whose place is known otherwise.
    pub(super) fn refuse_at(&mut self, path: impl Into<String>, problem: impl Into<String>, origin: Origin) {
        let path = path.into();
        self.failed.insert(path.clone());
        self.errors.push(ConfigError { path, problem: problem.into(), origin });
    }

    /// What set a setting.
    pub(super) fn origin(&self, path: &str) -> Origin {
        self.origins.get(path).cloned().unwrap_or(Origin::Default)
    }

    /// Whether something other than the default stands there.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.origin(path) != Origin::Default
    }

    /// Whether all of these were read without a mistake: a rule between settings is only worth a word if they were.
    pub(super) fn sound(&self, paths: &[&str]) -> bool {
        paths.iter().all(|path| !self.failed.contains(*path))
    }

    /// Reads a value, or takes its default.
    pub(super) fn value<T>(
        &mut self,
        section: &mut Section,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> T {
        self.optional(section, key, read).unwrap_or(default)
    }

    /// Reads a value that need not be there.
    pub(super) fn optional<T>(
        &mut self,
        section: &mut Section,
        key: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let (path, node) = self.take(section, key)?;
        match read(&node.value) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.refuse(path, problem);
                None
            }
        }
    }

    /// Reads a list; a variable separates its items by commas.
    pub(super) fn list<T>(
        &mut self,
        section: &mut Section,
        key: &'static str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Vec<T> {
        let Some((path, node)) = self.take(section, key) else { return Vec::new() };
        let items: Vec<Node> = match node.value {
            Value::Array(items) => items,
            Value::Words(words) if words.trim().is_empty() => {
                self.refuse(path, "it is empty; unset it, or write items with commas between them");
                return Vec::new();
            }
            Value::Words(words) => {
                let words = words.split(',').map(str::trim).filter(|word| !word.is_empty());
                words.map(|word| Node { origin: node.origin.clone(), value: Value::Words(word.into()) }).collect()
            }
            other => {
                self.refuse(path, format!("{} is no list; write it in brackets, as in [\"…\"]", describe(&other)));
                return Vec::new();
            }
        };
        let mut values = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            match read(&item.value) {
                Ok(value) => values.push(value),
                Err(problem) => {
                    self.failed.insert(path.clone());
                    self.refuse_at(format!("{path}[{i}]"), problem, item.origin.clone());
                }
            }
        }
        values
    }

    /// Opens a table; an empty one if it is not there.
    pub(super) fn section(&mut self, parent: &mut Section, key: &'static str) -> Section {
        let path = parent.path_of(key);
        let Some((_, node)) = self.take(parent, key) else { return Section::new(path, Origin::Default, Table::new()) };
        let entries = match node.value {
            Value::Table(entries) => entries,
            other => {
                self.refuse(
                    path.clone(),
                    format!("{} is no table; write [{path}] and its keys below", describe(&other)),
                );
                Table::new()
            }
        };
        Section::new(path, node.origin, entries)
    }

    /// Opens each table of an array of tables; `None` if there is no such key.
    pub(super) fn sections(&mut self, parent: &mut Section, key: &'static str) -> Option<Vec<Section>> {
        let (list, node) = self.take(parent, key)?;
        let Value::Array(items) = node.value else {
            self.refuse(list, format!("{} is no list of tables; write [[{key}]] before each", describe(&node.value)));
            return Some(Vec::new());
        };
        let mut sections = Vec::with_capacity(items.len());
        for (i, item) in items.into_iter().enumerate() {
            let path = format!("{list}[{i}]");
            match item.value {
                Value::Table(entries) => sections.push(Section::new(path, item.origin, entries)),
                other => {
                    let problem = format!("{} is no table; write [[{key}]] before each", describe(&other));
                    self.failed.insert(list.clone());
                    self.refuse_at(path, problem, item.origin);
                }
            }
        }
        Some(sections)
    }

    /// Ends the reading of a table.
    pub(super) fn close(&mut self, section: Section) {
        for (key, node) in section.entries {
            self.leave(section.path.clone(), key, node);
        }
    }

    /// Notes what nobody asked for. Of tables that only variables made, each variable is unknown by itself.
    fn leave(&mut self, path: String, key: String, node: Node) {
        match (node.origin, node.value) {
            (Origin::Environment(_), Value::Table(inner)) if !inner.is_empty() => {
                let path = join(&path, &key);
                for (key, node) in inner {
                    self.leave(path.clone(), key, node);
                }
            }
            (origin, _) => self.unknown.push((path, key, origin)),
        }
    }

    /// Whether nothing was wrong so far, unknown keys apart.
    pub(super) fn is_sound(&self) -> bool {
        self.errors.is_empty()
    }

    /// Ends the reading: the mistakes, if there are any, or what set each setting.
    pub(super) fn finish(self) -> Result<BTreeMap<String, Origin>, ConfigErrors> {
        if self.errors.is_empty() && self.unknown.is_empty() { Ok(self.origins) } else { Err(self.into_errors()) }
    }

    /// Ends a reading that has failed.
    pub(super) fn into_errors(mut self) -> ConfigErrors {
        for (table, key, origin) in mem::take(&mut self.unknown) {
            let error = self.unknown_key(&table, &key, origin);
            self.errors.push(error);
        }
        ConfigErrors(self.errors)
    }

    /// The variable that is nearest to a name that stands for nothing.
    fn nearest_variable(&self, name: &str) -> Option<String> {
        let keys = self.known.iter().map(|(table, key)| variable(&join(table, key)));
        let names: Vec<String> = keys.chain(APART.map(|name| format!("{PREFIX}{name}"))).collect();
        let bare = |name: &str| name.trim_start_matches(PREFIX).to_lowercase();
        let bare_names: Vec<String> = names.iter().map(|name| bare(name)).collect();
        let near = nearest(&bare(name), bare_names.iter().map(String::as_str))?;
        Some(format!("{PREFIX}{}", near.to_uppercase()))
    }

    fn take(&mut self, section: &mut Section, key: &'static str) -> Option<(String, Node)> {
        let path = section.path_of(key);
        self.known.push((section.path.clone(), key));
        let node = section.entries.remove(key)?;
        self.origins.insert(path.clone(), node.origin.clone());
        Some((path, node))
    }

    fn unknown_key(&self, table: &str, key: &str, origin: Origin) -> ConfigError {
        if let Origin::Environment(name) = &origin {
            let meant =
                self.nearest_variable(name).map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
            let problem = format!("there is no such setting{meant}; unset it");
            return ConfigError { path: name.clone(), problem, origin };
        }
        let siblings = self.known.iter().filter(|(t, _)| t == table).map(|(_, k)| *k);
        let near = nearest(key, siblings).map(|near| join(table, near));
        let elsewhere = self.known.iter().find(|(_, k)| *k == key).map(|(table, _)| table);
        let meant = match (near, elsewhere) {
            (Some(near), _) => format!(" (did you mean `{near}`?)"),
            (None, Some(table)) if table.is_empty() => {
                format!(" (`{key}` belongs at the top of the file, before the first [table])")
            }
            (None, Some(table)) => match table.split_once('[') {
                Some((array, _)) => format!(" (`{key}` belongs into an [[{array}]])"),
                None => format!(" (`{key}` belongs into [{table}])"),
            },
            (None, None) => String::new(),
        };
        ConfigError { path: join(table, key), problem: format!("there is no such key{meant}"), origin }
    }
}

/// The variable that stands for a path: `app[1].method` is `CLOAKROOM_APP__1__METHOD`.
pub(super) fn variable(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('[', "__").replace(']', "").replace('.', "__").to_uppercase())
}

fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}
