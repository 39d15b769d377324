//! An answer as text for people.

use std::fmt::Write;

use cloakroom_core::method::Method;

use super::{
    Advice, Choice, Fit, Reason, recommend,
    rules::Effect,
    words::{Words, words},
};
use crate::{
    case::{Case, shown},
    language::Lang,
};

/// The answer to a case: the method, why, its settings, its cost, the other methods, and what would change it.
pub fn show(case: &Case, advice: &Advice, lang: Lang) -> String {
    let words = words(lang);
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = write(&mut out, case, advice, words);
    out
}

fn write(out: &mut String, case: &Case, advice: &Advice, words: &Words) -> std::fmt::Result {
    match advice.recommended {
        Some(method) => writeln!(out, "{}", (words.use_method)(method.name()))?,
        None => writeln!(out, "{}", words.nothing)?,
    }
    for conflict in &advice.conflicts {
        writeln!(out, "{}", conflict.text)?;
    }
    if let Some(best) = advice.options.first().filter(|choice| choice.fit == Fit::Best) {
        reasons(out, best, words)?;
        alone(out, case, best.method, words)?;
        writeln!(out, "\n{}\n", words.settings)?;
        for line in toml::to_string(&best.settings).unwrap_or_default().trim_end().lines() {
            writeln!(out, "    {line}")?;
        }
        if case.servers > 1 {
            writeln!(out, "\n{}", words.secret)?;
        }
        writeln!(out, "\n{}", words.cost)?;
        for (what, how_much) in (words.costs)(&best.estimate) {
            writeln!(out, "  {what}: {how_much}")?;
        }
    }
    writeln!(out, "\n{}", words.others)?;
    for choice in advice.options.iter().filter(|choice| choice.fit != Fit::Best) {
        writeln!(out, "\n{}: {}", choice.method, (words.fits)(choice.fit))?;
        reasons(out, choice, words)?;
    }
    writeln!(out, "\n{}", words.changes)?;
    for change in &advice.changes {
        let (to, from) = (shown(&change.to), shown(&change.from));
        writeln!(out, "  {}", (words.changed)(change.key, &to, &from, change.recommended.map(Method::name)))?;
    }
    if advice.changes.is_empty() {
        writeln!(out, "  {}", words.unchanged)?;
    }
    writeln!(out, "\n{}\n", words.case)?;
    for line in case.to_toml().lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

fn reasons(out: &mut String, choice: &Choice, words: &Words) -> std::fmt::Result {
    for reason in &choice.reasons {
        writeln!(out, "  {} {}: {}", mark(reason.effect), reason.rule.id, detail(reason, words))?;
    }
    Ok(())
}

/// Clients of several kinds may have an app each.
fn alone(out: &mut String, case: &Case, best: Method, words: &Words) -> std::fmt::Result {
    if case.clients.len() < 2 {
        return Ok(());
    }
    for client in &case.clients {
        let mut other = case.clone();
        other.clients.retain(|kept| kept == client);
        if let Some(method) = recommend(&other).filter(|method| *method != best) {
            writeln!(out, "  {}", (words.apart)(client.name(), method.name()))?;
        }
    }
    Ok(())
}

const fn mark(effect: Effect) -> char {
    match effect {
        Effect::RulesOut => '×',
        Effect::Against(_) => '-',
        Effect::For => '+',
    }
}

fn detail(reason: &Reason, words: &Words) -> String {
    match reason.effect {
        Effect::RulesOut => format!("{} [{}]", reason.text(), words.ruled_out),
        Effect::Against(points) => format!("{} [{}]", reason.text(), (words.against)(points)),
        Effect::For => reason.text(),
    }
}
