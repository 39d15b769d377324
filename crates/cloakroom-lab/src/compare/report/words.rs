//! The report's words in its language.

use cloakroom_core::method::Method;

use super::{
    document::one_line,
    numbers::{count, number},
};
use crate::{
    compare::{LeftOut, Prediction, Row, Store, Topology},
    language::Lang,
    messages::{Messages, text},
};

static MESSAGES: Messages =
    Messages::new(include_str!("../../../locales/report.en.ftl"), include_str!("../../../locales/report.ko.ftl"));

/// A language to speak.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) lang: Lang,
}

impl Words {
    pub(super) const fn new(lang: Lang) -> Self {
        Self { lang }
    }

    pub(super) fn say(self, key: &str) -> String {
        MESSAGES.say(self.lang, key)
    }

    /// With texts that it is about.
    pub(super) fn with<const N: usize>(self, key: &str, args: [(&'static str, &str); N]) -> String {
        MESSAGES.say_with(self.lang, key, args.map(|(name, value)| (name, text(value))))
    }

    /// A number with its unit.
    pub(super) fn amount(self, unit: &str, value: f64) -> String {
        self.with(unit, [("amount", &number(value))])
    }

    pub(super) fn all<const N: usize>(self, keys: [&str; N]) -> Vec<String> {
        keys.iter().map(|key| self.say(key)).collect()
    }

    pub(super) fn store(self, store: Store) -> String {
        self.say(&format!("store-{}", store.name()))
    }

    pub(super) fn topology(self, topology: Topology) -> String {
        self.say(&format!("topology-{}", topology.name()))
    }

    /// Where sessions are kept, and by how many servers.
    pub(super) fn place(self, store: Store, topology: Topology) -> String {
        self.with("place", [("store", &self.store(store)), ("topology", &self.topology(topology))])
    }

    /// A row in short.
    pub(super) fn row(self, row: &Row) -> String {
        self.of(row.method, &self.place(row.store, row.topology))
    }

    /// A method, and what of it.
    pub(super) fn of(self, method: Method, what: &str) -> String {
        self.with("of-method", [("method", method.name()), ("what", what)])
    }

    /// What was left out.
    pub(super) fn left_out(self, left: &LeftOut) -> String {
        let event = MESSAGES.find(self.lang, &key("event", &left.what));
        let what = event.unwrap_or_else(|| self.identifier("left-what", &left.what));
        let what = match left.place {
            Some((store, topology)) => {
                self.with("event-and-place", [("event", &what), ("place", &self.place(store, topology))])
            }
            None => what,
        };
        left.method.map_or(what.clone(), |method| self.of(method, &what))
    }

    /// What was predicted.
    pub(super) fn predicted(self, prediction: &Prediction) -> String {
        let what = self.identifier("prediction", &prediction.what);
        match prediction.live_sessions {
            Some(live) => self.with("predicted-at", [("what", &what), ("live", &count(live as u64))]),
            None => what,
        }
    }

    /// The word for an identifier of a result, or the identifier itself, if it is one that the report has no word for.
    pub(super) fn identifier(self, kind: &str, identifier: &str) -> String {
        MESSAGES.find(self.lang, &key(kind, identifier)).unwrap_or_else(|| one_line(identifier))
    }
}

fn key(kind: &str, identifier: &str) -> String {
    format!("{kind}-{}", identifier.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::messages::tests::agree;

    const COMPOSED: [&str; 12] = [
        "why-",
        "store-",
        "topology-",
        "event-",
        "copied-",
        "then-",
        "term-",
        "loss-",
        "prediction-",
        "left-what-",
        "left-why-",
        "left-remedy-",
    ];

    #[test]
    fn both_languages_say_the_same_and_all_of_it() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/compare/report");
        let mut sources = Vec::new();
        for folder in [here.clone(), here.join("figures"), here.join("chart")] {
            for file in fs::read_dir(folder).expect("the sources are there") {
                let path = file.expect("a file").path();
                if path.is_file() {
                    sources.push(fs::read_to_string(path).expect("a text"));
                }
            }
        }
        agree(&MESSAGES, &sources.iter().map(String::as_str).collect::<Vec<_>>(), &COMPOSED);
    }

    #[test]
    fn every_store_topology_and_identifier_has_its_word() {
        for lang in Lang::ALL {
            let words = Words::new(lang);
            for store in [Store::Memory, Store::Sqlite, Store::Postgres, Store::Redis] {
                assert!(!words.store(store).starts_with("store-"));
            }
            for topology in [Topology::One, Topology::Shared, Topology::Sticky, Topology::Unshared] {
                assert!(!words.topology(topology).starts_with("topology-"));
            }
            for (kind, identifier) in [
                ("event", "server_killed"),
                ("event", "store_killed"),
                ("event", "signing_key_killed"),
                ("event", "ticket_key_killed"),
                ("copied", "access_token"),
                ("copied", "refresh_token"),
                ("copied", "ticket"),
                ("then", "sign_out"),
                ("then", "password_changed"),
                ("then", "owner_refreshed"),
                ("then", "nothing"),
                ("loss", "refuse"),
                ("loss", "until_expiry"),
                ("prediction", "verification"),
                ("prediction", "everything_at_once"),
                ("left-what", "postgres"),
                ("left-what", "redis"),
                ("left-what", "wire"),
                ("left-what", "cost"),
                ("left-what", "growth"),
                ("left-what", "growth_of_tokens"),
                ("left-what", "theft"),
                ("left-what", "feed_cut"),
                ("left-why", "not_installed"),
                ("left-why", "takes_minutes"),
                ("left-remedy", "install_postgres"),
                ("left-remedy", "install_redis"),
                ("left-remedy", "model"),
                ("left-remedy", "look_and_repeat"),
            ] {
                assert_eq!(MESSAGES.find(lang, &key(kind, identifier)), Some(words.identifier(kind, identifier)));
            }
            assert_eq!(words.identifier("event", "a\nfire"), "a fire");
        }
    }
}
