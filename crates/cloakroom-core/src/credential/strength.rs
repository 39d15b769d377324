//! How soon a chosen password would be guessed, by the estimate of zxcvbn: word lists, dates, keyboard rows, repeats, and
//! what is known of this very person. Rules of composition are not asked for: they make passwords harder to keep, not
//! to guess.

use std::{collections::BTreeSet, fmt};

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;
use zxcvbn::{feedback::Feedback, zxcvbn};

/// Why a password would be guessed early, in English, for the one who chose it. It never quotes the password.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Weakness {
    /// What is wrong, where that has a name: "This is a top-10 common password."
    pub warning: Option<String>,
    /// What would help.
    pub suggestions: Vec<String>,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences = self.warning.iter().chain(&self.suggestions);
        sentences.enumerate().try_for_each(|(n, text)| write!(f, "{}{text}", if n == 0 { ": " } else { " " }))
    }
}

pub(super) fn judge(password: &str, context: &[&str]) -> Result<(), Weakness> {
    let words = words(context);
    let estimate = zxcvbn(&beginning(password), &words.iter().map(String::as_str).collect::<Vec<_>>());
    if estimate.guesses() >= NEEDED_GUESSES {
        return Ok(());
    }
    let feedback = estimate.feedback();
    Err(Weakness {
        warning: feedback.and_then(Feedback::warning).map(|warning| warning.to_string()),
        suggestions: feedback.map_or(&[][..], |f| f.suggestions()).iter().map(ToString::to_string).collect(),
    })
}

/// As much of a password as can be judged in a bounded time.
fn beginning(password: &str) -> Zeroizing<String> {
    let mut signs: Vec<char> = Vec::with_capacity(MAX_LETTER_SIGNS);
    let mut beginning = Zeroizing::new(String::with_capacity(MAX_CHARS * 4));
    beginning.extend(password.chars().take(MAX_CHARS).map(|c| {
        if !LETTER_SIGNS.contains(c) || signs.contains(&c) {
            return c;
        }
        if signs.len() == MAX_LETTER_SIGNS {
            return '~';
        }
        signs.push(c);
        c
    }));
    beginning
}

/// Each text itself, its parts of three letters or more, and its parts run together: `ada.zwetschge@example.test` is
/// guessed as `zwetschge` and as `adazwetschge` too.
fn words(context: &[&str]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for text in context {
        let text: String = text.nfkc().take(MAX_WORD_CHARS).collect();
        let local = text.split('@').next().unwrap_or_default();
        let run_together: String = local.chars().filter(|c| c.is_alphanumeric()).collect();
        let parts = text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned);
        words.extend([text.clone(), run_together].into_iter().chain(parts).filter(|word| word.chars().count() > 2));
    }
    while words.len() > MAX_WORDS {
        words.pop_last();
    }
    words
}

/// Safely unguessable online, and moderately so from a stolen slow hash. It is where zxcvbn's score 3 begins, less the
/// five guesses of grace by which that would refuse every password of the least length there is.
const NEEDED_GUESSES: u64 = 100_000_000;

/// The estimate takes more than linear time: later characters cannot make a password weaker than its beginning.
const MAX_CHARS: usize = 64;

/// Signs that stand for letters in `p@$$w0rd`. The estimate tries every way to read them, of which there are hundreds
/// when a password has them all, and would take seconds; so only the first few kinds are read as letters.
const LETTER_SIGNS: &str = "@({[<!|$+%";
const MAX_LETTER_SIGNS: usize = 3;

/// Words of context that are looked at, and the characters of each.
const MAX_WORDS: usize = 48;
const MAX_WORD_CHARS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_judged_is_bounded() {
        let judged = |text: &str| beginning(text).to_string();
        assert_eq!(judged("p@$$w0rd!"), "p@$$w0rd!");
        assert_eq!(judged("@({[<!|$+%@({a1"), "@({~~~~~~~@({a1");
        assert_eq!(judged(&"é".repeat(1000)), "é".repeat(MAX_CHARS));
        let long = "x-".repeat(10_000);
        let words = words(&[&long, &"q ".repeat(1000), &"abc1 ".repeat(1000), &long, "a@b"]);
        assert!(words.len() <= MAX_WORDS && words.iter().all(|word| word.chars().count() <= MAX_WORD_CHARS));
    }

    #[test]
    fn an_address_is_guessed_in_all_its_parts() {
        let words = words(&["Ada.Zwetschge@mail.example"]);
        for word in ["Ada.Zwetschge@mail.example", "AdaZwetschge", "Zwetschge", "mail", "example"] {
            assert!(words.contains(word), "{word}");
        }
    }

    #[test]
    fn a_weakness_is_told_in_words() {
        let weakness = judge("password", &[]).unwrap_err();
        assert_eq!(weakness.warning.as_deref(), Some("This is a top-10 common password."));
        assert!(weakness.to_string().starts_with(": This is a top-10 common password. Add another word or two."));
    }
}
