//! The verification of exports against their own checkpoints and against anchors from outside: without the
//! database, its settings or its operator.
//!
//! `lines.rs` takes a file apart, `export/record.rs` reads what stands on a line, and
//! `chain.rs` goes through the files of one log. The scan is the database's own (`log_scan.rs`), and so is the
//! expected state. There are no tables to compare with, so grants, redemptions and limits are compared with each other.

mod chain;
mod lines;

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use super::expected_state::ExpectedState;
use super::findings::{FindingPlace, Findings, Line, Wrong};
use super::fingerprints::Fingerprints;
use super::log_scan::{Pinned, Trust};
use super::source::Identity;
use super::{Progress, Report, Request};
use crate::audit::anchor::Anchor;
use crate::audit::export::record::{Header, Record};
use crate::foundation::entropy::Entropy;
use crate::ledger::origin;
use crate::tlog::note::{Checkpoint, VerifierKey};
use chain::Chain;
use lines::Lines;

/// An export to be verified.
pub struct ExportFile<R> {
    /// The name that people call it by: a file's name.
    pub label: String,
    pub reader: R,
}

/// One whose header was read, and what stands between it and the first leaf.
struct Opened<R> {
    label: String,
    lines: Lines<R>,
    header: Header,
    keys: Vec<VerifierKey>,
}

/// Verifies exports. Those of one log are read as one, in the order of their indexes, and must join
/// up. Blocks; memory grows with the grants and limit counters of one log at a time, 50 bytes each.
///
/// # Errors
/// [`io::Error`] when one can't be read. That something is wrong with it is no error but a finding.
pub fn verify_exports<R: BufRead>(
    files: Vec<ExportFile<R>>,
    request: &Request,
    entropy: &Entropy,
    progress: &mut dyn FnMut(Progress),
) -> io::Result<Report> {
    let fingerprints = Fingerprints::new(entropy.bytes());
    let mut report = Report::default();
    report.checked.exports = u64::try_from(files.len()).unwrap_or(u64::MAX);
    let mut logs: BTreeMap<String, Vec<Opened<R>>> = BTreeMap::new();
    let mut own_keys = Vec::new();
    for file in files {
        if let Some(opened) = open(file, &mut report.findings)? {
            own_keys.extend_from_slice(&opened.keys);
            logs.entry(opened.header.origin.clone()).or_default().push(opened);
        }
    }
    let keys = if request.keys.is_empty() { own_keys } else { request.keys.clone() };
    let trust = Trust { keys, every_signature: request.every_signature };
    let mut pinned = pin(&request.anchors, &trust, &logs, &mut report);
    let of = logs.values().flatten().map(|it| it.header.to_index.saturating_sub(it.header.from_index)).sum();
    let mut reading = Reading { progress, before: 0, of };
    for (origin, mut files) in logs {
        files.sort_by_key(|it| it.header.from_index);
        let Some(Header { log, merchant, .. }) = files.first().map(|it| it.header.clone()) else { continue };
        let identity = Identity { name: log, merchant, origin: origin.clone() };
        let mut books = ExpectedState::alone(fingerprints.clone());
        let mut chain = Chain::begin(&identity, &trust, &mut books, &files, pinned.remove(&origin).unwrap_or_default());
        chain.tell_uncovered(&mut report.findings);
        for file in files {
            chain.read(file, &mut report.findings, &mut reading)?;
        }
        chain.close(&mut report, &mut reading);
    }
    Ok(report)
}

/// The progress over all logs.
struct Reading<'a> {
    progress: &'a mut dyn FnMut(Progress),
    /// Leaves of the logs before.
    before: u64,
    of: u64,
}

/// Reads what stands before the first leaf. None when there is nothing to go by: that is reported.
fn open<R: BufRead>(file: ExportFile<R>, findings: &mut Findings) -> io::Result<Option<Opened<R>>> {
    let ExportFile { label, reader } = file;
    let mut lines = Lines::open(reader)?;
    let mut wrong = |number, wrong| {
        findings.add(FindingPlace::default().on(Some(Line { file: &label, number })), wrong);
    };
    let Some(read) = lines.next()? else {
        wrong(1, Wrong::Record { reason: "there is nothing in it".to_owned() });
        return Ok(None);
    };
    let header = match read.record {
        Ok(Record::Header(header)) => *header,
        Ok(_) => {
            wrong(read.number, Wrong::Record { reason: "an export begins with its header".to_owned() });
            return Ok(None);
        }
        Err(reason) => {
            wrong(read.number, Wrong::Record { reason });
            return Ok(None);
        }
    };
    let mut keys = Vec::new();
    loop {
        match lines.next()?.map(|read| read.record) {
            // What is no key signs nothing.
            Some(Ok(Record::Key(key))) => keys.extend(key.key.parse::<VerifierKey>().ok()),
            Some(_) => {
                lines.back();
                break;
            }
            None => break,
        }
    }
    Ok(Some(Opened { label, lines, header, keys }))
}

/// The anchors of each log. A file of anchors, or an earlier report, may name more logs than are exported here; but one
/// that names none of them is reported: it was meant to be held to something.
fn pin<R>(
    anchors: &[Anchor],
    trust: &Trust,
    logs: &BTreeMap<String, Vec<Opened<R>>>,
    report: &mut Report,
) -> BTreeMap<String, Vec<Pinned>> {
    let mut pinned: BTreeMap<String, Vec<Pinned>> = BTreeMap::new();
    let origin_of = |anchor: &Anchor| Checkpoint::unverified(&anchor.note).map(|it| it.origin).unwrap_or_default();
    let is_here = |anchor: &Anchor| logs.contains_key(&origin_of(anchor));
    for anchor in anchors {
        let label = anchor.label.clone();
        if !is_here(anchor) {
            let has_others = anchors.iter().any(|other| other.file == anchor.file && is_here(other));
            if has_others {
                report.checked.anchors_elsewhere += 1;
            } else {
                let wrong = Wrong::AnchorLog { anchor: label, origin: origin_of(anchor) };
                report.findings.add(FindingPlace::default(), wrong);
            }
            continue;
        }
        report.checked.anchors += 1;
        match origin::open(&anchor.note, &trust.keys) {
            Err(error) => {
                let reason = origin::reason(error, &anchor.note, &trust.keys);
                let wrong = Wrong::AnchorSignature { anchor: label, reason };
                report.findings.add(FindingPlace::default(), wrong);
            }
            Ok(signed) => {
                let it = Pinned { label, size: signed.size, root: signed.root, leaf: anchor.leaf };
                pinned.entry(signed.origin).or_default().push(it);
            }
        }
    }
    pinned
}
