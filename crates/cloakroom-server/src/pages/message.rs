//! What is said to people, in every language: Fluent files, compiled in, read once; and those of the pages.
//!
//! A message is plain text. Whatever shows it escapes it like everything else, so an argument cannot bring markup along.

use std::{borrow::Cow, sync::OnceLock};

use cloakroom_core::refusal::Code;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

use super::locale::Locale;

/// The messages of one subject, in every language.
pub struct Messages {
    english: &'static str,
    korean: &'static str,
    read: [OnceLock<Bundle>; 2],
}

type Bundle = FluentBundle<FluentResource>;

impl Messages {
    /// Of two Fluent files. A test has to see to it that both have no errors and hold the same messages; what can be read would be used even
    /// so.
    pub const fn new(english: &'static str, korean: &'static str) -> Self {
        Self { english, korean, read: [OnceLock::new(), OnceLock::new()] }
    }

    /// The message of that name; its name if there is none.
    pub fn say(&self, locale: Locale, key: &str) -> String {
        self.say_with(locale, key, [])
    }

    /// The message of that name, if there is one.
    pub fn find(&self, locale: Locale, key: &str) -> Option<String> {
        self.bundle(locale).has_message(key).then(|| self.say(locale, key))
    }

    /// The message of that name, with what it is about.
    pub fn say_with<'a, const N: usize>(
        &self,
        locale: Locale,
        key: &str,
        args: [(&'static str, FluentValue<'a>); N],
    ) -> String {
        let bundle = self.bundle(locale);
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_owned();
        };
        let args: FluentArgs<'a> = args.into_iter().collect();
        bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }

    /// The Fluent file.
    pub const fn source(&self, locale: Locale) -> &'static str {
        match locale {
            Locale::English => self.english,
            Locale::Korean => self.korean,
        }
    }

    fn bundle(&self, locale: Locale) -> &Bundle {
        self.read[locale as usize].get_or_init(|| {
            let language: LanguageIdentifier = locale.tag().parse().unwrap_or_default();
            let mut bundle = FluentBundle::new_concurrent(vec![language]);
            // The marks that isolate directions would stand in titles and files, and confuse searches; names on pages have <bdi>.
            bundle.set_use_isolating(false);
            let source = self.source(locale).to_owned();
            let resource = FluentResource::try_new(source).unwrap_or_else(|(readable, _)| readable);
            bundle.add_resource_overriding(resource);
            bundle
        })
    }
}

/// Those of the pages.
static PAGES: Messages = Messages::new(include_str!("../../locales/en.ftl"), include_str!("../../locales/ko.ftl"));

impl Locale {
    /// The sentence for a refusal's code.
    pub fn refusal(self, code: Code) -> String {
        self.say(&format!("refusal-{}", code.as_str()))
    }

    /// The message of the pages of that name; its name if there is none.
    pub(super) fn say(self, key: &str) -> String {
        PAGES.say(self, key)
    }

    /// The same, with what it is about.
    pub(super) fn say_with<const N: usize>(self, key: &str, args: [(&'static str, FluentValue<'_>); N]) -> String {
        PAGES.say_with(self, key, args)
    }
}

/// A text from outside, as an argument of a message.
pub fn text(value: &str) -> FluentValue<'_> {
    FluentValue::String(Cow::Borrowed(value))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use fluent_bundle::FluentBundle;

    use super::*;

    /// Each message's name, and the arguments that it uses.
    fn messages(locale: Locale) -> BTreeMap<String, Vec<String>> {
        let resource = FluentResource::try_new(PAGES.source(locale).to_owned())
            .map_err(|(_, errors)| errors)
            .unwrap_or_else(|errors| panic!("{locale:?}: {errors:?}"));
        FluentBundle::new(vec![]).add_resource(&resource).expect("each message stands there once");
        let mut found = BTreeMap::new();
        let mut key = String::new();
        for line in PAGES.source(locale).lines() {
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

    #[test]
    fn both_languages_have_the_same_messages_with_the_same_arguments() {
        assert_eq!(messages(Locale::English), messages(Locale::Korean));
    }

    #[test]
    fn every_message_is_said_and_every_said_message_exists() {
        let messages = messages(Locale::English);
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = ["src/pages", "templates"].map(|dir| fs::read_dir(here.join(dir)).expect("the sources are there"));
        let sources: Vec<String> = files
            .into_iter()
            .flatten()
            .map(|file| file.expect("a file").path())
            .filter(|path| !path.ends_with("message.rs"))
            .map(|path| fs::read_to_string(path).expect("a text"))
            .collect();
        let quoted = |key: &str| sources.iter().any(|source| source.contains(&format!("\"{key}\"")));
        for key in messages.keys().filter(|key| !key.starts_with("refusal-")) {
            assert!(quoted(key), "{key} is never said");
        }
        for source in &sources {
            for mark in ["say(\"", "say_with(\""] {
                for rest in source.split(mark).skip(1) {
                    let key = rest.split('"').next().unwrap_or_default();
                    assert!(messages.contains_key(key), "there is no message {key}");
                }
            }
        }
    }

    #[test]
    fn every_code_has_its_sentence_in_every_language() {
        let codes: Vec<Code> = cloakroom_core::refusal::Reason::ALL.iter().map(|reason| reason.code()).collect();
        for locale in Locale::ALL {
            let messages = messages(locale);
            let of_codes = messages.keys().filter(|key| key.starts_with("refusal-")).count();
            assert!(of_codes >= 21, "{of_codes}");
            for code in codes.iter().copied().chain([Code::MfaRequired]) {
                let sentence = locale.refusal(code);
                assert!(sentence.ends_with('.') && !sentence.starts_with("refusal-"), "{code:?}: {sentence}");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_told_by_its_name() {
        let messages = Messages::new("known = Known { $what }", "known = { $what } 있음");
        assert_eq!(messages.say_with(Locale::English, "known", [("what", text("<b>"))]), "Known <b>");
        assert_eq!(messages.say_with(Locale::Korean, "known", [("what", text("x"))]), "x 있음");
        assert_eq!(messages.say(Locale::English, "unknown"), "unknown");
        assert_eq!(messages.find(Locale::English, "unknown"), None);
    }
}
