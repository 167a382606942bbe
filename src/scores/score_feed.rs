//! A feed of scores from one source.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::error::ScoreError;
use super::feed::{Feed, Judged, Place, Read, Written};
use super::handle::Scores;
use super::import::ImportConfig;
use super::rows::{LineFault, Row, RowReader};
use super::score::{PutOutcome, Score};
use crate::foundation::subject::SubjectRef;

/// Scores from one source.
pub struct ScoreFeed {
    scores: Scores,
    config: ImportConfig,
    reader: RowReader,
}

impl ScoreFeed {
    pub(super) const fn new(scores: Scores, config: ImportConfig) -> Self {
        let reader = RowReader::new(config.format);
        Self { scores, config, reader }
    }
}

impl Feed for ScoreFeed {
    type Which = ();
    type Value = Score;

    fn read(&mut self, line: &[u8], now: Timestamp) -> Result<Option<Read<Self>>, LineFault> {
        let row = self.reader.read(line, &self.config.source, now)?;
        Ok(row.map(|Row { subject, score }| (subject, (), score)))
    }

    fn judge(&self, (): &(), new: &Score, standing: Option<&Score>) -> (Judged, Option<Score>) {
        match new.against(standing) {
            PutOutcome::Accepted => (Judged::Accepted, Some(*new)),
            PutOutcome::Unchanged => (Judged::Unchanged, None),
            PutOutcome::Stale { .. } => (Judged::Stale, None),
        }
    }

    fn weight(_: &Score) -> usize {
        0
    }

    async fn standing(&self, subjects: Vec<SubjectRef>, _: Vec<()>) -> Result<HashMap<Place<Self>, Score>, ScoreError> {
        let ImportConfig { merchant, source, .. } = &self.config;
        let found = self.scores.list(merchant, &source.name, subjects).await?;
        Ok(found.into_iter().map(|(subject, score)| ((subject, ()), score)).collect())
    }

    async fn write(&self, new: Arc<Vec<(Place<Self>, Score)>>, now: Timestamp) -> Result<Written<Self>, ScoreError> {
        let ImportConfig { merchant, source, .. } = &self.config;
        let new: Vec<_> = new.iter().map(|((subject, ()), score)| (*subject, *score)).collect();
        let all = new.len();
        let written = self.scores.put_all(merchant, &source.name, new, now).await?;
        Ok(Written { beaten: all.saturating_sub(written), ..Written::of_all() })
    }
}
