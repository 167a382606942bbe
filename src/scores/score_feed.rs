//! A feed of scores from one source.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::error::ScoreError;
use super::feed::{Feed, Judged, Place, Read, Written};
use super::handle::Scores;
use super::held::HeldFeed;
use super::held::coming::Coming;
use super::import::ImportConfig;
use super::rows::{LineFault, Row, RowReader};
use super::score::{PutOutcome, Score};
use crate::foundation::subject::SubjectRef;

/// Scores from one source.
pub struct ScoreFeed {
    scores: Scores,
    config: ImportConfig,
    reader: RowReader,
    /// Where it may be held.
    coming: Option<Coming>,
}

impl ScoreFeed {
    pub(super) const fn new(scores: Scores, config: ImportConfig, coming: Option<Coming>) -> Self {
        let reader = RowReader::new(config.format);
        Self { scores, config, reader, coming }
    }
}

impl Feed for ScoreFeed {
    type Which = ();
    type Value = Score;

    fn read(&mut self, line: &[u8], now: Timestamp) -> Result<Option<Read<Self>>, LineFault> {
        if let Some(coming) = &mut self.coming {
            coming.note(line);
        }
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
        let mut found = self.scores.list(merchant, &source.name, subjects.clone()).await?;
        if let Some(coming) = &self.coming {
            found = coming.over(found, subjects).await?;
        }
        Ok(found.into_iter().map(|(subject, score)| ((subject, ()), score)).collect())
    }

    async fn write(&self, new: Arc<Vec<(Place<Self>, Score)>>, now: Timestamp) -> Result<Written<Self>, ScoreError> {
        let ImportConfig { merchant, source, .. } = &self.config;
        let new: Vec<_> = new.iter().map(|((subject, ()), score)| (*subject, *score)).collect();
        if let Some(coming) = &self.coming
            && coming.set_down(&new, now).await?
        {
            return Ok(Written::of_all());
        }
        let all = new.len();
        let written = self.scores.put_all(merchant, &source.name, new, now).await?;
        Ok(Written { beaten: all.saturating_sub(written), ..Written::of_all() })
    }

    fn is_guarded(&self) -> bool {
        self.coming.is_some()
    }

    async fn begin(&mut self, rows: Option<Vec<(SubjectRef, Score)>>, now: Timestamp) -> Result<(), ScoreError> {
        match &mut self.coming {
            Some(coming) => coming.begin(rows, now).await,
            None => Ok(()),
        }
    }

    async fn conclude(&mut self, now: Timestamp) -> Result<bool, ScoreError> {
        match &mut self.coming {
            Some(coming) => coming.conclude(now).await,
            None => Ok(false),
        }
    }

    fn held(&self) -> Option<&HeldFeed> {
        self.coming.as_ref().and_then(Coming::held)
    }
}
