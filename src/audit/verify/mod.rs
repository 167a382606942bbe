//! The verification of a whole database: one snapshot, all logs, all tables.

mod against;
pub mod checked;
pub(crate) mod expected_state;
pub mod findings;
pub(crate) mod fingerprints;
pub(crate) mod log_scan;
pub(crate) mod logs;
pub(crate) mod missing_events;
pub(crate) mod offline;
pub(crate) mod source;
pub(crate) mod store;
pub mod tables;
pub(crate) mod tally;

use std::collections::{BTreeMap, HashSet, VecDeque};

use serde::Serialize;

use super::AuditError;
use super::anchor::{Anchor, root_text};
use crate::database::{AnyConnection, Database, DatabaseError, DatabaseUrl, Reader, connection};
use crate::foundation::entropy::Entropy;
use crate::ledger::origin;
use crate::ledger::store::CheckpointRow;
use crate::tlog::merkle::Frontier;
use crate::tlog::note::VerifierKey;
use checked::Checked;
use expected_state::{ExpectedLog, ExpectedState, OPERATOR};
use findings::{FindingPlace, Findings, Wrong};
use fingerprints::Fingerprints;
use log_scan::{LogScanner, Pinned, Stored, Trust, number};
use logs::{Log, Logs};
use source::{Columns, Entry};
use store::EventRow;
use tables::subtrees::{StoredSubtrees, find_beyond};
use tables::summaries::{self, Compared};

/// A request to verify: what to hold a database or exports to.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The log keys that are trusted. None: those that the database or the exports themselves name.
    pub keys: Vec<VerifierKey>,
    pub anchors: Vec<Anchor>,
    /// True to look at the signature of every checkpoint, and not only of the last one of each log
    /// and of the anchors. Those between prove nothing that the last one does not: every root is made
    /// again and compared with them either way. It takes about 40 µs for each.
    pub every_signature: bool,
}

/// The progress of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Events that were read.
    pub events: u64,
    /// As the heads have it.
    pub of: u64,
}

/// Where a log ended: to be kept as an anchor for next time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    pub name: String,
    pub origin: String,
    pub size: i64,
    /// Base64, as in the checkpoint.
    pub root: String,
    /// The signed note.
    pub checkpoint: String,
}

/// The result of a verification.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub checked: Checked,
    pub heads: Vec<Head>,
    pub findings: Findings,
}

/// Verifies everything that `database` holds, as it stands at one instant. Blocks; reads only.
///
/// # Errors
/// [`AuditError`] when it can't be read. That something is wrong with it is no error but a finding.
pub fn verify(
    database: &Database,
    request: &Request,
    entropy: &Entropy,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, AuditError> {
    // Outside the pools: it is held for as long as it takes.
    let mut conn = database.dedicated()?;
    connection::begin_snapshot(&mut conn)?;
    let report = verify_snapshot(&mut conn, request, entropy, progress)?;
    connection::rollback(&mut conn)?;
    Ok(report)
}

/// The same by an address, also where the database can only be read.
///
/// # Errors
/// As [`verify`].
pub fn verify_at(
    url: &DatabaseUrl,
    request: &Request,
    entropy: &Entropy,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, AuditError> {
    let mut reader = Reader::open(url)?;
    connection::begin_snapshot(&mut reader.conn)?;
    let report = verify_snapshot(&mut reader.conn, request, entropy, progress)?;
    connection::rollback(&mut reader.conn)?;
    reader.finish()?;
    Ok(report)
}

/// The same on a connection that is in a transaction, for a caller that wants to see what the verifier
/// thinks of a change before it is kept. What others write must not show in it.
///
/// # Errors
/// As [`verify`].
pub fn verify_snapshot(
    conn: &mut AnyConnection,
    request: &Request,
    entropy: &Entropy,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, AuditError> {
    Verification::begin(conn, request, entropy)?.run(conn, progress)
}

struct Verification {
    logs: Logs,
    merchants: Vec<(String, String)>,
    trust: Trust,
    pinned: BTreeMap<String, Vec<Pinned>>,
    books: ExpectedState,
    report: Report,
}

impl Verification {
    fn begin(conn: &mut AnyConnection, request: &Request, entropy: &Entropy) -> Result<Self, AuditError> {
        let logs = store::list_logs(conn).map_err(|error| match error {
            DatabaseError::Query(text) => AuditError::NoRecord(text),
            other => other.into(),
        })?;
        let keys = if request.keys.is_empty() { published_keys(conn)? } else { request.keys.clone() };
        let mut this = Self {
            logs: Logs::new(logs),
            merchants: store::list_merchants(conn)?,
            trust: Trust { keys, every_signature: request.every_signature },
            pinned: BTreeMap::new(),
            books: ExpectedState::new(Fingerprints::new(entropy.bytes()), store::find_newest_instant(conn)?),
            report: Report::default(),
        };
        for anchor in &request.anchors {
            this.pin(anchor);
        }
        Ok(this)
    }

    fn pin(&mut self, anchor: &Anchor) {
        self.report.checked.anchors += 1;
        let label = anchor.label.clone();
        let wrong = match origin::open(&anchor.note, &self.trust.keys) {
            Err(error) => {
                let reason = origin::reason(error, &anchor.note, &self.trust.keys);
                Wrong::AnchorSignature { anchor: label, reason }
            }
            Ok(signed) => match self.logs.all.iter().find(|log| log.identity.origin == signed.origin) {
                None => Wrong::AnchorLog { anchor: label, origin: signed.origin },
                Some(log) => {
                    let pinned = Pinned { label, size: signed.size, root: signed.root, leaf: anchor.leaf };
                    self.pinned.entry(log.head.id.clone()).or_default().push(pinned);
                    return;
                }
            },
        };
        self.report.findings.add(FindingPlace::default(), wrong);
    }

    fn run(mut self, conn: &mut AnyConnection, progress: &mut dyn FnMut(Progress)) -> Result<Report, AuditError> {
        let of = self.logs.all.iter().map(|log| u64::try_from(log.head.size).unwrap_or(0)).sum();
        let logs = std::mem::replace(&mut self.logs, Logs::new(Vec::new()));
        for log in &logs.all {
            self.walk(conn, log, of, progress)?;
            if let Some(merchant) = log.merchant() {
                let log = Compared { id: &log.head.id, name: log.name(), size: log.head.size, merchant };
                summaries::compare(conn, &log, &self.books.fingerprints, &mut self.report.findings)?;
            }
        }
        let Self { merchants, books, mut report, .. } = self;
        let Report { checked, heads, findings } = &mut report;
        checked.logs = u64::try_from(logs.all.len()).unwrap_or(u64::MAX);
        books.close(conn, &logs, &merchants, checked, findings)?;
        for owner in store::list_lost_logs(conn)? {
            findings.add(FindingPlace::default(), Wrong::LogLost { log: owner });
        }
        let merchants: HashSet<&str> = merchants.iter().map(|(id, _)| id.as_str()).collect();
        for owner in store::list_unlogged_owners(conn)? {
            // A merchant's was reported above.
            if !merchants.contains(owner.as_str()) {
                findings.add(FindingPlace::default(), Wrong::LogMissing { owner });
            }
        }
        // It was made with the first merchant or the first operator's key.
        let has_begun = !merchants.is_empty() || !logs.all.is_empty() || !store::list_keys(conn, None, "")?.is_empty();
        if has_begun && logs.all.iter().all(|log| log.merchant().is_some()) {
            findings.add(FindingPlace::default(), Wrong::LogMissing { owner: "the operator".to_owned() });
        }
        for log in &logs.all {
            let name = match log.merchant() {
                None => (log.name() != OPERATOR).then(|| OPERATOR.to_owned()),
                // Whether it bears its owner's name was asked above.
                Some(owner) => (!merchants.contains(owner)).then(|| format!("nobody: {owner} is missing")),
            };
            if let Some(name) = name {
                findings.add(FindingPlace::log(log.name()), Wrong::LogOwner { name });
            }
            heads.push(head_of(log));
        }
        Ok(report)
    }

    fn walk(
        &mut self,
        conn: &mut AnyConnection,
        log: &Log,
        of: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), AuditError> {
        let Report { checked, findings, .. } = &mut self.report;
        let pinned = self.pinned.remove(&log.head.id).unwrap_or_default();
        let mut books = self.books.open(&log.identity);
        let mut walk = LogScanner::new(&log.identity, &self.trust, (0, Some(Frontier::default())), pinned);
        let mut checkpoints = Checkpoints::default();
        let mut subtrees = StoredSubtrees::new(&log.head.id);
        let mut last = i64::MIN;
        loop {
            let page = store::list_events(conn, &log.head.id, last)?;
            for event in &page {
                while let Some(row) = checkpoints.next(conn, log, walk.next())? {
                    walk.checkpoint(row, findings);
                }
                take(&mut walk, event, &mut books, findings);
                for whole in walk.whole() {
                    if subtrees.differs(conn, whole)? {
                        let wrong = Wrong::Subtree { subtree: format!("{}/{}", whole.level, whole.nth) };
                        findings.add(FindingPlace::index(log.name(), event.log_index), wrong);
                    }
                }
            }
            progress(Progress { events: checked.events + walk.events, of });
            match page.last() {
                Some(event) if page.len() == store::PAGE => last = event.log_index,
                _ => break,
            }
        }
        while let Some(row) = checkpoints.next(conn, log, i64::MAX)? {
            walk.checkpoint(row, findings);
        }
        if walk.close(number(log.head.size), findings) {
            let mut again = Checkpoints::default();
            while let Some(row) = again.next(conn, log, i64::MAX)? {
                walk.recheck(&row, findings);
            }
        }
        if let Some((level, nth)) = find_beyond(conn, &log.head.id, number(walk.next()))? {
            findings.add(FindingPlace::log(log.name()), Wrong::Subtree { subtree: format!("{level}/{nth}") });
        }
        close_head(&walk, log, findings);
        checked.events += walk.events;
        checked.pruned += walk.pruned;
        checked.checkpoints += walk.checkpoints;
        books.close(conn, checked, findings)?;
        Ok(())
    }
}

fn take(walk: &mut LogScanner<'_>, event: &EventRow, books: &mut ExpectedLog<'_>, findings: &mut Findings) {
    let entry = Entry {
        index: event.log_index,
        leaf_hash: event.leaf_hash.0,
        body: event.body.as_deref(),
        is_bare: false,
        columns: Some(Columns { id: &event.id, kind: &event.kind, about: &event.about, at: event.at, actor: None }),
        line: None,
    };
    walk.take(&entry, books, findings);
}

/// The head's row, held to what the walk came to.
fn close_head(walk: &LogScanner<'_>, log: &Log, findings: &mut Findings) {
    let head = &log.head;
    let mut wrong = Vec::new();
    if walk.events == 0 && head.size <= 0 {
        findings.add(FindingPlace::log(log.name()), Wrong::LogEmpty);
    }
    if head.size != walk.next() {
        wrong.push("size");
    }
    if let Some(frontier) = walk.frontier() {
        if head.root.as_slice() != frontier.root() {
            wrong.push("root");
        }
        if head.frontier != frontier.to_bytes() {
            wrong.push("frontier");
        }
    }
    if walk.last().is_none_or(|last| last.note != head.checkpoint) {
        wrong.push("checkpoint");
    }
    for part in wrong {
        findings.add(FindingPlace::log(log.name()), Wrong::Head { part });
    }
}

/// The stored checkpoints of a log, page by page.
#[derive(Default)]
struct Checkpoints {
    page: VecDeque<CheckpointRow>,
    last: Option<i64>,
    is_done: bool,
}

impl Checkpoints {
    /// The next one whose size is at most `size`.
    fn next(&mut self, conn: &mut AnyConnection, log: &Log, size: i64) -> Result<Option<Stored>, DatabaseError> {
        if self.page.is_empty() && !self.is_done {
            let page = store::list_checkpoints(conn, &log.head.id, self.last.unwrap_or(i64::MIN))?;
            self.is_done = page.len() < store::PAGE;
            self.last = page.last().map(|row| row.size);
            self.page = page.into();
        }
        let due = self.page.pop_front_if(|row| row.size <= size);
        Ok(due.map(|row| Stored::new(row.size, row.note, FindingPlace::log(log.name()))))
    }
}

/// The database's own log keys. A row that holds none can't have signed anything.
fn published_keys(conn: &mut AnyConnection) -> Result<Vec<VerifierKey>, DatabaseError> {
    let keys = store::list_log_keys(conn)?.into_iter();
    Ok(keys.filter_map(|(name, key)| VerifierKey::new(&name, key?.try_into().ok()?).ok()).collect())
}

fn head_of(log: &Log) -> Head {
    let root = <&[u8; 32]>::try_from(log.head.root.as_slice()).map(root_text).unwrap_or_default();
    Head {
        name: log.head.name.clone(),
        origin: log.identity.origin.clone(),
        size: log.head.size,
        root,
        checkpoint: log.head.checkpoint.clone(),
    }
}
