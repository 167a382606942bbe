//! `perkgate signal`: imports what others did with enrolled people.

use std::fmt;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use super::error::CliError;
use super::feed::{self, FeedFile, FeedFormat, RejectedLine, format_of};
use super::once::{self, MerchantFlag, Needs};
use super::output::write_line;
use super::{Completion, Invocation};
use crate::scores::import::ImportReport;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Import a feed of signals: good lines are kept, bad ones are reported with their number.
    ///
    /// The feed is CSV with the header `subject,network,signal,at,seen_at,by,object,value,id` (columns in any order, from
    /// `seen_at` on those that are needed), one JSON object with these fields a line, or one cloud event a line. Deliveries with
    /// an id count once; signals about people who are not enrolled are counted, and not kept. Exits with 1 when the import
    /// could not go on, or when every line of it was rejected.
    Import {
        /// The feed; `-` is standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        merchant: MerchantFlag,
        /// How the feed is written. Without it, as its name ends: .csv, .ndjson or .jsonl.
        #[arg(long)]
        format: Option<FeedFormat>,
    },
}

#[derive(Serialize)]
struct Imported {
    accepted: u64,
    unchanged: u64,
    not_enrolled: u64,
    rejected: u64,
    without_id: u64,
    /// The first of them; the counts are whole.
    errors: Vec<RejectedLine>,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, unchanged, not_enrolled, rejected, without_id, errors } = self;
        if accepted + unchanged + not_enrolled + rejected == 0 {
            return write_line!(f, "there was no row in it: nothing was imported");
        }
        write_line!(
            f,
            "{accepted} accepted, {unchanged} unchanged, {not_enrolled} about people who are not enrolled, {rejected} rejected"
        )?;
        if *without_id > 0 {
            write_line!(f, "  {without_id} came without an id: sent again, they would count again")?;
        }
        feed::write_errors(f, errors, *rejected)
    }
}

pub(super) fn run(args: Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let Action::Import { file, merchant, format } = args.action;
    let (format, feed) = (format_of(format, &file)?, FeedFile::open(file)?);
    let report = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, &merchant).await?.id;
        let (keyring, of) = (gateway.keyring.clone(), merchant.clone());
        let import =
            gateway.enrolments.import_signals(&merchant, format, move |handle| keyring.subject_refs(&of, handle));
        feed::import(gateway, import, feed, invocation).await
    })?;
    let ImportReport { accepted, unchanged, rejected, not_enrolled, without_id, errors, .. } = report;
    let errors = errors.into_iter().map(RejectedLine::from).collect();
    invocation.output.show(&Imported { accepted, unchanged, not_enrolled, rejected, without_id, errors })?;
    let is_all_rejected = rejected > 0 && accepted + unchanged + not_enrolled == 0;
    Ok(if is_all_rejected { Completion::Failed } else { Completion::Succeeded })
}
