//! What the lab says to people, in English and Korean: Fluent files, compiled in, read once.
//!
//! A message is plain text: whatever shows it escapes it, so that an argument cannot bring markup along.

use std::{borrow::Cow, sync::OnceLock};

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

use crate::language::Lang;

/// The messages of one subject, in every language.
pub(crate) struct Messages {
    english: &'static str,
    korean: &'static str,
    read: [OnceLock<Bundle>; 2],
}

type Bundle = FluentBundle<FluentResource>;

impl Messages {
    /// Of two Fluent files. A test has to see to it that both can be read and hold the same: `tests::agree`.
    pub(crate) const fn new(english: &'static str, korean: &'static str) -> Self {
        Self { english, korean, read: [OnceLock::new(), OnceLock::new()] }
    }

    /// The message of that name; its name if there is none.
    pub(crate) fn say(&self, lang: Lang, key: &str) -> String {
        self.say_with(lang, key, [])
    }

    /// The message of that name, if there is one.
    pub(crate) fn find(&self, lang: Lang, key: &str) -> Option<String> {
        self.bundle(lang).has_message(key).then(|| self.say(lang, key))
    }

    /// The message of that name, with what it is about.
    pub(crate) fn say_with<'a, const N: usize>(
        &self,
        lang: Lang,
        key: &str,
        args: [(&'static str, FluentValue<'a>); N],
    ) -> String {
        let bundle = self.bundle(lang);
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_owned();
        };
        let args: FluentArgs<'a> = args.into_iter().collect();
        bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }

    /// The Fluent file.
    pub(crate) const fn source(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::English => self.english,
            Lang::Korean => self.korean,
        }
    }

    fn bundle(&self, lang: Lang) -> &Bundle {
        self.read[lang as usize].get_or_init(|| {
            let language: LanguageIdentifier = lang.tag().parse().unwrap_or_default();
            let mut bundle = FluentBundle::new_concurrent(vec![language]);
            // The marks that isolate directions would stand in files that people search; both languages run one way.
            bundle.set_use_isolating(false);
            let resource =
                FluentResource::try_new(self.source(lang).to_owned()).unwrap_or_else(|(readable, _)| readable);
            bundle.add_resource_overriding(resource);
            bundle
        })
    }
}

/// A text as an argument of a message.
pub(crate) fn text(value: &str) -> FluentValue<'_> {
    FluentValue::String(Cow::Borrowed(value))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use fluent_bundle::FluentBundle;

    use super::*;

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

    #[test]
    fn what_is_not_there_is_told_by_its_name() {
        let messages = Messages::new("known = Known { $what }", "known = { $what } 있음");
        assert_eq!(messages.say_with(Lang::English, "known", [("what", text("<b>"))]), "Known <b>");
        assert_eq!(messages.say_with(Lang::Korean, "known", [("what", text("x"))]), "x 있음");
        assert_eq!(messages.say(Lang::English, "unknown"), "unknown");
        assert_eq!(messages.find(Lang::English, "unknown"), None);
    }
}
