//! Exports: a log or a period of it as a file that proves itself.
//!
//! The content of an export is fixed at the start: the events up to a checkpoint. Events are only ever appended, so
//! pages read one after another, each by itself, hold the same as one long transaction would: nothing is
//! locked, a client that reads slowly is in nobody's way, and memory holds one page. But pruning takes bodies away
//! meanwhile, and the event that says so stands behind what is exported: to a verifier of the file they
//! would be missing without a word. Such an export breaks off ([`ExportStopped::Pruned`]).
//!
//! A period is rounded out to the checkpoint behind its last event: what shares a batch with that event stands in
//! the export too, whole, so that an export which goes on from there misses nothing.
//!
//! Every export is recorded in the log that is exported, before its first byte leaves, by the caller that makes it.

mod plan;
mod reading;
pub mod record;
mod store;

use std::collections::VecDeque;
use std::io::{self, BufRead};

use jiff::Timestamp;

use crate::database::{Database, DatabaseError};
use crate::foundation::clock::from_micros;
use crate::foundation::unicode::without_bom;
use crate::ledger::LedgerError;
use crate::ledger::entry::LogOwner;
use crate::ledger::retention::pruning;
use crate::ledger::store::{self as ledger, CheckpointRow};
use crate::tlog::merkle::{Frontier, Hash};
use crate::tlog::note::VerifierKey;
pub use plan::Start;

use plan::Plan;
use record::{End, Form, PeriodAsked, Placed};

/// Number of events that a page spans.
const PAGE: i64 = 500;

/// Passes over a byte order mark at the beginning of an export: no record holds it, so nothing that is hashed does.
///
/// # Errors
/// The reader's.
pub fn skip_bom(reader: &mut impl BufRead) -> io::Result<()> {
    let begun = reader.fill_buf()?;
    let length = begun.len() - without_bom(begun).len();
    reader.consume(length);
    Ok(())
}

/// Where an export goes on that was made earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// Behind a checkpoint of this size.
    Size(u64),
    /// Behind the newest of these signed notes that is one of this log.
    Notes(Vec<String>),
}

/// The export that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub log: LogOwner,
    pub period: PeriodAsked,
    pub since: Option<Since>,
    pub form: Form,
}

/// Why nothing is exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("`to` is not after `from`: swap them")]
    Reversed,
    #[error("`since` goes on where an export ended, and `from` begins again: give one of them")]
    FromAndSince,
    #[error("the export can't go on from `since`: {0}")]
    Since(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why an export has no end.
#[derive(Debug, thiserror::Error)]
pub enum ExportStopped {
    #[error("the log was pruned since it began, and what it lacks would look like tampering: export it again")]
    Pruned,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// An export under way.
pub struct Export {
    database: Database,
    form: Form,
    plan: Plan,
    opening: Option<String>,
    /// The index that comes next.
    next: i64,
    frontier: Frontier,
    checkpoints: VecDeque<CheckpointRow>,
    end: End,
    is_over: bool,
}

impl Wanted {
    /// Where the export goes on, if it does: a place from which it can't go on is refused before anything is recorded.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn find_start(
        &self,
        database: &Database,
        trusted: Vec<VerifierKey>,
    ) -> Result<Option<Start>, ExportError> {
        let Self { log, period, since, .. } = self.clone();
        if period.from.zip(period.to).is_some_and(|(from, to)| from >= to) {
            return Err(ExportError::Reversed);
        }
        if since.is_some() && period.from.is_some() {
            return Err(ExportError::FromAndSince);
        }
        let Some(since) = since else { return Ok(None) };
        database.read(move |conn| plan::find_start(conn, &log, &since, &trusted)).await.map(Some)
    }
}

impl Export {
    /// Fixes what is exported: what the log holds now.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn open(
        database: Database,
        wanted: Wanted,
        start: Option<Start>,
        exported_at: Timestamp,
    ) -> Result<Self, ExportError> {
        let Wanted { log, period, form, .. } = wanted;
        let read = database.read(move |conn| {
            let plan = Plan::make(conn, &log, period, start)?;
            let mut opening = form.opening();
            form.header(&mut opening, &plan.header(period, exported_at));
            for key in plan::keys(conn, &plan.log)? {
                form.key(&mut opening, &key);
            }
            Ok::<_, ExportError>((plan, opening))
        });
        let (plan, opening) = read.await?;
        let (next, frontier) = (plan.from, plan.frontier.clone());
        let end = End { events: 0, leaves: 0, checkpoints: 0, size: number(plan.to), root: String::new() };
        let opening = Some(opening);
        Ok(Self { database, form, plan, opening, next, frontier, checkpoints: VecDeque::new(), end, is_over: false })
    }

    /// The next piece; none when it is over. After an error the export has no end, and shows it.
    ///
    /// # Errors
    /// [`ExportStopped`]; [`DatabaseError::Corrupt`] where the log has a gap.
    pub async fn next(&mut self) -> Result<Option<String>, ExportStopped> {
        if let Some(opening) = self.opening.take() {
            return Ok(Some(opening));
        }
        if self.is_over {
            return Ok(None);
        }
        let (log, span) = (self.plan.log.id.clone(), (self.next, self.plan.to.min(self.next.saturating_add(PAGE))));
        let (checkpoints_from, to) = (self.next_checkpoint(), self.plan.to);
        let wants_checkpoints = self.checkpoints.is_empty() && checkpoints_from <= to;
        // An export that ends before the log does is not expected to say why bodies are missing.
        let tells_why = self.plan.has_events && self.plan.is_to_end;
        let owner = self.plan.log.merchant_id.clone().filter(|_| tells_why);
        let read = self.database.read(move |conn| {
            let events = ledger::history::list_logged(conn, &log, span, None, None)?;
            // Pruning says what it does before it does it, so a query made after the page was read misses none.
            if let Some(owner) = owner.filter(|_| events.iter().any(|event| event.body.is_none()))
                && store::is_recorded_behind(conn, (&log, to), &owner, pruning::KIND)?
            {
                return Err(ExportStopped::Pruned);
            }
            let checkpoints = if wants_checkpoints {
                store::list_checkpoints_from(conn, &log, checkpoints_from, PAGE)?
            } else {
                Vec::new()
            };
            Ok((events, checkpoints))
        });
        let (events, checkpoints) = read.await?;
        self.checkpoints.extend(checkpoints.into_iter().filter(|row| row.size <= to));
        let mut out = String::new();
        // Of a checkpoint without leaves before it.
        self.settle(&mut out);
        for event in events {
            if !self.wants_more() {
                break;
            }
            if event.log_index != self.next {
                return Err(gap(self.next).into());
            }
            let hash: Hash = event.leaf_hash.as_slice().try_into().map_err(|_| gap(self.next))?;
            self.frontier.append(hash);
            let index = number(self.next);
            if self.plan.has_events {
                let (id, kind, about, at) = (&event.id, &event.kind, &event.about, from_micros(event.at));
                let body = event.body.as_deref();
                self.form.event(&mut out, &Placed { index, leaf_hash: &hash, id, kind, at, about, body });
                self.end.events += 1;
            } else {
                self.form.leaf(&mut out, index, &hash);
                self.end.leaves += 1;
            }
            self.next += 1;
            self.settle(&mut out);
        }
        if self.next == self.plan.to && self.checkpoints.is_empty() {
            self.end.root = record::base64(&self.frontier.root());
            self.form.end(&mut out, &self.end);
            self.is_over = true;
        } else if out.is_empty() {
            return Err(gap(self.next).into());
        }
        Ok(Some(out))
    }

    /// The number of events it has led through, and the number it will have at the end: `(done, of)`.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        (number(self.next - self.plan.from), number(self.plan.to - self.plan.from))
    }

    /// The log's name.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.plan.log.name
    }

    /// The record it ends with; complete once it is over.
    #[must_use]
    pub const fn end(&self) -> &End {
        &self.end
    }

    /// Where the checkpoints go on that were not read yet.
    fn next_checkpoint(&self) -> i64 {
        // The one at the frontier itself was signed before this export's first leaf: it counts only where
        // there is no leaf.
        if self.plan.to == self.plan.from { self.plan.from } else { self.next.saturating_add(1) }
    }

    /// Tells whether a page of checkpoints covers what comes next.
    fn wants_more(&self) -> bool {
        !self.checkpoints.is_empty()
    }

    /// Writes the checkpoints that are due.
    fn settle(&mut self, out: &mut String) {
        while let Some(row) = self.checkpoints.pop_front_if(|row| row.size <= self.next) {
            self.form.checkpoint(out, number(row.size), &row.note);
            self.end.checkpoints += 1;
        }
    }
}

fn number(at: i64) -> u64 {
    u64::try_from(at).unwrap_or(0)
}

/// An export that passed over it would be no proof of anything.
fn gap(index: i64) -> DatabaseError {
    DatabaseError::corrupt("log", format!("it has no event at index {index}: `perkgate audit verify` says more"))
}
