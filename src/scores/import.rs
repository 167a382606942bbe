//! Imports a feed of scores as its bytes arrive: good lines are kept, bad ones are reported.

use std::collections::HashMap;

use crate::database::DatabaseError;
use crate::foundation::clock::Clock;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::{SubjectHandle, SubjectRef, SubjectRefs};

use super::handle::{ScoreError, Scores};
use super::lines::Lines;
use super::rows::{Format, LineFault, RowReader};
use super::score::{PutOutcome, Score, Source};
use super::store::MAX_ROWS;

/// The most faults that a report lists; it counts them all.
pub const MAX_ERRORS: usize = 100;

/// Bounds what is parsed before anything is written.
const PIECE_BYTES: usize = 64 * 1024;

/// The number of times that a chunk is tried again that another writer kept out.
const RETRIES: usize = 3;

/// The configuration of an import: what, and where to.
#[derive(Debug, Clone)]
pub struct ImportConfig {
    pub merchant: MerchantId,
    pub source: Source,
    pub format: Format,
    pub clock: Clock,
}

/// The outcome of a feed so far. Each line that holds a row counts once.
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

/// A fault in one line. It repeats nothing of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// From 1, the header and empty lines counted.
    pub line: u64,
    pub fault: LineFault,
}

impl ImportReport {
    fn list(&mut self, line: u64, fault: LineFault) {
        // Without its header no line means anything, which is said once.
        let is_said = fault == LineFault::Header && self.errors.iter().any(|error| error.fault == fault);
        if !is_said && self.errors.len() < MAX_ERRORS {
            self.errors.push(LineError { line, fault });
        }
    }
}

/// An import under way. After an error, what was written is retained and [`Import::report`] counts it;
/// importing the same feed again is safe.
pub struct Import {
    scores: Scores,
    config: ImportConfig,
    refer: Box<dyn Fn(&SubjectHandle) -> SubjectRefs + Send + Sync>,
    lines: Lines,
    reader: RowReader,
    pending: Vec<(u64, SubjectRefs, Score)>,
    report: ImportReport,
}

impl Import {
    pub(super) fn new(
        scores: Scores,
        config: ImportConfig,
        refer: impl Fn(&SubjectHandle) -> SubjectRefs + Send + Sync + 'static,
    ) -> Self {
        Self {
            scores,
            reader: RowReader::new(config.format),
            config,
            refer: Box::new(refer),
            lines: Lines::default(),
            pending: Vec::new(),
            report: ImportReport::default(),
        }
    }

    /// The report on the import so far.
    #[must_use]
    pub const fn report(&self) -> &ImportReport {
        &self.report
    }

    /// Takes the next bytes, cut anywhere. Returns when all but the last few rows are written:
    /// a caller that reads from a socket is slowed down to what the database takes.
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

    /// The scores that stand for the people of a chunk, by where each would be written.
    async fn standing(&self, chunk: &[(u64, SubjectRefs, Score)]) -> Result<HashMap<SubjectRef, Score>, ScoreError> {
        let ImportConfig { merchant, source, .. } = &self.config;
        let mut references: Vec<_> = chunk.iter().flat_map(|(_, subject, _)| subject.in_order()).collect();
        references.sort_unstable();
        references.dedup();
        let mut found = HashMap::new();
        // Few of them stand for two.
        for some in references.chunks(MAX_ROWS) {
            found.extend(self.scores.list(merchant, &source.name, some.to_vec()).await?);
        }
        for (_, subject, _) in chunk {
            let former = subject.former.and_then(|former| found.get(&former).copied());
            if let Some(score) = former {
                found.entry(subject.current).or_insert(score);
            }
        }
        Ok(found)
    }

    /// Writes one chunk in one transaction of its own, so that on SQLite the ledger has its turn
    /// between two. Rows are judged one after the other, as if each had been put by itself, and
    /// then only the last that stands of each subject is written.
    async fn write(&mut self, chunk: Vec<(u64, SubjectRefs, Score)>) -> Result<(), ScoreError> {
        let ImportConfig { merchant, source, clock, .. } = &self.config;
        let before = self.standing(&chunk).await?;
        let mut standing = before.clone();
        let mut new: HashMap<SubjectRef, Score> = HashMap::new();
        let (mut accepted, mut unchanged, mut stale) = (0, 0, Vec::new());
        for (line, subject, score) in chunk.into_iter().map(|(line, subject, score)| (line, subject.current, score)) {
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
        // Corrected and corrected back: accepted twice, and nothing to write.
        let new: Vec<_> = new.into_iter().filter(|(subject, score)| before.get(subject) != Some(score)).collect();
        let wanted = new.len();
        if !new.is_empty() {
            let mut tries = 0;
            let written = loop {
                match self.scores.put_all(merchant, &source.name, new.clone(), clock.now()).await {
                    // These say that nothing was written; of the others one can't be sure.
                    Err(ScoreError::Database(e))
                        if matches!(
                            *e,
                            DatabaseError::Conflict | DatabaseError::Busy | DatabaseError::Unclassified(_)
                        ) && tries < RETRIES =>
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::handle::testing::{Room, score};

    async fn import(room: &Room, format: Format, feed: &[u8], piece: usize) -> ImportReport {
        let mut import = room.import(format);
        for bytes in feed.chunks(piece) {
            import.push(bytes).await.unwrap();
        }
        import.finish().await.unwrap()
    }

    fn listed(report: &ImportReport) -> Vec<(u64, &'static str)> {
        report.errors.iter().map(|error| (error.line, error.fault.code())).collect()
    }

    const FEED: &str = r#"{"subject":"twitter:ada","value":47.25,"observed_at":"2026-11-22T09:00:00Z"}
{"subject":"twitter:bob","value":140,"observed_at":"2026-11-22T09:00:00Z"}

{"subject":"twitter:eve","value":12,"observed_at":"2026-11-22T09:00:00Z"}
nonsense
{"subject":"TWITTER:ADA","value":48,"observed_at":"2026-11-22T09:30:00Z"}
{"subject":"twitter:eve","value":11,"observed_at":"2026-11-22T08:00:00Z"}
{"subject":"twitter:eve","value":12,"observed_at":"2026-11-22T09:00:00Z"}
"#;

    #[tokio::test]
    async fn good_lines_are_kept_and_bad_ones_are_reported_however_the_bytes_arrive() {
        for piece in [1, 7, 100, FEED.len()] {
            let room = Room::open();
            let report = import(&room, Format::Ndjson, FEED.as_bytes(), piece).await;
            assert_eq!(listed(&report), vec![(2, "off_scale"), (5, "malformed"), (7, "stale")], "{piece}");
            let counts = (report.accepted, report.unchanged, report.stale, report.rejected);
            assert_eq!(counts, (3, 1, 1, 2), "{piece}");
            assert_eq!(room.find("twitter:ada").await, Some(score("48", "2026-11-22T09:30:00Z")));
            assert_eq!(room.find("twitter:eve").await, Some(score("12", "2026-11-22T09:00:00Z")));
            assert_eq!(room.find("twitter:bob").await, None);
        }
    }

    #[tokio::test]
    async fn the_same_feed_again_changes_nothing_and_an_older_one_is_stale() {
        let room = Room::open();
        let feed =
            b"\xEF\xBB\xBFvalue,observed_at,subject\r\n40,2026-11-22T09:00:00Z,a\r\n\"41.5\",2026-11-22T09:00:00Z,b";
        let report = import(&room, Format::Csv, feed, 10).await;
        assert_eq!(report, ImportReport { accepted: 2, ..ImportReport::default() });
        let report = import(&room, Format::Csv, feed, 1000).await;
        assert_eq!(report, ImportReport { unchanged: 2, ..ImportReport::default() });
        let older = b"value,observed_at,subject\n39,2026-11-21T09:00:00Z,a\n";
        let report = import(&room, Format::Csv, older, 1000).await;
        assert_eq!((report.stale, listed(&report)), (1, vec![(2, "stale")]));
        assert_eq!(room.find("a").await, Some(score("40", "2026-11-22T09:00:00Z")));
        assert_eq!(room.find("b").await, Some(score("41.5", "2026-11-22T09:00:00Z")));
    }

    #[tokio::test]
    async fn an_import_is_seen_by_a_look_up_that_had_the_old_score() {
        let room = Room::open();
        room.put("a", score("40", "2026-11-22T08:00:00Z")).await.unwrap();
        assert_eq!(room.find("a").await, Some(score("40", "2026-11-22T08:00:00Z")));
        import(&room, Format::Csv, b"subject,value,observed_at\na,41,2026-11-22T09:00:00Z\n", 1000).await;
        assert_eq!(room.find("a").await, Some(score("41", "2026-11-22T09:00:00Z")));
    }

    #[tokio::test]
    async fn the_list_of_errors_is_capped_and_the_counts_are_not() {
        use std::fmt::Write as _;
        let room = Room::open();
        let mut feed = String::new();
        for number in 0..2500 {
            let _ = writeln!(feed, r#"{{"subject":"n:{number}","value":40,"observed_at":"2026-11-22T09:00:00Z"}}"#);
            feed.push_str("bad\n");
        }
        feed.push_str(&"x".repeat(10 * 1024 * 1024));
        feed.push_str("\n{\"subject\":\"n:last\",\"value\":40,\"observed_at\":\"2026-11-22T09:00:00Z\"}");
        let report = import(&room, Format::Ndjson, feed.as_bytes(), 100_000).await;
        assert_eq!((report.accepted, report.rejected, report.errors.len()), (2501, 2501, MAX_ERRORS));
        assert!(room.find("n:2499").await.is_some());
        assert!(room.find("n:last").await.is_some());
    }

    #[tokio::test]
    async fn a_file_that_is_no_csv_writes_nothing() {
        let room = Room::open();
        let report = import(&room, Format::Csv, FEED.as_bytes(), 1000).await;
        assert_eq!((report.accepted, report.rejected), (0, 7));
        assert_eq!(listed(&report), [(1, "bad_header")]);
        assert_eq!(import(&room, Format::Csv, b"", 1).await, ImportReport::default());
    }

    #[tokio::test]
    async fn two_feeds_of_the_same_subjects_leave_the_newest() {
        use std::fmt::Write as _;
        let room = Room::open();
        let feed = |minute: u32, step: usize| {
            (0..3000).fold(String::from("subject,value,observed_at\n"), |mut feed, number| {
                let _ = writeln!(feed, "n:{},{minute},2026-11-22T09:{minute:02}:00Z", number * step % 3001);
                feed
            })
        };
        let (old, new) = (feed(10, 1), feed(20, 7));
        let (old, new) = futures_util::future::join(
            import(&room, Format::Csv, old.as_bytes(), 5000),
            import(&room, Format::Csv, new.as_bytes(), 5000),
        )
        .await;
        assert_eq!((new.accepted, new.stale), (3000, 0));
        assert_eq!(old.accepted + old.stale, 3000);
        for number in [1, 1500, 2999] {
            assert_eq!(room.find(&format!("n:{number}")).await, Some(score("20", "2026-11-22T09:20:00Z")));
        }
    }

    #[tokio::test]
    async fn chunks_do_not_show_in_the_counts() {
        use std::fmt::Write as _;
        let (room, mut feed) = (Room::open(), String::new());
        let (mut standing, mut wanted): (HashMap<u64, Score>, _) = (HashMap::new(), ImportReport::default());
        for step in 0..3500_u64 {
            // Few subjects and few times, in no order, so that every outcome happens in every chunk.
            let (subject, minute, value) = (step * 7919 % 61, step * 104_729 % 7, step / 427 % 5 / 2);
            let at = format!("2026-11-22T09:{minute:02}:00Z");
            let _ = writeln!(feed, r#"{{"subject":"n:{subject}","value":{value},"observed_at":"{at}"}}"#);
            let new = score(&value.to_string(), &at);
            match new.against(standing.get(&subject)) {
                PutOutcome::Accepted => {
                    standing.insert(subject, new);
                    wanted.accepted += 1;
                }
                PutOutcome::Unchanged => wanted.unchanged += 1,
                PutOutcome::Stale { .. } => wanted.stale += 1,
            }
        }
        let report = import(&room, Format::Ndjson, feed.as_bytes(), 4096).await;
        assert_eq!(ImportReport { errors: vec![], ..report }, wanted);
        assert!(wanted.unchanged > 0 && wanted.stale > 0, "{wanted:?}");
        for (subject, score) in standing {
            assert_eq!(room.find(&format!("n:{subject}")).await, Some(score));
        }
    }
}
