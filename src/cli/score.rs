//! `perkgate score`: imports a feed of scores, computes them, shows one and its history.

use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::error::CliError;
use super::feed::{self, FeedFile, FeedFormat, format_of};
use super::once::{self, ACTOR, MerchantFlag, Needs};
use super::output::progress::Counting;
use super::output::{counted, write_line, write_part};
use super::{Completion, Invocation};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::scores::computing::Mode;
use crate::scores::computing::run::{ComputeProgress, ComputeReport};
use crate::scores::history::{Changes, KEPT_DAYS};
use crate::scores::import::ImportConfig;
use crate::scores::score::SourceKind;
use crate::scores::{ScoreError, Source};
use crate::scoring::observation::date_of;

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
    /// rejected; with 0 when only some were, or when there was no row in it: a feed may have nothing new.
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
    /// Compute the scores of a source for those who are due.
    ///
    /// A gateway that serves does so by itself, every minute. Broken off, it goes on where it was when it is run again.
    Compute {
        /// A computed source.
        #[arg(value_name = "SOURCE")]
        source: SourceName,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// Tell what would change, and write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Compute everyone who is enrolled, not only those who are due.
        #[arg(long, conflicts_with = "dry_run")]
        all: bool,
    },
    /// Show the values that a score had, day by day.
    ///
    /// The value at the end of each UTC day on which there was a score, as far back as 400 days.
    History {
        /// The person: `network:handle` or a member number.
        #[arg(value_name = "SUBJECT")]
        subject: SubjectHandle,
        #[arg(long, value_name = "NAME", help = "Where the score comes from")]
        source: SourceName,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// The last so many days, today among them.
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=KEPT_DAYS))]
        days: i64,
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

#[derive(Serialize)]
struct Computed {
    dry_run: bool,
    #[serde(flatten)]
    report: ComputeReport,
}

impl fmt::Display for Computed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ComputeReport { people, changed, ended, postponed, set_aside, largest_change, held } = &self.report;
        let would = if self.dry_run || *held { "would be " } else { "" };
        let looked_at = counted(*people, "person");
        write_part!(f, "{looked_at} looked at: {changed} scores {would}new or another, {ended} {would}ended")?;
        if *postponed > 0 {
            write_part!(f, "; {postponed} left for the next run, as something came in")?;
        }
        if *set_aside > 0 {
            write_part!(f, "; {set_aside} set aside until tomorrow, as they can't be computed")?;
        }
        if *largest_change > Decimal::default() {
            write_part!(f, "; by {largest_change} at most")?;
        }
        if *held {
            write_part!(
                f,
                "\nThe run is held: nothing is written until a person releases it (`perkgate source held`)."
            )?;
        }
        Ok(())
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

#[derive(Serialize)]
struct HistoryShown {
    source: SourceName,
    subject: String,
    changes: ChangesShown,
    low: Option<Decimal>,
    high: Option<Decimal>,
    days: Vec<HistoryDay>,
}

#[derive(Serialize)]
struct ChangesShown {
    day: Option<Decimal>,
    week: Option<Decimal>,
    month: Option<Decimal>,
}

#[derive(Serialize)]
struct HistoryDay {
    day: Date,
    value: Decimal,
}

impl fmt::Display for HistoryShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, subject, changes, low, high, days } = self;
        for HistoryDay { day, value } in days {
            write_line!(f, "{day}  {value}")?;
        }
        for (days, change) in [("a day", changes.day), ("a week", changes.week), ("a month", changes.month)] {
            if let Some(change) = change {
                let sign = if change > Decimal::default() { "+" } else { "" };
                write_line!(f, "Changed by {sign}{change} in {days}")?;
            }
        }
        match (low, high) {
            (Some(low), Some(high)) => write_part!(f, "From {low} to {high} in 90 days"),
            _ => write_part!(f, "{subject} has had no score from `{source}` in 90 days"),
        }
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match args.action {
        Action::Import { file, source, merchant, format } => {
            let (format, feed) = (format_of(format, &file)?, FeedFile::open(file)?);
            let report = invocation.with_gateway(Needs::Existing, async |gateway| {
                let (merchant, source) = whose(gateway, &merchant, &source).await?;
                match source.kind {
                    SourceKind::Push => {}
                    SourceKind::Computed => return Err(ScoreError::Computed(source.name).into()),
                    SourceKind::Pull => return Err(ScoreError::Pulled(source.name).into()),
                }
                let config = ImportConfig { merchant, source, format, clock: gateway.clock.clone() };
                let (keyring, merchant) = (gateway.keyring.clone(), config.merchant.clone());
                let refer = move |handle: &SubjectHandle| keyring.subject_refs(&merchant, handle);
                let import = gateway.scores.import_guarded(config, ACTOR, refer);
                feed::import(gateway, import, feed, invocation).await
            })?;
            feed::show(report, invocation)
        }
        Action::Compute { source, merchant, dry_run, all } => {
            let report = invocation.with_gateway(Needs::Existing, async |gateway| {
                let merchant = once::merchant(gateway, &merchant).await?.id;
                let (scores, clock) = (&gateway.scores, &gateway.clock);
                if all {
                    scores.compute_all(&merchant, &source).await?;
                }
                let mode = if dry_run { Mode::DryRun } else { Mode::Write };
                let mut run = scores.compute(&merchant, &source, mode, clock.clone()).await?;
                let bar = Counting::start(invocation.output, "people");
                while let Some(ComputeProgress { done, of }) = run.step().await? {
                    bar.at(done, of);
                }
                drop(bar);
                Ok(*run.report())
            })?;
            invocation.output.show(&Computed { dry_run, report })?;
            Ok(Completion::Succeeded)
        }
        Action::History { subject, source, merchant, days } => {
            let history = invocation.with_gateway(Needs::Existing, async |gateway| {
                let (merchant, source) = whose(gateway, &merchant, &source).await?;
                let references = gateway.keyring.subject_refs(&merchant, &subject);
                let now = gateway.clock.now();
                Ok(gateway.scores.history(&merchant, &source.name, references, now).await.map_err(ScoreError::from)?)
            })?;
            let days = history.last(days).map(|(day, value)| HistoryDay { day: date_of(day), value }).collect();
            let (low, high) = history.extremes().unzip();
            let subject = subject.as_str().to_owned();
            let Changes { day, week, month } = history.changes();
            invocation.output.show(&HistoryShown {
                source,
                subject,
                changes: ChangesShown { day, week, month },
                low,
                high,
                days,
            })?;
            Ok(Completion::Succeeded)
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
