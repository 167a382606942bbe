//! `perkgate audit`: verifies the database, or exports of it, against its signed logs; `prune.rs` deletes the bodies
//! of old events.

pub(crate) mod checkpoint;
pub(crate) mod export;
pub(crate) mod prune;
pub(crate) mod receipt;

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::error::CliError;
use super::log_keys::LogKeys;
use super::output::{Output, counted, counted_as, write_line};
use super::{Completion, Invocation};
use crate::audit::verify::findings::MAX_LISTED;
use crate::audit::{self, Anchor, AuditError, Checked, ExportFile, Finding, Head, Progress, Report, Request};
use crate::settings::master_key;

/// The number of bytes of an export that are read at a time.
const READ_BYTES: usize = 256 * 1024;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Recompute every log from its events, and compare grants, redemptions, counters, rules and
    /// keys with them. Exit code 1 when anything is wrong.
    ///
    /// Of the database, or of exports: those need no database, no settings and no network. Needs no
    /// master key, reads one snapshot and writes nothing. A record whose owner holds the log key can be
    /// rewritten and signed again: keep an anchor elsewhere, and name the log keys.
    Verify(Verify),
    /// Take the bodies of old events away; the logs stay provable, and it is an event itself.
    ///
    /// Checks, redemptions, releases, voids and what people decided go; what is about rules, perks,
    /// keys, merchants and erasures is retained, and so is what counts towards a limit that never ends.
    /// Refused with exit code 1, and with what stands in the way and until when, if a promise still needs
    /// what would go: tokens that doors may take, open windows of limits, retries, open referrals. It
    /// can't be undone.
    Prune(prune::Args),
    /// Examine a receipt offline: its signature, and with proofs that its event stands in a later log.
    /// Exit code 1 when anything is wrong.
    Receipt(receipt::Args),
    /// Print the logs' signed heads, or append them to a file that is kept elsewhere.
    Checkpoint(checkpoint::Args),
    /// Write a log, or a period of it, to a file that proves itself: `audit verify FILE` holds it to the
    /// log keys that you name, offline.
    Export(export::Args),
}

#[derive(clap::Args)]
struct Verify {
    /// Exports, NDJSON or CSV, instead of the database. Those of one log are read as one: give the
    /// export that another continues too, in any order.
    #[arg(value_name = "FILE")]
    exports: Vec<PathBuf>,
    /// A checkpoint, a receipt, or the `--json` answer of an earlier run, kept elsewhere: the
    /// history must lead to it. May be repeated.
    #[arg(long = "anchor", value_name = "FILE")]
    anchors: Vec<PathBuf>,
    /// A log key to trust, as published at `/.well-known/log-keys` (`NAME+ID+KEY`, one for each log), or a
    /// file with that answer. May be repeated. None: the keys in the database or the exports, which anyone who
    /// can write to them can replace.
    #[arg(long = "key", value_name = "VKEY|FILE")]
    keys: Vec<LogKeys>,
    /// Verify the signature of every checkpoint, not only of the last one and of the anchors. All roots
    /// are compared either way; this takes about 40 µs more for each checkpoint.
    #[arg(long)]
    every_signature: bool,
}

#[derive(Serialize)]
struct Verdict {
    ok: bool,
    /// True if signatures were held to keys that were named, and not to those beside the record itself.
    keys_named: bool,
    checked: Checked,
    /// The number of things that are wrong, listed or not.
    total: u64,
    counts: Counts,
    findings: Vec<Finding>,
    logs: Vec<Head>,
}

type Counts = std::collections::BTreeMap<&'static str, u64>;

impl Verdict {
    fn of(report: Report, keys_named: bool) -> Self {
        let Report { checked, heads, findings } = report;
        Self {
            ok: findings.is_empty(),
            keys_named,
            checked,
            total: findings.total(),
            counts: findings.counts().clone(),
            findings: findings.listed().to_vec(),
            logs: heads,
        }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checked {
            logs,
            events,
            pruned,
            unaccounted,
            checkpoints,
            anchors,
            grants,
            redemptions,
            counters,
            rules,
            keys,
            referrals,
            exports,
            ..
        } = self.checked;
        write_line!(
            f,
            "checked {}: {} ({pruned} pruned), {}, {}",
            counted(logs, "log"),
            counted(events, "event"),
            counted(checkpoints, "checkpoint"),
            counted(anchors, "anchor")
        )?;
        if exports > 0 {
            write_line!(
                f,
                "in {}, which have no tables: grants, redemptions and limits were held to each other",
                counted(exports, "export")
            )?;
        } else {
            write_line!(
                f,
                "against them: {}, {}, {}, {}, {}, {}",
                counted(grants, "grant"),
                counted(redemptions, "redemption"),
                counted(counters, "limit counter"),
                counted(referrals, "referral"),
                counted(rules, "rule"),
                counted(keys, "key")
            )?;
        }
        write_notes(f, &self.checked)?;
        if self.ok && unaccounted > 0 {
            write_line!(f, "what is here is well")?;
        } else if self.ok {
            write_line!(f, "all is well")?;
        } else {
            write_line!(f, "{} wrong:", counted_as(self.total, "thing is", "things are"))?;
        }
        for finding in &self.findings {
            write_line!(f, "  {finding}")?;
        }
        if self.total > u64::try_from(self.findings.len()).unwrap_or(u64::MAX) {
            write_line!(f, "  … only the first {MAX_LISTED} are listed; of all:")?;
            for (code, count) in &self.counts {
                write_line!(f, "    {count} {code}")?;
            }
        }
        if !self.keys_named && exports > 0 {
            write_line!(
                f,
                "Signatures were held to no key that you named, only to those in the exports, which those who made them \
                 could choose; --key names the gateway's log keys."
            )?;
        } else if !self.keys_named {
            write_line!(
                f,
                "The log keys were read from this very database; --key names keys that don't depend on it."
            )?;
        }
        if self.checked.anchors == 0 {
            write_line!(
                f,
                "No anchor was given: a tail cut off with its checkpoints would not show. Keep this answer (--json) for next time."
            )?;
        }
        Ok(())
    }
}

/// Notes on what was left out of the comparison, and why.
fn write_notes(f: &mut fmt::Formatter<'_>, checked: &Checked) -> fmt::Result {
    let Checked { anchors_elsewhere, erased, unheld, unheld_overrides, unaccounted, .. } = *checked;
    if anchors_elsewhere > 0 {
        let elsewhere = counted_as(anchors_elsewhere, "anchor is", "anchors are");
        write_line!(f, "{elsewhere} of logs that aren't here, and proved nothing: give the exports of those logs too")?;
    }
    if erased > 0 {
        let erased = counted_as(erased, "person was", "people were");
        write_line!(f, "{erased} erased: their events stand, and are nobody's")?;
    }
    if unheld > 0 {
        write_line!(
            f,
            "{} of events that are pruned: what they say of who did it, and when, was held to nothing",
            counted_as(unheld, "row is", "rows are")
        )?;
    }
    if unheld_overrides > 0 {
        write_line!(
            f,
            "{} not held to the terms of {} rule: rules' texts aren't in exports",
            counted_as(unheld_overrides, "override was", "overrides were"),
            if unheld_overrides == 1 { "its" } else { "their" }
        )?;
    }
    if unaccounted > 0 {
        write_line!(
            f,
            "{unaccounted} or more of the bodies that are missing were pruned later than what is here, or taken out: \
             only the log to its end tells which"
        )?;
    }
    Ok(())
}

pub(super) fn run(args: &Args, invocation: &Invocation) -> Result<Completion, CliError> {
    match &args.action {
        Action::Verify(args) => verify(args, invocation),
        Action::Prune(args) => prune::run(args, invocation),
        Action::Receipt(args) => receipt::run(args, invocation),
        Action::Checkpoint(args) => checkpoint::run(args, invocation),
        Action::Export(args) => export::run(args, invocation),
    }
}

fn verify(args: &Verify, invocation: &Invocation) -> Result<Completion, CliError> {
    let mut anchors = Vec::new();
    for path in &args.anchors {
        let unreadable = |reason: String| CliError::Anchor { path: path.clone(), reason };
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
        anchors.extend(Anchor::parse(&path.display().to_string(), &text).map_err(|e| unreadable(e.to_string()))?);
    }
    let request = Request { keys: LogKeys::all(&args.keys), anchors, every_signature: args.every_signature };
    let bar = bar(invocation.output);
    let mut progress = |Progress { events, of }| {
        bar.set_length(of);
        bar.set_position(events);
    };
    let report = if args.exports.is_empty() {
        of_database(&request, invocation, &mut progress)
    } else {
        of_exports(&args.exports, &request, invocation, &mut progress)
    };
    bar.finish_and_clear();
    let verdict = Verdict::of(report?, !args.keys.is_empty());
    invocation.output.show(&verdict)?;
    Ok(if verdict.ok { Completion::Succeeded } else { Completion::Failed })
}

fn of_database(
    request: &Request,
    invocation: &Invocation,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, CliError> {
    let url = invocation.settings()?.storage.database_url;
    url.check()?;
    // Opening it would make it.
    if master_key::is_new(&url) {
        return Err(AuditError::NoRecord(format!("{url} is not there")).into());
    }
    Ok(audit::verify_at(&url, request, &invocation.entropy, progress)?)
}

/// Without settings: an auditor's machine has none.
fn of_exports(
    paths: &[PathBuf],
    request: &Request,
    invocation: &Invocation,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, CliError> {
    let unreadable =
        |path: &Path, error: &io::Error| CliError::Unreadable { path: path.to_owned(), why: error.to_string() };
    let mut exports = Vec::new();
    for path in paths {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let reader = BufReader::with_capacity(READ_BYTES, file);
        exports.push(ExportFile { label: path.display().to_string(), reader });
    }
    audit::verify_exports(exports, request, &invocation.entropy, progress).map_err(|error| match paths {
        [path] => unreadable(path, &error),
        _ => unreadable(Path::new("an export"), &error),
    })
}

/// On stderr, and only when that is a terminal and nobody asked for JSON.
fn bar(output: Output) -> ProgressBar {
    let target = if output.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let style = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} events, {per_sec}, {eta} left");
    let bar = ProgressBar::with_draw_target(Some(0), target);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}
