//! The only writer to the terminal: answers on stdout, errors on stderr, JSON when asked for.
//!
//! Files, rows, names and what servers answer may hold anything, escape sequences among it. So nothing goes out that
//! `escape` has not seen: answers are made of lines by `write_line!`, which also keeps a value from passing for
//! another line, and of [`table`]s, and what is written at last is looked at once more.

pub(crate) mod confirmation;
pub(crate) mod error_report;
pub(crate) mod guest_words;
pub(crate) mod limits_left;
pub(crate) mod progress;
mod usage_error;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::{self, Display, Write as _};
use std::io::{ErrorKind, IsTerminal as _, Write as _};

use comfy_table::{Table, presets};
use serde::Serialize;

use super::error::CliError;
pub(super) use crate::foundation::count::{counted, counted_as};
use crate::foundation::escape;
use crate::telemetry::logs;
use error_report::ErrorReport;

/// How the text of an API key begins.
const KEY_PREFIX: &str = "pgk_";
/// The shortest text behind it that may be one.
const SHORTEST_SECRET: usize = 16;

/// The form in which a command answers.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// One JSON document on stdout, and nothing else there.
    pub json: bool,
}

#[derive(Serialize)]
struct ErrorReports {
    errors: Vec<ErrorReport>,
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

    /// A document that goes out as it is, but for what would steer a terminal.
    ///
    /// # Errors
    /// As [`Output::show`].
    pub fn print(self, text: &str) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        taken(stdout.write_all(escape::document(text).as_bytes()).and_then(|()| stdout.flush()))
    }

    /// Where a document goes that must stay as it is to be verified; on a terminal nobody verifies it, and it is
    /// escaped.
    pub(super) fn document() -> Box<dyn std::io::Write> {
        let stdout = std::io::stdout();
        if stdout.is_terminal() { Box::new(Escaping { out: stdout, line: Vec::new() }) } else { Box::new(stdout) }
    }

    /// A line for the person who watches; left out of JSON.
    pub fn note(self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{}", escape::line(text));
        }
    }

    /// Why the command was not done.
    pub fn refuse(self, error: &CliError) {
        self.report(error.reports());
    }

    /// A command line that can't be understood. What it says of `arguments` repeats them.
    pub(super) fn refuse_usage(self, usage: &clap::Error, arguments: &[OsString], command: &clap::Command) {
        if self.json {
            self.report(vec![usage_error::report_of(usage, arguments, command)]);
            return;
        }
        let mut text = without_keys(&usage.render().to_string());
        // What is repeated of such an argument is no longer what it was: clap takes escape sequences out of it. So
        // the line ends of the whole are escaped with it.
        let is_hostile = |argument: &OsString| matches!(escape::line(&argument.to_string_lossy()), Cow::Owned(_));
        if arguments.iter().any(is_hostile) {
            text = format!("{}\n", escape::line(text.trim_end()));
        }
        let _ = write!(std::io::stderr().lock(), "{}", escape::document(&text));
    }

    fn report(self, mut errors: Vec<ErrorReport>) {
        let mut text = String::new();
        for report in &mut errors {
            report.detail = without_keys(&report.detail);
        }
        if self.json {
            let document = serde_json::to_string(&ErrorReports { errors }).unwrap_or_default();
            text = format!("{}\n", escape::document(&document));
        } else {
            for ErrorReport { detail, remedy, .. } in errors {
                let _ = writeln!(text, "error: {}", escape::line(&detail));
                if let Some(remedy) = remedy {
                    let _ = writeln!(text, "  try: {}", escape::line(&remedy));
                }
            }
        }
        // Behind the log lines, and without waiting for a reader that takes none of them.
        logs::say(text);
        logs::finish();
    }
}

/// The text without API keys: someone may have pasted one where its id belongs, and errors are kept in
/// logs.
fn without_keys(text: &str) -> String {
    let mut parts = text.split(KEY_PREFIX);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let secret = part.len() - rest.len();
        shown.push_str(KEY_PREFIX);
        shown.push_str(if secret < SHORTEST_SECRET { part } else { "…" });
        if secret >= SHORTEST_SECRET {
            shown.push_str(rest);
        }
    }
    shown
}

/// Checks that an answer got out. A reader that has seen enough and went away is no error.
///
/// # Errors
/// [`CliError::Output`].
pub(super) fn taken(written: std::io::Result<()>) -> Result<(), CliError> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CliError::Output(error)),
        _ => Ok(()),
    }
}

/// Escapes what is written, line by line.
struct Escaping<W: std::io::Write> {
    out: W,
    line: Vec<u8>,
}

impl<W: std::io::Write> std::io::Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.line.extend_from_slice(bytes);
        let whole = self.line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = self.line.split_off(whole);
        let lines = std::mem::replace(&mut self.line, rest);
        self.out.write_all(escape::document(&String::from_utf8_lossy(&lines)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let rest = std::mem::take(&mut self.line);
        self.out.write_all(escape::document(&String::from_utf8_lossy(&rest)).as_bytes())?;
        self.out.flush()
    }
}

/// Writes a line of an answer, for a `Display`. A line end that stands in a value is no line end of the answer.
macro_rules! write_line {
    ($f:expr) => { std::fmt::Write::write_char($f, '\n') };
    ($f:expr, $text:literal $($values:tt)*) => {
        $crate::cli::output::write_text($f, $text, &format!($text $($values)*))
            .and_then(|()| std::fmt::Write::write_char($f, '\n'))
    };
}
pub(super) use write_line;

/// Writes a part of a line, as [`write_line!`].
macro_rules! write_part {
    ($f:expr, $text:literal $($values:tt)*) => {
        $crate::cli::output::write_text($f, $text, &format!($text $($values)*))
    };
}
pub(super) use write_part;

/// Writes text whose line ends are its own: a table, a document.
pub(super) fn write_block(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "{}", escape::document(text))
}

/// `template` is what `text` was made of.
pub(super) fn write_text(f: &mut fmt::Formatter<'_>, template: &str, text: &str) -> fmt::Result {
    let line_ends = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count();
    // Values with line ends are rare and hostile: then those of the template are escaped with them.
    let has_own_only = line_ends(text) == line_ends(template);
    f.write_str(&if has_own_only { escape::document(text) } else { escape::line(text) })
}

/// Rows under headings, for a `Display`. Nothing is cut to the terminal's width: what is printed
/// may be a key.
#[must_use]
pub fn table<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings);
    for row in rows {
        table.add_row(row.map(|cell| escape::line(&cell).into_owned()));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_no_line_of_an_answer_and_moves_no_cursor() {
        struct Answer(&'static str);
        impl Display for Answer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let value = self.0;
                write_line!(f, "\nwrong: {value}")?;
                write_part!(f, "{:>3}%", 9)
            }
        }
        assert_eq!(Answer("x").to_string(), "\nwrong: x\n  9%");
        let hostile = "\u{1b}[2J\nall is well";
        assert_eq!(Answer(hostile).to_string(), "\\nwrong: \\u001b[2J\\nall is well\n  9%");
        assert_eq!(table(["a"], [[hostile.to_owned()]]).lines().count(), 2);
    }

    #[test]
    fn no_key_is_complained_of_in_full() {
        let key = format!("pgk_{}_0123abcd", "5e".repeat(24));
        assert_eq!(without_keys(&format!("'{key}', {key}")), "'pgk_…', pgk_…");
        for harmless in ["", "key_1", "`pgk_…`, 48 digits", "pgk_secret"] {
            assert_eq!(without_keys(harmless), harmless);
        }
    }

    #[test]
    fn a_document_on_a_terminal_is_escaped_line_by_line() {
        let mut out = Escaping { out: Vec::new(), line: Vec::new() };
        let text = "a\u{9b}é\r\n\u{1b}[2J\nrest";
        // Wherever a letter is cut.
        text.bytes().for_each(|byte| out.write_all(&[byte]).unwrap());
        out.flush().unwrap();
        assert_eq!(String::from_utf8(out.out).unwrap(), "a\\u009bé\r\n\\u001b[2J\nrest");
    }

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
