//! The only writer to the terminal: answers on stdout, complaints on stderr, JSON when asked for.

use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Write as _};

use comfy_table::{Table, presets};
use serde::Serialize;

use super::error::{CliError, Complaint};
use crate::telemetry::logs;

/// How a command answers.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// One JSON document on stdout, and nothing else there.
    pub json: bool,
}

#[derive(Serialize)]
struct Complaints {
    errors: Vec<Complaint>,
}

impl Output {
    /// The command's answer. Call it once: with `--json` it is the whole document.
    ///
    /// # Errors
    /// [`CliError::Output`] when stdout can't be written; a reader that went away is no error.
    pub fn show<T: Serialize + Display>(self, answer: &T) -> Result<(), CliError> {
        let text =
            if self.json { serde_json::to_string(answer).map_err(std::io::Error::from)? } else { answer.to_string() };
        self.print(&format!("{}\n", text.trim_end()))
    }

    /// A document that goes out as it is.
    ///
    /// # Errors
    /// As [`Output::show`].
    pub fn print(self, text: &str) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        taken(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
    }

    /// A line for the person who watches; left out of JSON.
    pub fn note(self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Why the command was not done.
    pub fn refuse(self, error: &CliError) {
        self.complain(error.complaints());
    }

    /// A command line that can't be understood.
    pub(super) fn refuse_usage(self, usage: &clap::Error) {
        if self.json {
            let text = usage.render().to_string();
            let error = text.trim_start_matches("error: ").trim().to_owned();
            let remedy = Some("perkgate --help".to_owned());
            self.complain(vec![Complaint { error, remedy, ..Complaint::default() }]);
        } else {
            let _ = usage.print();
        }
    }

    fn complain(self, errors: Vec<Complaint>) {
        let mut text = String::new();
        if self.json {
            text = serde_json::to_string(&Complaints { errors }).unwrap_or_default();
            text.push('\n');
        } else {
            for Complaint { error, remedy, .. } in errors {
                let _ = writeln!(text, "error: {error}");
                if let Some(remedy) = remedy {
                    let _ = writeln!(text, "  try: {remedy}");
                }
            }
        }
        // Behind the log lines, and without waiting for a reader that takes none of them.
        logs::say(text);
        logs::finish();
    }
}

/// Whether an answer got out. A reader that has seen enough and went away is no error.
///
/// # Errors
/// [`CliError::Output`].
pub(super) fn taken(written: std::io::Result<()>) -> Result<(), CliError> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}

/// Rows under headings, for a `Display`. Nothing is cut to the terminal's width: what is printed
/// may be a key.
#[must_use]
pub fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings);
    for row in rows {
        table.add_row(row);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_cuts_nothing() {
        let long = "x".repeat(200);
        let text = table(["id", "key"], [["a".to_owned(), long.clone()], ["bcd".to_owned(), "y".to_owned()]]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].contains(&long));
        assert_eq!(lines[0].find("key"), lines[2].find('y'));
    }
}
