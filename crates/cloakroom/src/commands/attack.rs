//! `cloakroom attack`.

use std::env;

use cloakroom_lab::{
    attack::{self, Options, Report, RunError},
    language::Lang,
};
use serde_json::Value;

use crate::{args::Attack, failure::Failure, output::Output};

pub(crate) async fn run(wanted: Attack, output: Output) -> Result<(), Failure> {
    let program = env::current_exe().map_err(|error| Failure::fault(&error))?;
    let bar = output.bar(attack::names().count() as u64);
    let progress = {
        let bar = bar.clone();
        Box::new(move |done: usize, all: usize| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        })
    };
    let done = attack::run(Options { program, target: wanted.target, only: wanted.only, progress }).await;
    bar.finish_and_clear();
    let report = done.map_err(|error| match error {
        RunError::NotLoopback(_) | RunError::Unknown(..) => Failure::usage(error.to_string()),
        error => Failure::fault(&error),
    })?;
    if let Some(dir) = &wanted.out {
        report
            .write(wanted.lang, dir)
            .map_err(|error| Failure::refused("unwritable", format!("{}: {error}", dir.display())))?;
        output.remark(format_args!("The report is {}.", dir.join("report.html").display()));
    }
    let value = serde_json::to_value(&report).map_err(|error| Failure::fault(&error))?;
    output.answer(&value, |_: &Value| table(&report, wanted.lang, output));
    if report.is_good() {
        return Ok(());
    }
    let wrong: Vec<_> = report
        .wrong()
        .map(|(attack, row)| {
            let word = row.word(Lang::English);
            format!("{}, {} {}: {word}: {}", attack.id, row.target, row.method, row.evidence)
        })
        .collect();
    let code = if wrong.is_empty() { "attack_left_out" } else { "attack_found_something" };
    let left_out = report.left_out.iter().map(|left| format!("{}: left out: {}", left.id, left.why));
    Err(Failure::refused(code, wrong.into_iter().chain(left_out).collect::<Vec<_>>().join("\n")))
}

fn table(report: &Report, lang: Lang, output: Output) {
    let header = ["attack", "careless: session", "jwt", "Cloakroom: session", "jwt", "phantom", "jwt-stateless"];
    let rows = report.attacks.iter().map(|attack| {
        let mut row = vec![attack.id.to_owned()];
        row.extend(attack.words(lang));
        row.resize(header.len(), String::new());
        row
    });
    output.table(&header, rows.collect(), "no attack was tried");
    output.line(report.summary(lang));
}
