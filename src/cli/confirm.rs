//! Asks a person at a terminal.

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
}
