//! Up to ten questions, for who has no case file. Which ones are asked depends on what was answered before.

use std::io::{self, BufRead, Write};

use super::words::words;
use crate::{
    case::{Case, Client, Key, Verifiers, parse_value, shown},
    language::Lang,
};

/// The questions, in their order; those that make no difference are left out.
const ORDER: [Key; 10] = [
    Key::Clients,
    Key::LiveSessions,
    Key::Servers,
    Key::Regions,
    Key::SharedStore,
    Key::Verifiers,
    Key::EndWithin,
    Key::CrossSite,
    Key::OfflineVerification,
    Key::Sensitive,
];

/// Asks, and takes answers until each can be read. When the answers end, what was not asked stands at its default. How many requests
/// and logins there are is reckoned from how many are signed in, in the proportions of the default case.
///
/// # Errors
/// When nothing can be read or written.
pub fn ask(answers: &mut impl BufRead, out: &mut impl Write, lang: Lang) -> io::Result<Case> {
    let words = words(lang);
    let mut case = Case::default();
    writeln!(out, "{}\n", words.intro)?;
    for key in ORDER {
        if !matters(&case, key) {
            continue;
        }
        let now = case.value(key);
        let now = now
            .as_bool()
            .map_or_else(|| shown(&now).replace(['"', '[', ']'], ""), |yes| (words.yes_no)(yes).to_owned());
        loop {
            write!(out, "{} [{now}] ", (words.question)(key))?;
            out.flush()?;
            let mut answer = String::new();
            if answers.read_line(&mut answer)? == 0 {
                writeln!(out)?;
                return Ok(case);
            }
            if answer.trim().is_empty() {
                break;
            }
            match parse_value(&mut case, key, &answer) {
                Ok(()) => break,
                Err(problem) => writeln!(out, "  {problem}")?,
            }
        }
        if key == Key::LiveSessions {
            let usual = Case::default();
            let times = case.live_sessions as f64 / usual.live_sessions as f64;
            case.requests_per_second = (usual.requests_per_second * times).max(1.0).round();
            case.logins_per_second = usual.logins_per_second * times;
        }
    }
    writeln!(out)?;
    Ok(case)
}

fn matters(case: &Case, key: Key) -> bool {
    match key {
        Key::Regions | Key::SharedStore => case.servers > 1,
        Key::CrossSite => case.has(Client::Browser),
        Key::OfflineVerification => case.verifiers != Verifiers::Own || case.regions > 1,
        _ => true,
    }
}
