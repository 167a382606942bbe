//! Declaring a source that is fetched, and writing the scores that come of it.

use jiff::Timestamp;

use super::Pulls;
use super::spec::PullSpec;
use super::store::{self, PullRow};
use crate::database::{AnyConnection, DatabaseError};
use crate::foundation::decimal::Decimal;
use crate::foundation::field_error::FieldError;
use crate::foundation::ids::{MerchantId, SourceName};
use crate::foundation::period::Period;
use crate::foundation::subject::SubjectRef;
use crate::ledger::entry::Actor;
use crate::scores::cache::to_the_end;
use crate::scores::enrolment::store::{hold_enrolled, list_linked};
use crate::scores::error::ScoreError;
use crate::scores::handle::make_source;
use crate::scores::history;
use crate::scores::memory::ScoreKey;
use crate::scores::score::{Score, ScoreFault, Source};
use crate::scores::store::epochs::bump_epochs;
use crate::scores::store::{find_source, upsert_scores};

impl Pulls {
    /// Makes a source that is fetched, with the event `source.created` in the same transaction. One whose connector brings
    /// signals has the scale of computed scores, though it has no score of its own.
    ///
    /// # Errors
    /// [`ScoreError::Unfit`], [`ScoreError::Source`], [`ScoreError::SourceExists`], [`ScoreError::Ledger`] and
    /// [`ScoreError::Database`].
    pub async fn create_source(
        &self,
        actor: Actor,
        merchant: &MerchantId,
        (name, scale, refresh): (SourceName, Option<(Decimal, Decimal)>, Option<Period>),
        spec: &PullSpec,
    ) -> Result<Source, ScoreError> {
        let (pull, filled) = Self::read(spec)?;
        let (minimum, maximum) = match (scale, pull.score.is_some()) {
            (Some(scale), true) => scale,
            (None, false) => (Decimal::from_whole(1), Decimal::from_whole(100)),
            (None, true) => {
                let detail = "give `min` and `max`: the lowest and the highest score that the service has";
                return Err(ScoreError::Unfit(vec![FieldError::at("/min", "missing_field", detail)]));
            }
            (Some(_), false) => {
                let detail = "this connector brings signals: scores are computed from them by another source";
                return Err(ScoreError::Unfit(vec![FieldError::at("/min", "unknown_field", detail)]));
            }
        };
        let source = Source::pulled(name, minimum, maximum, refresh)?;
        let spec = serde_json::to_string(&filled).map_err(|e| DatabaseError::corrupt("declaration of a source", e))?;
        let row = PullRow {
            merchant_id: merchant.as_str().to_owned(),
            source: source.name.to_string(),
            spec,
            spent_day: 0,
            spent: 0,
            failures: 0,
            waits_until: 0,
            wait: None,
            run_at: None,
            answered_at: None,
            fault: None,
        };
        let (merchant, now) = (merchant.clone(), self.clock.now());
        let change = move |conn: &mut AnyConnection, events: &mut Vec<_>| {
            let source = make_source(conn, events, (&merchant, actor), source, now)?;
            store::insert(conn, &row)?;
            Ok::<_, ScoreError>(source)
        };
        self.enrolments.ledger.change(change).await
    }

    /// Writes a score that was fetched, if the person's account is still linked.
    pub(super) async fn put(
        &self,
        (merchant, name): &(MerchantId, SourceName),
        (subject, network): (SubjectRef, &str),
        score: Score,
        now: Timestamp,
    ) -> Result<Result<(), ScoreFault>, ScoreError> {
        let key = ScoreKey { merchant: merchant.clone(), source: name.clone(), subject };
        let (this, place) = (self.scores.clone(), (subject.0.to_vec(), network.to_owned()));
        to_the_end(async move {
            let row = key.clone();
            let write = move |conn: &mut AnyConnection| {
                let Some(source) = find_source(conn, &row.merchant, &row.source)? else { return Ok(Ok(())) };
                if let Err(fault) = source.check(&score, now) {
                    return Ok(Err(fault));
                }
                // Who is erased or unlinked meanwhile has no score afterwards.
                let people = [row.subject];
                let is_enrolled = !hold_enrolled(conn, &row.merchant, &people)?.is_empty();
                if is_enrolled && list_linked(conn, &row.merchant, &people)?.contains(&place) {
                    history::store::keep(conn, (&row.merchant, &row.source), &[&row.subject], now)?;
                    if upsert_scores(conn, &row.merchant, &row.source, &[(row.subject, score)], now)? > 0 {
                        bump_epochs(conn, [&row.subject])?;
                    }
                }
                Ok::<_, DatabaseError>(Ok(()))
            };
            let written = this.database.write(write).await;
            // After an error too: a commit may have held although its answer was lost.
            this.cache.forget(&[key]).await;
            Ok(written?)
        })
        .await
    }
}
