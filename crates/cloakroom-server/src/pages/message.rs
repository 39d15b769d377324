//! The sentences of the pages: Fluent files, compiled in, read once.
//!
//! A message is plain text. Templates escape it like everything else, so an argument cannot bring markup along.

use std::{borrow::Cow, sync::OnceLock};

use cloakroom_core::refusal::Code;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::LanguageIdentifier;

use super::locale::Locale;

impl Locale {
    /// The sentence for a refusal's code.
    pub fn refusal(self, code: Code) -> String {
        self.say(&format!("refusal-{}", code.as_str()))
    }

    /// The message of that name; its name if there is none.
    pub(super) fn say(self, key: &str) -> String {
        self.say_with(key, [])
    }

    /// The message of that name, with what it is about.
    pub(super) fn say_with<'a, const N: usize>(self, key: &str, args: [(&'static str, FluentValue<'a>); N]) -> String {
        let bundle = self.bundle();
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_owned();
        };
        let args: FluentArgs<'a> = args.into_iter().collect();
        bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }

    fn bundle(self) -> &'static Bundle {
        static ENGLISH: OnceLock<Bundle> = OnceLock::new();
        static KOREAN: OnceLock<Bundle> = OnceLock::new();
        let cell = match self {
            Self::English => &ENGLISH,
            Self::Korean => &KOREAN,
        };
        cell.get_or_init(|| {
            let language: LanguageIdentifier = self.tag().parse().unwrap_or_default();
            let mut bundle = FluentBundle::new_concurrent(vec![language]);
            // The marks that isolate directions would stand in titles and confuse searches; names have <bdi>.
            bundle.set_use_isolating(false);
            // A test sees to it that the file has no errors; what can be read would be used even so.
            let resource = FluentResource::try_new(self.source().to_owned()).unwrap_or_else(|(readable, _)| readable);
            bundle.add_resource_overriding(resource);
            bundle
        })
    }

    /// The Fluent file.
    pub(super) const fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("../../locales/en.ftl"),
            Self::Korean => include_str!("../../locales/ko.ftl"),
        }
    }
}

/// A text from outside, as an argument of a message.
pub(super) fn text(value: &str) -> FluentValue<'_> {
    FluentValue::String(Cow::Borrowed(value))
}

type Bundle = FluentBundle<FluentResource>;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use fluent_bundle::FluentBundle;

    use super::*;

    /// Each message's name, and the arguments that it uses.
    fn messages(locale: Locale) -> BTreeMap<String, Vec<String>> {
        let resource = FluentResource::try_new(locale.source().to_owned())
            .map_err(|(_, errors)| errors)
            .unwrap_or_else(|errors| panic!("{locale:?}: {errors:?}"));
        FluentBundle::new(vec![]).add_resource(&resource).expect("each message stands there once");
        let mut found = BTreeMap::new();
        let mut key = String::new();
        for line in locale.source().lines() {
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
}
