//! `cloakroom advise`.

use std::io::{self, IsTerminal};

use cloakroom_lab::{
    advise::{decide, questions, show},
    case::{Case, CaseErrors},
};

use crate::{args::Advise, failure::Failure, output::Output};

pub(crate) fn run(args: &Advise, output: Output) -> Result<(), Failure> {
    let case = match &args.case {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::usage(format!(
                    "the case file {} cannot be read: {error}; name one, or leave --case out",
                    path.display()
                ))
            })?;
            Case::parse(path, &text)?
        }
        // With --json there is a program that asks, which would not answer.
        None if io::stdin().is_terminal() && !output.is_json() => {
            questions::ask(&mut io::stdin().lock(), &mut io::stderr().lock(), args.lang)
                .map_err(|error| Failure::fault(&error))?
        }
        None => Case::default(),
    };
    let advice = decide(&case, args.lang);
    let json = serde_json::to_value(&advice).map_err(|error| Failure::fault(&error))?;
    output.answer(&json, |_| output.line(show(&case, &advice, args.lang).trim_end()));
    Ok(())
}

/// All of them, one a line.
impl From<CaseErrors> for Failure {
    fn from(errors: CaseErrors) -> Self {
        let more = serde_json::to_value(&errors).ok();
        Self::wrong_file("bad_case", errors.to_string(), more)
    }
}
