//! `--yes`, and the question in its place: whether something is meant that can't be undone.

use std::io::{BufRead, IsTerminal as _, Write as _};

use crate::cli::error::CliError;
use crate::foundation::escape;

/// `--yes`, for a command that can't be undone.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Confirmation {
    /// Don't ask first. Needed where nobody is at a terminal to be asked.
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// Asks the person at the terminal, unless `--yes` was given. `deed` is what is to be done: `retire the perk …`.
    ///
    /// # Errors
    /// [`CliError::Unconfirmed`] where nobody can be asked, [`CliError::Declined`] when the answer is not yes.
    pub(crate) fn ask(self, deed: &str) -> Result<(), CliError> {
        let is_attended = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        self.ask_from(deed, is_attended.then(|| std::io::stdin().lock()))
    }

    fn ask_from(self, deed: &str, terminal: Option<impl BufRead>) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        let Some(terminal) = terminal else { return Err(CliError::Unconfirmed(deed.to_owned())) };
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "This would {}. Type yes to go on: ", escape::line(deed)).and_then(|()| stderr.flush());
        let mut line = String::new();
        // An answer needs three letters.
        let read = terminal.take(64).read_line(&mut line);
        read.map_err(|e| CliError::Unreadable { path: "-".into(), why: e.to_string() })?;
        if line.trim().eq_ignore_ascii_case("yes") { Ok(()) } else { Err(CliError::Declined) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        let ask = |yes, answer: Option<&str>| Confirmation { yes }.ask_from("retire it", answer.map(str::as_bytes));
        for answer in ["yes\n", " YES \r\n", "yes"] {
            assert!(ask(false, Some(answer)).is_ok(), "{answer:?}");
        }
        for answer in ["", "\n", "y\n", "no\n", "yes please\n"] {
            assert!(matches!(ask(false, Some(answer)), Err(CliError::Declined)), "{answer:?}");
        }
        assert!(ask(true, None).is_ok());
        assert!(matches!(ask(false, None), Err(CliError::Unconfirmed(deed)) if deed == "retire it"));
    }
}
