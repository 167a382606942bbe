//! Imports a feed, of scores or of what else is kept of people, as its bytes arrive: good lines are kept, bad ones are reported.
//!
//! Rows come in whatever order the feed has, and a reference is a keyed hash: written as they come, each lands on a
//! page of its own, and a database writes whole pages. So many rows are gathered first and put into the order of the
//! table, where neighbours share a page; then they are written in short chunks, a chunk for each piece of the feed
//! that comes in meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::database::{Backend, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::{SubjectHandle, SubjectRef, SubjectRefs};

use super::error::ScoreError;
use super::feed::{Feed, Judged, Place};
use super::lines::Lines;
use super::rows::{Format, LineFault};
use super::score::Source;

/// The most faults that a report lists; it counts them all.
pub const MAX_ERRORS: usize = 100;

/// Bounds what is parsed before anything is written.
const PIECE_BYTES: usize = 64 * 1024;

/// The number of times that a chunk is tried again that another writer kept out.
const RETRIES: usize = 3;

/// The time after which rows are written although more could be gathered: a feed may trickle.
const LONGEST_GATHERING: Duration = Duration::from_secs(5);

/// The number of imports that may gather many rows at once, and so take the memory for that.
pub(super) const LARGE_IMPORTS: usize = 4;

/// The configuration of an import of scores: what, and where to.
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
    /// Lists a fault in its place: rows are judged after later lines were read, and not in the feed's order.
    fn list(&mut self, line: u64, fault: LineFault) {
        // Without its header no line means anything, which is said once.
        if matches!(fault, LineFault::Header(_)) && self.errors.iter().any(|error| error.fault == fault) {
            return;
        }
        let at = self.errors.partition_point(|error| error.line < line);
        if at < MAX_ERRORS {
            self.errors.truncate(MAX_ERRORS - 1);
            self.errors.insert(at, LineError { line, fault });
        }
    }
}

/// One row of a feed that can be taken.
struct FeedRow<F: Feed> {
    subject: SubjectRef,
    /// Boxed because hardly any row has one.
    former: Option<Box<SubjectRef>>,
    line: u64,
    which: F::Which,
    value: F::Value,
}

/// The numbers of rows that an import works with.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// Written although more could be gathered, once they have waited for long.
    fewest: usize,
    /// Gathered by any import.
    small: usize,
    /// Gathered by one of the [`LARGE_IMPORTS`]: about 20 MB, and as much again while they are written.
    large: usize,
    /// Written in one transaction.
    chunk: usize,
}

impl Sizes {
    const fn of(backend: Backend) -> Self {
        let chunk = match backend {
            // Few enough that the ledger soon has its turn again.
            Backend::Sqlite => 2_000,
            // It locks rows only.
            Backend::Postgres => 8_000,
        };
        Self { fewest: 1_000, small: 8_000, large: 1 << 18, chunk }
    }
}

/// An import under way. After an error, what was written is retained and [`Import::report`] counts it;
/// importing the same feed again is safe.
pub struct Import<F: Feed> {
    feed: F,
    clock: Clock,
    refer: Box<dyn Fn(&SubjectHandle) -> SubjectRefs + Send + Sync>,
    lines: Lines,
    sizes: Sizes,
    /// In the feed's order.
    gathered: Vec<FeedRow<F>>,
    /// When the first of them was gathered.
    since: Option<Instant>,
    /// In the order of the table, those of one subject in the feed's: they are written before any that are gathered.
    sorted: std::vec::IntoIter<FeedRow<F>>,
    /// The imports that may yet begin to gather many rows, and the permit of one that does.
    large_imports: Arc<Semaphore>,
    large: Option<OwnedSemaphorePermit>,
    has_ended: bool,
    report: ImportReport,
}

impl<F: Feed> Import<F> {
    pub(super) fn new(
        feed: F,
        backend: Backend,
        clock: Clock,
        large_imports: Arc<Semaphore>,
        refer: impl Fn(&SubjectHandle) -> SubjectRefs + Send + Sync + 'static,
    ) -> Self {
        Self {
            sizes: Sizes::of(backend),
            feed,
            clock,
            large_imports,
            refer: Box::new(refer),
            lines: Lines::default(),
            gathered: Vec::new(),
            since: None,
            sorted: Vec::new().into_iter(),
            large: None,
            has_ended: false,
            report: ImportReport::default(),
        }
    }

    /// The report on what was written so far.
    #[must_use]
    pub const fn report(&self) -> &ImportReport {
        &self.report
    }

    /// Takes the next bytes, cut anywhere. At most two batches of rows are then not written yet: a caller that
    /// reads from a socket is slowed down to what the database takes.
    ///
    /// # Errors
    /// [`ScoreError::Database`]: the import can't go on.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), ScoreError> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.read(Some(piece));
            if self.is_batch() {
                while self.write_chunk().await? {}
                self.sort().await?;
            }
            self.write_chunk().await?;
        }
        Ok(())
    }

    /// The feed is over: writes a part of what is left, and says if there was any. Each call takes as long as one of
    /// [`Import::push`].
    ///
    /// # Errors
    /// As [`Import::push`].
    pub async fn end(&mut self) -> Result<bool, ScoreError> {
        if !self.has_ended {
            self.has_ended = true;
            self.read(None);
        }
        if self.sorted.as_slice().is_empty() {
            self.sort().await?;
        }
        self.write_chunk().await
    }

    /// The feed is over: writes all that is left.
    ///
    /// # Errors
    /// As [`Import::push`].
    pub async fn finish(&mut self) -> Result<ImportReport, ScoreError> {
        while self.end().await? {}
        Ok(self.report.clone())
    }

    /// Reads the lines that end in `piece`, or without one the last that has no end.
    fn read(&mut self, piece: Option<&[u8]>) {
        let Self { lines, feed, gathered, report, clock, refer, .. } = self;
        let now = clock.now();
        let each = |line, text: Result<&[u8], _>| match text
            .map_err(|_| LineFault::TooLong)
            .and_then(|text| feed.read(text, now))
        {
            Ok(None) => {}
            Ok(Some((handle, which, value))) => {
                let SubjectRefs { current: subject, former } = refer(&handle);
                gathered.push(FeedRow { subject, former: former.map(Box::new), line, which, value });
            }
            Err(fault) => {
                report.rejected += 1;
                report.list(line, fault);
            }
        };
        match piece {
            Some(piece) => lines.push(piece, each),
            None => lines.finish(each),
        }
        if !self.gathered.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// True if the rows that were gathered are to be written next.
    fn is_batch(&mut self) -> bool {
        let rows = self.gathered.len();
        if rows >= self.sizes.small && self.large.is_none() {
            self.large = self.large_imports.clone().try_acquire_owned().ok();
        }
        let most = if self.large.is_some() { self.sizes.large } else { self.sizes.small };
        let is_late = || self.since.is_some_and(|since| since.elapsed() >= LONGEST_GATHERING);
        rows >= most || (rows >= self.sizes.fewest && is_late())
    }

    /// Puts the rows that were gathered into the order of the table. All that were sorted before are written.
    async fn sort(&mut self) -> Result<(), ScoreError> {
        self.since = None;
        let mut rows = std::mem::take(&mut self.gathered);
        let sorting = tokio::task::spawn_blocking(move || {
            rows.sort_unstable_by(|a, b| {
                let place = |row: &FeedRow<F>| (row.subject, row.which.clone());
                place(a).cmp(&place(b)).then(a.line.cmp(&b.line))
            });
            rows
        });
        self.sorted = sorting.await.map_err(|_| DatabaseError::Interrupted)?.into_iter();
        Ok(())
    }

    /// The values that stand for the people of a chunk, by where each stands.
    async fn standing(&self, chunk: &[FeedRow<F>]) -> Result<HashMap<Place<F>, F::Value>, ScoreError> {
        let former = chunk.iter().filter_map(|row| row.former.as_deref());
        let mut references: Vec<_> = chunk.iter().map(|row| &row.subject).chain(former).copied().collect();
        references.sort_unstable();
        references.dedup();
        let mut found = HashMap::new();
        // Few of them stand under two.
        for some in references.chunks(self.sizes.chunk) {
            found.extend(self.feed.standing(some.to_vec()).await?);
        }
        Ok(found)
    }

    /// Writes the next chunk of what is sorted, in one transaction of its own, so that on SQLite the ledger has its
    /// turn between two; false when there is none. Rows of one subject are judged one after the other, as if each
    /// had been put by itself, and then only the last that stands is written.
    async fn write_chunk(&mut self) -> Result<bool, ScoreError> {
        let chunk: Vec<_> = self.sorted.by_ref().take(self.sizes.chunk).collect();
        if chunk.is_empty() {
            return Ok(false);
        }
        let found = self.standing(&chunk).await?;
        let mut new = Vec::new();
        let (mut accepted, mut unchanged, mut stale) = (0_u64, 0, Vec::new());
        for rows in chunk.chunk_by(|a, b| a.subject == b.subject && a.which == b.which) {
            let Some(FeedRow { subject, which, .. }) = rows.first() else { continue };
            let former = || rows.iter().find_map(|row| found.get(&(*row.former.as_deref()?, which.clone())));
            let before = found.get(&(*subject, which.clone())).or_else(former);
            let mut standing = before.cloned();
            for row in rows {
                let (outcome, stands) = self.feed.judge(which, &row.value, standing.as_ref());
                standing = stands.or(standing);
                match outcome {
                    Judged::Accepted => accepted += 1,
                    Judged::Unchanged => unchanged += 1,
                    Judged::Stale => stale.push(row.line),
                }
            }
            // Corrected and corrected back: accepted twice, and nothing to write.
            new.extend(standing.filter(|it| Some(it) != before).map(|value| ((*subject, which.clone()), value)));
        }
        let beaten = self.write(new).await?;
        self.report.accepted += accepted.saturating_sub(beaten);
        self.report.unchanged += unchanged;
        self.report.stale += beaten;
        for line in stale {
            self.report.stale += 1;
            self.report.list(line, LineFault::Stale);
        }
        Ok(true)
    }

    /// Writes these values, and says how many were beaten by what others wrote since they were judged. Which lines
    /// those were isn't known.
    async fn write(&self, new: Vec<(Place<F>, F::Value)>) -> Result<u64, ScoreError> {
        if new.is_empty() {
            return Ok(0);
        }
        let mut tries = 0;
        let written = loop {
            match self.feed.write(new.clone(), self.clock.now()).await {
                // These say that nothing was written; of the others one can't be sure.
                Err(ScoreError::Database(e))
                    if matches!(*e, DatabaseError::Conflict | DatabaseError::Busy | DatabaseError::Unclassified(_))
                        && tries < RETRIES =>
                {
                    tries += 1;
                }
                result => break result?,
            }
        };
        Ok(u64::try_from(new.len().saturating_sub(written)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::handle::testing::{Room, score};
    use crate::scores::score::{PutOutcome, Score};

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

    const FEED: &str = concat!(
        r#"{"subject":"twitter:ada","value":47.25,"observed_at":"2026-11-22T09:00:00Z"}"#,
        "\n",
        r#"{"subject":"twitter:bob","value":140,"observed_at":"2026-11-22T09:00:00Z"}"#,
        "\n",
        "\n",
        r#"{"subject":"twitter:eve","value":12,"observed_at":"2026-11-22T09:00:00Z"}"#,
        "\n",
        r#"nonsense"#,
        "\n",
        r#"{"subject":"TWITTER:ADA","value":48,"observed_at":"2026-11-22T09:30:00Z"}"#,
        "\n",
        r#"{"subject":"twitter:eve","value":11,"observed_at":"2026-11-22T08:00:00Z"}"#,
        "\n",
        r#"{"subject":"twitter:eve","value":12,"observed_at":"2026-11-22T09:00:00Z"}"#,
        "\n",
    );

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
    async fn batches_and_chunks_do_not_show_in_the_counts() {
        for (large, chunk) in [(1 << 18, 2_000), (700, 50), (33, 20), (5, 100)] {
            judges_as_one_by_one(Sizes { fewest: 1, small: large.min(100), large, chunk }).await;
        }
    }

    async fn judges_as_one_by_one(sizes: Sizes) {
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
        let mut import = Import { sizes, ..room.import(Format::Ndjson) };
        for bytes in feed.as_bytes().chunks(4096) {
            import.push(bytes).await.unwrap();
        }
        let report = import.finish().await.unwrap();
        assert_eq!(ImportReport { errors: vec![], ..report.clone() }, wanted, "{sizes:?}");
        assert!(report.errors.is_sorted_by(|one, next| one.line < next.line), "{sizes:?}");
        assert!(wanted.unchanged > 0 && wanted.stale > 0, "{wanted:?}");
        for (subject, score) in standing {
            assert_eq!(room.find(&format!("n:{subject}")).await, Some(score));
        }
    }

    #[tokio::test]
    async fn the_first_faults_are_listed_whatever_the_order_of_rows_in_the_table() {
        use std::fmt::Write as _;
        let room = Room::open();
        let feed = |day: u32| {
            (0..300).fold(String::from("subject,value,observed_at\n"), |mut feed, number| {
                let _ = writeln!(feed, "n:{number},20,2026-11-{day}T09:00:00Z");
                feed
            })
        };
        import(&room, Format::Csv, feed(22).as_bytes(), 1000).await;
        let mut older = Import { sizes: Sizes { chunk: 7, ..Sizes::of(Backend::Sqlite) }, ..room.import(Format::Csv) };
        older.push(feed(21).as_bytes()).await.unwrap();
        let report = older.finish().await.unwrap();
        let lines: Vec<u64> = report.errors.iter().map(|error| error.line).collect();
        assert_eq!((report.stale, lines), (300, (2..102).collect()));
    }

    #[tokio::test]
    async fn a_feed_that_trickles_is_written_meanwhile() {
        let room = Room::open();
        let mut import =
            Import { sizes: Sizes { fewest: 2, ..Sizes::of(Backend::Sqlite) }, ..room.import(Format::Csv) };
        import.push(b"subject,value,observed_at\na,40,2026-11-22T09:00:00Z\n").await.unwrap();
        import.since = import.since.and_then(|since| since.checked_sub(LONGEST_GATHERING));
        import.push(b"\n").await.unwrap();
        assert_eq!(import.report().accepted, 0, "one row is not worth a transaction");
        import.push(b"b,40,2026-11-22T09:00:00Z\n").await.unwrap();
        assert_eq!((import.report().accepted, import.since), (2, None));
        import.push(b"c,40,2026-11-22T09:00:00Z\nd,40,2026-11-22T09:00:00Z\n").await.unwrap();
        assert_eq!(import.report().accepted, 2, "these have not waited yet");
        assert_eq!(import.finish().await.unwrap().accepted, 4);
    }

    #[tokio::test]
    async fn only_so_many_imports_gather_many_rows_at_once() {
        use std::fmt::Write as _;
        let room = Room::open();
        let feed = (0..50).fold(String::from("subject,value,observed_at\n"), |mut feed, number| {
            let _ = writeln!(feed, "n:{number},20,2026-11-22T09:00:00Z");
            feed
        });
        let sizes = Sizes { small: 40, large: 60, ..Sizes::of(Backend::Sqlite) };
        let mut imports = Vec::new();
        for _ in 0..LARGE_IMPORTS {
            let mut import = Import { sizes, ..room.import(Format::Csv) };
            import.push(feed.as_bytes()).await.unwrap();
            assert_eq!((import.gathered.len(), import.report().accepted), (50, 0));
            imports.push(import);
        }
        let mut one_more = Import { sizes, ..room.import(Format::Csv) };
        one_more.push(feed.as_bytes()).await.unwrap();
        assert_eq!((one_more.gathered.len(), one_more.report().accepted), (0, 50));
        drop(imports);
        let mut another = Import { sizes, ..room.import(Format::Csv) };
        another.push(feed.as_bytes()).await.unwrap();
        assert_eq!(another.gathered.len(), 50, "there is room again");
    }
}
