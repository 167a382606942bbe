//! `perkgate audit checkpoint`: the logs' signed heads, to be kept where the operator can't reach them.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::audit::AuditError;
use crate::audit::anchoring::{self, AnchorFile, AnchorLine};
use crate::cli::error::CliError;
use crate::cli::output::{counted, write_block, write_line, write_part};
use crate::cli::{Completion, Invocation};
use crate::database::Database;
use crate::foundation::ids::MerchantSlug;
use crate::settings::master_key;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this merchant's log; without it and --operator that of `PERKGATE_MERCHANT`, or every log. May be repeated.
    #[arg(long = "merchant", value_name = "SLUG")]
    merchants: Vec<MerchantSlug>,
    /// Only the operator's log, or beside those of the merchants that are named.
    #[arg(long)]
    operator: bool,
    /// Append them to this file, a JSON object a line, and none that it has already.
    #[arg(long, value_name = "FILE")]
    append: Option<PathBuf>,
}

/// The checkpoints that were printed; text is the notes themselves, which `audit verify --anchor` takes as they are.
#[derive(Serialize)]
struct Heads {
    logs: Vec<AnchorLine>,
}

impl fmt::Display for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, head) in self.logs.iter().enumerate() {
            if nth > 0 {
                write_line!(f)?;
            }
            // A signed note has lines of its own.
            write_block(f, head.checkpoint.trim_end_matches('\n'))?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Appended {
    appended: usize,
    /// The number of checkpoints, appended now or before.
    logs: usize,
}

impl fmt::Display for Appended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { appended, logs } = self;
        let of = counted(*logs, "checkpoint");
        match logs.saturating_sub(*appended) {
            0 => write_part!(f, "appended {of}"),
            _ if *appended == 0 => write_part!(f, "nothing to append: {of} stood there already"),
            1 => write_part!(f, "appended {appended} of {of}; the other one stood there already"),
            _ => write_part!(f, "appended {appended} of {of}; the others stood there already"),
        }
    }
}

pub(crate) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    let settings = invocation.settings()?;
    let url = settings.storage.database_url;
    url.check()?;
    // Opening it would make it.
    if master_key::is_new(&url) {
        return Err(AuditError::NoRecord(format!("{url} is not there")).into());
    }
    let database = Database::connect(&url, 1)?;
    let heads = crate::cli::runtime()?.block_on(anchoring::current(&database, &invocation.clock))?;
    let mut wanted: Vec<&str> = args.merchants.iter().map(AsRef::as_ref).collect();
    wanted.extend(args.operator.then_some("operator"));
    if wanted.is_empty() {
        wanted.extend(settings.merchant.as_ref().map(MerchantSlug::as_str));
    }
    if let Some(unknown) = wanted.iter().find(|name| heads.iter().all(|head| head.log != **name)) {
        return Err(CliError::UnknownLog((*unknown).to_owned()));
    }
    let is_wanted = |head: &AnchorLine| wanted.is_empty() || wanted.contains(&head.log.as_str());
    let logs: Vec<AnchorLine> = heads.into_iter().filter(is_wanted).collect();
    match &args.append {
        Some(path) => {
            let appended = AnchorFile::new(path).append(&logs)?;
            invocation.output.show(&Appended { appended, logs: logs.len() })?;
        }
        None => invocation.output.show(&Heads { logs })?,
    }
    Ok(Completion::Succeeded)
}
