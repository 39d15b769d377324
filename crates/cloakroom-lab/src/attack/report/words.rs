//! The words of the report's frame, in its language.

use crate::{
    attack::{Family, Outcome},
    language::Lang,
    messages::{Messages, text},
};

use super::TryRow;

static MESSAGES: Messages =
    Messages::new(include_str!("../../../locales/attack.en.ftl"), include_str!("../../../locales/attack.ko.ftl"));

/// A language to speak.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) lang: Lang,
}

impl Words {
    pub(super) fn say(self, key: &str) -> String {
        MESSAGES.say(self.lang, key)
    }

    /// With texts that it is about.
    pub(super) fn with<const N: usize>(self, key: &str, args: [(&'static str, &str); N]) -> String {
        MESSAGES.say_with(self.lang, key, args.map(|(name, value)| (name, text(value))))
    }

    /// What came of a try, in a word or two.
    pub(super) fn outcome(self, row: &TryRow) -> String {
        match (row.outcome, row.window_s) {
            (Outcome::Succeeded, _) => self.say("outcome-succeeded"),
            (Outcome::Failed, _) => self.say("outcome-failed"),
            (Outcome::Window, window) => {
                self.with("outcome-window", [("seconds", &format!("{:.1}", window.unwrap_or_default()))])
            }
            (Outcome::NotApplicable, _) => self.say("outcome-none"),
        }
    }

    /// `careless` or `cloakroom`, as people read it.
    pub(super) fn target(self, target: &str) -> String {
        self.say(if target == "careless" { "target-careless" } else { "target-cloakroom" })
    }

    pub(super) fn family(self, family: Family) -> String {
        self.say(match family {
            Family::Theft => "family-theft",
            Family::CrossSite => "family-cross-site",
            Family::Cookies => "family-cookies",
            Family::Tokens => "family-tokens",
            Family::Guessing => "family-guessing",
            Family::Pressure => "family-pressure",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::tests::agree;

    #[test]
    fn both_languages_say_the_same_and_all_of_it() {
        let sources = [include_str!("words.rs"), include_str!("document.rs"), include_str!("mod.rs")];
        agree(&MESSAGES, &sources, &[]);
    }
}
