//! Passwords from operators: asked for, read from the standard input, or made.

use std::io::{self, BufRead, IsTerminal, Read};

use cloakroom_core::random::Rng;
use cloakroom_server::control::Hidden;
use zeroize::Zeroizing;

use crate::{args::PasswordFrom, failure::Failure};

/// A new password, and whether it was made here and must be shown.
pub(crate) fn new(from: PasswordFrom) -> Result<(Hidden, bool), Failure> {
    if from.generate {
        return Ok((Hidden::new(generate(&Rng::system())), true));
    }
    let text = if from.password_stdin {
        first_line(&mut io::stdin().lock())?
    } else if io::stdin().is_terminal() {
        prompt()?
    } else {
        return Err(Failure::usage(
            "there is no terminal to ask for a password at; use --password-stdin or --generate",
        ));
    };
    Ok((Hidden::new(text), false))
}

fn prompt() -> Result<Zeroizing<String>, Failure> {
    let ask = |what| rpassword::prompt_password(what).map(Zeroizing::new).map_err(|error| Failure::fault(&error));
    let first = ask("New password: ")?;
    if *first != *ask("Once more: ")? {
        return Err(Failure::usage("the two are not the same"));
    }
    Ok(first)
}

/// One line, of which the line break is no part.
pub(crate) fn first_line(from: &mut impl BufRead) -> Result<Zeroizing<String>, Failure> {
    const LONGEST: u64 = 64 * 1024;
    let mut line = Zeroizing::new(String::with_capacity(4096));
    from.take(LONGEST).read_line(&mut line).map_err(|error| Failure::fault(&error))?;
    let length = line.strip_suffix('\n').map_or(line.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    line.truncate(length);
    if line.is_empty() {
        return Err(Failure::usage("the first line of the standard input is empty"));
    }
    Ok(line)
}

/// Four groups of five characters that are not mistaken for one another: 100 random bits.
fn generate(rng: &Rng) -> Zeroizing<String> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let drawn = Zeroizing::new(rng.bytes::<20>());
    let mut text = Zeroizing::new(String::with_capacity(23));
    for (i, byte) in drawn.iter().enumerate() {
        if i > 0 && i % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_loses_its_line_break_and_nothing_else() {
        for (text, line) in [("a b \nc", "a b "), ("a\r\n", "a"), ("a", "a"), ("\ta\r", "\ta\r")] {
            assert_eq!(*first_line(&mut text.as_bytes()).unwrap(), line);
        }
        assert!(first_line(&mut "\nb".as_bytes()).is_err());
        assert!(first_line(&mut "".as_bytes()).is_err());
    }

    #[test]
    fn a_made_password_would_be_taken() {
        let made = generate(&Rng::seeded(1));
        assert_eq!(made.len(), 23);
        assert_ne!(*made, *generate(&Rng::seeded(2)));
        cloakroom_core::credential::NewPassword::choose(made.to_string(), &["ada@example.com"]).unwrap();
    }
}
