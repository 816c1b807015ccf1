//! Asks a person at a terminal.

use std::collections::BTreeSet;
use std::io::BufRead;

use super::output::Output;
use crate::error::{Error, Kind, Result};

/// Asks; only `y` or `yes` is consent.
pub(super) fn ask(output: &mut Output<'_>, answers: &mut dyn BufRead, question: &str) -> Result<()> {
    output.ask(&format!("{question} [y/N]"));
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
        Ok(())
    } else {
        Err(Error::new(Kind::Cancelled, "nothing was done: not confirmed"))
    }
}

/// Asks; only the words, in any order and parted by blanks or commas, are consent.
pub(super) fn ask_words(output: &mut Output<'_>, answers: &mut dyn BufRead, question: &str, words: &[&str]) -> Result<()> {
    output.ask(&format!("{question} Type `{}` to go on:", words.join(" ")));
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    let typed: BTreeSet<&str> = answer.split([' ', ',', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    if typed == words.iter().copied().collect() && !typed.is_empty() {
        Ok(())
    } else {
        Err(Error::new(Kind::Cancelled, "nothing was done: not confirmed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Format;

    #[test]
    fn only_yes_is_consent() {
        let check = |answer: &str, consent| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let asked = ask(&mut Output::new(&mut out, &mut err, Format::Table, true), &mut answer.as_bytes(), "Purge `emails`?");
            assert_eq!(asked.is_ok(), consent, "{answer:?}");
            assert_eq!(String::from_utf8(err).unwrap(), "Purge `emails`? [y/N] ");
        };
        check("y\n", true);
        check(" YES \n", true);
        check("", false);
        check("\n", false);
        check("yep\n", false);
    }

    #[test]
    fn only_all_the_words_are_consent() {
        let check = |answer: &str, consent| {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut output = Output::new(&mut out, &mut err, Format::Table, true);
            let asked = ask_words(&mut output, &mut answer.as_bytes(), "Redrive?", &["audit", "mail"]);
            assert_eq!(asked.is_ok(), consent, "{answer:?}");
            assert_eq!(String::from_utf8(err).unwrap(), "Redrive? Type `audit mail` to go on: ");
        };
        check("audit mail\n", true);
        check("mail, audit\n", true);
        check("audit\n", false);
        check("audit mail more\n", false);
        check("y\n", false);
        check("", false);
    }
}
