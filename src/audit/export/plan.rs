//! The plan of an export: its content, fixed before it begins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;

use super::record::{FORMAT, Header, Key, PeriodAsked};
use super::{ExportError, Since, store};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::ledger::entry::LogOwner;
use crate::ledger::origin;
use crate::ledger::read::{history, proof};
use crate::ledger::store::{self as ledger, LogRow, heads};
use crate::tlog::merkle::Frontier;
use crate::tlog::note::{Checkpoint, VerifierKey};

/// Where an earlier export ended.
pub struct Start {
    /// The index behind the checkpoint.
    pub at: i64,
    note: String,
}

/// From which index of which log to which checkpoint.
pub(super) struct Plan {
    pub log: LogRow,
    pub from: i64,
    /// The size of the checkpoint it ends with.
    pub to: i64,
    /// The tree before `from`.
    pub frontier: Frontier,
    since: Option<String>,
    /// True if anything happened in the period. If nothing did, bare leaves show where it would be.
    pub has_events: bool,
    /// True if it goes to the end that the log has, and not only to that of a period.
    pub is_to_end: bool,
}

impl Plan {
    pub(super) fn make(
        conn: &mut AnyConnection,
        owner: &LogOwner,
        period: PeriodAsked,
        start: Option<Start>,
    ) -> Result<Self, ExportError> {
        let log = ledger::find_log(conn, owner.merchant())?.ok_or(DatabaseError::NotFound)?;
        let within = (
            period.from.map_or(i64::MIN, Timestamp::as_microsecond),
            period.to.map_or(i64::MAX, Timestamp::as_microsecond),
        );
        let stretch = history::stretch_of(conn, &log.id, log.size, period.from, period.to.unwrap_or(Timestamp::MAX))?;
        let span = (start.as_ref().map_or(stretch.from, |start| start.at), stretch.before);
        let first = store::find_within(conn, &log.id, span, within, false)?;
        let last = store::find_within(conn, &log.id, span, within, true)?;
        // The period is rounded out to the next checkpoint, so that an export that goes on from there misses nothing.
        let from = start.as_ref().map_or(first.unwrap_or(span.0), |start| start.at);
        let wanted = last.map_or(from, |last| last + 1).max(1);
        let signed = store::list_checkpoints_from(conn, &log.id, wanted, 1)?;
        let to = signed
            .first()
            .map(|row| row.size)
            .ok_or_else(|| DatabaseError::corrupt("log", format!("nothing was signed from {wanted} events on")))?;
        let size = u64::try_from(from).map_err(|e| DatabaseError::corrupt("log index", e))?;
        let frontier = proof::frontier_at(conn, &log.id, size)?;
        let (since, is_to_end) = (start.map(|start| start.note), period.to.is_none());
        Ok(Self { log, from, to, frontier, since, has_events: last.is_some(), is_to_end })
    }

    pub(super) fn header(&self, period: PeriodAsked, exported_at: Timestamp) -> Header {
        Header {
            format: FORMAT,
            log: self.log.name.clone(),
            origin: self.log.origin.clone(),
            merchant: self.log.merchant_id.clone(),
            from_index: super::number(self.from),
            to_index: super::number(self.to),
            period,
            frontier: BASE64.encode(self.frontier.to_bytes()),
            since: self.since.clone(),
            exported_at,
            gateway_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The place behind a checkpoint of this very log.
pub(super) fn find_start(
    conn: &mut AnyConnection,
    owner: &LogOwner,
    since: &Since,
    trusted: &[VerifierKey],
) -> Result<Start, ExportError> {
    let refused = |why: String| ExportError::Since(why);
    let log =
        ledger::find_log(conn, owner.merchant())?.ok_or_else(|| refused("nothing is recorded here yet".into()))?;
    let (size, said) = match since {
        Since::Size(size) => (*size, None),
        Since::Notes(notes) => {
            let (said, note) = newest(notes, &log.origin, trusted).map_err(ExportError::Since)?;
            (said.size, Some((said.root, note)))
        }
    };
    let at = i64::try_from(size).ok().filter(|size| (1..=log.size).contains(size)).ok_or_else(|| {
        refused(format!("the log has the size {}: give a checkpoint of a size from 1 up to that", log.size))
    })?;
    if let Some((root, _)) = said
        && root != proof::frontier_at(conn, &log.id, size)?.root()
    {
        return Err(refused(
            "its root is not this log's at that size: the log was changed since, or the checkpoint is another \
             gateway's; `perkgate audit verify --anchor` tells"
                .into(),
        ));
    }
    let stored = heads::find_checkpoint(conn, &log.id, at)?.map(|row| row.note);
    let note = stored.or_else(|| said.map(|(_, note)| note.to_owned()));
    let note = note.ok_or_else(|| refused("nothing was signed at that size: give the size of a checkpoint".into()))?;
    Ok(Start { at, note })
}

/// The largest checkpoint of the log that goes by `ours`.
fn newest<'a>(notes: &'a [String], ours: &str, trusted: &[VerifierKey]) -> Result<(Checkpoint, &'a str), String> {
    let mut newest: Option<(Checkpoint, &str)> = None;
    let mut others = None;
    for note in notes {
        let said = Checkpoint::unverified(note).map_err(|error| error.to_string())?;
        if said.origin != ours {
            others = Some(said.origin);
        } else if newest.as_ref().is_none_or(|(known, _)| known.size < said.size) {
            newest = Some((said, note));
        }
    }
    let newest = newest.ok_or_else(|| match others {
        Some(theirs) => format!("it is a checkpoint of {theirs}, and this log is {ours}"),
        None => "there is no checkpoint in it".to_owned(),
    })?;
    // It goes into the export, and a verifier of that asks who signed it.
    origin::open(newest.1, trusted).map_err(|error| error.to_string())?;
    Ok(newest)
}

/// The history of the log keys, under the names that they sign this log with.
pub(super) fn keys(conn: &mut AnyConnection, log: &LogRow) -> Result<Vec<Key>, DatabaseError> {
    let mut keys = Vec::new();
    for row in store::list_log_keys(conn)? {
        let public_key = row.public_key.and_then(|key| key.try_into().ok());
        let key = public_key.and_then(|key| VerifierKey::new(&row.name, key).ok());
        let key = key.and_then(|key| origin::verifier(&log.origin, &log.id, &key).ok());
        let key = key.ok_or_else(|| DatabaseError::corrupt("log key", &row.name))?.to_string();
        keys.push(Key { key, signs_from: from_micros(row.signs_from), retires_at: row.retires_at.map(from_micros) });
    }
    Ok(keys)
}
