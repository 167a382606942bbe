//! `perkgate source pull`: fetches what is due.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::cli::Invocation;
use crate::cli::document::Document;
use crate::cli::error::CliError;
use crate::cli::once::{self, MerchantFlag, Needs};
use crate::cli::output::progress::Counting;
use crate::cli::output::{counted, write_part};
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::SourceName;
use crate::scores::pulling::outcome::{PullProgress, PullReport};
use crate::scores::pulling::spec::{Pull, PullSpec};

/// The largest declaration.
const MOST_BYTES: u64 = 64 * 1024;

#[derive(Serialize)]
struct Pulled {
    #[serde(flatten)]
    report: PullReport,
}

impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PullReport { accounts, answered, unchanged, unknown, missing, proven, signals, scores, requests, .. } =
            &self.report;
        let asked = counted(*accounts, "account");
        write_part!(f, "{asked} asked about with {}: {answered} answered", counted(*requests, "request"))?;
        for (number, words) in [
            (unchanged, "unchanged"),
            (unknown, "of which nothing could be learnt"),
            (missing, "that are not there"),
            (proven, "proven"),
            (signals, "signals that count"),
            (scores, "scores"),
        ] {
            if *number > 0 {
                write_part!(f, ", {number} {words}")?;
            }
        }
        if let Some((until, wait)) = self.report.waits_until.zip(self.report.wait) {
            write_part!(f, "; nothing more is sent until {until}: {}", wait.replace('_', " "))?;
        }
        self.report.fault.as_ref().map_or(Ok(()), |fault| write_part!(f, "; the last fault: {fault}"))
    }
}

/// Reads the declaration of a source.
pub(super) fn read(file: &Path) -> Result<PullSpec, CliError> {
    let document = Document::open(file, MOST_BYTES)?;
    let read: Result<PullSpec, _> = serde_json::from_str(&document.json().canonical());
    let faulty = |faults: Vec<FieldError>| CliError::Faulty(document.located("", faults));
    let spec = read.map_err(|error| faulty(vec![FieldError::at("", "invalid_value", error.to_string())]))?;
    Pull::read(&spec).map_err(faulty)?;
    Ok(spec)
}

pub(super) fn run(
    source: &SourceName,
    merchant: &MerchantFlag,
    once: bool,
    invocation: &Invocation,
) -> Result<(), CliError> {
    let report = invocation.with_gateway(Needs::Existing, async |gateway| {
        let merchant = once::merchant(gateway, merchant).await?.id;
        let mut run = gateway.pulls.pull(&merchant, source).await?;
        let bar = Counting::start(invocation.output, "accounts");
        while let Some(PullProgress { done, of }) = run.step().await? {
            bar.at(done, of);
            if once {
                run.leave().await?;
            }
        }
        drop(bar);
        Ok(run.report().clone())
    })?;
    invocation.output.show(&Pulled { report })
}
