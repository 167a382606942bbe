//! The progress of a long piece of work, on stderr, when a person is there to see it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Output, counted};
use crate::cli::error::CliError;
use crate::database::DatabaseError;
use crate::eligibility::runs::Run;

/// The reading of a file or stream of lines. It goes away when dropped.
pub(crate) struct Reading {
    bar: ProgressBar,
    lines: u64,
}

impl Reading {
    /// `total_bytes` when it is known. Nothing is drawn with `--json`, or when stderr is no terminal.
    pub(crate) fn start(output: Output, total_bytes: Option<u64>) -> Self {
        let target = if output.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let template = match total_bytes {
            Some(_) => "{bar:30} {bytes}/{total_bytes} ({bytes_per_sec}, {eta} left) {msg}",
            None => "{spinner} {bytes} ({bytes_per_sec}) {msg}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: ProgressBar::with_draw_target(total_bytes, target).with_style(style), lines: 0 }
    }

    /// These bytes were read and dealt with.
    pub(crate) fn advance(&mut self, bytes: &[u8]) {
        self.lines += bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.bar.inc(bytes.len() as u64);
        if !self.bar.is_hidden() {
            self.bar.set_message(counted(self.lines, "line"));
        }
    }
}

/// A bar that counts up to what there is. It goes away when dropped.
pub(crate) struct Counting(ProgressBar);

impl Counting {
    /// Nothing is drawn with `--json`, or when stderr is no terminal.
    pub(crate) fn start(output: Output, what: &'static str) -> Self {
        let target = if output.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let template = format!("{{bar:30}} {{human_pos}}/{{human_len}} {what} ({{per_sec}}, {{eta}} left)");
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::with_draw_target(None, target).with_style(style))
    }

    /// So many of so many are done.
    pub(crate) fn at(&self, done: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(done);
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Works a run off with a bar that counts `what`, and returns what came out.
///
/// # Errors
/// The errors of the run.
pub(crate) async fn work_off<R: Run>(output: Output, what: &'static str, mut run: R) -> Result<R::Answer, CliError> {
    let bar = Counting::start(output, what);
    while let Some(progress) = run.step().await? {
        bar.at(progress.done, progress.of);
    }
    run.finish().ok_or(CliError::Database(DatabaseError::Interrupted))
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
