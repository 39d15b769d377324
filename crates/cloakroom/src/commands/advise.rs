//! `cloakroom advise`.

use std::io::{self, IsTerminal};

use cloakroom_lab::{
    advise::{decide, questions, show},
    case::Case,
};

use super::case;
use crate::{args::Advise, failure::Failure, output::Output};

pub(crate) fn run(args: &Advise, output: Output) -> Result<(), Failure> {
    let case = match case::read(args.case.as_deref())? {
        Some(case) => case,
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
