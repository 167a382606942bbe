//! Imports a feed of scores as its bytes arrive: good lines are kept, bad ones are reported.

use std::collections::HashMap;

use crate::clock::Clock;
use crate::database::DatabaseError;
use crate::ids::MerchantId;
use crate::subject::{SubjectHandle, SubjectRef};

use super::lines::Lines;
use super::lookup::{Lookup, ScoreError};
use super::rows::{Format, LineFault, RowReader};
use super::score::{PutOutcome, Score, Source};
use super::store::MAX_ROWS;

/// How many faults a report lists; it counts them all.
pub const MAX_ERRORS: usize = 100;

/// Bounds what is parsed before anything is written.
const PIECE_BYTES: usize = 64 * 1024;

/// How often a chunk is tried again that another writer kept out.
const RETRIES: usize = 3;

/// What is imported, where to.
#[derive(Debug, Clone)]
pub struct ImportConfig {
    pub merchant: MerchantId,
    pub source: Source,
    pub format: Format,
    pub clock: Clock,
}

/// What became of a feed so far. Each line that holds a row counts once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportReport {
    pub accepted: u64,
    pub unchanged: u64,
    /// A newer observation of the subject stood already; listed in `errors` too.
    pub stale: u64,
    pub rejected: u64,
    /// The first [`MAX_ERRORS`] of them.
    pub errors: Vec<LineError>,
}

/// What is wrong with one line. It repeats nothing of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// From 1, the header and empty lines counted.
    pub line: u64,
    pub fault: LineFault,
}

impl ImportReport {
    fn list(&mut self, line: u64, fault: LineFault) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(LineError { line, fault });
        }
    }
}

/// An import under way. After an error, what was written stays and [`Import::report`] counts it;
/// importing the same feed again is safe.
pub struct Import {
    lookup: Lookup,
    config: ImportConfig,
    refer: Box<dyn Fn(&SubjectHandle) -> SubjectRef + Send + Sync>,
    lines: Lines,
    reader: RowReader,
    pending: Vec<(u64, SubjectRef, Score)>,
    report: ImportReport,
}

impl Import {
    pub(super) fn new(
        lookup: Lookup,
        config: ImportConfig,
        refer: impl Fn(&SubjectHandle) -> SubjectRef + Send + Sync + 'static,
    ) -> Self {
        Self {
            lookup,
            reader: RowReader::new(config.format),
            config,
            refer: Box::new(refer),
            lines: Lines::default(),
            pending: Vec::new(),
            report: ImportReport::default(),
        }
    }

    /// What is written and reported so far.
    #[must_use]
    pub const fn report(&self) -> &ImportReport {
        &self.report
    }

    /// Takes the next bytes, cut anywhere. Returns when all but the last few rows are written:
    /// whoever reads from a socket is slowed down to what the database takes.
    ///
    /// # Errors
    /// [`ScoreError::Database`]: the import can't go on.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), ScoreError> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.read(Some(piece));
            while self.pending.len() >= MAX_ROWS {
                let chunk = self.pending.drain(..MAX_ROWS).collect();
                self.write(chunk).await?;
            }
        }
        Ok(())
    }

    /// The feed is over: writes what is left.
    ///
    /// # Errors
    /// As [`Import::push`].
    pub async fn finish(&mut self) -> Result<ImportReport, ScoreError> {
        self.read(None);
        let rows = std::mem::take(&mut self.pending);
        for chunk in rows.chunks(MAX_ROWS) {
            self.write(chunk.to_vec()).await?;
        }
        // Chunks are judged after later lines were read.
        self.report.errors.sort_by_key(|error| error.line);
        Ok(self.report.clone())
    }

    /// Reads the lines that end in `piece`, or without one the last that has no end.
    fn read(&mut self, piece: Option<&[u8]>) {
        let Self { lines, reader, pending, report, config, refer, .. } = self;
        let now = config.clock.now();
        let each = |number, line: Result<&[u8], _>| match line
            .map_err(|_| LineFault::TooLong)
            .and_then(|line| reader.read(line, &config.source, now))
        {
            Ok(None) => {}
            Ok(Some(row)) => pending.push((number, refer(&row.subject), row.score)),
            Err(fault) => {
                report.rejected += 1;
                report.list(number, fault);
            }
        };
        match piece {
            Some(piece) => lines.push(piece, each),
            None => lines.finish(each),
        }
    }

    /// Writes one chunk in one transaction of its own, so that on SQLite the ledger has its turn
    /// between two. Rows are judged one after the other, as if each had been put by itself, and
    /// then only the last that stands of each subject is written.
    async fn write(&mut self, chunk: Vec<(u64, SubjectRef, Score)>) -> Result<(), ScoreError> {
        let ImportConfig { merchant, source, clock, .. } = &self.config;
        let mut subjects: Vec<_> = chunk.iter().map(|(_, subject, _)| *subject).collect();
        subjects.sort_unstable();
        subjects.dedup();
        let mut standing = self.lookup.list(merchant, &source.name, subjects).await?;
        let mut new: HashMap<SubjectRef, Score> = HashMap::new();
        let (mut accepted, mut unchanged, mut stale) = (0, 0, Vec::new());
        for (line, subject, score) in chunk {
            match score.against(standing.get(&subject)) {
                PutOutcome::Accepted => {
                    standing.insert(subject, score);
                    new.insert(subject, score);
                    accepted += 1;
                }
                PutOutcome::Unchanged => unchanged += 1,
                PutOutcome::Stale { .. } => stale.push(line),
            }
        }
        let new: Vec<_> = new.into_iter().collect();
        let wanted = new.len();
        if !new.is_empty() {
            let mut tries = 0;
            let written = loop {
                match self.lookup.put_all(merchant, &source.name, new.clone(), clock.now()).await {
                    // These two say that nothing was written; of the others one can't be sure.
                    Err(ScoreError::Database(e))
                        if matches!(*e, DatabaseError::Conflict | DatabaseError::Busy) && tries < RETRIES =>
                    {
                        tries += 1;
                    }
                    result => break result?,
                }
            };
            // Another feed wrote a newer one since we looked. Which line it beat isn't known.
            let beaten = u64::try_from(wanted.saturating_sub(written)).unwrap_or(0);
            accepted -= beaten;
            self.report.stale += beaten;
        }
        self.report.accepted += accepted;
        self.report.unchanged += unchanged;
        for line in stale {
            self.report.stale += 1;
            self.report.list(line, LineFault::Stale);
        }
        Ok(())
    }
}
