//! The exports of one log, from the first to the last.

use std::io::{self, BufRead};

use base64::Engine as _;

use super::lines::{Lines, Repeated};
use super::{Opened, Reading};
use crate::audit::anchor::root_text;
use crate::audit::export::record::{End, Header, Record};
use crate::audit::reader::instant::Instant;
use crate::audit::verify::expected_state::{ExpectedLog, ExpectedState};
use crate::audit::verify::findings::{FindingPlace, Findings, Line, Wrong};
use crate::audit::verify::log_scan::{LogScanner, Pinned, Stored, Trust, number};
use crate::audit::verify::source::{Columns, Entry, Identity};
use crate::audit::verify::{Head, Progress, Report};
use crate::foundation::clock::from_micros;
use crate::ledger::origin;
use crate::tlog::merkle::Frontier;

/// Number of records that are read from one look at the progress to the next.
const STRIDE: u64 = 1000;

/// A walk through all exports of one log.
pub(super) struct Chain<'a> {
    log: &'a Identity,
    walk: LogScanner<'a>,
    books: ExpectedLog<'a>,
    from: i64,
    /// Anchors from before the first leaf that is here.
    uncovered: Vec<Pinned>,
    /// The size that the last export is said to end at.
    stated: u64,
    /// True if it goes to the end that the log had.
    is_to_end: bool,
    /// Leaves that stand in exports, bare ones too.
    leaves: u64,
}

/// The content of one export, to be compared with what it says at its end.
#[derive(Default)]
struct Held {
    events: u64,
    leaves: u64,
    checkpoints: u64,
    is_ended: bool,
}

impl<'a> Chain<'a> {
    /// Begins where the first of `files` does.
    pub(super) fn begin<R>(
        log: &'a Identity,
        trust: &'a Trust,
        books: &'a mut ExpectedState,
        files: &[Opened<R>],
        pinned: Vec<Pinned>,
    ) -> Self {
        let first = files.first().map(|it| &it.header);
        let from = first.map_or(0, |header| index(header.from_index));
        let (uncovered, pinned) = pinned.into_iter().partition(|it| it.size < number(from));
        let mut books = books.open(log);
        if from > 0 {
            books.outside();
        }
        let walk = LogScanner::new(log, trust, (from, first.and_then(frontier)), pinned);
        Self { log, walk, books, from, uncovered, stated: 0, is_to_end: false, leaves: 0 }
    }

    /// Anchors that nothing here can be held to.
    pub(super) fn tell_uncovered(&mut self, findings: &mut Findings) {
        for Pinned { label, size, .. } in self.uncovered.drain(..) {
            let wrong = Wrong::AnchorBefore { anchor: label, size, from: number(self.from) };
            findings.add(FindingPlace::log(&self.log.name), wrong);
        }
    }

    /// Reads one export to its end.
    pub(super) fn read<R: BufRead>(
        &mut self,
        file: Opened<R>,
        findings: &mut Findings,
        reading: &mut Reading<'_>,
    ) -> io::Result<()> {
        let Opened { label, mut lines, header, .. } = file;
        self.join(&header, &label, findings);
        self.stated = header.to_index;
        self.is_to_end = header.period.to.is_none();
        let mut held = Held::default();
        self.records(&label, &mut lines, &mut held, findings, reading)?;
        let at = Some(Line { file: &label, number: lines.next_number() });
        if !held.is_ended {
            findings.add(FindingPlace::log(&self.log.name).on(at), Wrong::ExportCut);
        }
        Ok(())
    }

    /// Holds the header to the log and to the export before.
    fn join(&mut self, header: &Header, label: &str, findings: &mut Findings) {
        let place = FindingPlace::log(&self.log.name).on(Some(Line { file: label, number: 1 }));
        // Every checkpoint is signed under the origin.
        let is_named_so = origin::name_in(&self.log.origin).is_none_or(|name| name == header.log);
        for (is_same, part) in [
            (header.log == self.log.name && is_named_so, "log"),
            (header.merchant == self.log.merchant, "merchant"),
            (frontier(header).is_some(), "frontier"),
            (header.from_index <= header.to_index, "range"),
        ] {
            if !is_same {
                findings.add(place.clone(), Wrong::ExportHeader { part });
            }
        }
        let (from, theirs) = (index(header.from_index), frontier(header));
        if from != self.walk.next() {
            let wrong = Wrong::ExportGap { expected: number(self.walk.next()), found: header.from_index };
            findings.add(place.clone(), wrong);
            if from > self.walk.next() {
                self.walk.jump(from, theirs);
                self.books.outside();
            }
        } else if self.walk.frontier().zip(theirs.as_ref()).is_some_and(|(ours, theirs)| ours != theirs) {
            findings.add(place.clone(), Wrong::ExportFork { size: header.from_index });
        }
        if let Some(note) = &header.since {
            self.walk.continues(&Stored::new(from, note.clone(), place), findings);
        }
    }

    fn records<R: BufRead>(
        &mut self,
        label: &str,
        lines: &mut Lines<R>,
        held: &mut Held,
        findings: &mut Findings,
        reading: &mut Reading<'_>,
    ) -> io::Result<()> {
        while let Some(read) = lines.next()? {
            let line = Some(Line { file: label, number: read.number });
            let place = || FindingPlace::log(&self.log.name).on(line);
            if held.is_ended {
                findings.add(place(), Wrong::ExportLonger);
                return Ok(());
            }
            match read.record {
                Ok(Record::Event { index, leaf_hash, body }) => {
                    held.events += 1;
                    let entry = Entry { is_bare: false, ..bare(index, leaf_hash, line) };
                    self.leaf(&Entry { body: body.as_deref(), ..entry }, read.repeated.as_ref(), findings, reading);
                }
                Ok(Record::Leaf { index, leaf_hash }) => {
                    held.leaves += 1;
                    self.leaf(&bare(index, leaf_hash, line), None, findings, reading);
                }
                Ok(Record::Checkpoint(signed)) => {
                    held.checkpoints += 1;
                    if index(signed.size) != self.walk.next() {
                        let wrong = Wrong::CheckpointPlace { size: signed.size, leaves: number(self.walk.next()) };
                        findings.add(place(), wrong);
                    } else if self.walk.last().is_some_and(|last| last.size == index(signed.size)) {
                        findings.add(place(), Wrong::CheckpointAgain { size: signed.size });
                    }
                    let stored = Stored::new(index(signed.size), signed.checkpoint.into_owned(), place());
                    self.walk.checkpoint(stored, findings);
                }
                Ok(Record::End(end)) => {
                    held.is_ended = true;
                    self.end(&end, held, &place(), findings);
                }
                Ok(Record::Header(_) | Record::Key(_)) => {
                    let reason = "it belongs to the beginning of an export".to_owned();
                    findings.add(place(), Wrong::Record { reason });
                }
                Err(reason) => findings.add(place(), Wrong::Record { reason }),
            }
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        entry: &Entry<'_>,
        repeated: Option<&Repeated<'_>>,
        findings: &mut Findings,
        reading: &mut Reading<'_>,
    ) {
        self.leaves += 1;
        if self.leaves.is_multiple_of(STRIDE) {
            (reading.progress)(Progress { events: reading.before + self.leaves, of: reading.of });
        }
        let columns = repeated.filter(|_| entry.body.is_some()).map(|cells| Columns {
            id: cells.id,
            kind: cells.kind,
            about: cells.about,
            at: written(cells.at).unwrap_or(i64::MIN),
            actor: Some(cells.actor),
        });
        self.walk.take(&Entry { columns, ..*entry }, &mut self.books, findings);
    }

    fn end(&self, end: &End, held: &Held, place: &FindingPlace, findings: &mut Findings) {
        let root = self.walk.frontier().map(|frontier| root_text(&frontier.root()));
        for (is_same, part) in [
            (end.events == held.events, "number of events"),
            (end.leaves == held.leaves, "number of leaves"),
            (end.checkpoints == held.checkpoints, "number of checkpoints"),
            (index(end.size) == self.walk.next() && end.size == self.stated, "size"),
            (root.is_none_or(|root| root == end.root), "root"),
        ] {
            if !is_same {
                findings.add(place.clone(), Wrong::ExportEnd { part });
            }
        }
    }

    /// Closes what must come to an end with the last export.
    pub(super) fn close(mut self, report: &mut Report, reading: &mut Reading<'_>) {
        let Report { checked, heads, findings } = report;
        let is_doubtful = self.walk.close(self.stated, findings);
        if is_doubtful && let Some(last) = self.walk.last() {
            self.walk.recheck(last, findings);
        }
        checked.logs += 1;
        checked.events += self.walk.events;
        checked.pruned += self.walk.pruned;
        checked.unheld_overrides += self.books.overrides.unheld();
        checked.unaccounted += self.books.close_alone(self.is_to_end, findings);
        checked.checkpoints += self.walk.checkpoints;
        let root = self.walk.frontier().map(|frontier| root_text(&frontier.root())).unwrap_or_default();
        heads.push(Head {
            name: self.log.name.clone(),
            origin: self.log.origin.clone(),
            size: self.walk.next(),
            root,
            checkpoint: self.walk.last().map(|last| last.note.clone()).unwrap_or_default(),
        });
        reading.before += self.leaves;
        (reading.progress)(Progress { events: reading.before, of: reading.of });
    }
}

/// The instant of a cell, in microseconds. One that is written otherwise than exports write it is none that an event has.
fn written(cell: &str) -> Option<i64> {
    let at = Instant::parse(cell).ok()?.0;
    (from_micros(at).to_string() == cell).then_some(at)
}

/// A leaf of which nothing else is known.
fn bare(at: u64, leaf_hash: [u8; 32], line: Option<Line<'_>>) -> Entry<'_> {
    Entry { index: index(at), leaf_hash: Some(leaf_hash), body: None, is_bare: true, columns: None, line }
}

/// The tree of the leaves before the first one; none when it is of another size.
fn frontier(header: &Header) -> Option<Frontier> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(&header.frontier).ok()?;
    Frontier::from_bytes(&bytes).ok().filter(|frontier| frontier.size() == header.from_index)
}

/// As indexes are counted here. No log is as long as what does not fit.
fn index(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
