//! Feeds on the command line: a file, its format, and what became of it.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::error::CliError;
use super::output::progress::Reading;
use super::output::write_line;
use super::source::held::HeldView;
use super::{Completion, Invocation};
use crate::gateway::Gateway;
use crate::scores::feed::Feed;
use crate::scores::import::ImportReport;
use crate::scores::rows::BAD_HEADER;
use crate::scores::{Format, Import, LineError};

/// The number of bytes of a feed that are read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The longest time an import waits for Redis, through which replicas hear of what is new.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FeedFormat {
    Csv,
    Ndjson,
}

impl FeedFormat {
    fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_ascii_lowercase().to_str()? {
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

impl From<FeedFormat> for Format {
    fn from(format: FeedFormat) -> Self {
        match format {
            FeedFormat::Csv => Self::Csv,
            FeedFormat::Ndjson => Self::Ndjson,
        }
    }
}

#[derive(Serialize)]
struct Imported {
    accepted: u64,
    unchanged: u64,
    stale: u64,
    rejected: u64,
    /// The first of them; the counts are whole.
    errors: Vec<RejectedLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldView>,
}

/// A line of a feed that was not taken.
#[derive(Serialize)]
pub(super) struct RejectedLine {
    line: u64,
    code: &'static str,
    detail: String,
}

impl From<LineError> for RejectedLine {
    fn from(LineError { line, fault }: LineError) -> Self {
        Self { line, code: fault.code(), detail: fault.to_string() }
    }
}

/// Writes the lines of a feed that were not taken, and how many there are of `all` that are not listed.
pub(super) fn write_errors(f: &mut fmt::Formatter<'_>, errors: &[RejectedLine], all: u64) -> fmt::Result {
    for RejectedLine { line, code, detail } in errors {
        write_line!(f, "  line {line}: {detail} ({code})")?;
    }
    if errors.iter().any(|it| it.code == BAD_HEADER) {
        return Ok(());
    }
    let listed = u64::try_from(errors.len()).unwrap_or(u64::MAX);
    match all.saturating_sub(listed) {
        0 => Ok(()),
        more => write_line!(f, "  and {more} more"),
    }
}

impl From<ImportReport> for Imported {
    fn from(report: ImportReport) -> Self {
        let ImportReport { accepted, unchanged, stale, rejected, errors, held, .. } = report;
        let (errors, held) = (errors.into_iter().map(RejectedLine::from).collect(), held.map(HeldView::from));
        Self { accepted, unchanged, stale, rejected, errors, held }
    }
}

impl Imported {
    /// Tells whether there were lines, and none of them was good.
    const fn is_all_rejected(&self) -> bool {
        self.rejected > 0 && !self.has_good_lines()
    }

    const fn has_good_lines(&self) -> bool {
        self.accepted + self.unchanged + self.stale > 0
    }
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, unchanged, stale, rejected, errors, held } = self;
        if *rejected == 0 && !self.has_good_lines() {
            return write_line!(f, "there was no row in it: nothing was imported");
        }
        write_line!(f, "{accepted} accepted, {unchanged} unchanged, {stale} stale, {rejected} rejected")?;
        write_errors(f, errors, stale + rejected)?;
        if let Some(held) = held {
            write_line!(f, "It is held: none of it counts until a person releases it.")?;
            write_line!(f, "{held}")?;
        }
        Ok(())
    }
}

/// The format that is given, or that the file's name tells.
///
/// # Errors
/// [`CliError::UnknownFormat`].
pub(super) fn format_of(given: Option<FeedFormat>, file: &Path) -> Result<Format, CliError> {
    given.or_else(|| FeedFormat::of_name(file)).map(Format::from).ok_or(CliError::UnknownFormat)
}

/// Shows what became of a feed: it failed if every line of it was rejected.
///
/// # Errors
/// [`CliError::Output`].
pub(super) fn show(report: ImportReport, invocation: &Invocation) -> Result<Completion, CliError> {
    let imported = Imported::from(report);
    invocation.output.show(&imported)?;
    Ok(if imported.is_all_rejected() { Completion::Failed } else { Completion::Succeeded })
}

/// A file or standard input, open.
pub(super) struct FeedFile {
    path: PathBuf,
    bytes: Box<dyn Read>,
    total_bytes: Option<u64>,
}

impl FeedFile {
    pub(super) fn open(path: PathBuf) -> Result<Self, CliError> {
        if path == Path::new("-") {
            return Ok(Self { path, bytes: Box::new(std::io::stdin()), total_bytes: None });
        }
        let opened = std::fs::File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err(CliError::Unreadable { path, why: error.to_string() }),
        };
        let total_bytes = metadata.is_file().then_some(metadata.len());
        Ok(Self { path, bytes: Box::new(file), total_bytes })
    }

    /// The next bytes, none at the end. It blocks: only the command's own thread may call it.
    fn read<'a>(&mut self, piece: &'a mut [u8]) -> Result<&'a [u8], CliError> {
        loop {
            match self.bytes.read(piece) {
                Ok(length) => return Ok(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(CliError::Unreadable { path: self.path.clone(), why: error.to_string() });
                }
            }
        }
    }
}

/// Imports the whole file, with its progress.
pub(super) async fn import<F: Feed>(
    gateway: &Gateway,
    mut import: Import<F>,
    mut feed: FeedFile,
    invocation: &Invocation,
) -> Result<ImportReport, CliError> {
    let servers_hear = match &gateway.redis {
        Some(redis) => redis.wait_until_up(REDIS_PATIENCE).await,
        None => false,
    };
    let mut progress = Reading::start(invocation.output, feed.total_bytes);
    let mut piece = vec![0; PIECE_BYTES];
    let stopped = loop {
        let bytes = feed.read(&mut piece)?;
        if bytes.is_empty() {
            match import.finish().await {
                Ok(report) => {
                    drop(progress);
                    if !servers_hear && report.accepted > 0 {
                        let ttl = gateway.settings.bounds.score_cache_ttl;
                        let note =
                            format!("A server that runs may go by what is in its memory for up to {ttl:?} more.");
                        invocation.output.note(&note);
                    }
                    return Ok(report);
                }
                Err(error) => break error,
            }
        }
        if let Err(error) = import.push(bytes).await {
            break error;
        }
        progress.advance(bytes);
    };
    Err(CliError::ImportStopped { accepted: import.report().accepted, source: stopped })
}
