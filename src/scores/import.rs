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

use super::error::ScoreError;
use super::feed::{Amount, Feed, Judged, Place, Sizes, Written};
use super::held::HeldFeed;
use super::lines::Lines;
use super::rows::{Format, LineFault};
use super::score::Source;
use crate::database::{Backend, DatabaseError};
use crate::foundation::clock::Clock;
use crate::foundation::ids::MerchantId;
use crate::foundation::subject::{SubjectHandle, SubjectRef, SubjectRefs};

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
    /// Signals only, as the next: of people who are not enrolled, and not kept.
    pub not_enrolled: u64,
    /// Accepted without an id, so that another delivery of the same would count again.
    pub without_id: u64,
    /// The first [`MAX_ERRORS`] of them.
    pub errors: Vec<LineError>,
    /// It would move too many people too far: none of it counts until a person releases it.
    pub held: Option<HeldFeed>,
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

impl<F: Feed> FeedRow<F> {
    /// The bytes that it takes while it waits.
    fn weight(&self) -> usize {
        size_of::<Self>() + F::weight(&self.value) + if self.former.is_some() { size_of::<SubjectRef>() } else { 0 }
    }
}

/// An import under way. After an error, [`Import::report`] counts what was written; importing the feed again
/// is safe, but for acts without an id.
pub struct Import<F: Feed> {
    feed: F,
    clock: Clock,
    refer: Box<dyn Fn(&SubjectHandle) -> SubjectRefs + Send + Sync>,
    lines: Lines,
    sizes: Sizes,
    /// In the feed's order.
    gathered: Vec<FeedRow<F>>,
    amount: Amount,
    /// When the first of them was gathered.
    since: Option<Instant>,
    /// In the order of the table, those of one subject in the feed's: they are written before any that are gathered.
    sorted: std::vec::IntoIter<FeedRow<F>>,
    /// The imports that may yet begin to gather many rows, and the permit of one that does.
    large_imports: Arc<Semaphore>,
    large: Option<OwnedSemaphorePermit>,
    has_ended: bool,
    /// The first rows were sorted.
    has_begun: bool,
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
            amount: Amount::NONE,
            since: None,
            sorted: Vec::new().into_iter(),
            large: None,
            has_ended: false,
            has_begun: false,
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
        if self.write_chunk().await? {
            return Ok(true);
        }
        let is_more = self.feed.conclude(self.clock.now()).await?;
        self.report.held = self.feed.held().cloned();
        Ok(is_more)
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
        let Self { lines, feed, gathered, amount, report, clock, refer, .. } = self;
        let now = clock.now();
        let each = |line, text: Result<&[u8], _>| match text
            .map_err(|_| LineFault::TooLong)
            .and_then(|text| feed.read(text, now))
        {
            Ok(None) => {}
            Ok(Some((handle, which, value))) => {
                let SubjectRefs { current: subject, former } = refer(&handle);
                let row = FeedRow { subject, former: former.map(Box::new), line, which, value };
                *amount = amount.and(row.weight());
                gathered.push(row);
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
        if self.amount.has_reached(self.sizes.small) && self.large.is_none() {
            self.large = self.large_imports.clone().try_acquire_owned().ok();
        }
        let most = if self.large.is_some() { self.sizes.large } else { self.sizes.small };
        let is_late = || self.since.is_some_and(|since| since.elapsed() >= LONGEST_GATHERING);
        self.amount.has_reached(most) || (self.gathered.len() >= self.sizes.fewest && is_late())
    }

    /// Puts the rows that were gathered into the order of the table. All that were sorted before are written.
    async fn sort(&mut self) -> Result<(), ScoreError> {
        self.since = None;
        self.amount = Amount::NONE;
        let mut rows = std::mem::take(&mut self.gathered);
        let sorting = tokio::task::spawn_blocking(move || {
            rows.sort_unstable_by(|a, b| {
                a.subject.cmp(&b.subject).then_with(|| a.which.cmp(&b.which)).then(a.line.cmp(&b.line))
            });
            rows
        });
        self.sorted = sorting.await.map_err(|_| DatabaseError::Interrupted)?.into_iter();
        if !self.has_begun && self.feed.is_guarded() {
            let all = || self.sorted.as_slice().iter().map(|row| (row.subject, row.value.clone())).collect();
            self.feed.begin(self.has_ended.then(all), self.clock.now()).await?;
        }
        self.has_begun = true;
        Ok(())
    }

    /// The values that stand for the people of a chunk, by where each stands.
    async fn standing(&self, chunk: &[FeedRow<F>]) -> Result<HashMap<Place<F>, F::Value>, ScoreError> {
        let former = chunk.iter().filter_map(|row| row.former.as_deref());
        let mut references: Vec<_> = chunk.iter().map(|row| &row.subject).chain(former).copied().collect();
        references.sort_unstable();
        references.dedup();
        let mut names: Vec<_> = chunk.iter().map(|row| row.which.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let mut found = HashMap::new();
        // Few of them stand under two.
        for some in references.chunks(self.sizes.chunk.rows) {
            found.extend(self.feed.standing(some.to_vec(), names.clone()).await?);
        }
        Ok(found)
    }

    /// Writes the next chunk of what is sorted, in one transaction of its own, so that on SQLite the ledger has its
    /// turn between two; false when there is none. Rows of one subject are judged one after the other, as if each
    /// had been put by itself, and then only the last that stands is written.
    async fn write_chunk(&mut self) -> Result<bool, ScoreError> {
        let chunk = self.next_chunk();
        if chunk.is_empty() {
            return Ok(false);
        }
        let found = self.standing(&chunk).await?;
        let (mut new, mut judged) = (Vec::new(), Vec::with_capacity(chunk.len()));
        for rows in chunk.chunk_by(|a, b| a.subject == b.subject && a.which == b.which) {
            let Some(FeedRow { subject, which, .. }) = rows.first() else { continue };
            let former = || rows.iter().find_map(|row| found.get(&(*row.former.as_deref()?, which.clone())));
            let before = found.get(&(*subject, which.clone())).or_else(former);
            let mut standing = before.cloned();
            for row in rows {
                let (outcome, stands) = self.feed.judge(which, &row.value, standing.as_ref());
                standing = stands.or(standing);
                judged.push((row, outcome));
            }
            // Corrected and corrected back: accepted twice, and nothing to write.
            new.extend(standing.filter(|it| Some(it) != before).map(|value| ((*subject, which.clone()), value)));
        }
        let Written { beaten, undeclared, unchanged, not_enrolled, unkeyed } = self.write(new).await?;
        let counts = [beaten, unchanged, not_enrolled, unkeyed];
        let [beaten, unchanged, not_enrolled, unkeyed] = counts.map(|it| u64::try_from(it).unwrap_or(0));
        let mut accepted = 0_u64;
        for (row, outcome) in judged {
            match outcome {
                _ if undeclared.contains(&row.which) => {
                    self.report.rejected += 1;
                    self.report.list(row.line, LineFault::Undeclared);
                }
                Judged::Accepted => accepted += 1,
                Judged::Unchanged => self.report.unchanged += 1,
                Judged::Stale => {
                    self.report.stale += 1;
                    self.report.list(row.line, LineFault::Stale);
                }
            }
        }
        self.report.accepted += accepted.saturating_sub(beaten + unchanged + not_enrolled);
        self.report.unchanged += unchanged;
        self.report.not_enrolled += not_enrolled;
        self.report.without_id += unkeyed;
        self.report.stale += beaten.min(accepted);
        Ok(true)
    }

    /// The next rows of what is sorted.
    fn next_chunk(&mut self) -> Vec<FeedRow<F>> {
        let (mut chunk, mut amount) = (Vec::new(), Amount::NONE);
        while !amount.has_reached(self.sizes.chunk) {
            let Some(row) = self.sorted.next() else { break };
            amount = amount.and(row.weight());
            chunk.push(row);
        }
        chunk
    }

    /// Writes these values, and says what it did not: of those that were beaten by what others wrote since they were
    /// judged, it isn't known which lines they were.
    async fn write(&self, new: Vec<(Place<F>, F::Value)>) -> Result<Written<F>, ScoreError> {
        if new.is_empty() {
            return Ok(Written::of_all());
        }
        let (new, mut tries) = (Arc::new(new), 0);
        loop {
            match self.feed.write(new.clone(), self.clock.now()).await {
                // These say that nothing was written; of the others one can't be sure.
                Err(ScoreError::Database(e))
                    if matches!(*e, DatabaseError::Conflict | DatabaseError::Busy | DatabaseError::Unclassified(_))
                        && tries < RETRIES =>
                {
                    tries += 1;
                }
                result => return result,
            }
        }
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
            let rows = |rows| Amount { rows, bytes: usize::MAX };
            let (small, large, chunk) = (rows(large.min(100)), rows(large), rows(chunk));
            judges_as_one_by_one(Sizes { fewest: 1, small, large, chunk }).await;
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
        let chunk = Amount { rows: 7, bytes: usize::MAX };
        let mut older = Import { sizes: Sizes { chunk, ..Sizes::of(Backend::Sqlite) }, ..room.import(Format::Csv) };
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
        let rows = |rows| Amount { rows, bytes: usize::MAX };
        let sizes = Sizes { small: rows(40), large: rows(60), ..Sizes::of(Backend::Sqlite) };
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

    /// Lines of any length, whose values are as heavy as they are long; what each write held is kept.
    struct Heavy(Arc<std::sync::Mutex<Vec<usize>>>);

    impl Feed for Heavy {
        type Which = ();
        type Value = String;

        fn read(&mut self, line: &[u8], _: jiff::Timestamp) -> Result<Option<(SubjectHandle, (), String)>, LineFault> {
            let text = String::from_utf8(line.to_vec()).unwrap();
            Ok(Some((format!("n:{}", &text[..8]).parse().unwrap(), (), text)))
        }

        fn judge(&self, (): &(), new: &String, _: Option<&String>) -> (Judged, Option<String>) {
            (Judged::Accepted, Some(new.clone()))
        }

        fn weight(value: &String) -> usize {
            value.len()
        }

        async fn standing(&self, _: Vec<SubjectRef>, _: Vec<()>) -> Result<HashMap<Place<Self>, String>, ScoreError> {
            Ok(HashMap::new())
        }

        async fn write(
            &self,
            new: Arc<Vec<(Place<Self>, String)>>,
            _: jiff::Timestamp,
        ) -> Result<Written<Self>, ScoreError> {
            self.0.lock().unwrap().push(new.iter().map(|(_, value)| value.len()).sum());
            Ok(Written::of_all())
        }
    }

    #[tokio::test]
    async fn the_bytes_of_rows_are_bounded_whatever_their_number() {
        let sizes = Sizes::of(Backend::Postgres);
        for (permits, most) in [(0, sizes.small.bytes), (1, sizes.large.bytes)] {
            let writes = Arc::new(std::sync::Mutex::new(Vec::new()));
            let clock = Clock::fixed("2012-05-08T19:00:00Z".parse().unwrap());
            let refer = |handle: &SubjectHandle| {
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&handle.as_str().as_bytes()[2..10]);
                SubjectRefs::from(SubjectRef(bytes))
            };
            let permits = Arc::new(Semaphore::new(permits));
            let mut import = Import::new(Heavy(writes.clone()), Backend::Postgres, clock, permits, refer);
            let (line, mut had) = ("x".repeat(5_000), 0);
            for nth in 0..16_000 {
                import.push(format!("{nth:08}{line}\n").as_bytes()).await.unwrap();
                had = had.max(import.amount.bytes);
            }
            import.finish().await.unwrap();
            // One piece may come on top.
            assert!(had <= most + 2 * PIECE_BYTES, "{had} of {most}");
            let writes = writes.lock().unwrap();
            assert_eq!(writes.iter().sum::<usize>(), 16_000 * 5_008);
            assert!(writes.iter().all(|bytes| *bytes <= sizes.chunk.bytes + PIECE_BYTES), "{writes:?}");
            assert_eq!(import.report().accepted, 16_000);
        }
    }
}
