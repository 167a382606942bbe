//! `perkgate score`: imports a feed of scores, shows one score.

use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::feed::{self, FeedFile, FeedFormat, format_of};
use super::once::{self, MerchantFlag, Needs};
use super::output::write_part;
use super::{Completion, Invocation};
use crate::foundation::decimal::Decimal;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::subject::SubjectHandle;
use crate::gateway::Gateway;
use crate::scores::Source;
use crate::scores::import::ImportConfig;

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
            let (format, feed) = (format_of(format, &file)?, FeedFile::open(file)?);
            let report = invocation.with_gateway(Needs::Existing, async |gateway| {
                let (merchant, source) = whose(gateway, &merchant, &source).await?;
                let config = ImportConfig { merchant, source, format, clock: gateway.clock.clone() };
                let (keyring, merchant) = (gateway.keyring.clone(), config.merchant.clone());
                let import = gateway.scores.import(config, move |handle| keyring.subject_refs(&merchant, handle));
                feed::import(gateway, import, feed, invocation).await
            })?;
            feed::show(report, invocation)
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
