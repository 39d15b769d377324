//! What the lab says to people: messages as the server's pages have them, from files of the lab's own.

pub(crate) use cloakroom_server::pages::{Messages, text};

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use fluent_bundle::{FluentBundle, FluentResource};

    use super::*;
    use crate::language::Lang;

    /// Each message's name, and the arguments that it uses.
    fn messages(messages: &Messages, lang: Lang) -> BTreeMap<String, Vec<String>> {
        let source = messages.source(lang);
        let resource = FluentResource::try_new(source.to_owned())
            .map_err(|(_, errors)| errors)
            .unwrap_or_else(|errors| panic!("{lang:?}: {errors:?}"));
        FluentBundle::new(vec![]).add_resource(&resource).expect("each message stands there once");
        let mut found = BTreeMap::new();
        let mut key = String::new();
        for line in source.lines() {
            if let Some((name, _)) = line.split_once(" = ").filter(|_| line.starts_with(|c: char| c.is_alphabetic())) {
                name.clone_into(&mut key);
            }
            let used: &mut Vec<String> = found.entry(key.clone()).or_default();
            for variable in line.split('$').skip(1) {
                let name: String = variable.chars().take_while(char::is_ascii_alphanumeric).collect();
                used.push(name);
            }
            used.sort();
            used.dedup();
        }
        found.remove("");
        found
    }

    /// Both languages have the same messages with the same arguments, and each is said by a source, unless its name begins with one
    /// of `composed`: names that are put together.
    pub(crate) fn agree(said: &Messages, sources: &[&str], composed: &[&str]) {
        let english = messages(said, Lang::English);
        assert_eq!(english, messages(said, Lang::Korean));
        for key in english.keys().filter(|key| !composed.iter().any(|prefix| key.starts_with(prefix))) {
            let quoted = format!("\"{key}\"");
            assert!(sources.iter().any(|source| source.contains(&quoted)), "{key} is never said");
        }
        for source in sources {
            for mark in ["say(\"", ".with(\""] {
                for rest in source.split(mark).skip(1) {
                    let key = rest.split('"').next().unwrap_or_default();
                    assert!(english.contains_key(key), "there is no message {key}");
                }
            }
        }
    }
}
