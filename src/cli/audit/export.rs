//! `perkgate audit export`: a log, or a period of it, as a file that proves itself.

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use crate::audit::Anchor;
use crate::audit::export::record::{Form, PeriodAsked, Record};
use crate::audit::export::{Export, Since, Wanted, skip_bom};
use crate::cli::error::CliError;
use crate::cli::once::{ACTOR, MerchantFlag, Needs, merchant};
use crate::cli::output::{Output, counted, counted_as, write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::foundation::subject::hex;
use crate::ledger::entry::LogOwner;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    merchant: MerchantFlag,
    /// The operator's own log.
    #[arg(long, conflicts_with = "merchant")]
    operator: bool,
    /// Events at or after this instant, as `2026-11-01T00:00:00Z`; from the first unless given.
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Events before this instant; to the last unless given.
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// How it is written: a line a record, or a table.
    #[arg(long, default_value = "ndjson")]
    format: Format,
    /// Go on where this earlier export ended; a checkpoint or a file of anchors does as well.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    since: Option<PathBuf>,
    /// Where to; `-` is standard output. It appears when the export is whole, and never before.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Ndjson,
    Csv,
}

/// The export that was written.
#[derive(Serialize)]
struct Exported {
    log: String,
    file: String,
    events: u64,
    /// Outside the period, there to lead to a signed root.
    leaves: u64,
    checkpoints: u64,
    /// Size and root of the checkpoint that it ends with: what the next one goes on from.
    size: u64,
    root: String,
}

impl fmt::Display for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, file, events, leaves, checkpoints, size, .. } = self;
        let events = counted(*events, "event");
        let leaves = counted_as(*leaves, "bare leaf", "bare leaves");
        let checkpoints = counted(*checkpoints, "checkpoint");
        write_line!(f, "{events} of the log {log}, {leaves} and {checkpoints}: {file}")?;
        write_part!(
            f,
            "It ends at {}; `--since {file}` goes on from there, `perkgate audit verify {file}` verifies it.",
            counted(*size, "event")
        )
    }
}

pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let since = args.since.as_deref().map(read_since).transpose()?;
    let form = match args.format {
        Format::Ndjson => Form::Ndjson,
        Format::Csv => Form::Csv,
    };
    let is_piped = args.out == Path::new("-");
    if !is_piped && args.out.exists() {
        return Err(CliError::FileExists(args.out.clone()));
    }
    let exported = invocation.with_gateway(Needs::Existing, async |gateway| {
        let log = if args.operator {
            LogOwner::Operator
        } else {
            LogOwner::Merchant(merchant(gateway, &args.merchant).await?.id)
        };
        let period = PeriodAsked { from: args.from, to: args.to };
        let mut export = gateway.exporter.begin(ACTOR, Wanted { log, period, since: since.clone(), form }).await?;
        if is_piped {
            write_to(&mut export, Output::document(), &args.out, invocation).await?;
        } else {
            write_whole(&mut export, &args.out, invocation).await?;
        }
        let end = export.end();
        Ok(Exported {
            log: export.log().to_owned(),
            file: args.out.display().to_string(),
            events: end.events,
            leaves: end.leaves,
            checkpoints: end.checkpoints,
            size: end.size,
            root: end.root.clone(),
        })
    })?;
    if !is_piped {
        invocation.output.show(&exported)?;
    }
    Ok(Completion::Succeeded)
}

/// Under another name first: what is cut off must not pass for the whole.
async fn write_whole(export: &mut Export, path: &Path, invocation: &Invocation) -> Result<(), CliError> {
    let unwritable = |error: std::io::Error| CliError::Unwritable { path: path.to_owned(), why: error.to_string() };
    let mut partial = path.as_os_str().to_owned();
    // Of its own: two that write to one place at once must not write into one file.
    partial.push(format!(".{}.partial", hex(&invocation.entropy.bytes::<4>())));
    let partial = PathBuf::from(partial);
    let file = File::create_new(&partial).map_err(unwritable)?;
    let written = async {
        let out = BufWriter::new(&file);
        write_to(export, out, path, invocation).await?;
        file.sync_all().map_err(unwritable)?;
        std::fs::rename(&partial, path).map_err(unwritable)
    };
    let written = written.await;
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

async fn write_to(
    export: &mut Export,
    mut out: impl std::io::Write,
    path: &Path,
    invocation: &Invocation,
) -> Result<(), CliError> {
    let unwritable = |error: std::io::Error| match path.to_str() {
        Some("-") => CliError::Output(error),
        _ => CliError::Unwritable { path: path.to_owned(), why: error.to_string() },
    };
    let target = if invocation.output.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} events ({per_sec}, {eta} left)");
    let bar = ProgressBar::with_draw_target(Some(0), target);
    let bar = style.map_or(bar.clone(), |style| bar.with_style(style));
    let worked = async {
        while let Some(piece) = export.next().await.transpose() {
            let piece = piece.map_err(|source| CliError::ExportStopped { path: path.to_owned(), source })?;
            out.write_all(piece.as_bytes()).map_err(unwritable)?;
            let (done, of) = export.progress();
            bar.set_length(of);
            bar.set_position(done);
        }
        out.flush().map_err(unwritable)
    };
    let worked = worked.await;
    bar.finish_and_clear();
    worked
}

/// The last checkpoint of an earlier export, or those of whatever else was kept. An export is read line by
/// line: it may be larger than memory.
fn read_since(path: &Path) -> Result<Since, CliError> {
    let unreadable = |why: String| CliError::Unreadable { path: path.to_owned(), why };
    let mut file = BufReader::new(File::open(path).map_err(|error| unreadable(error.to_string()))?);
    skip_bom(&mut file).map_err(|error| unreadable(error.to_string()))?;
    let opening = file.fill_buf().map_err(|error| unreadable(error.to_string()))?;
    let mut last = Last::default();
    if opening.starts_with(br#"{"record""#) {
        for (nth, line) in file.lines().enumerate() {
            let line = line.map_err(|error| unreadable(error.to_string()))?;
            let record = Record::of_line(&line).map_err(|error| unreadable(format!("line {}: {error}", nth + 1)))?;
            last.take(record);
        }
    } else if opening.starts_with(b"record,") {
        let mut rows = csv::Reader::from_reader(file);
        let mut row = csv::StringRecord::new();
        while rows.read_record(&mut row).map_err(|error| unreadable(error.to_string()))? {
            let line = row.position().map_or(0, csv::Position::line);
            let cells: Vec<&str> = row.iter().collect();
            last.take(Record::of_row(&cells).map_err(|error| unreadable(format!("line {line}: {error}")))?);
        }
    } else {
        let text = std::io::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
        let anchors = Anchor::parse(&path.display().to_string(), &text);
        let anchors = anchors.map_err(|error| unreadable(error.to_string()))?;
        return Ok(Since::Notes(anchors.into_iter().map(|anchor| anchor.note).collect()));
    }
    match last {
        Last { note: Some(note), is_over: true } => Ok(Since::Notes(vec![note])),
        Last { .. } => Err(unreadable("this export was cut off: it has no end".to_owned())),
    }
}

/// The end of an export, which the next one goes on from.
#[derive(Default)]
struct Last {
    note: Option<String>,
    is_over: bool,
}

impl Last {
    fn take(&mut self, record: Record<'_>) {
        match record {
            Record::Checkpoint(head) => self.note = Some(head.checkpoint.into_owned()),
            Record::End(_) => self.is_over = true,
            Record::Header(_) | Record::Key(_) | Record::Event { .. } | Record::Leaf { .. } => {}
        }
    }
}
