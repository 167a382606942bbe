//! `perkgate score`: imports a feed of scores, shows one score.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::once::{self, MerchantFlag, Needs};
use super::output::progress::Reading;
use super::output::{write_line, write_part};
use super::{Completion, Invocation};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::scores::import::{ImportConfig, ImportReport};
use crate::scores::rows::BAD_HEADER;
use crate::scores::{Format, LineError, Source};

/// The number of bytes of a feed that are read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The longest time an import waits for Redis, through which replicas hear of new scores.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Import a feed of scores: good lines are kept, bad ones are reported with their number.
    ///
    /// The feed is CSV with the header `subject,value,observed_at` (columns in any order), or one
    /// JSON object with these fields a line. Importing it again is safe: the newest observation of
    /// a subject stands. Exits with 1 when the import could not go on, or when every line of it was
    /// rejected; with 0 when only some were, or when there was no score in it: a feed may have nothing new.
    Import {
        /// The feed; `-` is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where the scores come from: `klout`, or a source made before.
        #[arg(long, value_name = "NAME")]
        source: SourceName,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// How the feed is written. Without it, as its name ends: .csv, .ndjson or .jsonl.
        #[arg(long)]
        format: Option<FeedFormat>,
    },
    /// Show the score of a subject as it stands in the database.
    Show {
        /// The person: `network:handle` or a member number.
        #[arg(value_name = "SUBJECT")]
        subject: SubjectHandle,
        #[arg(long, value_name = "NAME", help = "Where the score comes from")]
        source: SourceName,
        #[command(flatten)]
        merchant: MerchantFlag,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FeedFormat {
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
}

/// A line of a feed that was not taken.
#[derive(Serialize)]
struct RejectedLine {
    line: u64,
    code: &'static str,
    detail: String,
}

impl From<ImportReport> for Imported {
    fn from(report: ImportReport) -> Self {
        let ImportReport { accepted, unchanged, stale, rejected, errors } = report;
        let listed = |LineError { line, fault }| RejectedLine { line, code: fault.code(), detail: fault.to_string() };
        Self { accepted, unchanged, stale, rejected, errors: errors.into_iter().map(listed).collect() }
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
        let Self { accepted, unchanged, stale, rejected, errors } = self;
        if *rejected == 0 && !self.has_good_lines() {
            return write_line!(f, "there was no score in it: nothing was imported");
        }
        write_line!(f, "{accepted} accepted, {unchanged} unchanged, {stale} stale, {rejected} rejected")?;
        for RejectedLine { line, code, detail } in errors {
            write_line!(f, "  line {line}: {detail} ({code})")?;
        }
        if errors.iter().any(|it| it.code == BAD_HEADER) {
            return Ok(());
        }
        let listed = u64::try_from(errors.len()).unwrap_or(u64::MAX);
        match (stale + rejected).saturating_sub(listed) {
            0 => Ok(()),
            more => write_line!(f, "  and {more} more"),
        }
    }
}

#[derive(Serialize)]
struct Shown {
    source: SourceName,
    subject: String,
    value: Decimal,
    observed_at: Timestamp,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, subject, value, observed_at } = self;
        write_part!(f, "{subject} has {value} from `{source}`, observed {observed_at}")
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::Import { file, source, merchant, format } => {
            let format = format.or_else(|| FeedFormat::of_name(&file)).ok_or(CliError::UnknownFormat)?;
            let feed = Feed::open(file)?;
            let report = invocation.with_gateway(Needs::Existing, async |gateway| {
                let (merchant, source) = whose(gateway, &merchant, &source).await?;
                let config = ImportConfig { merchant, source, format: format.into(), clock: gateway.clock.clone() };
                import(gateway, config, feed, invocation).await
            })?;
            let imported = Imported::from(report);
            invocation.output.show(&imported)?;
            Ok(if imported.is_all_rejected() { Completion::Failed } else { Completion::Succeeded })
        }
        Action::Show { subject, source, merchant } => {
            let found = invocation.with_gateway(Needs::Existing, async |gateway| {
                let (merchant, source) = whose(gateway, &merchant, &source).await?;
                let reference = gateway.keyring.subject_refs(&merchant, &subject);
                let found = gateway.scores.get(&merchant, &source.name, reference).await?;
                found.ok_or(CliError::NoScore(source.name))
            })?;
            let subject = subject.as_str().to_owned();
            invocation.output.show(&Shown { source, subject, value: found.value, observed_at: found.observed_at })?;
            Ok(Completion::Succeeded)
        }
    }
}

async fn whose(
    gateway: &Gateway,
    merchant: &MerchantFlag,
    source: &SourceName,
) -> Result<(MerchantId, Source), CliError> {
    let merchant = once::merchant(gateway, merchant).await?.id;
    let found = gateway.scores.find_source(&merchant, source).await?;
    Ok((merchant, found.ok_or_else(|| CliError::UnknownSource(source.clone()))?))
}

/// A file or standard input, open.
struct Feed {
    path: PathBuf,
    bytes: Box<dyn Read>,
    total_bytes: Option<u64>,
}

impl Feed {
    fn open(path: PathBuf) -> Result<Self, CliError> {
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

async fn import(
    gateway: &Gateway,
    config: ImportConfig,
    mut feed: Feed,
    invocation: &Invocation,
) -> Result<ImportReport, CliError> {
    let servers_hear = match &gateway.redis {
        Some(redis) => redis.wait_until_up(REDIS_PATIENCE).await,
        None => false,
    };
    let (keyring, merchant) = (gateway.keyring.clone(), config.merchant.clone());
    let mut import = gateway.scores.import(config, move |handle| keyring.subject_refs(&merchant, handle));
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
                        let note = format!("A server that runs may go by scores in its memory for up to {ttl:?} more.");
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
